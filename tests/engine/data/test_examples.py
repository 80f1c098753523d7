from pathlib import Path

import pytest

from engine.data.examples import examples_of
from engine.data.manifest import Clip
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
