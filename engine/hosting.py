"""What drives an engine for others: their calls in, one answer for each call out.

    front end ──Call──▶ host ─▶ engine          one seat an utterance, or the voices
    front end ◀─Answer─ host ◀─ engine          of one session; its key is a ticket

Values, and a host that runs them one after the other, as the engine asks for.  What
carries them it does not know; `engine.remote` is the other side.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from engine.api import (
    Engine,
    EngineInfo,
    Finish,
    Hypothesis,
    Mode,
    Prompt,
    Reply,
    Samples,
    Source,
    SpeakerNews,
    UtteranceOptions,
)
from engine.errors import EngineError

logger = logging.getLogger(__name__)

Opening = UtteranceOptions | int
"""What a seat is for: an utterance, or at most so many voices of a session."""
Key = tuple[str, int]
"""A ticket, and a number of a reply there."""

GENERATE: Final = "generate"
"""The one call about several seats: a token more for the replies of its keys."""
PUSH: Final = "push"
UNANSWERED: Final = frozenset({PUSH, "close", "close_reply"})
"""Calls of an utterance that nobody waits for; the next answer says what failed."""


class Checks(Protocol):
    """What an engine refuses before it is asked; can be pickled."""

    @property
    def info(self) -> EngineInfo:
        """What the engine can do."""

    def check(self, options: UtteranceOptions) -> None:
        """See `engine.api.Engine`."""

    def check_prompt(self, prompt: Prompt) -> None:
        """See `engine.api.Engine`."""


class HostedEngine(Engine, Protocol):
    """An engine whose checks can be sent to whoever drives it from elsewhere."""

    @property
    def checks(self) -> Checks:
        """What it refuses before it is asked."""


@dataclass(frozen=True, slots=True)
class Call:
    """A method of what sits in a seat, and its arguments."""

    name: str
    args: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call returned."""

    value: Any


@dataclass(frozen=True, slots=True)
class Failure:
    """What a call raised."""

    message: str
    is_known: bool
    """Whether it was an error of the engine's; any other is a bug there."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A reply has begun."""

    source: Source
    mode: Mode
    num_prompt_tokens: int


@dataclass(frozen=True, slots=True)
class Grown:
    """How far a reply is."""

    text: str
    num_tokens: int
    finish: Finish | None


class _UtteranceSeat:
    """An utterance and its replies, which may outlive it."""

    def __init__(self, engine: Engine, options: UtteranceOptions) -> None:
        self._utterance = engine.open(options)
        self._is_closed = False
        self.replies: dict[int, Reply] = {}

    def push(self, samples: Samples) -> None:
        self._utterance.push(np.array(samples))  # what came over a wire is read-only

    def partial(self) -> list[Hypothesis]:
        return self._utterance.partial()

    def final(self) -> list[Hypothesis]:
        return self._utterance.final()

    def weigh(self, questions: Sequence[str]) -> list[float]:
        return self._utterance.weigh(questions)

    def ask(self, number: int, prompt: Prompt) -> Asked:
        reply = self.replies[number] = self._utterance.ask(prompt)
        return Asked(reply.source, reply.mode, reply.num_prompt_tokens)

    def close_reply(self, number: int) -> None:
        self.replies.pop(number).close()

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._utterance.close()

    def leave(self) -> None:
        for number in list(self.replies):
            self.close_reply(number)
        self.close()


class _VoicesSeat:
    """The voices of a session."""

    def __init__(self, engine: Engine, most: int) -> None:
        self._speakers = engine.open_speakers(most)
        self.replies: dict[int, Reply] = {}

    def enrol(self, samples: Samples) -> int:
        return self._speakers.enrol(np.array(samples))

    def hear(self, segment: int, samples: Samples) -> SpeakerNews:
        return self._speakers.push(segment, np.array(samples))

    def end(self, segment: int) -> SpeakerNews:
        return self._speakers.end(segment)

    def leave(self) -> None:
        self._speakers.close()


class Host:
    """The seats of one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._seats: dict[str, _UtteranceSeat | _VoicesSeat] = {}
        self._untold: dict[str, Failure] = {}
        """Failures of what nobody waited for, by ticket."""
        self.busy_s = 0.0
        """Seconds that the engine has computed."""
        self.num_samples = 0
        """Of utterances, that it was given; those that were lost elsewhere, again."""

    @property
    def num_seats(self) -> int:
        """How many utterances and sessions' voices the engine holds."""
        return len(self._seats)

    def open(self, ticket: str, opening: Opening) -> None:
        """Take a seat; that it cannot be had, the first answer says."""
        if failure := self._attempt(lambda: self._seat(ticket, opening)):
            self._untold[ticket] = failure

    def do(self, ticket: str, call: Call) -> Answer | Failure | None:
        """Run a call; return what came of it, or None if nobody waits for that."""
        began = time.perf_counter()
        said = self._do(ticket, call)
        self.busy_s += time.perf_counter() - began
        if call.name == PUSH:
            self.num_samples += len(call.args[0])
        return said

    def _do(self, ticket: str, call: Call) -> Answer | Failure | None:
        values: list[Any] = []
        failure = self._untold.get(ticket)
        if failure is None or call.name in UNANSWERED:
            failure = self._attempt(lambda: values.append(self._run(ticket, call)))
        if call.name in UNANSWERED:
            if failure is not None:
                self._untold.setdefault(ticket, failure)
            return None
        # Without its seat nothing will ever go well.
        if ticket in self._seats:
            self._untold.pop(ticket, None)
        return Answer(values[0]) if failure is None else failure

    def leave(self, ticket: str) -> None:
        """Free a seat, and all that it holds."""
        self._untold.pop(ticket, None)
        if seat := self._seats.pop(ticket, None):
            self._attempt(seat.leave)

    def _seat(self, ticket: str, opening: Opening) -> None:
        if isinstance(opening, UtteranceOptions):
            self._seats[ticket] = _UtteranceSeat(self._engine, opening)
        else:
            self._seats[ticket] = _VoicesSeat(self._engine, opening)

    def _run(self, ticket: str, call: Call) -> Any:
        if call.name == GENERATE:
            return self._generate(*call.args)
        return getattr(self._seats[ticket], call.name)(*call.args)

    def _generate(self, keys: Sequence[Key]) -> list[Grown]:
        replies = [self._seats[ticket].replies[number] for ticket, number in keys]
        self._engine.generate(replies)
        return [Grown(r.text, r.num_tokens, r.finish) for r in replies]

    def _attempt(self, do: Callable[[], object]) -> Failure | None:
        """Return what was raised, if anything was."""
        try:
            do()
        except EngineError as exc:
            return Failure(str(exc), is_known=True)
        except Exception as exc:
            logger.exception("the engine failed on a call")
            return Failure(f"{type(exc).__name__}: {exc}", is_known=False)
        return None
