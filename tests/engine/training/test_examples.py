"""Lists of examples, the original's and ours."""

import json

import pytest

from engine.training.examples import DataError, read_examples


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
    assert (question.group, question.about) == ("QA", "What barks?")
    assert plain.group == "asr"


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
        "with an expand_wav that is no list of paths": 1,
    }
    assert str(found).startswith("1 examples; 8 lines skipped: 2 ")


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
    assert read_examples([path], "train").items[0].group == group


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
