"""Replicas and sessions in simulated time: the server's own book by another clock.

    talker ──audio──▶ event loop ──jobs──▶ book ──work──▶ runner ──▶ priced engine
       ▲                  │                                              │ seconds
       └──────results─────┴─────────── when they are over ◀──────────────┘

What is next, what is left out, and who is refused are decided by the code that serves;
here is only the loop around it (`Worker.run`, without threads) and those who speak.
simpy is imported here only.
"""

import random
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import simpy

from engine.api import Prompt
from engine.benchmarks.timing import PIECE_MS
from stream.audio import SAMPLE_RATE
from stream.book import JobBook
from stream.capacity.costs import Costs
from stream.capacity.loop import EventLoop
from stream.capacity.outcome import Outcome, SegmentRecord
from stream.capacity.priced import STANDING, PricedEngine
from stream.capacity.speech import Turn, numbered
from stream.capacity.traffic import Traffic
from stream.config import LimitsConfig
from stream.hub import MOST_STANDING, MOST_WAITING
from stream.jobs import (
    Answered,
    AskPrompt,
    Failed,
    Finished,
    Heard,
    Hearing,
    Job,
    MakeFinal,
    OpenUtterance,
    ReplyFailed,
    Result,
    Said,
)
from stream.runner import Runner

Process = Generator[simpy.Event, Any, None]
PIECE_S = PIECE_MS / 1000


class Replica:
    """One engine thread, one event loop, and the sessions that were let in."""

    def __init__(
        self,
        env: simpy.Environment,
        costs: Costs,
        limits: LimitsConfig,
        *,
        seed: str,
    ) -> None:
        self._env, self._limits = env, limits
        self._engine = PricedEngine(costs, random.Random(seed))
        self._book, self._runner = JobBook(), Runner(self._engine)
        self._loop = EventLoop(costs.loop)
        self._arrived_s: dict[str, float] = {}
        """When the last jobs of each session reached, or will reach, the book."""
        self._wake: simpy.Event = env.event()
        self._listeners: dict[str, Callable[[Result], None]] = {}
        self.busy_s = self.heard_s = 0.0
        self.partials = self.shed = self.most_sessions = 0
        env.process(self._run())

    @property
    def num_sessions(self) -> int:
        """How many are there now."""
        return len(self._listeners)

    @property
    def has_room(self) -> bool:
        """Whether one more session is let in, as `Hub.admit` decides it."""
        return self.num_sessions < self._limits.max_sessions and not self._is_behind

    @property
    def takes_questions(self) -> bool:
        """Whether one more question is let in, as `Hub.ask` decides it."""
        return not self._is_behind and self._book.num_waiting < MOST_WAITING

    @property
    def _is_behind(self) -> bool:
        return self._book.longest_wait(self._env.now) > self._limits.max_wait_s

    def enter(self, session: str, listener: Callable[[Result], None]) -> None:
        """Let a session in; `listener` is told what becomes of its jobs."""
        self._listeners[session] = listener
        self._arrived_s[session] = self._env.now
        self._loop.follow(self._env.now, silent=1)
        self.most_sessions = max(self.most_sessions, self.num_sessions)

    def leave(self, session: str) -> None:
        """Forget a session."""
        del self._listeners[session], self._arrived_s[session]
        self._loop.follow(self._env.now, silent=-1)
        self._book.cancel(session)
        self._rouse()

    def add(self, session: str, jobs: Sequence[Job]) -> None:
        """Take jobs of a session, once the event loop comes to the message."""
        now = self._env.now
        begun = sum(isinstance(job, OpenUtterance) for job in jobs)
        begun -= sum(isinstance(job, MakeFinal) for job in jobs)
        self._loop.follow(now, silent=-begun, speaking=begun)
        arrives_s = max(now + self._loop.delay_s(now), self._arrived_s[session])
        self._arrived_s[session] = arrives_s
        if arrives_s > now:
            self._env.process(self._arrive(session, jobs, arrives_s - now))
        else:
            self._enter(session, jobs)

    def _arrive(self, session: str, jobs: Sequence[Job], delay_s: float) -> Process:
        yield self._env.timeout(delay_s)
        self._enter(session, jobs)

    def _enter(self, session: str, jobs: Sequence[Job]) -> None:
        self._book.add(session, jobs, self._env.now)
        self._rouse()

    def is_full(self, session: str) -> bool:
        """Whether a session's audio is read no further, as `Hub.load` decides it."""
        backlog_s = self._book.backlog(session) / SAMPLE_RATE
        return (
            backlog_s > self._limits.max_backlog_s
            or self._book.num_standing(session) > MOST_STANDING
        )

    def _rouse(self) -> None:
        if not self._wake.triggered:
            self._wake.succeed()

    def _run(self) -> Process:
        while True:
            work = self._book.take(self._env.now)
            if work is None:
                self._wake = self._env.event()
                yield self._wake
                continue
            results = self._runner.run(work)
            seconds = self._engine.charge() * self._loop.stretch
            yield self._env.timeout(seconds)
            self._loop.tell(self._env.now)
            self.busy_s += seconds
            if isinstance(work, Hearing):
                self.heard_s += len(work.pcm) / 2 / SAMPLE_RATE
                self.shed += work.shed
            for session, result in results:
                self._book.note(session, result)
                self.partials += isinstance(result, Heard)
                if result is not None and session in self._listeners:
                    self._listeners[session](result)


