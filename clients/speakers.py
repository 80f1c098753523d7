"""What clients show of speakers: a label before what each of them says.

Pure: knows no screen, no file and no connection.
"""

from dataclasses import dataclass, replace

from clients.latency import Arrival
from clients.marks import Mark
from clients.terminal import Printer
from stream.events import Error, Final, SpeakerNamed, Speakers, SpeakerTurn

TASK = "speakers"
"""What an error names where speakers are not told of a segment."""
TRANSCRIBE = "transcribe"


class Names:
    """The names that speakers were given, as far as the events tell."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}

    def follow(self, event: Speakers | SpeakerNamed) -> bool:
        """Take the names of an event; return whether one is news."""
        before = dict(self._names)
        if isinstance(event, SpeakerNamed):
            self._names[event.speaker] = event.name
        else:
            told = {turn.speaker: turn.name for turn in event.turns if turn.name}
            self._names |= told
        return before != self._names

    def label(self, speaker: int) -> str:
        """Return what to call a speaker; empty if it is not known who it is."""
        return self._names.get(speaker) or (f"speaker {speaker}" if speaker else "")


def spoken(event: Speakers) -> list[SpeakerTurn]:
    """Return the turns in which words were said, those of one speaker joined."""
    said: list[SpeakerTurn] = []
    for turn in event.turns:
        if not turn.text.strip():
            continue
        if said and said[-1].speaker == turn.speaker:
            text = f"{said[-1].text} {turn.text}"
            said[-1] = replace(said[-1], end=turn.end, text=text)
        else:
            said.append(turn)
    return said


@dataclass(slots=True)
class _Held:
    arrival: Arrival
    final: Final


class SpeakerPrinter:
    """Let another printer show transcripts once it is known who speaks.

    What was shown and turns out to be another's is shown again.
    """

    def __init__(self, printer: Printer) -> None:
        self.printer = printer
        """What it lets show."""
        self._names = Names()
        self._held: dict[int, _Held] = {}
        """Transcripts by segment, until their speakers are told."""
        self._shown: dict[int, tuple[Final, list[str]]] = {}
        """Transcripts by segment, and the labels they were shown with."""

    def show(self, arrival: Arrival) -> None:
        """Show an event, or hold it back."""
        match arrival.event:
            case Final(task=task, segment=segment) as final if task == TRANSCRIBE:
                self._held[segment] = _Held(arrival, final)
            case SpeakerNamed() as event:
                self._names.follow(event)
            case Speakers() as event:
                self._names.follow(event)
                if event.complete:
                    self._label(event)
            case Error(segment=int(segment), task=None | "speakers"):
                self._release(segment)
                self.printer.show(arrival)
            case _:
                self.printer.show(arrival)

    def mark(self, mark: Mark) -> None:
        """Let the other printer show a mark."""
        self.printer.mark(mark)

    def close(self) -> None:
        """Show what is held: nobody will tell who spoke."""
        for segment in list(self._held):
            self._release(segment)
        self.printer.close()

    def _label(self, event: Speakers) -> None:
        turns = spoken(event)
        labels = [self._names.label(turn.speaker) for turn in turns]
        held = self._held.pop(event.segment, None)
        if held is not None:
            self._shown[event.segment] = held.final, labels
            if not turns:  # without words
                self.printer.show(held.arrival)
            self._show(held.arrival, held.final, turns, labels, "")
        elif event.segment in self._shown:
            final, before = self._shown[event.segment]
            if before != labels:
                self._shown[event.segment] = final, labels
                self._show(Arrival(final, None), final, turns, labels, "corrected: ")

    def _show(
        self,
        arrival: Arrival,
        final: Final,
        turns: list[SpeakerTurn],
        labels: list[str],
        before: str,
    ) -> None:
        for turn, label in zip(turns, labels, strict=True):
            text = f"{before}{label}: {turn.text}" if label else before + turn.text
            event = replace(final, text=text, start=turn.start, end=turn.end)
            self.printer.show(replace(arrival, event=event))

    def _release(self, segment: int) -> None:
        if held := self._held.pop(segment, None):
            self.printer.show(held.arrival)
