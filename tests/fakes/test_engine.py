"""The scripted engine keeps the promises of a real one."""

import numpy as np
import pytest

from tests.engine_contract import EngineContract, PromptContract, SpeakersContract
from tests.fakes.engine import ScriptedEngine, speak


def samples(*words):
    return np.frombuffer(speak(*words), "<i2").astype(np.float32) / 32_768


class TestScriptedEngine(EngineContract, PromptContract, SpeakersContract):
    @pytest.fixture
    def engine(self):
        return ScriptedEngine()

    @pytest.fixture
    def audio(self):
        return samples(1, 2, 0, 3, 4, 5)

    @pytest.fixture
    def other_audio(self):
        return samples(0, 29, 8, 7, 0)
