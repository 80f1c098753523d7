"""The seam between a server and a model: values, two protocols, one loader.

It imports no torch; `load` imports the chosen implementation when it is called.
All positions are samples at `SAMPLE_RATE`, counted from the start of the utterance.

    engine = load(config)                    # once a process
    utterance = engine.open(options)         # once a segment of speech
    utterance.push(samples)                  # as audio arrives
    utterance.partial()                      # what has been heard so far
    utterance.final()                        # ... and as if no more followed
    reply = utterance.ask(Prompt(...))       # what a language model says about it
    while reply.finish is None:
        engine.generate([reply])             # a token more for each reply, in one pass
    reply.close()
    utterance.close()
    speakers = engine.open_speakers(8)       # once a session, if they are to be told
    speakers.push(1, samples)                # the same segments
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.config import EngineConfig
from engine.errors import PackageError

Samples = NDArray[np.float32]
"""Mono audio at 16 kHz, (n,), in [-1, 1)."""


class Mode(StrEnum):
    """How encoder frames were computed (docs/design.md, incremental encoding)."""

    EXACT = "exact"
    """In one pass over the whole segment."""
    STREAMING = "streaming"
    """In blocks, each with its past and a short look at its future."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A word and where it was spoken."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """The text that the engine believes answers one task."""

    task: str
    text: str
    """Empty where no speech was recognised."""
    stable: int
    """How many of its first characters will not change."""
    is_final: bool
    language: str
    """Code of the spoken language, as `en`; empty while it is not known."""
    mode: Mode
    words: tuple[Word, ...] = ()
    """Filled for finals of utterances that were opened with `words`."""


class Source(StrEnum):
    """What a reply was made from."""

    AUDIO = "audio"
    """Encoder frames, by way of the Q-Former."""
    TRANSCRIPT = "transcript"
    """The text of the utterance's final, without its audio."""


