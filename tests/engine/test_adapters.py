"""The adapter that comes with the mini: what it is, and that it answers."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from engine import checkpoint
from engine.api import Prompt, UtteranceOptions, load
from engine.config import EngineConfig
from engine.presets import ADAPTERS
from engine.qformer import MINI_BRIDGE
from engine.training.lessons import read_shares
from tests.weights import require_weights

MOST_BYTES = 45_000_000
DEMO = Path(__file__).parents[2] / "demo"
SHARES = Path(checkpoint.__file__).parent / "training" / "shares" / "mini.toml"


@pytest.fixture(scope="module")
def trained():
    return checkpoint.read(ADAPTERS["mini"])


@pytest.fixture(scope="module")
def card():
    return (ADAPTERS["mini"].parent / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_it_is_small_and_says_what_it_was_taught(trained):
    assert ADAPTERS["mini"].stat().st_size <= MOST_BYTES
    assert trained.sizes.bridge == MINI_BRIDGE
    assert trained.skills is not None
    assert trained.skills.questions
    assert trained.skills.told_words
    assert trained.skills.languages == ("en",)


def test_its_card_names_every_set_it_was_trained_on(card):
    assert "Gemma Terms of Use found at ai.google.dev/gemma/terms" in card
    for name in read_shares(SHARES):
        assert f"`{name}`" in card, name


@pytest.mark.slow
def test_a_default_engine_answers_a_question_about_sound():
    require_weights("whisper")
    require_weights("gemma")
    engine = load(EngineConfig(dtype="float32", threads=1, speakers="off"))
    try:
        for name, heard in (("crow.ogg", "animal"), ("jfk.ogg", "speech")):
            samples, _ = soundfile.read(DEMO / name, dtype="float32")
            utterance = engine.open(UtteranceOptions(tasks=()))
            utterance.push(np.asarray(samples, np.float32))
            question = "Is this speech, music, an animal or noise?"
            reply = utterance.ask(Prompt(text=question, max_tokens=12))
            while reply.finish is None:
                engine.generate([reply])
            assert heard in reply.text.lower(), name
            reply.close()
            utterance.close()
    finally:
        engine.close()
