"""Who speaks in the segments of one session, and what each of them says.

No I/O.  The engine tells voices apart; here they get their words and their names.

    turns of the engine ──┐
    the transcript ───────┼──▶ speakers, complete     told again when turns change
    names of the client ──┘

A turn's text is the words that lie in it, cut at the end of a sentence or at a pause
near the border: voices are told apart to some tenths of a second, which is a word.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final as Constant

from engine.api import Turn
from stream.enrolment import Enrolment
from stream.errors import ProtocolError, quote
from stream.events import (
    Error,
    Final,
    NameSpeaker,
    ServerEvent,
    SpeakerNamed,
    Speakers,
    SpeakerTurn,
    Word,
)
from stream.jobs import (
    Enrolled,
    EnrollingFailed,
    EnrolVoice,
    Failed,
    Recognised,
    RecognisingFailed,
    SpeakerResult,
)
from stream.saved import SPEAKERS

MAX_NAME: Constant = 64  # characters
MAX_NUMBER: Constant = 999
MOST_KEPT: Constant = 512
"""Segments whose transcripts are kept to be shared out again; some ten minutes of talk
are what the engine may still correct."""
ENDS: Constant = (".", "?", "!", "…", "。", "？", "！")
"""With what a sentence ends."""
NEAR: Constant = 9_600
"""Samples; 0.6 s, so far from a border between voices the end of a sentence, or a pause
between words, is taken for it."""


@dataclass(slots=True)
class _Segment:
    start: int
    turns: tuple[Turn, ...] = ()
    heard: bool = False
    """Whether the engine has told of it to its end."""
    final: Final | None = None
    shown: Speakers | None = None


class SpeakerTeller:
    """Tells who speaks."""

    def __init__(
        self,
        *,
        with_text: bool,
        most: int,
        before: int = 0,
        want: Callable[[EnrolVoice], None],
    ) -> None:
        """Begin without speakers.

        Args:
            with_text: Whether segments have transcripts that are shared out.
            most: The most speakers that are told apart.
            before: The highest number that was given by another process, which knew
                the voices: here they are counted on.
            want: Takes what the engine is to do.
        """
        self._with_text, self._want = with_text, want
        self._numbers_before = self.highest = before
        """`highest` is the highest number that anybody has."""
        self._enrolment = Enrolment(most)
        self._names: dict[int, str] = {}
        self._segments: dict[int, _Segment] = {}

    @property
    def num_open(self) -> int:
        """How many segments the engine has not told of to their end, and voices."""
        untold = sum(not segment.heard for segment in self._segments.values())
        return untold + self._enrolment.num_open

    def missing(self, until: int) -> tuple[int, ...]:
        """Return the segments, up to one, that were not told of to their end."""
        return tuple(
            number
            for number, segment in self._segments.items()
            if number <= until and not segment.heard
        )

    def begin(self, number: int, start: int) -> None:
        """Note that a segment has begun, at a sample of the stream."""
        self._segments[number] = _Segment(start)

    def final(self, final: Final) -> list[ServerEvent]:
        """Take a transcript that was told, with its words."""
        segment = self._segments.get(final.segment)
        if segment is None:
            return []
        segment.final = final
        return self._tell(final.segment)

    def deliver(self, result: SpeakerResult) -> list[ServerEvent]:
        """Take what the engine answered; return what the client is told."""
        match result:
            case Recognised():
                return self.recognise(result)
            case Enrolled(name=name, speaker=number):
                speaker = self._counted_on(number)
                self._enrolment.tell(name, speaker)
                return [self._called(speaker, name)]
            case EnrollingFailed(name=name, code=code, message=message):
                self._enrolment.forget(name)
                problem = f"the voice of {quote(name)}: {message}"
                return [Error(seq=0, code=code, message=problem, task=SPEAKERS)]
            case RecognisingFailed():
                return self.fail(result)

    def recognise(self, result: Recognised) -> list[ServerEvent]:
        """Take who speaks; return what the client is told."""
        events: list[ServerEvent] = []
        for pair in result.news.joined:
            gone, kept = map(self._counted_on, pair)
            if (name := self._names.pop(gone, "")) and kept not in self._names:
                self._names[kept] = name
                events.append(SpeakerNamed(seq=0, speaker=kept, name=name))
        if result.is_last and result.segment in self._segments:
            self._segments[result.segment].heard = True
        for told in result.news.segments:
            if segment := self._segments.get(told.segment):
                segment.turns = told.turns
                events += self._tell(told.segment)
        self._forget()
        return events

    def fail(self, result: RecognisingFailed | Failed) -> list[ServerEvent]:
        """Note that nothing more is told of a segment; say so if that is news."""
        segment = self._segments.pop(result.segment, None)
        if segment is None or isinstance(result, Failed):
            return []
        return [
            Error(
                seq=0,
                code=result.code,
                message=result.message,
                segment=result.segment,
                task=SPEAKERS,
            )
        ]

    def name(self, event: NameSpeaker) -> list[ServerEvent]:
        """Give a speaker a name, or take it away; one whose voice comes with it, later.

        Raises:
            ProtocolError: If a field is out of range.
        """
        name = event.name.strip()
        if len(name) > MAX_NAME or not name.isprintable():
            raise ProtocolError(
                f"name_speaker: name is {quote(name)}; "
                f"it must be up to {MAX_NAME} characters that can be printed"
            )
        if event.voice:
            if job := self._enrolment.ask(name, event):
                self._want(job)
            number = self._enrolment.number(name)
            return [self._called(number, name)] if number else []
        if not 1 <= event.speaker <= MAX_NUMBER:
            raise ProtocolError(
                f"name_speaker: speaker is {event.speaker}; "
                f"it must be 1 to {MAX_NUMBER}"
            )
        return [self._called(event.speaker, name)]

    def _counted_on(self, number: int) -> int:
        """Return who that is, of the engine's speakers; 0 is nobody known."""
        speaker = number + self._numbers_before if number else 0
        self.highest = max(self.highest, speaker)
        return speaker

    def _called(self, speaker: int, name: str) -> SpeakerNamed:
        if name:
            self._names[speaker] = name
        else:
            self._names.pop(speaker, None)
        return SpeakerNamed(seq=0, speaker=speaker, name=name)

    def _tell(self, number: int) -> list[ServerEvent]:
        """Return what is to be told of a segment, if it is news."""
        segment = self._segments[number]
        has_text = segment.final is not None or not self._with_text
        complete = segment.heard and has_text
        if not segment.turns:
            return []
        words = segment.final.words if complete and segment.final else ()
        text = segment.final.text if complete and segment.final else ""
        turns = tuple(
            SpeakerTurn(
                speaker=(speaker := self._counted_on(turn.speaker)),
                name=self._names.get(speaker, ""),
                start=segment.start + turn.start,
                end=segment.start + turn.end,
            )
            for turn in segment.turns
        )
        told = Speakers(
            seq=0,
            segment=number,
            turns=shared_out(text, words, turns),
            complete=complete,
        )
        if not complete and _who(told) == _who(segment.shown):
            return []
        if told == segment.shown:
            return []
        segment.shown = told
        return [told]

    def _forget(self) -> None:
        """Keep the last segments, and those that are not complete."""
        done = [n for n, s in self._segments.items() if s.shown and s.shown.complete]
        for number in done[:-MOST_KEPT]:
            del self._segments[number]


