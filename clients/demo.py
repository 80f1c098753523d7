"""`make demo`: a server of its own, a recording spoken to it, and how soon text came.

    python -m clients.demo demo/jfk.ogg

The server is a process (`clients.child`), known by its protocol.
"""

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from clients.child import SERVE, running_server
from clients.file import FileSource
from clients.latency import Arrival
from clients.marks import Mark
from clients.options import Options, Outputs
from clients.run import caption, exit_code
from clients.terminal import Printer
from stream.audio import SAMPLE_RATE
from stream.events import Final, Partial, SpeechStarted

PROGRAM = "demo"


class Meter:
    """Counts segments and how late their text came.

    A `Printer` that shows nothing until it is asked.
    """

    def __init__(self) -> None:
        self._started: dict[int, int] = {}
        """Where segments began that have no text yet; samples."""
        self.first_texts_s: list[float] = []
        """From speaking the first sample of a segment to its first text."""
        self.finals_s: list[float] = []
        """From speaking the last sample of a segment to its final."""

    def show(self, arrival: Arrival) -> None:
        """Note when an event came."""
        event, latency_s = arrival.event, arrival.latency_s
        if isinstance(event, SpeechStarted):
            self._started[event.segment] = event.start
        if not isinstance(event, Partial | Final) or latency_s is None:
            return
        if event.text and event.segment in self._started:
            # The latency counts from the last sample that the text is about.
            heard = event.end - self._started.pop(event.segment)
            self.first_texts_s.append(latency_s + heard / SAMPLE_RATE)
        if isinstance(event, Final) and event.text:
            self.finals_s.append(latency_s)

    def mark(self, mark: Mark) -> None:
        """Pass over it: nothing is late about it."""

    def close(self) -> None:
        """Begin another file: its segments are counted from 1 again."""
        self._started.clear()

    def __str__(self) -> str:
        """Return what was measured, for people."""
        num = len(self.finals_s)
        if not num:
            return "no words were heard"
        segments = "1 segment with words" if num == 1 else f"{num} segments with words"
        return (
            f"{segments}; medians:\n"
            f"  {median(self.first_texts_s):5.2f} s  from the start of a segment "
            "to its first text\n"
            f"  {median(self.finals_s):5.2f} s  from the end of a segment to its final"
        )


class MeteredOutputs(Outputs):
    """Outputs that a meter watches."""

    def __init__(self, options: Options, meter: Meter) -> None:
        super().__init__(options)
        self._meter = meter

    def printers(self, name: str | None) -> list[Printer]:
        """Return what shows the events of one session, and the meter."""
        return [*super().printers(name), self._meter]


async def demonstrate(paths: Sequence[Path], serve: Sequence[str] = SERVE) -> bool:
    """Speak files to a server of our own; return whether all was answered.

    Args:
        paths: Audio files, spoken one after the other.
        serve: The command that starts the server.

    Raises:
        AudioSourceError: If a file is no audio.
        ServerStartError: If the server does not start.
        ExceptionGroup: Of `ClientError`s, if a session fails.
    """
    sources = [FileSource(path, fast=False) for path in paths]
    meter = Meter()
    is_answered = True
    begin_s = time.monotonic()
    print("starting a server; it loads and measures its model …", flush=True)
    async with running_server(serve) as url:
        print(f"it listens on {url} after {time.monotonic() - begin_s:.1f} s")
        options = Options(url=url, verbose=True)
        with MeteredOutputs(options, meter) as outputs:
            for source in sources:
                print(f"\n{source.name}, as if it were spoken now:", flush=True)
                is_answered &= await caption(source, options, outputs)
                if source.is_stopped:
                    is_answered = False
                    break
    print(f"\n{meter}")
    return is_answered


def make_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Start a server, speak files to it, show what comes back and how "
        "soon, stop the server.",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    arguments = make_parser().parse_args(argv)
    # While the server starts, as Ctrl-C does: whoever is told to end stops it first.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return exit_code(demonstrate(arguments.files), program=PROGRAM)


if __name__ == "__main__":
    sys.exit(main())
