"""The live engine on a real GPU; skipped where there is none.

pytest -m gpu
"""

import numpy as np
import pytest
import torch

from engine.device import choose
from engine.geometry import SAMPLE_RATE
from tests.engine.test_elsewhere import engine_on
from tests.engine_contract import EngineContract, PromptContract, SpeakersContract

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available(),
        reason="torch sees no CUDA here: the engine was not run on a GPU",
    ),
]


class TestOnCuda(EngineContract, PromptContract, SpeakersContract):
    """Random models in float32, where pieces and the whole differ least."""

    @pytest.fixture(params=["official", "ours, beams"])
    def engine(self, tiny_whisper, request, believed):
        return engine_on("cuda:0", tiny_whisper, request.param)

    @pytest.fixture
    def audio(self):
        return np.random.default_rng(1).normal(0, 0.2, 96_000).astype(np.float32)

    @pytest.fixture
    def other_audio(self):
        time = np.arange(128_000, dtype=np.float32) / SAMPLE_RATE
        return np.sin(3_000 * time**2)

    # A random model has no idea of silence.
    test_silence_has_no_words = None
    test_an_utterance_of_nothing_has_no_words = None

    def test_its_description_names_the_gpu(self, engine):
        name = torch.cuda.get_device_name(choose("cuda"))
        assert f"on cuda:0 ({name})" in engine.info.description
