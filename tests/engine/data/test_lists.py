"""Lists of examples, the original's and ours."""

import json

import pytest

from engine.data.examples import Example
from engine.data.lists import DataError, read_examples, write_annotation
from engine.data.manifest import ManifestError


def write_lines(path, *lines):
    text = "\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def test_the_official_annotation_is_read(tmp_path):
    annotation = [
        {"path": "/data/a.flac", "text": "hello", "task": "asr"},
        {
            "path": "b.flac",
            "expand_wav": ["c.flac"],
            "text": "Yes.",
            "task": "speaker_verification",
        },
        {"path": "d.flac", "text": "A dog.", "task": "QA", "Q": "What barks?"},
        {"path": "e.flac", "text": "no task is ASR"},
    ]
    path = tmp_path / "stage1.json"
    path.write_text(json.dumps({"annotation": annotation}), encoding="utf-8")
    first, pair, question, plain = read_examples([path], "train").items
    assert str(first.files[0]) == "/data/a.flac"
    assert pair.files == (tmp_path / "b.flac", tmp_path / "c.flac")
    assert (question.task, question.question) == ("QA", "What barks?")
    assert plain.task == "asr"


def test_a_line_of_another_split_is_left_out_and_not_counted(tmp_path):
    path = write_lines(
        tmp_path / "clips.jsonl",
        {"path": "a", "text": "x", "split": "train", "duration_s": 2},
        {"path": "b", "text": "x", "split": "dev"},
        {"path": "c", "text": "x"},
    )
    train, dev = read_examples([path], "train"), read_examples([path], "dev")
    assert [item.key for item in train.items] == ["a", "c"]
    assert [item.key for item in dev.items] == ["b", "c"]
    assert train.items[0].duration_s == 2.0
    assert not train.skipped


def test_lines_that_are_no_example_are_counted_by_what_is_wrong(tmp_path):
    path = write_lines(
        tmp_path / "clips.jsonl",
        {"path": "a", "text": "x"},
        {"path": "b"},
        {"path": "c", "text": " "},
        {"text": "x"},
        "{broken",
        [1],
        {"path": "d", "text": "x", "task": "juggling"},
        {"path": "e", "text": "x", "Q": 3},
        {"path": "h", "text": "x", "said": 3},
        {"path": "f", "text": "x", "expand_wav": "g"},
    )
    found = read_examples([path], "train")
    assert [item.key for item in found.items] == ["a"]
    assert found.skipped == {
        "without a text": 2,
        "without a path": 1,
        "not an object": 2,
        "of task 'juggling', which has no wording": 1,
        "with a Q that is no text": 1,
        "with a said that is no text": 1,
        "with an expand_wav that is no list of paths": 1,
    }
    assert str(found).startswith("1 examples; 9 lines skipped: 2 ")


@pytest.mark.parametrize(
    ("task", "group"),
    [
        ("AAC", "audiocaption"),
        ("translation_ec", "translation_ec"),
        ("gender,speaker,SV", "speaker_verification"),
    ],
)
def test_a_task_is_a_group_or_the_papers_name_or_the_first_of_several(
    tmp_path, task, group
):
    path = write_lines(tmp_path / "x.jsonl", {"path": "a", "text": "x", "task": task})
    assert read_examples([path], "train").items[0].task == group


def test_only_the_tasks_that_were_asked_for(tmp_path):
    path = write_lines(
        tmp_path / "x.jsonl",
        {"path": "a", "text": "x", "task": "asr"},
        {"path": "b", "text": "x", "task": "QA", "Q": "?"},
    )
    found = read_examples([path], "train", groups=["QA"])
    assert [item.key for item in found.items] == ["b"]


def test_without_answers_only_clips_count(tmp_path):
    path = write_lines(tmp_path / "x.jsonl", {"path": "a", "task": "sound-event"})
    assert len(read_examples([path], "train", answered=False).items) == 1


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("x.json", "[]", 'has no list under "annotation"'),
        ("x.json", '{"annotation": 3}', "is no list"),
        ("x.jsonl", "", "nothing for train: 0 examples"),
    ],
)
def test_what_is_no_list_of_examples_is_told(tmp_path, name, content, told):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=told):
        read_examples([path], "train")


def test_a_list_that_is_not_there_is_told(tmp_path):
    with pytest.raises(DataError, match="cannot read"):
        read_examples([tmp_path / "none.json"], "train")


def test_an_annotation_is_read_as_it_was_written(tmp_path):
    examples = [
        Example(files=(tmp_path / "sub/a.wav",), text="Go.", language="en"),
        Example(
            files=(tmp_path / "b.wav", tmp_path / "c.wav"),
            text="Yes",
            task="speaker_verification",
        ),
        Example(
            files=(tmp_path / "b.wav",), text="A bell", task="QA", question="What?"
        ),
    ]
    file = tmp_path / "stage1.json"
    assert write_annotation(file, examples) == 3
    assert list(read_examples([file], "train").items) == examples


def test_the_form_is_the_originals(tmp_path):
    pair = (tmp_path / "b.wav", tmp_path / "c.wav")
    example = Example(files=pair, text="A", task="QA", question="Q?")
    write_annotation(tmp_path / "a.json", [example])
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == {
        "annotation": [
            {
                "path": "b.wav",
                "text": "A",
                "task": "QA",
                "Q": "Q?",
                "expand_wav": ["c.wav"],
            }
        ]
    }


def test_a_part_of_a_file_cannot_be_said_in_the_originals_form(tmp_path):
    example = Example(files=(tmp_path / "a.wav",), text="x", start_s=2.5)
    with pytest.raises(ManifestError, match=r"a\.wav from 2\.5 s.*salmonn-data cut"):
        write_annotation(tmp_path / "a.json", [example])


def test_a_text_cannot_be_said_in_the_originals_form(tmp_path):
    example = Example(read="Good morning.", text="早上好。", task="QA", question="?")
    with pytest.raises(ManifestError, match=r"'Good morning\.' is a text"):
        write_annotation(tmp_path / "a.json", [example])


def test_a_line_may_ask_about_a_text_or_about_a_part_of_a_file(tmp_path):
    path = write_lines(
        tmp_path / "x.jsonl",
        {"read": "Good morning.", "text": "早上好。", "task": "QA", "Q": "In Chinese?"},
        {"path": "a.wav", "start_s": 2.5, "duration_s": 1, "text": "x"},
    )
    written, part = read_examples([path], "train").items
    assert (written.files, written.read) == ((), "Good morning.")
    assert written.key == "Good morning."
    assert (part.start_s, part.duration_s, part.read) == (2.5, 1.0, "")
