"""Audio of the wire, in any format that a client may declare, to frames of 20 ms.

    bytes -encoding-> samples -channels-> mono -rate-> 16 kHz -> frames

It counts samples and knows nothing of messages' order, of clocks or of speech.
soxr is imported here only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray

from stream.errors import AudioFormatError, quote

SAMPLE_RATE: Final = 16_000  # Hz, everywhere behind this module
FRAME_MS: Final = 20
FRAME_SAMPLES: Final = SAMPLE_RATE * FRAME_MS // 1000  # 320
FRAME_BYTES: Final = 2 * FRAME_SAMPLES  # s16le

MIN_RATE: Final = 8_000  # Hz; telephony
MAX_RATE: Final = 192_000  # Hz; the fastest that sound cards offer
MAX_CHANNELS: Final = 8

RESAMPLER_QUALITY: Final = "HQ"
"""What 20 ms pieces wait for inside: 20 ms at 44.1 and 48 kHz, 95 ms at 8 kHz.

Lower settings of soxr wait as long, or cut what is heard of an s or an f.
"""


@dataclass(frozen=True, slots=True)
class Frame:
    """20 ms of mono audio at 16 kHz.

    Attributes:
        start: Index of its first sample, counted from the start of the stream.
        pcm: s16le samples, exactly `FRAME_BYTES` bytes.
    """

    start: int
    pcm: bytes

    @property
    def end(self) -> int:
        """Index of the first sample after it."""
        return self.start + FRAME_SAMPLES


@dataclass(frozen=True, slots=True, kw_only=True)
class PcmFormat:
    """How a client's audio is laid out.

    Raises:
        AudioFormatError: If a field is none that we know.
    """

    rate: int = SAMPLE_RATE
    """Samples a second, of each channel."""
    encoding: str = "s16le"
    """One of `ENCODINGS`."""
    channels: int = 1
    """Interleaved; they are mixed to one."""

    def __post_init__(self) -> None:
        if not MIN_RATE <= self.rate <= MAX_RATE:
            raise AudioFormatError(
                f"rate is {quote(self.rate)}; expected {MIN_RATE} to {MAX_RATE} Hz"
            )
        if self.encoding not in ENCODINGS:
            known = ", ".join(ENCODINGS)
            raise AudioFormatError(
                f"encoding is {quote(self.encoding)}; expected one of {known}"
            )
        if not 1 <= self.channels <= MAX_CHANNELS:
            raise AudioFormatError(
                f"channels is {quote(self.channels)}; expected 1 to {MAX_CHANNELS}"
            )

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample of all channels."""
        return ENCODINGS[self.encoding].size_bytes * self.channels


class Framer:
    """Cut s16le audio at 16 kHz into frames, however its pieces were cut."""

    def __init__(self, start: int = 0) -> None:
        self._buffer = bytearray()
        self._start = start

    def push(self, pcm: bytes) -> list[Frame]:
        """Add audio; return the frames that it completes."""
        self._buffer += pcm
        frames = []
        while len(self._buffer) >= FRAME_BYTES:
            frames.append(Frame(self._start, bytes(self._buffer[:FRAME_BYTES])))
            del self._buffer[:FRAME_BYTES]
            self._start += FRAME_SAMPLES
        return frames

    def flush(self) -> list[Frame]:
        """Return the last frame, filled up with silence, if one was begun."""
        if not self._buffer:
            return []
        return self.push(bytes(FRAME_BYTES - len(self._buffer)))


