"""Text for people: redrawn in place on a terminal, plain lines anywhere else.

On a terminal, the stable part of a partial is solid and the rest dim; its final takes
its place and stays.  Knows no connection.  `rich` is imported only here.
"""

import sys
from typing import Protocol, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from clients.latency import Arrival
from clients.marks import Mark
from stream.audio import SAMPLE_RATE
from stream.events import (
    Answer,
    AnswerPartial,
    AnswerStarted,
    Error,
    Final,
    Partial,
    SpeechStarted,
)
from stream.sound_events import Noticed, Sound
from stream.subtitles import bracketed


class Printer(Protocol):
    """Something that shows the events of one session."""

    def show(self, arrival: Arrival) -> None:
        """Show an event, or pass over it."""

    def mark(self, mark: Mark) -> None:
        """Show a mark, or pass over it."""

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
    """Write a line for each final and each answer."""

    def __init__(self, stream: TextIO, *, named: bool, verbose: bool) -> None:
        self._stream = stream
        self._named = named
        self._verbose = verbose
        self._questions: dict[str, str] = {}

    def show(self, arrival: Arrival) -> None:
        """Write a line, if the event has text that is wanted."""
        event = arrival.event
        if isinstance(event, Error):
            print(failure(event), file=sys.stderr, flush=True)
        elif isinstance(event, Sound | Noticed):
            if not event.complete:
                shown = noticed(event) + (tail(arrival) if self._verbose else "")
                print(shown, file=self._stream, flush=True)
        elif isinstance(event, AnswerStarted):
            self._questions[event.id] = event.question
        elif isinstance(event, Answer):
            question = self._questions.pop(event.id, "")
            shown = times(event) + answer_text(event, question)
            if self._verbose:
                shown += tail(arrival)
            print(shown, file=self._stream, flush=True)
        elif isinstance(event, Final) or (self._verbose and isinstance(event, Partial)):
            text = plain(event.text)
            if text:
                shown = head(event, named=self._named) + text
                if isinstance(event, Partial):
                    shown += " …"
                if self._verbose:
                    shown += tail(arrival)
                print(shown, file=self._stream, flush=True)

    def mark(self, mark: Mark) -> None:
        """Write a line."""
        print(marked(mark), file=self._stream, flush=True)

    def close(self) -> None:
        """Do nothing: every line is out."""


class LivePrinter:
    """Redraw partials and answers at the bottom of a terminal, below what is final."""

    def __init__(self, console: Console, *, named: bool, verbose: bool) -> None:
        self._console = console
        self._named = named
        self._verbose = verbose
        self._partials: dict[tuple[int, str], Text] = {}
        self._answers: dict[str, tuple[str, Text]] = {}
        """The question of each, and what is shown of it."""
        self._panel: str | None = None
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
            case AnswerStarted(id=name, question=question):
                self._answers[name] = question, answering(event, question, "")
            case AnswerPartial(id=name, text=text) if name in self._answers:
                question, _ = self._answers[name]
                self._answers[name] = question, answering(event, question, text)
            case Answer(id=name):
                question, _ = self._answers.pop(name, ("", Text()))
                lasting = Text(times(event), style="cyan")
                lasting.append(answer_text(event, question), style="bold")
                if self._verbose:
                    lasting.append(tail(arrival), style="dim")
            case Sound(complete=False) | Noticed(complete=False):
                lasting = Text(noticed(event), style="magenta")
                if self._verbose:
                    lasting.append(tail(arrival), style="dim")
            case Error(segment=segment, task=task, question=name):
                for key in list(self._partials):
                    if key[0] == segment and task in (None, key[1]):
                        del self._partials[key]
                self._answers.pop(name or "", None)
                lasting = Text(failure(event), style="red")
        # First, since printing draws the bottom again as it was drawn last.
        self._live.update(self._bottom(), refresh=True)
        if lasting is not None:
            self._live.console.print(lasting)

    def show_panel(self, text: str) -> None:
        """Show a line below everything; it stays there until it is replaced."""
        self._panel = text
        self._live.update(self._bottom(), refresh=True)

    def mark(self, mark: Mark) -> None:
        """Let a mark scroll up."""
        self._live.console.print(Text(marked(mark), style="yellow"))

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
        shown += [text for _, text in self._answers.values()]
        lines = [t for s in shown for t in s.wrap(self._console, width)[-most:]]
        if self._panel is not None:
            # Its end, where somebody types.
            end = self._panel[-width:]
            lines.append(Text(end, style="dim", no_wrap=True, overflow="crop"))
        return Group(*lines)


def partial_text(partial: Partial, *, named: bool) -> Text:
    """Return a partial, its unstable part dim."""
    stable = plain(partial.text[: partial.stable])
    shown = Text(head(partial, named=named), style="dim cyan")
    shown.append(stable, style="default")
    text = plain(partial.text)
    shown.append(text[len(stable) :], style="dim")
    return shown


def answering(event: AnswerStarted | AnswerPartial, question: str, text: str) -> Text:
    """Return an answer that grows: what is there will not change."""
    shown = Text(f"{times(event)}{plain(question)} ", style="dim cyan")
    shown.append(plain(text), style="default")
    return shown.append(" …", style="dim")


def answer_text(answer: Answer, question: str) -> str:
    """Return a complete answer behind its question."""
    asked = f"{plain(question)} " if question else ""
    cut = "" if answer.finish == "stop" else f"  [{plain(answer.finish)}]"
    return f"{asked}→ {plain(answer.text)}{cut}"


def times(event: Partial | Final | AnswerStarted | AnswerPartial | Answer) -> str:
    """Return when the audio was heard that an event is about."""
    return f"[{event.start / SAMPLE_RATE:.1f}–{event.end / SAMPLE_RATE:.1f}] "


def noticed(event: Sound | Noticed) -> str:
    """Return what is shown of a sound that has begun."""
    shown = plain(bracketed(event.text))
    score = f" ({event.score:.2f})" if isinstance(event, Noticed) else ""
    return f"[{event.start / SAMPLE_RATE:.1f}] {shown}{score}"


def marked(mark: Mark) -> str:
    """Return a mark as people read it."""
    return f"[{mark.at / SAMPLE_RATE:.1f}] {mark.label}"


def head(event: Partial | Final, *, named: bool) -> str:
    """Return what stands before a text: when it was spoken, and the task."""
    return f"{times(event)}{plain(event.task)}: " if named else times(event)


def tail(arrival: Arrival) -> str:
    """Return what stands after a text: how late it came."""
    return "" if arrival.latency_s is None else f"  ({arrival.latency_s:.2f} s)"


def failure(error: Error) -> str:
    """Return what is said of an error about a segment or a question."""
    where = "" if error.segment is None else f"segment {error.segment}: "
    if error.question is not None:
        where = f"question {plain(error.question)}: "
    elif error.watch is not None:
        where = f"watch {plain(error.watch)}: "
    elif error.segment is None and error.task is not None:
        where = f"{plain(error.task)}: "
    elif error.task is not None:
        where = f"segment {error.segment}, {plain(error.task)}: "
    return f"{where}{plain(error.message)} ({plain(error.code)})"


def plain(text: str) -> str:
    """Return text on one line, without what would steer the terminal."""
    spaced = " ".join(text.split())
    return "".join(c for c in spaced if c.isprintable())
