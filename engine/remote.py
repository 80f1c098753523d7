"""An engine that is elsewhere, several times over, as `engine.api` wants one.

    utterance ─┐ a line each, to one of the replicas
    utterance ─┤──Call──▶ engine.hosting        the audio of an utterance is kept here
    voices    ─┘◀─Answer─ on some machine       until it is closed

A replica may be gone at any moment.  Then another one hears the kept audio, told what
was told as stable before, and repeats the replies that went on: whoever calls notices
that it took longer.  Only the voices of a session cannot be had again, for no audio of
them is kept.  What lines are made of it does not know.
"""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from engine.api import (
    EngineInfo,
    Hypothesis,
    Mode,
    Prompt,
    Reply,
    Samples,
    SpeakerNews,
    UtteranceOptions,
    by_task,
)
from engine.errors import EngineError, FullError, TooLongError
from engine.geometry import SAMPLE_RATE
from engine.hosting import GENERATE, PUSH, Call, Checks
from engine.lines import BugError, Dial, Lease, Line, LostError, new_lease, persist
from engine.remote_reply import RemoteReply, Repeat

PATIENCE_S: Final = 0.2
"""How long a partial waits for a replica; without one, nothing new was heard."""


class RemoteUtterance:
    """Implements `engine.api.Utterance`."""

    def __init__(self, dial: Dial, options: UtteranceOptions, most: int) -> None:
        self._dial, self._options, self._most = dial, options, most
        self._audio: list[Samples] = []
        self._num_samples = 0
        self._told: list[Hypothesis] = []
        self._numbers = itertools.count()
        self._lease: Lease | None = new_lease(dial, options, ())

    @property
    def replica(self) -> str:
        """Which replica hears it, as far as is known."""
        return self._lease.line.replica if self._lease is not None else ""

    def push(self, samples: Samples) -> None:
        """Add audio; see `engine.api.Utterance`."""
        total = self._num_samples + len(samples)
        if total > self._most:
            raise TooLongError(total, self._most)
        self._num_samples = total
        self._audio.append(samples)
        if self._lease is not None:
            self._lease.line.post(Call(PUSH, (samples,)))

    def partial(self) -> list[Hypothesis]:
        """Return what has been heard; see `engine.api.Utterance`."""
        if self._lease is not None and not self._lease.line.is_up(PATIENCE_S):
            return self._told or [_nothing(task) for task in self._options.tasks]
        self._told = self._call(Call("partial"))
        return self._told

    def final(self) -> list[Hypothesis]:
        """Return the text as if no more followed; see `engine.api.Utterance`."""
        found: list[Hypothesis] = self._call(Call("final"))
        return found

    def ask(self, prompt: Prompt) -> "RemoteReply":
        """Begin a reply; see `engine.api.Utterance`."""
        number = next(self._numbers)
        asked = self._call(Call("ask", (number, prompt)))
        assert self._lease, "a line was just answered"
        repeat = Repeat(
            self._dial, self._wishes(), tuple(self._audio), prompt, self._lease, number
        )
        return RemoteReply(asked, repeat)

    def weigh(self, questions: Sequence[str]) -> list[float]:
        """Return how likely each is answered yes; see `engine.api.Utterance`."""
        odds: list[float] = self._call(Call("weigh", (tuple(questions),)))
        return odds

    def close(self) -> None:
        """Free the memory of the utterance."""
        if self._lease is not None:
            if self._lease.num_users > 1:
                self._lease.line.post(Call("close"))
            self._lease.release()
            self._lease = None
        self._audio = []

    def _call(self, call: Call) -> Any:
        return persist(lambda: self._try(call))

    def _try(self, call: Call) -> Any:
        if self._lease is None:
            self._lease = new_lease(self._dial, self._wishes(), self._audio)
        line = self._lease.line
        line.post(call)
        try:
            return line.answer()
        except (LostError, FullError):
            self._lease.release()
            self._lease = None
            raise

    def _wishes(self) -> UtteranceOptions:
        """Return the options, with what was told of the audio so far."""
        told = by_task(self._options.told) | by_task(self._told)
        return replace(self._options, told=tuple(h for h in told.values() if h.stable))