@dataclass(slots=True)
class _Wanted:
    """A reply that is awaited."""

    since_s: float
    has_begun: bool = False


class Talker:
    """One session: speaks, and notes when it was told what."""

    def __init__(
        self,
        env: simpy.Environment,
        name: str,
        replica: Replica,
        outcome: Outcome,
        traffic: Traffic,
    ) -> None:
        self.name = name
        self._env, self._replica = env, replica
        self._outcome, self._traffic = outcome, traffic
        self._num_segments = 0
        self._open: dict[int, SegmentRecord] = {}
        self._replies: dict[int, _Wanted] = {}
        self._numbers = count(1)
        self._settled: simpy.Event = env.event()
        replica.enter(name, self.deliver)

    def speak(self, turn: Turn, begin_s: float) -> Process:
        """Say a turn that begins at a moment, now or later."""
        behind = self._num_segments
        self._num_segments += len(turn.segments)
        for number, segment in enumerate(turn.segments, behind + 1):
            record = SegmentRecord(
                session=self.name,
                turn_s=begin_s,
                start_s=begin_s + segment.start_s,
                decided_s=begin_s + segment.decided_s,
                ends_in_a_pause=segment.ends_in_a_pause,
            )
            self._open[number] = record
            self._outcome.segments.append(record)
        for piece in turn.pieces:
            yield from self._until(begin_s + piece.due_s)
            while self._replica.is_full(self.name):  # and the client's buffer grows
                yield self._env.timeout(PIECE_S)
            self._replica.add(self.name, numbered(piece.jobs, behind))
        yield from self._until(begin_s + turn.length_s)

    def _until(self, moment_s: float) -> Process:
        if moment_s > self._env.now:
            yield self._env.timeout(moment_s - self._env.now)

    def finish(self) -> Process:
        """Wait for what is still to be told, and leave."""
        while self._open or self._replies:
            self._settled = self._env.event()
            yield self._settled
        self._replica.leave(self.name)

    def ask(self) -> None:
        """Ask about the last seconds, if questions are taken."""
        self._outcome.questions += 1
        if not self._replica.takes_questions:
            self._outcome.questions_refused += 1
            return
        pcm = bytes(2 * round(self._traffic.question_s * SAMPLE_RATE))
        self._want(pcm=pcm, prompt=Prompt(text="?", max_tokens=self._tokens))

    @property
    def _tokens(self) -> int:
        return self._traffic.answer_tokens

    def _want(
        self,
        prompt: Prompt,
        *,
        segment: int | None = None,
        pcm: bytes = b"",
        standing: bool = False,
    ) -> None:
        number = next(self._numbers)
        self._replies[number] = _Wanted(self._env.now)
        job = AskPrompt(
            reply=number, prompt=prompt, segment=segment, pcm=pcm, standing=standing
        )
        self._replica.add(self.name, [job])

    def deliver(self, result: Result) -> None:
        """Note when something was told."""
        now = self._env.now
        match result:
            case Heard(segment=number, hypotheses=hypotheses):
                record = self._open[number]
                if record.text_s is None and any(h.text for h in hypotheses):
                    record.text_s = now
            case Finished(segment=number):
                self._open.pop(number).final_s = now
                if self._traffic.describes:
                    prompt = Prompt(task=STANDING, max_tokens=self._tokens)
                    self._want(prompt, segment=number, standing=True)
            case Said(reply=number) | Answered(reply=number):
                wanted = self._replies[number]
                if not wanted.has_begun:
                    wanted.has_begun = True
                    self._outcome.first_tokens_s.append(now - wanted.since_s)
                if isinstance(result, Answered):
                    del self._replies[number]
            case Failed() | ReplyFailed():
                raise AssertionError(f"a priced engine fails at nothing: {result}")
        if not self._open and not self._replies and not self._settled.triggered:
            self._settled.succeed()