class PcmReader:
    """Read a client's audio as frames.

    The frames do not depend on how the audio was cut into messages.  Mono s16le at
    16 kHz passes through bit by bit.

    Args:
        format: What the client declared.
        received: Where its audio begins, in the client's own samples; not 0 if the
            client sends the rest of a stream that was begun elsewhere.
    """

    def __init__(self, format: PcmFormat, *, received: int = 0) -> None:
        self.format = format
        self.received = received
        """Samples received so far, of each channel, at the client's rate."""
        self._decode = ENCODINGS[format.encoding].decode
        self._framer = Framer(received * SAMPLE_RATE // format.rate)
        self._resampler = (
            None
            if format.rate == SAMPLE_RATE
            else soxr.ResampleStream(
                format.rate, SAMPLE_RATE, 1, dtype="float32", quality=RESAMPLER_QUALITY
            )
        )
        self._is_frames = format == PcmFormat()
        """Whether messages are cut as they are: nothing is to be decoded."""
        self._flushed = False

    def push(self, message: bytes) -> list[Frame]:
        """Add audio from the wire; return the frames that it completes.

        Raises:
            AudioFormatError: If the message is not whole samples of all channels,
                or a sample is not a finite number.
        """
        assert not self._flushed, "push after flush"
        if len(message) % self.format.sample_bytes:
            raise AudioFormatError(
                f"a message of {len(message)} bytes; expected whole samples of "
                f"{self.format.sample_bytes} bytes "
                f"({self.format.encoding}, channels: {self.format.channels})"
            )
        if self._is_frames:
            self.received += len(message) // 2
            return self._framer.push(message)
        samples = self._mix(self._decode(message))
        self.received += len(samples)
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples)
        return self._framer.push(to_pcm(samples))

    def flush(self) -> list[Frame]:
        """End the stream; return its last frames, the very last filled with silence."""
        assert not self._flushed, "flush after flush"
        self._flushed = True
        frames = []
        if self._resampler is not None:
            rest = self._resampler.resample_chunk(np.zeros(0, np.float32), last=True)
            frames = self._framer.push(to_pcm(rest))
        return frames + self._framer.flush()

    def _mix(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the mean of the channels.

        They are added one after the other: `np.mean` may choose another order for
        another length, and so round otherwise.
        """
        channels = self.format.channels
        mixed = samples[::channels].copy()
        for channel in range(1, channels):
            mixed += samples[channel::channels]
        return mixed / np.float32(channels)


def to_float(pcm: bytes) -> NDArray[np.float32]:
    """Return s16le samples as floats, (n,), in [-1, 1)."""
    return np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(1 << 15)


def to_pcm(samples: NDArray[np.float32]) -> bytes:
    """Return floats, (n,), as s16le samples; clips what s16 cannot hold."""
    scaled = np.rint(samples * np.float32(1 << 15))
    clipped: NDArray[np.float32] = np.clip(scaled, -(1 << 15), (1 << 15) - 1)
    return clipped.astype("<i2").tobytes()


def power(pcm: bytes) -> float:
    """Return the mean square of s16le samples, in [0, 1]."""
    samples = to_float(pcm)
    return float(np.dot(samples, samples)) / len(samples)


def _from_u8(data: bytes) -> NDArray[np.float32]:
    return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / np.float32(128)


def _from_s24le(data: bytes) -> NDArray[np.float32]:
    """Widen each sample to 32 bits, its own three bytes on top."""
    wide = np.zeros((len(data) // 3, 4), np.uint8)
    wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
    return _from_s32le(wide.tobytes())


def _from_s32le(data: bytes) -> NDArray[np.float32]:
    return np.frombuffer(data, "<i4").astype(np.float32) / np.float32(1 << 31)


def _from_f32le(data: bytes) -> NDArray[np.float32]:
    """Clip to [-1, 1]; refuse what is no number, lest it poisons the resampler."""
    samples = np.frombuffer(data, "<f4")
    finite = np.isfinite(samples)
    if not finite.all():
        first = samples[np.argmin(finite)]
        raise AudioFormatError(f"a sample is {first}; expected finite numbers")
    clipped: NDArray[np.float32] = np.clip(samples, -1, 1)
    return clipped


def _mulaw_table() -> NDArray[np.float32]:
    """Return what each of the 256 codes stands for, (256,), in (-1, 1).

    Source:
        ITU-T G.711 (11/1988), table 2: 14 bits, here at the scale of 16.
    """
    code = ~np.arange(256, dtype=np.uint8)
    exponent, mantissa = ((code >> 4) & 7).astype(int), (code & 15).astype(int)
    magnitude = (((mantissa << 3) + 132) << exponent) - 132
    return _signed(magnitude, (code & 128) == 0)


def _alaw_table() -> NDArray[np.float32]:
    """Return what each of the 256 codes stands for, (256,), in (-1, 1).

    Source:
        ITU-T G.711 (11/1988), table 1: 13 bits, here at the scale of 16.
    """
    code = np.arange(256, dtype=np.uint8) ^ 0x55  # every other bit travels inverted
    exponent, mantissa = ((code >> 4) & 7).astype(int), (code & 15).astype(int)
    leading = np.where(exponent > 0, 256, 0)
    magnitude = ((mantissa << 4) + 8 + leading) << np.maximum(exponent - 1, 0)
    return _signed(magnitude, (code & 128) != 0)


def _signed(
    magnitude: NDArray[np.int_], positive: NDArray[np.bool_]
) -> NDArray[np.float32]:
    signed = np.where(positive, magnitude, -magnitude)
    return signed.astype(np.float32) / np.float32(1 << 15)


_MULAW, _ALAW = _mulaw_table(), _alaw_table()


@dataclass(frozen=True, slots=True)
class Encoding:
    """How one sample of one channel is written.

    Attributes:
        size_bytes: Bytes of a sample.
        decode: Whole samples to floats, (n,), in [-1, 1].
    """

    size_bytes: int
    decode: Callable[[bytes], NDArray[np.float32]]


ENCODINGS: Final[dict[str, Encoding]] = {
    "s16le": Encoding(2, to_float),
    "u8": Encoding(1, _from_u8),
    "s24le": Encoding(3, _from_s24le),
    "s32le": Encoding(4, _from_s32le),
    "f32le": Encoding(4, _from_f32le),
    "mulaw": Encoding(1, lambda data: _MULAW[np.frombuffer(data, np.uint8)]),
    "alaw": Encoding(1, lambda data: _ALAW[np.frombuffer(data, np.uint8)]),
}
