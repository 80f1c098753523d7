"""The engine in this process: one model, one thread.

Loads a preset's weights, decides by measurement what to compute in, and opens
utterances.  Who speaks when, and to whom an answer goes, the server knows.
"""

import logging
import os
import time
from pathlib import Path

import numpy as np
import torch

from engine.api import EngineInfo, UtteranceOptions
from engine.config import EngineConfig
from engine.errors import UnsupportedError
from engine.geometry import MAX_FRAMES, N_MELS, WINDOW, samples_of
from engine.incremental import MAX_SAMPLES, WhisperUtterance
from engine.transcriber import Transcriber
from engine.weights import resolve
from engine.whisper import TASKS, Whisper, load_whisper
from engine.whisper_decoder import TokenDecoder
from engine.whisper_encoder import BlockEncoder

logger = logging.getLogger(__name__)

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
TRIALS = 5  # runs of each data type; the fastest counts
WARM_UP_S = 3.0


class LocalEngine:
    """Implements `engine.api.Engine` with Whisper's encoder and decoder."""

    def __init__(self, whisper: Whisper, config: EngineConfig, *, why: str) -> None:
        self._config = config
        dtype = str(whisper.model.dtype).removeprefix("torch.")
        threads = torch.get_num_threads()
        left = min(MAX_FRAMES, round(config.encoding.left_context_s * 50))
        self._encoder = BlockEncoder(whisper.model.model.encoder, left_frames=left)
        self._decoder = TokenDecoder(whisper.model)
        self._transcriber = Transcriber(whisper, self._decoder, beams=config.beams)
        self._info = EngineInfo(
            model=whisper.name,
            tasks=TASKS,
            languages=tuple(whisper.vocabulary.languages),
            max_samples=MAX_SAMPLES,
            description=f"{whisper.name} on cpu, {dtype} ({why}), {threads} threads",
        )

    @classmethod
    def load(cls, config: EngineConfig) -> "LocalEngine":
        """Load what a configuration names.

        Raises:
            WeightsError: If a weight is missing or damaged.
        """
        torch.set_num_threads(config.threads or os.cpu_count() or 1)
        folder = config.weights or resolve("whisper", config)
        return cls(*_load(folder, config.dtype), config)

    @property
    def info(self) -> EngineInfo:
        """What this engine can do."""
        return self._info

    def warm_up(self) -> None:
        """Run noise through an utterance of each task."""
        noise = np.random.default_rng(0).normal(0, 0.1, samples_of(WARM_UP_S))
        utterance = self.open(UtteranceOptions(tasks=TASKS))
        utterance.push(noise.astype(np.float32))
        utterance.partial()
        utterance.final()
        utterance.close()

    def check(self, options: UtteranceOptions) -> None:
        """Refuse options that cannot be served; see `engine.api.Engine`."""
        for task in options.tasks:
            if task not in self._info.tasks:
                raise UnsupportedError("task", task, self._info.tasks)
        if options.language not in (None, *self._info.languages):
            raise UnsupportedError("language", options.language, self._info.languages)

    def open(self, options: UtteranceOptions) -> WhisperUtterance:
        """Begin an utterance."""
        self.check(options)
        return WhisperUtterance(
            self._encoder, self._decoder, self._transcriber, options, self._config
        )

    def close(self) -> None:
        """Free the model."""
        del self._encoder, self._decoder, self._transcriber