def _who(told: Speakers | None) -> list[int]:
    """Return whose turns they are; while they go on, their borders are no news."""
    return [turn.speaker for turn in told.turns] if told else []


def shared_out(
    text: str, words: Sequence[Word], turns: Sequence[SpeakerTurn]
) -> tuple[SpeakerTurn, ...]:
    """Return the turns with their shares of a transcript.

    All of it belongs to the longest turn if the words are not known.
    """
    if not text:
        return tuple(turns)
    starts = _word_starts(text, words)
    if len(starts) != len(words) or not words:
        longest = max(turns, key=lambda turn: turn.end - turn.start)
        return tuple(_with_text(t, text if t is longest else "") for t in turns)
    cuts = [0]
    for turn in turns[1:]:
        cuts.append(max(cuts[-1], _cut(words, turn.start)))
    edges = [
        0 if cut == 0 else starts[cut] if cut < len(words) else len(text)
        for cut in cuts
    ]
    return tuple(
        _with_text(turn, text[edge:following].strip())
        for turn, edge, following in zip(
            turns, edges, [*edges[1:], len(text)], strict=True
        )
    )


def _cut(words: Sequence[Word], border: int) -> int:
    """Return how many words lie before a border, moved to where it may well be.

    That is the end of a sentence near it, or else the widest pause.
    """
    middle = sum((word.start + word.end) // 2 < border for word in words)
    near = [
        (
            words[cut - 1].text.rstrip().endswith(ENDS),
            words[cut].start - words[cut - 1].end,
            -abs(cut - middle),
            cut,
        )
        for cut in range(1, len(words))
        if words[cut - 1].end - NEAR <= border <= words[cut].start + NEAR
    ]
    ends, pause, _, cut = max(near, default=(False, 0, 0, middle))
    return cut if ends or pause > 0 else middle


def _word_starts(text: str, words: Sequence[Word]) -> list[int]:
    """Return where the words stand in their text; fewer if one is not found."""
    starts: list[int] = []
    position = 0
    for word in words:
        found = text.find(word.text.strip(), position)
        if found < 0:
            break
        starts.append(found)
        position = found + len(word.text.strip())
    return starts


def _with_text(turn: SpeakerTurn, text: str) -> SpeakerTurn:
    return SpeakerTurn(
        speaker=turn.speaker, name=turn.name, start=turn.start, end=turn.end, text=text
    )