class Finish(StrEnum):
    """Why a reply ended."""

    STOP = "stop"
    """The model had nothing to add."""
    LENGTH = "length"
    """It reached `Prompt.max_tokens`."""
    LOOP = "loop"
    """It began to repeat itself; the repetition is cut off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What a language model is asked about audio: a task by name, or free text."""

    task: str | None = None
    """One of `EngineInfo.prompted_tasks`; its sentence is the engine's affair."""
    text: str = ""
    """The question, where no task is named."""
    language: str | None = None
    """Code of the spoken language, where it is known."""
    max_tokens: int = 200
    temperature: float = 0.0
    """0 takes the likeliest token; above, tokens are drawn."""
    said: str | None = None
    """What was said, for models that are told; None lets them find out, "" does not."""

    def __post_init__(self) -> None:
        if (self.task is None) == (not self.text.strip()):
            raise ValueError("a prompt has either a task or a text")
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens is {self.max_tokens}; it must be at least 1")
        if self.temperature < 0:
            raise ValueError(f"temperature is {self.temperature}; must not be below 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class UtteranceOptions:
    """What is asked about an utterance."""

    tasks: tuple[str, ...] = ("transcribe",)
    """One hypothesis each; all share one encoding of the audio.  None, for audio that
    is only to be asked about."""
    prompted: tuple[str, ...] = ()
    """Tasks of the language model that will be asked at the end, by `ask`; named here,
    the audio's share of the work is done while it arrives."""
    questions: bool = False
    """Whether questions are likely; then, too, that work is done while it arrives."""
    language: str | None = None
    """Code of the spoken language; None lets the model tell."""
    likely_language: str | None = None
    """What to believe until the model is sure: the language last heard."""
    words: bool = False
    """Whether finals say where each word was spoken."""
    told: tuple[Hypothesis, ...] = ()
    """Of an engine that is gone: what was stable in these begins what is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A stretch of a segment in which one speaker is heard."""

    speaker: int
    """Counted from 1, in the order in which they were first heard; 0 is not known."""
    start: int
    """Samples of the segment."""
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSpeakers:
    """Who speaks in a segment, as far as can be told now."""

    segment: int
    turns: tuple[Turn, ...]
    """Without gaps, from its first sample to the last one heard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerNews:
    """What is told otherwise now than before."""

    segments: tuple[SegmentSpeakers, ...] = ()
    joined: tuple[tuple[int, int], ...] = ()
    """Speakers that are no more, each with the one that turned out to be both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundClass:
    """A sound that a model was taught to tell."""

    label: str
    """What `Utterance.weigh` knows it by, as `dog bark`."""
    caption: str
    """As `dog barking`; of `music: …`, one is heard at a time, and so of others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """What an engine can do."""

    model: str
    tasks: tuple[str, ...]
    """Those that `Utterance.partial` and `final` answer."""
    prompted_tasks: tuple[str, ...] = ()
    """Those that are answered by `Utterance.ask`."""
    answers_questions: bool = False
    """Whether `Utterance.ask` takes free text, too, and `weigh` any."""
    sounds: tuple[SoundClass, ...] = ()
    """Those that `Utterance.weigh` tells; none where no weights say they know any."""
    languages: tuple[str, ...]
    max_speakers: int = 0
    """The most voices of a session that are told apart; 0 if none are."""
    max_samples: int
    """Longest utterance; the server's longest segment must not exceed it."""
    description: str
    """One line for the log: device, data type and what decided them."""
    parameters: int | None = None
    """How many weights the model has; None where nobody counted."""


class Utterance(Protocol):
    """One segment of speech while it is heard.

    Feeding it in pieces of any size gives the finals of feeding it at once.
    """

    def push(self, samples: Samples) -> None:
        """Add audio; whether it is encoded now or once it is read is not told.

        Raises:
            EngineError: If the utterance would grow past `EngineInfo.max_samples`.
        """

    def partial(self) -> list[Hypothesis]:
        """Return a hypothesis a task for what has been heard so far.

        Their stable prefixes only grow from one call to the next.
        """

    def final(self) -> list[Hypothesis]:
        """Return a hypothesis a task, as if no more audio followed.

        More audio may follow all the same (a pause was not the end): what was
        returned is void then.  Called again without new audio, it answers at once.
        """

    def ask(self, prompt: Prompt) -> "Reply":
        """Begin a reply about what has been heard so far.

        Audio that follows does not change it, nor does closing the utterance.  Replies
        share what was computed of the audio and do not disturb each other.

        Raises:
            UnsupportedError: If the model does not answer this.
        """

    def weigh(self, names: Sequence[str]) -> list[float]:
        """Return how likely each thing is heard, as far as was heard.

        All are weighed at once, on what was computed of the audio, and leave no trace.

        Args:
            names: What may be heard, as `sound_name` has it: `dog barking`.

        Returns:
            Log-odds, in nats: 0 is undecided.

        Raises:
            UnsupportedError: If the model answers no questions.
        """

    def close(self) -> None:
        """Free the memory of the utterance; nothing may be called after."""


class Reply(Protocol):
    """An answer of the language model while it is generated by `Engine.generate`."""

    @property
    def text(self) -> str:
        """The answer so far; it only grows at its end."""

    @property
    def num_prompt_tokens(self) -> int:
        """How many positions stand before the answer: audio, question, and template."""

    @property
    def num_tokens(self) -> int:
        """How many tokens were generated."""

    @property
    def finish(self) -> Finish | None:
        """Why it ended; None while it goes on."""

    @property
    def source(self) -> Source:
        """What it is made from."""

    @property
    def mode(self) -> Mode:
        """How the audio was encoded that it is made from."""

    def close(self) -> None:
        """Free its memory, finished or not; nothing may be called after."""


class Speakers(Protocol):
    """The voices of one session: who speaks in its segments.

    Feeding a segment in pieces of any size gives the turns of feeding it at once.  What
    was told of a segment may be told otherwise later.  No voice is ever handed out.
    """

    def enrol(self, samples: Samples) -> int:
        """Know one more of `most` by 1.6 s or more of them alone; return the number."""

    def push(self, segment: int, samples: Samples) -> SpeakerNews:
        """Hear more of a segment; return what is told otherwise than before."""

    def end(self, segment: int) -> SpeakerNews:
        """End a segment; return what is told of it, and of others that changed.

        Nothing is told of a segment that was never heard.
        """

    def close(self) -> None:
        """Forget all voices; nothing may be called after."""


class Engine(Protocol):
    """A model, ready to hear utterances.  Not thread-safe: one thread drives it."""

    @property
    def info(self) -> EngineInfo:
        """What this engine can do."""

    def warm_up(self) -> None:
        """Run once through everything, so that the first user does not wait."""

    def check(self, options: UtteranceOptions) -> None:
        """Do nothing if the options can be served; cheap, callable from any thread.

        Raises:
            UnsupportedError: If a task or the language is not among `info`'s.
        """

    def check_prompt(self, prompt: Prompt) -> None:
        """Do nothing if the prompt can be answered; cheap, callable from any thread.

        Raises:
            UnsupportedError: If its task is not in `info`, or free text is not taken.
        """

    def open(self, options: UtteranceOptions) -> Utterance:
        """Begin an utterance; raise what `check` does."""

    def open_speakers(self, most: int) -> Speakers:
        """Begin to tell 1 to `EngineInfo.max_speakers` voices of a session apart."""

    def generate(self, replies: Sequence[Reply]) -> None:
        """Add a token to each reply, in one pass over the weights.

        The first call for a reply also computes its prompt.  A reply gives the same
        text in any company.

        Args:
            replies: Of this engine, unfinished, none twice.
        """

    def close(self) -> None:
        """Free the model."""


def load(config: EngineConfig) -> Engine:
    """Return the engine that a configuration describes, its weights loaded.

    Raises:
        ClusterError: If it is on a Ray cluster that cannot be had.
        DeviceError, UnsupportedError: If torch does not compute there, or not so.
        PackageError: If Ray, or so few bits, need a package that is not installed.
        NoRoomError, WeightsError: If weights do not fit there, or are not as expected.
    """
    if config.backend == "local":
        from engine.local import LocalEngine

        return LocalEngine.load(config)
    try:
        from engine.ray import load_ray
    except ModuleNotFoundError as exc:
        raise PackageError('engine.backend = "ray"', "ray", "cluster") from exc
    return load_ray(config)


def silero_weights(config: EngineConfig) -> Path:
    """Return the file of Silero's voice detector, checked; fetch it if need be.

    Raises:
        WeightsError: If it is damaged, or cannot be fetched.
    """
    from engine import manifest
    from engine.presets import SILERO_FILE, SILERO_VAD
    from engine.weights import resolve

    path = resolve(SILERO_VAD.name, config) / SILERO_FILE.name
    # A folder of the user's lists no hashes.
    manifest.check(path, SILERO_FILE.size_bytes, SILERO_FILE.sha256)
    return path


def sound_name(text: str) -> str:
    """Return what a model would call something that is heard: `a Dog.` is `dog`."""
    words = text.strip().rstrip(".!。！").lower().split()
    if len(words) > 1 and words[0] in ("a", "an", "the", "some"):
        del words[0]
    return " ".join(words)


def by_task(hypotheses: Sequence[Hypothesis]) -> dict[str, Hypothesis]:
    """Return the hypotheses, each under its task."""
    return {hypothesis.task: hypothesis for hypothesis in hypotheses}
