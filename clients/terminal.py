"""Text for people: redrawn in place on a terminal, plain lines anywhere else.

On a terminal, the stable part of a partial is solid and the rest dim; its final takes
its place and stays.  Knows no connection.  `rich` is imported only here.
"""

import sys
from typing import Protocol, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from clients.client import Arrival
from stream.audio import SAMPLE_RATE
from stream.events import Error, Final, Partial, SpeechStarted


class Printer(Protocol):
    """Something that shows the events of one session."""

    def show(self, arrival: Arrival) -> None:
        """Show an event, or pass over it."""

    def close(self) -> None:
        """End the session; nothing is shown after."""


def make_printer(
    stream: TextIO, *, num_tasks: int = 1, verbose: bool = False
) -> Printer:
    """Return the printer that fits a stream.

    Args:
        stream: Where text goes.
        num_tasks: From the second on, each line names its task.
        verbose: Whether latencies are shown, and partials on a pipe, too.
    """
    named = num_tasks > 1
    if stream.isatty():
        return LivePrinter(Console(file=stream), named=named, verbose=verbose)
    return LinePrinter(stream, named=named, verbose=verbose)


class LinePrinter:
    """Write a line for each final."""

    def __init__(self, stream: TextIO, *, named: bool, verbose: bool) -> None:
        self._stream = stream
        self._named = named
        self._verbose = verbose

    def show(self, arrival: Arrival) -> None:
        """Write a line, if the event has text that is wanted."""
        event = arrival.event
        if isinstance(event, Error):
            print(failure(event), file=sys.stderr, flush=True)
        elif isinstance(event, Final) or (self._verbose and isinstance(event, Partial)):
            text = plain(event.text)
            if text:
                shown = head(event, named=self._named) + text
                if isinstance(event, Partial):
                    shown += " …"
                if self._verbose:
                    shown += tail(arrival)
                print(shown, file=self._stream, flush=True)

    def close(self) -> None:
        """Do nothing: every line is out."""


class LivePrinter:
    """Redraw partials at the bottom of a terminal, below the finals."""

    def __init__(self, console: Console, *, named: bool, verbose: bool) -> None:
        self._console = console
        self._named = named
        self._verbose = verbose
        self._partials: dict[tuple[int, str], Text] = {}
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._live.start()

    def show(self, arrival: Arrival) -> None:
        """Redraw what may still change; let finals scroll up."""
        event = arrival.event
        lasting = None
        match event:
            case SpeechStarted(segment=segment):
                self._partials[segment, ""] = Text("…", style="dim")
            case Partial(segment=segment, task=task):
                self._partials.pop((segment, ""), None)
                self._partials[segment, task] = partial_text(event, named=self._named)
            case Final(segment=segment, task=task):
                self._partials.pop((segment, ""), None)
                self._partials.pop((segment, task), None)
                if plain(event.text):
                    lasting = self._final_text(event, arrival)
            case Error(segment=segment):
                gone = [key for key in self._partials if key[0] == segment]
                for key in gone:
                    del self._partials[key]
                lasting = Text(failure(event), style="red")
        # First, since printing draws the bottom again as it was drawn last.
        self._live.update(self._bottom(), refresh=True)
        if lasting is not None:
            self._live.console.print(lasting)

    def close(self) -> None:
        """Take away what was never made final."""
        self._live.stop()

    def _final_text(self, final: Final, arrival: Arrival) -> Text:
        shown = Text(head(final, named=self._named), style="cyan")
        shown.append(plain(final.text), style="default")
        if self._verbose:
            shown.append(tail(arrival), style="dim")
        return shown

    def _bottom(self) -> Group:
        """Return the partials, each cut to its newest lines: older ones are known."""
        width, most = self._console.width, max(1, self._console.height // 3)
        shown = [self._partials[key] for key in sorted(self._partials)]
        return Group(*(t for s in shown for t in s.wrap(self._console, width)[-most:]))


def partial_text(partial: Partial, *, named: bool) -> Text:
    """Return a partial, its unstable part dim."""
    stable = plain(partial.text[: partial.stable])
    shown = Text(head(partial, named=named), style="dim cyan")
    shown.append(stable, style="default")
    text = plain(partial.text)
    shown.append(text[len(stable) :], style="dim")
    return shown


def head(event: Partial | Final, *, named: bool) -> str:
    """Return what stands before a text: when it was spoken, and the task."""
    times = f"[{event.start / SAMPLE_RATE:.1f}–{event.end / SAMPLE_RATE:.1f}] "
    return f"{times}{plain(event.task)}: " if named else times


def tail(arrival: Arrival) -> str:
    """Return what stands after a text: how late it came."""
    return "" if arrival.latency_s is None else f"  ({arrival.latency_s:.2f} s)"


def failure(error: Error) -> str:
    """Return what is said of an error about a segment."""
    where = "" if error.segment is None else f"segment {error.segment}: "
    return f"{where}{plain(error.message)} ({plain(error.code)})"


def plain(text: str) -> str:
    """Return text on one line, without what would steer the terminal."""
    spaced = " ".join(text.split())
    return "".join(c for c in spaced if c.isprintable())
