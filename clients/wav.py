"""WAV as a stream: a header that may lie about its length, then audio.

Programs that write WAV to a pipe cannot know its length beforehand, and put 0 or
something huge there; such a stream lasts until it ends.  A length that can be true is
believed, so that what follows the audio in a file is not taken for sound.

    RIFF header -> (chunk header -> chunk, skipped)* -> data chunk -> the rest, ignored

Pure: bytes in, audio out, cut anywhere.  Knows no file and no resampling.
Source: Microsoft, Multiple Channel Audio Data and WAVE Files (1.0); RFC 2361.
"""

import struct
from enum import Enum, auto

from stream.audio import PcmFormat
from stream.errors import AudioFormatError

RIFF_HEADER = struct.Struct("<4sI4s")
CHUNK_HEADER = struct.Struct("<4sI")
FORMAT = struct.Struct("<HHIIHH")
EXTENSION = struct.Struct("<HHIH14s")

MAX_FORMAT_BYTES = 1024  # a fmt chunk has 16, 18 or 40
MAX_TRUE_LENGTH = 0x7FFF_0000
"""Bytes; what lies above is a placeholder (arecord, sox and ffmpeg each have one)."""

PCM, FLOAT, ALAW, MULAW, EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")
ENCODINGS = {
    (PCM, 8): "u8",
    (PCM, 16): "s16le",
    (PCM, 24): "s24le",
    (PCM, 32): "s32le",
    (FLOAT, 32): "f32le",
    (ALAW, 8): "alaw",
    (MULAW, 8): "mulaw",
}


class WavError(ValueError):
    """Raised when a stream is no WAV, or has a format that cannot be sent."""


class _State(Enum):
    RIFF = auto()
    CHUNK = auto()
    FORMAT = auto()
    SKIP = auto()
    DATA = auto()
    AFTER = auto()


class WavReader:
    """Take the audio out of a WAV stream."""

    def __init__(self) -> None:
        self.format: PcmFormat | None = None
        """Known once the header is complete."""
        self._state = _State.RIFF
        self._buffer = bytearray()
        self._left: int | None = 0  # bytes of the chunk; None means to the end

    @property
    def in_data(self) -> bool:
        """Whether the header is behind us."""
        return self._state in (_State.DATA, _State.AFTER)

    def push(self, data: bytes) -> bytes:
        """Add bytes of the stream; return the audio among them.

        Raises:
            WavError: If it is no WAV, or its format cannot be sent.
        """
        self._buffer += data
        while not self.in_data and self._step():
            pass
        if self._state is not _State.DATA:
            if self._state is _State.AFTER:
                self._buffer.clear()
            return b""
        audio = bytes(self._buffer[: self._left])
        self._buffer.clear()
        if self._left is not None:
            self._left -= len(audio)
            if self._left == 0:
                self._state = _State.AFTER
        return audio

    def flush(self) -> None:
        """End the stream.

        Raises:
            WavError: If it ended before any audio could come.
        """
        if not self.in_data:
            raise WavError("the WAV stream ended within its header")

    def _step(self) -> bool:
        """Read one part of the header; return whether it was there."""
        match self._state:
            case _State.RIFF:
                return self._read_riff()
            case _State.CHUNK:
                return self._read_chunk()
            case _State.FORMAT:
                return self._read_format()
            case _:
                return self._skip()

    def _read_riff(self) -> bool:
        header = self._read(RIFF_HEADER.size)
        if header is None:
            return False
        form, _, kind = RIFF_HEADER.unpack(header)
        if form not in (b"RIFF", b"RF64") or kind != b"WAVE":
            raise WavError(f"not WAV: it begins with {header!r}")
        self._state = _State.CHUNK
        return True

    def _read_chunk(self) -> bool:
        header = self._read(CHUNK_HEADER.size)
        if header is None:
            return False
        name, length = CHUNK_HEADER.unpack(header)
        if name == b"data":
            if self.format is None:
                raise WavError("the WAV header has no fmt chunk before its data")
            self._left = length if 0 < length <= MAX_TRUE_LENGTH else None
            self._state = _State.DATA
        elif name == b"fmt ":
            if not FORMAT.size <= length <= MAX_FORMAT_BYTES:
                raise WavError(
                    f"the WAV header's fmt chunk has {length} bytes; "
                    f"expected {FORMAT.size} to {MAX_FORMAT_BYTES}"
                )
            self._left = length
            self._state = _State.FORMAT
        else:
            self._left = length + length % 2  # chunks begin at even places
            self._state = _State.SKIP
        return True

    def _read_format(self) -> bool:
        assert self._left is not None, "only data may have no length"
        chunk = self._read(self._left + self._left % 2)
        if chunk is None:
            return False
        self.format = parse_format(chunk)
        self._state = _State.CHUNK
        return True

    def _skip(self) -> bool:
        assert self._left is not None, "only data may have no length"
        num_here = min(self._left, len(self._buffer))
        del self._buffer[:num_here]
        self._left -= num_here
        if self._left:
            return False
        self._state = _State.CHUNK
        return True

    def _read(self, size: int) -> bytes | None:
        if len(self._buffer) < size:
            return None
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken


def parse_format(chunk: bytes) -> PcmFormat:
    """Return the format that a fmt chunk describes.

    Raises:
        WavError: If it cannot be sent, or contradicts itself.
    """
    tag, channels, rate, _, block, bits = FORMAT.unpack_from(chunk)
    if tag == EXTENSIBLE:
        if len(chunk) < FORMAT.size + EXTENSION.size:
            raise WavError("the WAV header's extensible fmt chunk is cut short")
        _, _, _, tag, tail = EXTENSION.unpack_from(chunk, FORMAT.size)
        if tail != GUID_TAIL:
            raise WavError("the WAV header names a private format")
    encoding = ENCODINGS.get((tag, bits))
    if encoding is None:
        raise WavError(
            f"WAV format {tag} of {bits} bits; there are PCM of 8, 16, 24 and 32 bits "
            "(1), float of 32 bits (3), A-law (6) and mu-law (7)"
        )
    if not channels or block != channels * bits // 8:
        raise WavError(
            f"the WAV header contradicts itself: {channels} channels of {bits} bits "
            f"in blocks of {block} bytes"
        )
    try:
        return PcmFormat(rate=rate, encoding=encoding, channels=channels)
    except AudioFormatError as exc:
        raise WavError(f"the WAV header declares what cannot be sent: {exc}") from exc
