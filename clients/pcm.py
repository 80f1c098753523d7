"""Arrays and audio files → the bytes of the wire.

Rate and channels stay as they are: they are declared to the server, which mixes and
resamples.  Knows no socket.  `soundfile` is imported only here.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from clients.errors import AudioSourceError
from stream.audio import SAMPLE_RATE, PcmFormat
from stream.errors import AudioFormatError

READ_SAMPLES = 16_384
"""How much is read at once, whatever is wanted: libsndfile 1.2 decodes the last
samples of some Opus files differently when they are asked for in other amounts."""


def to_wire(samples: NDArray[Any]) -> bytes:
    """Return an array as s16le.

    Args:
        samples: (n,) or (n, channels); floats in [-1, 1), what lies outside is
            clipped; or integers that use the range of their type.

    Raises:
        ValueError: If it has another shape or type, or a value that is no number.
    """
    if samples.ndim not in (1, 2):
        raise ValueError(f"shape {samples.shape}; expected (n,) or (n, channels)")
    if samples.dtype == np.int16:
        return samples.astype("<i2").tobytes()
    if samples.dtype.kind in "iu":
        limits = np.iinfo(samples.dtype)
        half = (float(limits.max) - float(limits.min) + 1) / 2
        floats = (samples.astype(np.float64) - (limits.min + half)) / half
    elif samples.dtype.kind == "f":
        floats = samples.astype(np.float64)
    else:
        raise ValueError(f"samples of type {samples.dtype}; expected numbers")
    if not np.isfinite(floats).all():
        raise ValueError("samples that are no finite numbers")
    scaled = np.rint(floats * 32768)
    return np.clip(scaled, -32768, 32767).astype("<i2").tobytes()


class AudioFile:
    """A file of any format that libsndfile reads, in pieces.

    Raises:
        AudioSourceError: If it cannot be read, or is no audio.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            # libsndfile would call a folder or an empty file an unknown format.
            with path.open("rb") as file:
                is_empty = not file.read(1)
            if is_empty:
                raise AudioSourceError(str(path), "it is empty")
            self._file = soundfile.SoundFile(path)
        except OSError as exc:
            raise AudioSourceError(str(path), exc.strerror or str(exc)) from exc
        except soundfile.LibsndfileError as exc:
            reason = exc.error_string.rstrip(".")
            raise AudioSourceError(str(path), f"not audio: {reason}") from exc
        if not self._file.frames:
            self.close()
            raise AudioSourceError(str(path), "it holds no audio")
        try:
            self.format = PcmFormat(
                rate=self._file.samplerate, channels=self._file.channels
            )
        except AudioFormatError as exc:
            self.close()
            raise AudioSourceError(str(path), str(exc)) from exc

    def pieces(self, piece_samples: int) -> Iterator[bytes]:
        """Yield its audio as s16le, to the end, then close it.

        Raises:
            AudioSourceError: If the file is damaged further on.
        """
        step = piece_samples * self.format.sample_bytes
        left = b""
        with self._file as file:
            while len(samples := self._read(file, READ_SAMPLES)):
                left += to_wire(samples)
                whole = len(left) - len(left) % step
                for first in range(0, whole, step):
                    yield left[first : first + step]
                left = left[whole:]
        if left:
            yield left

    def _read(self, file: soundfile.SoundFile, num: int) -> NDArray[np.float32]:
        # As floats: libsndfile does not scale a file of floats that is read as
        # integers, and 16 bits come back exactly.
        try:
            return file.read(num, dtype="float32", always_2d=True)  # type: ignore[no-any-return]
        except soundfile.LibsndfileError as exc:
            reason = exc.error_string.rstrip(".")
            raise AudioSourceError(str(self.path), f"damaged: {reason}") from exc

    def close(self) -> None:
        """Close the file; twice is once."""
        self._file.close()


def describe(audio: PcmFormat) -> str:
    """Return a format as people read it, and what the server makes of it."""
    channels = "1 channel" if audio.channels == 1 else f"{audio.channels} channels"
    shown = f"{audio.rate} Hz, {channels}, {audio.encoding}"
    verbs = []
    if audio.channels > 1:
        verbs.append("mixes")
    if audio.rate != SAMPLE_RATE:
        verbs.append("resamples")
    return f"{shown}; the server {' and '.join(verbs)} it" if verbs else shown
