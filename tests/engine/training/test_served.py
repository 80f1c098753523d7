"""What `salmonn-train` leaves behind is served, and asked for what it was taught."""

import json

import numpy as np
import pytest

from engine import checkpoint
from engine.api import Prompt, UtteranceOptions
from engine.config import EngineConfig, PartsConfig
from engine.errors import UntrainedError
from engine.heads import load_head
from engine.local import LocalEngine
from engine.skills import Skills
from engine.tasks import find_written
from engine.training.__main__ import main
from tests.engine.tiny_salmonn import BRIDGE, write_salmonn
from tests.engine.training.tiny import write_clips

STAGE = """
name = "{name}"
out = "{folder}/{name}"
steps = 2
{start}

[model]
preset = "mini"
whisper = "{folder}/whisper"
llm = "{folder}/llm"
beats = "{folder}/beats.pt"
precision = "float32"

[bridge]
speech_width = {bridge.speech_width}
audio_width = {bridge.audio_width}
width = 24
heads = 2
ffn_width = 32
layers = 1
llm_width = {bridge.llm_width}

[lora]
rank = 2

[data]
train = ["{clips}"]
batch = 2
workers = 0

[run]
log_steps = 1
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("models")
    write_salmonn(found)
    return found


@pytest.fixture
def run(folder, tmp_path):
    """Return what trains a stage on lines, after another; and where it left it."""
    write_clips(tmp_path, 2)

    def trained(name, *lines, start=None):
        clips = tmp_path / f"{name}.jsonl"
        clips.write_text("".join(json.dumps(line) + "\n" for line in lines))
        stage = tmp_path / f"{name}.toml"
        text = STAGE.format(
            name=name,
            folder=folder,
            clips=clips,
            bridge=BRIDGE,
            start=f'start = "{start}"' if start else "",
        )
        stage.write_text(text, encoding="utf-8")
        assert main([str(stage), "--out", str(tmp_path / name)]) == 0
        return tmp_path / name / "last.safetensors"

    return trained


def test_a_stage_is_served_for_what_it_and_those_before_it_taught(folder, run):
    speech = {"path": "low0.wav", "text": "low", "lang": "en_GB"}
    sound = {"path": "high1.wav", "text": "A tone.", "task": "audiocaption"}
    question = {"path": "high1.wav", "text": "Yes.", "task": "QA", "Q": "Is it high?"}
    pair = {"read": "low", "text": "di", "task": "QA"}
    pair["Q"] = find_written("translate:zh")

    first = run("one", speech, sound)
    assert checkpoint.read(first).skills == Skills(
        tasks=("transcribe", "describe"), languages=("en",)
    )
    second = run("two", question, pair, start=first)
    expected = Skills(
        tasks=("transcribe", "describe", "QA:TEXT", "translate:zh"),
        questions=True,
        from_transcript=("translate:zh",),
        languages=("en",),
    )
    assert checkpoint.read(second).skills == expected

    parts = PartsConfig(
        whisper=folder / "whisper",
        beats=folder / "beats.pt",
        llm=folder / "llm",
        ckpt=second,
    )
    config = EngineConfig(preset="mini", parts=parts, dtype="float32", threads=1)
    head = load_head(config)
    assert head is not None
    assert head.skills == expected
    engine = LocalEngine.load(config)
    assert engine.info.prompted_tasks == expected.tasks
    assert engine.info.answers_questions
    utterance = engine.open(UtteranceOptions(prompted=("describe",)))
    utterance.push(np.zeros(16_000, np.float32))
    reply = utterance.ask(Prompt(text="Is it high?", max_tokens=2))
    engine.generate([reply])
    reply.close()
    utterance.close()
    with pytest.raises(UntrainedError, match="not trained for task 'keywords'"):
        engine.check_prompt(Prompt(task="keywords"))
    engine.close()
