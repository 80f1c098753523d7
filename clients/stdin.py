"""`salmonn-stdin`: stream audio from standard input to a server.

    arecord -f S16_LE -r 16000 -t wav | salmonn-stdin
    ffmpeg -i URL -f s16le -ar 48000 -ac 2 - | salmonn-stdin --rate 48000 --channels 2

A WAV stream is known by its header, whatever length that gives; anything else is raw
samples in the format of the flags.  Reading waits while the server is behind.
"""

import argparse
import os
import sys
import threading
from collections.abc import AsyncIterator, Sequence

from clients.conversation import UNPACED_HELD_S
from clients.errors import AudioSourceError
from clients.inlet import Inlet
from clients.options import Options, Outputs, add_options, read_options
from clients.pcm import describe
from clients.run import caption, exit_code
from clients.wav import WavError, WavReader
from stream.audio import ENCODINGS, PcmFormat
from stream.errors import AudioFormatError

PROGRAM = "salmonn-stdin"
NAME = "standard input"
MAX_CHUNK_BYTES = 65_536  # what a pipe holds; less is taken when less is there
MAX_CHUNKS = 4
"""Chunks between the reading thread and the loop; then the pipe waits."""
MAGICS = (b"RIFF", b"RF64")


class StdinSource:
    """The audio of a file descriptor, as it comes.  Made by `open`."""

    def __init__(
        self,
        inlet: Inlet,
        chunks: AsyncIterator[bytes],
        audio: PcmFormat,
        *,
        start: bytes,
        wav: WavReader | None,
    ) -> None:
        self.name = None
        self.format = audio
        self.is_live = True
        self.max_held_s = UNPACED_HELD_S  # a recording may be at the other end
        self._inlet = inlet
        self._chunks = chunks
        self._start = start
        self._wav = wav

    @classmethod
    async def open(cls, file: int, raw: PcmFormat) -> "StdinSource":
        """Read as much as tells what the audio is.

        Args:
            file: A descriptor to read from.
            raw: What the bytes are if they are no WAV.

        Raises:
            AudioSourceError: If it ends before, or is WAV of another kind.
        """
        inlet = Inlet(MAX_CHUNKS)
        # Daemonic: nothing can end a read that waits for input which never comes.
        reader = threading.Thread(target=_read, args=(file, inlet), daemon=True)
        reader.start()
        try:
            return await cls._begin(inlet, raw)
        except BaseException:
            inlet.close()
            raise

    @classmethod
    async def _begin(cls, inlet: Inlet, raw: PcmFormat) -> "StdinSource":
        chunks = inlet.chunks()
        start = b""
        while len(start) < len(MAGICS[0]):
            if (chunk := await anext(chunks, None)) is None:
                break
            start += chunk
        if not start:
            raise AudioSourceError(NAME, "it ended before any audio came")
        if not start.startswith(MAGICS):
            return cls(inlet, chunks, raw, start=start, wav=None)
        wav = WavReader()
        try:
            audio = wav.push(start)
            while not wav.in_data:
                if (chunk := await anext(chunks, None)) is None:
                    wav.flush()
                    break
                audio += wav.push(chunk)
        except WavError as exc:
            raise AudioSourceError(NAME, str(exc)) from exc
        assert wav.format is not None, "data comes after the format"
        return cls(inlet, chunks, wav.format, start=audio, wav=wav)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield whole samples, until the input ends or `stop` is called."""
        size = self.format.sample_bytes
        left = self._start
        try:
            while True:
                whole = len(left) - len(left) % size
                if whole:
                    yield left[:whole]
                    left = left[whole:]
                if (chunk := await anext(self._chunks, None)) is None:
                    break
                left += chunk if self._wav is None else self._wav.push(chunk)
        finally:
            self._inlet.close()
        if left:
            print(f"{NAME}: it ended amid a sample", file=sys.stderr)

    def stop(self) -> None:
        """End after what has been read."""
        self._inlet.finish()


def _read(file: int, inlet: Inlet) -> None:
    """Read to the end, in a thread of its own."""
    try:
        while chunk := os.read(file, MAX_CHUNK_BYTES):
            if not inlet.put(chunk):
                return
    except OSError as exc:
        inlet.finish(AudioSourceError(NAME, exc.strerror or str(exc)))
        return
    inlet.finish()


async def send_stdin(file: int, raw: PcmFormat, options: Options) -> bool:
    """Send what comes on a descriptor; return whether all was answered."""
    source = await StdinSource.open(file, raw)
    print(f"{NAME}: {describe(source.format)}", file=sys.stderr)
    with Outputs(options) as outputs:
        return await caption(source, options, outputs)


def make_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Stream WAV or raw samples from standard input to a server.",
    )
    raw = parser.add_argument_group("raw samples (a WAV header overrules these)")
    default = PcmFormat()
    raw.add_argument(
        "--rate", type=int, default=default.rate, help="Hz (default: %(default)s)"
    )
    raw.add_argument(
        "--encoding",
        choices=sorted(ENCODINGS),
        default=default.encoding,
        help="default: %(default)s",
    )
    raw.add_argument(
        "--channels",
        type=int,
        default=default.channels,
        help="interleaved (default: %(default)s)",
    )
    add_options(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = make_parser()
    arguments = parser.parse_args(argv)
    options = read_options(parser, arguments)
    try:
        raw = PcmFormat(
            rate=arguments.rate,
            encoding=arguments.encoding,
            channels=arguments.channels,
        )
    except AudioFormatError as exc:
        parser.error(str(exc))
    if sys.stdin.isatty():
        parser.error("standard input is a terminal; pipe audio into it")
    sending = send_stdin(sys.stdin.fileno(), raw, options)
    return exit_code(sending, program=PROGRAM)


if __name__ == "__main__":
    sys.exit(main())
