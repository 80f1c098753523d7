import json
from dataclasses import asdict

import pytest

from engine.api import Prompt, Source
from engine.errors import UnsupportedError
from engine.skills import Skills, question

SKILLS = Skills(
    tasks=("describe", "translate:zh", "transcribe"), from_transcript=("translate:zh",)
)


def test_what_was_not_trained_is_refused():
    SKILLS.check(Prompt(task="describe"))
    with pytest.raises(UnsupportedError, match="no prompt 'sing'; there are describe,"):
        SKILLS.check(Prompt(task="sing"))
    with pytest.raises(UnsupportedError, match="no prompt 'Who is it\\?'"):
        SKILLS.check(Prompt(text="Who is it?"))
    Skills(questions=True).check(Prompt(text="Who is it?"))


def test_a_route_says_what_a_task_is_answered_from():
    assert SKILLS.source(Prompt(task="translate:zh")) is Source.TRANSCRIPT
    assert SKILLS.source(Prompt(task="describe")) is Source.AUDIO
    assert SKILLS.source(Prompt(text="translate:zh")) is Source.AUDIO


def test_skills_are_tasks_that_can_be_asked():
    with pytest.raises(UnsupportedError, match="no task 'sing'"):
        Skills(tasks=("sing",))
    with pytest.raises(UnsupportedError, match="no task of texts 'describe'"):
        Skills(tasks=("describe",), from_transcript=("describe",))
    with pytest.raises(
        ValueError, match="translate:zh is answered from the transcript"
    ):
        Skills(from_transcript=("translate:zh",))


@pytest.mark.parametrize(
    ("prompt", "source", "asked"),
    [
        (Prompt(text="Who is it?"), Source.AUDIO, "Who is it?"),
        (Prompt(task="describe"), Source.AUDIO, "Please describe the audio."),
        (
            Prompt(task="transcribe", language="zh"),
            Source.AUDIO,
            "请将语音中的内容写下来。",
        ),
        (
            Prompt(task="translate:zh"),
            Source.TRANSCRIPT,
            "Translate this text into Chinese:",
        ),
    ],
)
def test_a_prompt_is_asked_by_its_source(prompt, source, asked):
    assert question(prompt, source) == asked


def test_skills_survive_being_written_down():
    assert Skills.of(json.loads(json.dumps(asdict(SKILLS)))) == SKILLS
    assert Skills.of({}) == Skills()
    with pytest.raises(TypeError, match="songs"):
        Skills.of({"songs": True})