def _nothing(task: str) -> Hypothesis:
    return Hypothesis(
        task=task,
        text="",
        stable=0,
        is_final=False,
        language="",
        mode=Mode.STREAMING,
    )


class RemoteSpeakers:
    """Implements `engine.api.Speakers`."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def enrol(self, samples: Samples) -> int:
        """Know one more; see `engine.api.Speakers`."""
        number: int = self._call(Call("enrol", (samples,)))
        return number

    def push(self, segment: int, samples: Samples) -> SpeakerNews:
        """Hear more of a segment; see `engine.api.Speakers`."""
        return self._news(Call("hear", (segment, samples)))

    def end(self, segment: int) -> SpeakerNews:
        """End a segment; see `engine.api.Speakers`."""
        return self._news(Call("end", (segment,)))

    def close(self) -> None:
        """Forget all voices."""
        self._line.close()

    def _news(self, call: Call) -> SpeakerNews:
        news: SpeakerNews = self._call(call)
        return news

    def _call(self, call: Call) -> Any:
        self._line.post(call)
        try:
            return self._line.answer()
        except LostError as exc:
            raise EngineError(
                "the replica is gone that knew the voices of this session"
            ) from exc


class RemoteEngine:
    """Implements `engine.api.Engine`."""

    def __init__(self, dial: Dial, checks: Checks) -> None:
        self._dial, self._checks = dial, checks

    @property
    def info(self) -> EngineInfo:
        """What this engine can do."""
        return self._checks.info

    def warm_up(self) -> None:
        """Hear a second of silence; replicas have warmed up by themselves."""
        utterance = self.open(UtteranceOptions(tasks=self.info.tasks))
        utterance.push(np.zeros(SAMPLE_RATE, np.float32))
        utterance.final()
        utterance.close()

    def check(self, options: UtteranceOptions) -> None:
        """Refuse options that cannot be served; see `engine.api.Engine`."""
        self._checks.check(options)

    def check_prompt(self, prompt: Prompt) -> None:
        """Refuse a prompt that is not answered; see `engine.api.Engine`."""
        self._checks.check_prompt(prompt)

    def open(self, options: UtteranceOptions) -> RemoteUtterance:
        """Begin an utterance; see `engine.api.Engine`."""
        self.check(options)
        return RemoteUtterance(self._dial, options, self.info.max_samples)

    def open_speakers(self, most: int) -> RemoteSpeakers:
        """Begin to tell the voices of a session apart."""
        return RemoteSpeakers(self._dial(most))

    def generate(self, replies: Sequence[Reply]) -> None:
        """Add a token to each reply: one pass at each replica, all at once."""
        going_on = [reply for reply in replies if isinstance(reply, RemoteReply)]
        assert len(going_on) == len(replies), "replies of another engine"
        while lost := self._step(going_on):
            for reply in lost:
                persist(reply.begin_again)
            going_on = [reply for reply in lost if reply.finish is None]

    def close(self) -> None:
        """Nothing is held here that is not an utterance's."""

    def _step(self, replies: Sequence[RemoteReply]) -> list[RemoteReply]:
        """Let replies go on; return those whose replica is lost."""
        groups: dict[str, list[RemoteReply]] = {}
        for reply in replies:
            groups.setdefault(reply.repeat.line.replica, []).append(reply)
        for group in groups.values():
            keys = tuple(reply.repeat.key for reply in group)
            group[0].repeat.line.post(Call(GENERATE, (keys,)))
        lost: list[RemoteReply] = []
        failures: list[Exception] = []
        for group in groups.values():
            try:
                for reply, grown in zip(
                    group, group[0].repeat.line.answer(), strict=True
                ):
                    reply.grown = grown
            except LostError:
                lost += group
            except (EngineError, BugError) as exc:
                failures.append(exc)
        if failures:
            raise failures[0]  # of the others' replies no token is lost: they have it
        return lost