def once(talker: Talker, turn: Turn, begin_s: float) -> Process:
    """Say one turn, wait for what is told of it, and leave."""
    yield from talker.speak(turn, begin_s)
    yield from talker.finish()


class World:
    """Replicas in one simulated time, and what became of all who spoke to them."""

    def __init__(
        self, costs: Costs, limits: LimitsConfig, *, replicas: int = 1, seed: int = 0
    ) -> None:
        self.env = simpy.Environment()
        self.outcome = Outcome()
        self._seed = seed
        self.replicas = [
            Replica(self.env, costs, limits, seed=f"{seed}/replica {number}")
            for number in range(replicas)
        ]

    def rng(self, name: str) -> random.Random:
        """Return a generator of its own for each name, whoever else draws."""
        return random.Random(f"{self._seed}/{name}")

    def run(self) -> Outcome:
        """Go on until all is told; return what became of it."""
        self.env.run()
        total = self.outcome
        total.span_s = self.env.now
        total.replicas = len(self.replicas)
        total.busy_s = sum(replica.busy_s for replica in self.replicas)
        total.heard_s = sum(replica.heard_s for replica in self.replicas)
        total.partials = sum(replica.partials for replica in self.replicas)
        total.shed = sum(replica.shed for replica in self.replicas)
        total.most_sessions = [replica.most_sessions for replica in self.replicas]
        return total

    def together(self, groups: Sequence[Sequence[Turn]]) -> None:
        """Let the turns of each group be said at once, a group after the other."""
        self.env.process(self._together(groups))

    def _together(self, groups: Sequence[Sequence[Turn]]) -> Process:
        for number, turns in enumerate(groups):
            speaking = []
            for place, turn in enumerate(turns):
                talker = self.talker(f"{number}/{place}", self.replicas[0], Traffic())
                speaking.append(self.env.process(once(talker, turn, self.env.now)))
            yield self.env.all_of(speaking)

    def steady(
        self, sessions: int, turns: Sequence[Turn], traffic: Traffic, until_s: float
    ) -> None:
        """Let so many sessions speak to the first replica, turn by turn, for a time."""
        for number in range(sessions):
            talker = self.talker(f"session {number}", self.replicas[0], traffic)
            self.env.process(self._converse(talker, turns, traffic, until_s))

    def arrivals(
        self, mean_s: float, turns: Sequence[Turn], traffic: Traffic, until_s: float
    ) -> None:
        """Let sessions come, so many seconds apart on average, until a moment.

        Each goes to the replica with the fewest sessions that lets it in, or is
        refused.
        """
        moments = traffic.arrivals(mean_s, until_s, self.rng("arrivals"))
        self.env.process(self._come(moments, turns, traffic))

    def _come(
        self, moments: Sequence[float], turns: Sequence[Turn], traffic: Traffic
    ) -> Process:
        for number, moment_s in enumerate(moments):
            yield self.env.timeout(moment_s - self.env.now)
            self.outcome.arrived += 1
            ready = [replica for replica in self.replicas if replica.has_room]
            if not ready:
                self.outcome.refused += 1
                continue
            replica = min(ready, key=lambda replica: replica.num_sessions)
            name = f"session {number}"
            length_s = self.rng(f"{name}, length").expovariate(1 / traffic.session_s)
            talker = self.talker(name, replica, traffic)
            until_s = moment_s + length_s
            self.env.process(self._converse(talker, turns, traffic, until_s))

    def talker(self, name: str, replica: Replica, traffic: Traffic) -> Talker:
        """Let a session in, whoever is there."""
        return Talker(self.env, name, replica, self.outcome, traffic)

    def _converse(
        self,
        talker: Talker,
        turns: Sequence[Turn],
        traffic: Traffic,
        until_s: float,
    ) -> Process:
        """Say one turn after the other, a pause before each, until a moment."""
        rng = self.rng(talker.name)
        if traffic.questions_per_minute:
            self.env.process(self._wonder(talker, traffic, until_s))
        begin_s = self.env.now + traffic.pause(rng)
        while begin_s < until_s:
            yield self.env.timeout(max(0.0, begin_s - self.env.now))
            turn = rng.choice(turns)
            yield from talker.speak(turn, begin_s)
            begin_s += turn.length_s + traffic.pause(rng)
        yield self.env.timeout(max(0.0, until_s - self.env.now))
        yield from talker.finish()

    def _wonder(self, talker: Talker, traffic: Traffic, until_s: float) -> Process:
        rng = self.rng(f"{talker.name}, questions")
        rate = traffic.questions_per_minute / 60
        while (wait_s := rng.expovariate(rate)) < until_s - self.env.now:
            yield self.env.timeout(wait_s)
            talker.ask()
