"""`salmonn-file`: stream audio files to a server, as if they were spoken now.

    salmonn-file talk.flac --url ws://127.0.0.1:8765
    salmonn-file *.wav --fast --json results.jsonl
    salmonn-file film.ogg --task transcribe --task translate:en --save film.srt

Any format that libsndfile reads.  Files are sent one after the other, a session each.
"""

import argparse
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

from clients.conversation import MAX_HELD_S, UNPACED_HELD_S
from clients.errors import AudioSourceError
from clients.options import Options, Outputs, add_options, read_options
from clients.paced import Gate, paced, unpaced
from clients.pcm import AudioFile, describe
from clients.run import caption, exit_code
from stream.audio import PcmFormat

PROGRAM = "salmonn-file"
PIECE_MS = 40


class FileSource:
    """The audio of a file, as it would be spoken or as fast as it is taken.

    Raises:
        AudioSourceError: If the file cannot be read, or is no audio.
    """

    def __init__(self, path: Path, *, fast: bool) -> None:
        self.name = str(path)
        self.is_live = not fast
        self.max_held_s = UNPACED_HELD_S if fast else MAX_HELD_S
        self._file = AudioFile(path)
        self._is_stopped = False
        self._gate = Gate()

    @property
    def format(self) -> PcmFormat:
        """What its bytes mean."""
        return self._file.format

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield its audio, to the end."""
        if self.is_live:
            a_second = self.format.rate * self.format.sample_bytes
            pieces = paced(
                self._pieces(), bytes_per_second=a_second, clock=self._gate.now
            )
        else:
            pieces = unpaced(self._pieces())
        async for piece in pieces:
            await self._gate.passed()
            yield piece

    def stop(self) -> None:
        """End after the piece that is under way."""
        self._is_stopped = True
        self._gate.open()

    def pause(self) -> None:
        """Stand still; nothing of the file is lost."""
        self._gate.shut()

    def resume(self) -> None:
        """Go on where it was."""
        self._gate.open()

    def _pieces(self) -> Iterator[bytes]:
        for piece in self._file.pieces(self.format.rate * PIECE_MS // 1000):
            if self._is_stopped:
                return
            yield piece

    @property
    def is_stopped(self) -> bool:
        """Whether it was told to end."""
        return self._is_stopped


async def send_files(paths: Sequence[Path], options: Options, *, fast: bool) -> bool:
    """Send files, one after the other; return whether all was heard and answered.

    A file that is no audio is told on stderr and passed over.
    """
    is_answered = True
    with Outputs(options) as outputs:
        for path in paths:
            try:
                source = FileSource(path, fast=fast)
            except AudioSourceError as exc:
                print(f"{PROGRAM}: {exc}", file=sys.stderr)
                is_answered = False
                continue
            if source.format != PcmFormat():
                print(f"{path}: {describe(source.format)}", file=sys.stderr)
            is_answered &= await caption(source, options, outputs)
            if source.is_stopped:
                return False
    return is_answered


def make_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description="Stream audio files to a server, as if spoken now."
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument(
        "--fast",
        action="store_true",
        help="as fast as the server hears, not as spoken; latencies mean nothing then",
    )
    add_options(parser, keys=True)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = make_parser()
    arguments = parser.parse_args(argv)
    options = read_options(parser, arguments)
    if len(arguments.files) > 1 and options.save and options.save.suffix != ".jsonl":
        parser.error(
            f"--save {options.save}: subtitles belong to one file, not several"
        )
    sending = send_files(arguments.files, options, fast=arguments.fast)
    return exit_code(sending, program=PROGRAM)


if __name__ == "__main__":
    sys.exit(main())
