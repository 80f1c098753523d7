"""Who answers by the flags of the command: which model, from which files."""

from dataclasses import replace
from pathlib import Path

import pytest

from engine import api, checkpoint
from engine.config import EngineConfig, PartsConfig
from engine.evaluation.asking import Choice, answerers, engine_config
from engine.skills import ANYTHING, Skills
from tests.engine.tiny_salmonn import write_salmonn
from tests.fakes.engine import ScriptedEngine

TOLD = Skills(
    tasks=("translate:zh",), questions=True, from_transcript=("translate:zh",)
)


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """Return what chooses weights that say so much, and what was loaded of them."""
    files = write_salmonn(tmp_path / "salmonn")
    loaded = []

    def load(config):
        loaded.append((config, checkpoint.read(config.parts.ckpt).skills))
        return ScriptedEngine()

    monkeypatch.setattr(api, "load", load)

    def choose(skills, **fields):
        path = tmp_path / "last.safetensors"
        checkpoint.write(replace(checkpoint.read(files.ckpt), skills=skills), path)
        parts = PartsConfig(ckpt=path)
        usual = {"heads": ("salmonn",), "modes": ("offline",), "parts": parts}
        return Choice(**usual | fields), path, loaded

    return choose


def test_what_training_leaves_is_asked_everything_and_left_as_it_is(asked):
    choice, path, loaded = asked(None)
    with answerers(choice) as (offline,):
        ((config, skills),) = loaded
        assert skills == ANYTHING
        assert config.parts.ckpt != path
        assert config.parts.ckpt.exists()
        assert offline.mode == "offline"
    assert not config.parts.ckpt.exists()
    assert checkpoint.read(path).skills is None


def test_weights_that_say_what_they_can_are_asked_that(asked):
    choice, path, loaded = asked(TOLD)
    with answerers(choice):
        ((config, skills),) = loaded
        assert skills == TOLD
        assert config.parts.ckpt == path


def test_a_server_is_started_with_the_same_weights(asked):
    choice, path, _ = asked(TOLD, modes=("live",), heads=("salmonn", "whisper"))
    with answerers(choice) as (salmonn, whisper):
        assert (salmonn.mode, whisper.mode) == ("live salmonn", "live whisper")
        flags = ("--preset", "mini", "--ckpt", str(path))
        assert salmonn._server_flags == flags
        assert whisper._server_flags == (*flags, "--captions-only")
        assert salmonn._tasks == ("translate:zh",)


def test_flags_come_before_the_servers_file(tmp_path):
    file = tmp_path / "server.toml"
    file.write_text(
        'engine.preset = "mini"\nengine.parts.ckpt = "old"\nengine.parts.llm = "llm"\n'
    )
    parts = PartsConfig(ckpt=Path("new"))
    choice = Choice(heads=(), modes=(), config=file, preset="custom", parts=parts)
    expected = PartsConfig(llm=Path("llm"), ckpt=Path("new"))
    assert engine_config(choice) == EngineConfig(preset="custom", parts=expected)
