import json
from pathlib import Path

import pytest

from engine.data.examples import (
    Example,
    examples_of,
    read_annotation,
    write_annotation,
)
from engine.data.manifest import Clip, ManifestError
from engine.wordings import WORDINGS


def clip(**facts):
    return Clip("a.wav", Path("a.wav"), 2.0, facts)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"text": "GO DO YOU HEAR"}, [("asr", "", "Go do you hear")]),
        ({"text": "Na so was", "lang": "de"}, [("asr_de", "", "Na so was")]),
        ({"text": "你好", "lang": "zh"}, [("asr_zh", "", "你好")]),
        ({"translation_zh": ["早", "早安"]}, [("translation_ec", "", "早")]),
        (
            {"translation_en": "A magpie."},
            [
                (
                    "QA",
                    "Listen to the speech and translate it into English.",
                    "A magpie.",
                )
            ],
        ),
        (
            {"captions": ["Rain", "It rains"]},
            [("audiocaption", "", "Rain"), ("audiocaption", "", "It rains")],
        ),
        ({"music_captions": ["Jazz."]}, [("music_description", "", "Jazz.")]),
        ({"gender": "f"}, [("gender_recognition", "", "female")]),
        (
            {"label": "sad", "task": "emotion,gender"},
            [("emotion_recognition", "", "sad")],
        ),
        ({"label": "rain", "task": "sound-event"}, []),
        (
            {"texts": ["ONE", "two"]},
            [("speech_separation", "", "Speaker 1: One\nSpeaker 2: two")],
        ),
        ({"same_speaker": False}, [("speaker_verification", "", "No")]),
        ({"phones": "AH0 N"}, [("phone_recognition", "", "AH0 N")]),
        ({"qa": [["What rings?", "A bell."]]}, [("QA", "What rings?", "A bell.")]),
        ({"story": "Once."}, [("audio_story_telling", "", "Once.")]),
    ],
)
def test_what_is_known_of_a_clip_can_be_taught(facts, expected):
    examples = examples_of(clip(**facts))
    assert [(e.task, e.question, e.text) for e in examples] == expected
    assert all(e.task in WORDINGS for e in examples)


def test_only_the_tasks_that_are_wanted_are_taught():
    examples = examples_of(clip(text="Go", gender="m"), ["gender_recognition"])
    assert [e.text for e in examples] == ["male"]


def test_an_annotation_is_read_as_it_was_written(tmp_path):
    examples = [
        Example(file=tmp_path / "sub/a.wav", text="Go."),
        Example(
            file=tmp_path / "b.wav",
            text="Yes",
            task="speaker_verification",
            expand=(tmp_path / "c.wav",),
        ),
        Example(file=tmp_path / "b.wav", text="A bell", task="QA", question="What?"),
    ]
    file = tmp_path / "stage1.json"
    assert write_annotation(file, examples) == 3
    assert read_annotation(file) == examples


def test_the_form_is_the_originals(tmp_path):
    pair = (tmp_path / "c.wav",)
    example = Example(
        file=tmp_path / "b.wav", text="A", task="QA", question="Q?", expand=pair
    )
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


def test_what_the_original_leaves_out_has_its_defaults(tmp_path):
    file = tmp_path / "a.json"
    entry = {"path": "/data/x.wav", "text": "Go."}
    file.write_text(json.dumps({"annotation": [entry]}), encoding="utf-8")
    expected = Example(file=Path("/data/x.wav"), text="Go.", task="asr")
    assert read_annotation(file) == [expected]


def test_a_part_of_a_file_cannot_be_said_in_the_originals_form(tmp_path):
    example = Example(file=tmp_path / "a.wav", text="x", start_s=2.5, duration_s=1.0)
    with pytest.raises(ManifestError, match=r"a\.wav from 2\.5 s.*salmonn-data cut"):
        write_annotation(tmp_path / "a.json", [example])


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"annotation": [{"path": "a"}]}'])
def test_another_form_is_told(tmp_path, text):
    file = tmp_path / "a.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ManifestError, match=r"a\.json is not an annotation"):
        read_annotation(file)
