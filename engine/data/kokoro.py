"""Natural synthetic speech: Kokoro-82M, run by `kokoro-onnx` (the extra `speech`).

    text ─ espeak-ng ─▶ phonemes ─ model, voice ─▶ samples at 24 kHz ─▶ at 16 kHz

Model and voices are fetched once and kept with the other weights
(`engine.data.kokoro_part`).  Knows nothing of clips.
"""

import logging
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import soxr

from engine import store
from engine.api import Samples
from engine.data.kokoro_part import KOKORO, MODEL, VOICES_FILE
from engine.data.making.speech import VOICES
from engine.errors import EngineError
from engine.geometry import SAMPLE_RATE
from engine.progress import Report
from engine.weights import cache_folder

LENGTHS, WIDTH = 510, 256  # a vector for each number of phonemes
LANGUAGES: Final = {"a": "en-us", "b": "en-gb"}


class SpeechError(EngineError):
    """Raised when something cannot be said."""


class Kokoro:
    """Says English sentences."""

    def __init__(self, folder: Path) -> None:
        """Load the model of a folder.

        Raises:
            SpeechError: If `kokoro-onnx` is not installed, or cannot load it.
        """
        try:
            from kokoro_onnx import Kokoro as Model
        except ImportError as exc:
            raise SpeechError(
                f"speech is made with kokoro-onnx; install the extra `speech`: {exc}"
            ) from exc
        # It tells of each window that it makes.
        logging.getLogger("kokoro_onnx").setLevel(logging.ERROR)
        logging.getLogger("phonemizer").setLevel(logging.ERROR)
        voices = read_voices(folder / VOICES_FILE)
        with tempfile.TemporaryDirectory(prefix="salmonn-data-") as place:
            listed = Path(place) / "voices.npz"
            np.savez(listed, **voices)
            try:
                self._model: Any = Model(str(folder / MODEL), str(listed))
            except (OSError, RuntimeError, ValueError) as exc:
                raise SpeechError(f"{folder} holds no Kokoro: {exc}") from exc
        self._voices = voices

    @classmethod
    def fetch(cls, report: Report) -> "Kokoro":
        """Return the model of the cache folder, fetched if it is not there.

        Raises:
            WeightsError: If it cannot be fetched, or is damaged.
            SpeechError: As the constructor does.
        """
        return cls(store.prepare(KOKORO, cache_folder(), report))

    def say(self, text: str, voice: str, *, speed: float = 1.0) -> Samples:
        """Return a sentence as a voice says it, at 16 kHz.

        Args:
            text: English.
            voice: One of `VOICES`; its first letter is its accent.
            speed: 1 is the voice's own.

        Raises:
            SpeechError: If nothing of the text can be pronounced.
        """
        try:
            samples, rate = self._model.create(
                text, self._voices[voice], speed=speed, lang=LANGUAGES[voice[0]]
            )
        except (ValueError, RuntimeError) as exc:
            raise SpeechError(f"{text!r} cannot be said: {exc}") from exc
        return np.asarray(soxr.resample(samples, rate, SAMPLE_RATE), np.float32)


def read_voices(file: Path) -> dict[str, Any]:
    """Return the style vectors of each voice, (510, 1, 256).

    Raises:
        SpeechError: If the file does not hold so many.
    """
    values = np.fromfile(file, "<f4")
    shape = (len(VOICES), LENGTHS, 1, WIDTH)
    if values.size != np.prod(shape):
        raise SpeechError(f"{file} has {values.size} numbers; expected {shape}")
    return dict(zip(VOICES, values.reshape(shape), strict=True))
