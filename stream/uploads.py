"""An audio file that arrived whole, in memory → pieces of its samples.

Rate and channels stay as they are; the session mixes and resamples.  Reading is work
for a thread.  It knows no request; of `stream`, soundfile is imported here only.
"""

from io import BytesIO

import soundfile

from stream.audio import PcmFormat, to_pcm
from stream.errors import AudioFormatError

READ_SAMPLES = 16_384
"""Of each channel, read at once: libsndfile 1.2 decodes the last samples of some Opus
files differently when they are asked for in other amounts."""

UNKNOWN_SAMPLES = 1 << 62
"""From here on libsndfile means that it does not know."""


class Upload:
    """A file of any format that libsndfile reads: WAV, FLAC, Ogg, MP3 and others.

    Raises:
        AudioFormatError: If it is none, or of a rate or with channels that no
            session takes.
    """

    def __init__(self, data: bytes) -> None:
        try:
            self._file = soundfile.SoundFile(_Memory(data))
        except soundfile.LibsndfileError as exc:
            raise AudioFormatError(
                f"the file is no audio that can be read ({_reason(exc)}); expected "
                "WAV, FLAC, Ogg (Vorbis, Opus), MP3 or another format of libsndfile"
            ) from exc
        self.format = PcmFormat(
            rate=self._file.samplerate, channels=self._file.channels
        )
        self.container: str = self._file.format
        """libsndfile's name of the format of the file, as `WAV`."""

    @property
    def seconds(self) -> float:
        """How long it says it is, which may be wrong; 0 where it does not say."""
        samples = self._file.frames
        return samples / self.format.rate if samples < UNKNOWN_SAMPLES else 0.0

    def read(self) -> bytes:
        """Return the next samples as s16le, all channels; nothing at the end.

        Raises:
            AudioFormatError: If the file is damaged further on.
        """
        try:
            samples = self._file.read(READ_SAMPLES, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as exc:
            raise AudioFormatError(f"the file is damaged: {_reason(exc)}") from exc
        return to_pcm(samples.reshape(-1))


class _Memory(BytesIO):
    """A file in memory, in which libsndfile may look before the first byte.

    In some damaged files it does.  An exception would not reach it, and a traceback
    would be written for each.
    """

    def seek(self, offset: int, whence: int = 0, /) -> int:
        try:
            return super().seek(offset, whence)
        except ValueError:
            return super().seek(0)


def _reason(error: soundfile.LibsndfileError) -> str:
    return str(error.error_string).rstrip(".")
