"""Weights that tests may use where they are there, and must have in CI."""

import os

import pytest

from engine.config import EngineConfig
from engine.errors import WeightsError
from engine.weights import resolve


def require_weights(part: str = "whisper") -> None:
    """Skip the test if a part of the embedded model is not in the cache.

    Raises:
        WeightsError: In CI, in place of skipping.
    """
    try:
        resolve(part, EngineConfig(), fetch=False)
    except WeightsError as exc:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no weights: {exc}")
