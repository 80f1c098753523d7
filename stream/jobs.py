"""What sessions want of the engine, what it is given to do, and what it answers.

    session ──Job──▶ book ──Work──▶ engine thread ──Result──▶ session

Values only: what is next, `stream.book` decides; what is done, `stream.runner` does.
A session numbers its segments and, apart from those, the replies that it asks for.
"""

from dataclasses import dataclass
from enum import Enum, auto

from engine.api import (
    Finish,
    Hypothesis,
    Mode,
    Prompt,
    Source,
    SpeakerNews,
    UtteranceOptions,
)

ReplyKey = tuple[str, int]
"""A session's name and its number of the reply."""

# Jobs: what a session wants.


@dataclass(frozen=True, slots=True)
class OpenUtterance:
    """A segment has begun."""

    segment: int
    options: UtteranceOptions
    partials: bool
    keep: bool = False
    """Whether it is kept after its final, to be asked about, until the next one's."""
    speakers: int = 0
    """The most speakers of the session that are told apart; 0 if they are not told."""


@dataclass(frozen=True, slots=True)
class HearAudio:
    """A segment goes on: s16le samples at 16 kHz."""

    segment: int
    pcm: bytes


@dataclass(frozen=True, slots=True)
class TryFinal:
    """A segment has paused, and may have ended."""

    segment: int


@dataclass(frozen=True, slots=True)
class MakeFinal:
    """A segment has ended."""

    segment: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AskPrompt:
    """A prompt is asked, about a segment or about audio of its own."""

    reply: int
    prompt: Prompt
    segment: int | None = None
    """One that goes on, or is kept; what was heard of it by then counts."""
    pcm: bytes = b""
    """Where no segment is named: s16le samples at 16 kHz."""
    standing: bool = False
    """Whether it is part of what is told of each segment, and not a question."""


@dataclass(frozen=True, slots=True)
class CancelReply:
    """A reply is not wanted any more."""

    reply: int


@dataclass(frozen=True, slots=True)
class EnrolVoice:
    """A voice is to be known by name, before what comes after it: s16le at 16 kHz."""

    name: str
    most: int
    """Speakers of the session."""
    pcm: bytes


@dataclass(frozen=True, slots=True)
class ReleaseKept:
    """Nothing more will be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeighPassage:
    """The last seconds are to be weighed; the next such wish takes its place."""

    passage: int
    """Counted from 1 in the session."""
    start: int
    """Where its first sample is in the stream."""
    pcm: bytes
    """s16le samples at 16 kHz."""
    names: tuple[str, ...]
    """Of what may be heard."""
    keys: tuple[int, ...]
    """What the session knows the last of them by, those of watches."""


SegmentJob = OpenUtterance | HearAudio | TryFinal | MakeFinal
Job = SegmentJob | AskPrompt | CancelReply | WeighPassage | EnrolVoice | ReleaseKept


# Work: one call of the engine thread.


class Action(Enum):
    """What follows the audio of a segment."""

    HEAR = auto()
    PARTIAL = auto()
    EARLY_FINAL = auto()
    FINAL = auto()
    CLOSE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """A segment is heard further."""

    session: str
    segment: int
    options: UtteranceOptions
    action: Action
    pcm: bytes = b""
    heard: int = 0
    """Samples of the segment, with these."""
    keep: bool = False
    """Whether the utterance outlives its final."""
    waited_s: float = 0.0
    """How long it could have been done, but was not."""
    shed: bool = False
    """Whether a partial was left out because the session lags."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A prompt is asked, or audio heard that it is about."""

    session: str
    reply: int
    prompt: Prompt
    segment: int | None
    """None if the reply has an utterance of its own."""
    options: UtteranceOptions
    """Of the utterance, should it not be open yet."""
    pcm: bytes = b""
    heard: int = 0
    """Samples of the utterance, with these."""
    is_last: bool = True
    """Whether the prompt is asked now; else more audio follows first."""
    waited_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Generating:
    """Each of these replies goes on by a token."""

    replies: tuple[ReplyKey, ...]


@dataclass(frozen=True, slots=True)
class Dropping:
    """A reply is not wanted any more: free its memory."""

    session: str
    reply: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognising:
    """The voices of a segment are heard further."""

    session: str
    segment: int
    most: int
    """Speakers of the session."""
    pcm: bytes
    is_last: bool
    """Whether the segment ends with these samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolling:
    """A voice is heard that a client knows, before the segments of the session."""

    session: str
    name: str
    most: int
    """Speakers of the session."""
    pcm: bytes


@dataclass(frozen=True, slots=True)
class Forgetting:
    """A session is over: forget its voices, and its passage if one is held."""

    session: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighing:
    """The answers to some questions about a passage are weighed.

    The engine holds the passage from its first piece of work to its last.
    """

    session: str
    wish: WeighPassage
    first: int
    """Of these names, among those of the passage."""
    count: int

    @property
    def is_last(self) -> bool:
        """Whether nothing is left to be weighed then."""
        return self.first + self.count >= len(self.wish.names)


Work = (
    Hearing
    | Asking
    | Generating
    | Dropping
    | Recognising
    | Enrolling
    | Forgetting
    | Weighing
)


# Results: what the engine answers.


@dataclass(frozen=True, slots=True)
class Heard:
    """A partial: what the engine believes after so many samples of a segment."""

    segment: int
    hypotheses: tuple[Hypothesis, ...]
    samples: int


@dataclass(frozen=True, slots=True)
class Finished:
    """The final of a segment, one hypothesis a task."""

    segment: int
    hypotheses: tuple[Hypothesis, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """A segment that the engine could not serve; it gets no final."""

    segment: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt was taken; its reply follows, about so many samples."""

    reply: int
    samples: int
    source: Source
    mode: Mode
    num_prompt_tokens: int


@dataclass(frozen=True, slots=True)
class Said:
    """A reply has grown."""

    reply: int
    text: str
    """All of it, so far."""
    num_tokens: int


@dataclass(frozen=True, slots=True)
class Answered:
    """A reply is complete."""

    reply: int
    text: str
    num_tokens: int
    finish: Finish


@dataclass(frozen=True, slots=True)
class ReplyFailed:
    """A reply that the engine could not give, or not to its end."""

    reply: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Recognised:
    """What is told otherwise now, in this segment or in earlier ones."""

    segment: int
    news: SpeakerNews
    is_last: bool
    """Whether the segment was heard to its end."""


@dataclass(frozen=True, slots=True)
class RecognisingFailed:
    """Nobody can tell who speaks in a segment."""

    segment: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Enrolled:
    """Which speaker it is whose voice a client brought."""

    name: str
    speaker: int


@dataclass(frozen=True, slots=True)
class EnrollingFailed:
    """The engine can make nothing of a voice that a client brought."""

    name: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Weighed:
    """How likely each question about a passage is answered yes."""

    wish: WeighPassage
    odds: tuple[float, ...]
    """Log-odds in nats, in the order of the questions."""


@dataclass(frozen=True, slots=True)
class WeighingFailed:
    """Nothing can be told of a passage."""

    wish: WeighPassage
    code: str
    message: str


SegmentResult = Heard | Finished | Failed
SpeakerResult = Recognised | RecognisingFailed | Enrolled | EnrollingFailed
ReplyResult = Asked | Said | Answered | ReplyFailed
PassageResult = Weighed | WeighingFailed
Result = SegmentResult | SpeakerResult | ReplyResult | PassageResult
