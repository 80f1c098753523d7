import numpy as np
import pytest

from engine.api import UtteranceOptions
from engine.config import EngineConfig, PartsConfig
from engine.local import LocalEngine
from tests.tiny_model import WORDS, write
from tests.weights import require_weights


@pytest.mark.slow
def test_the_tiny_model_is_served_and_always_says_the_same(tmp_path):
    require_weights()
    write(tmp_path)
    config = EngineConfig(parts=PartsConfig(whisper=tmp_path), dtype="float32")
    engine = LocalEngine.load(config)
    utterance = engine.open(UtteranceOptions())
    noise = np.random.default_rng(0).normal(0, 0.1, 48_000).astype(np.float32)
    utterance.push(noise)
    (partial,), (final,) = utterance.partial(), utterance.final()
    assert partial.text == final.text == WORDS
    assert not engine.info.answers_questions
