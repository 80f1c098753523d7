"""The native protocol, version 1: one dataclass an event.

Events travel as JSON text messages (`stream.messages`); audio travels as binary
messages.  This module, with `stream.sound_events`, knows their fields and their types,
not when they may be sent (docs/protocol.md).

Positions named `start`, `end` are samples at 16 kHz from the start of the stream,
whatever the client sends; `accepted` and `settled` count the client's own samples.
"""

from dataclasses import dataclass
from typing import ClassVar, get_args

from stream.sound_events import Noticed, Sound, Unwatch, Watch

PROTOCOL_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Where a client that was cut off stands."""

    session: str
    """Name of the session, from its `started`."""
    seq: int
    """The last event that arrived; 0 if none did."""
    settled: int
    """Its last known `settled`: the client still has the audio from there on."""
    segment: int
    """The last segment whose final arrived; 0 if none did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Begin a session, or resume one; the first message of a client."""

    type: ClassVar[str] = "start"
    version: int = PROTOCOL_VERSION
    rate: int = 16_000
    """Samples a second, of each channel."""
    encoding: str = "s16le"
    """One of `stream.audio.ENCODINGS`."""
    channels: int = 1
    """Interleaved; they are mixed to one."""
    tasks: tuple[str, ...] = ("transcribe",)
    """What is asked about each segment, at once; none, and only questions are answered.
    With `audio_question`, what is said in it is itself a question, about what was heard
    before it."""
    language: str | None = None
    """Code of the spoken language; null lets the model tell."""
    partials: bool = True
    """Whether to send hypotheses that may still change."""
    words: bool = False
    """Whether finals say where each word was spoken."""
    opening_phrase: str | None = None
    """A segment that begins with these words asks a question with those behind them."""
    spoken_seconds: float = 10.0
    """So much audio before a question that is spoken is what it is about."""
    speakers: int = 0
    """The most speakers that are told apart; 0 tells none."""
    sounds: bool = False
    """Whether what else is heard is told, by the names of sounds."""
    watches: tuple[Watch, ...] = ()
    """What is listened for from the start; of a session that goes on, from now on."""
    resume: Resume | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Flush:
    """End the current segment now, without waiting for silence."""

    type: ClassVar[str] = "flush"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Ask a question about what was heard; answers to several come side by side."""

    type: ClassVar[str] = "ask"
    id: str
    """The client's name for it; no other open question has it."""
    text: str | None = None
    """The question; or else,"""
    task: str | None = None
    """... the name of a task that a language model answers."""
    about: str = "recent"
    """`segment` (the current one, or if none goes on, the last), `last_segment` (the
    last that has ended), or `recent` (all audio, voiced or not)."""
    seconds: float = 10.0
    """How much of the recent audio: at most 30."""
    max_tokens: int = 200
    temperature: float = 0.0
    """0 takes the likeliest token; above, tokens are drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Want no answer, or no more of it."""

    type: ClassVar[str] = "cancel"
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NameSpeaker:
    """Call a speaker by a name from now on, for the session."""

    type: ClassVar[str] = "name_speaker"
    speaker: int = 0
    """Who was heard; or 0, and"""
    name: str
    """Empty takes the name away."""
    voice: str = ""
    """... what they sound like: base64 of s16le at 16 kHz, 1.6 to 6 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """No more audio follows; the server sends what is left, `ended`, and closes."""

    type: ClassVar[str] = "end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The session has begun, or goes on."""

    type: ClassVar[str] = "started"
    seq: int
    version: int
    session: str
    model: str
    tasks: tuple[str, ...]
    resumed: bool
    """Whether the server still had the session that the client wanted to resume."""
    accepted: int
    """Send audio from here on."""
    settled: int
    asked: int = 0
    """How many `ask` of this session have arrived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechStarted:
    """A segment of speech has begun."""

    type: ClassVar[str] = "speech_started"
    seq: int
    segment: int
    """Counted from 1."""
    start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial:
    """The hypothesis so far; its first `stable` characters will not change."""

    type: ClassVar[str] = "partial"
    seq: int
    segment: int
    task: str
    text: str
    stable: int
    start: int
    end: int
    """How far it has heard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechEnded:
    """A segment of speech has ended; its final follows."""

    type: ClassVar[str] = "speech_ended"
    seq: int
    segment: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A word of a final and where it was spoken."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Final:
    """The text of a segment, for good; empty if no words were recognised in it."""

    type: ClassVar[str] = "final"
    seq: int
    segment: int
    task: str
    text: str
    start: int
    end: int
    language: str
    mode: str
    """`exact` or `streaming`: how its audio was encoded."""
    source: str = "audio"
    """What it was made from: `audio`, or the `transcript` of the segment."""
    words: tuple[Word, ...] = ()
    settled: int
    """All before this sample is done with; a client may forget its audio."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerTurn:
    """A stretch of a segment in which one speaker is heard."""

    speaker: int
    """Counted from 1, never numbered anew; 0 is not known (yet)."""
    name: str = ""
    """Empty unless the speaker was given one."""
    start: int
    end: int
    text: str = ""
    """Its share of the segment's transcript, once that is final."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speakers:
    """Who speaks in a segment, as far as can be told; a later one replaces it."""

    type: ClassVar[str] = "speakers"
    seq: int
    segment: int
    turns: tuple[SpeakerTurn, ...]
    complete: bool
    """Whether the segment was heard to its end, and its transcript is shared out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerNamed:
    """A speaker has a name now, also in what was told before."""

    type: ClassVar[str] = "speaker_named"
    seq: int
    speaker: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerStarted:
    """A question was understood; its answer is under way."""

    type: ClassVar[str] = "answer_started"
    seq: int
    id: str
    """The client's; for a question that was spoken, `spoken-` and its segment."""
    question: str
    """Its text, or its task."""
    start: int
    end: int
    """Of the audio that it is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerPartial:
    """The answer so far; it only grows at its end."""

    type: ClassVar[str] = "answer_partial"
    seq: int
    id: str
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to a question, for good."""

    type: ClassVar[str] = "answer"
    seq: int
    id: str
    text: str
    finish: str
    """`stop`, `length` (of `max_tokens`), `loop` (it repeated itself: cut), or
    `cancelled`."""
    source: str
    """`audio` or `transcript`; empty if it was cancelled before it began."""
    mode: str
    """`exact` or `streaming`; likewise."""
    start: int
    end: int
    """Of the audio that it is about."""
    tokens: int = 0
    """Of the language model's vocabulary."""
    prompt_tokens: int = 0
    """What stands before the answer: audio, question and template; 0 if it was
    cancelled before it began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the server is; sent at least once for each second of audio."""

    type: ClassVar[str] = "progress"
    seq: int
    accepted: int
    settled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """All audio was heard, finals and answers were sent; the server closes."""

    type: ClassVar[str] = "ended"
    seq: int
    accepted: int
    settled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Error:
    """Something went wrong; unless it names what with, the connection closes."""

    type: ClassVar[str] = "error"
    seq: int
    code: str
    message: str
    segment: int | None = None
    """It gets no finals; with a `task`, only that one is missing."""
    task: str | None = None
    """Without a segment: `sounds`, which are not told for now, or `speakers`: one of
    them is not known by the voice that was brought."""
    question: str | None = None
    """Id of a question that gets no answer, or of a `cancel` that names none."""
    watch: str | None = None
    """Id of a watch that is refused, or not kept for now."""

    @property
    def ends_session(self) -> bool:
        """Whether it is the last event of the connection."""
        about = (self.segment, self.task, self.question, self.watch)
        return all(name is None for name in about)


ClientEvent = Start | Flush | Ask | Cancel | Watch | Unwatch | NameSpeaker | End
ServerEvent = (
    Started
    | SpeechStarted
    | Partial
    | SpeechEnded
    | Final
    | Speakers
    | SpeakerNamed
    | AnswerStarted
    | AnswerPartial
    | Answer
    | Noticed
    | Sound
    | Progress
    | Ended
    | Error
)
CLIENT_EVENTS: dict[str, type[ClientEvent]] = {
    cls.type: cls for cls in get_args(ClientEvent)
}
SERVER_EVENTS: dict[str, type[ServerEvent]] = {
    cls.type: cls for cls in get_args(ServerEvent)
}


def full_task(name: str) -> str:
    """Return the name under which a task is answered: `translate` is `translate:en`."""
    return "translate:en" if name == "translate" else name
