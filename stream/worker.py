"""The one engine thread, and the coroutine that feeds it.

The book decides what is next, the thread runs it, the coroutine hands the result
back: only `Worker._run` and below touch the engine, and only they run outside the
event loop.  It knows sessions by name and has never seen a socket.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass

from engine.api import Engine, Utterance
from engine.errors import EngineError
from stream.audio import SAMPLE_RATE, to_float
from stream.jobs import (
    Action,
    Failed,
    Finished,
    HearAudio,
    Heard,
    Job,
    JobBook,
    MakeFinal,
    OpenUtterance,
    Result,
    Work,
)
from stream.metrics import Metrics

logger = logging.getLogger(__name__)

SHOWN = 6
"""Characters of a session's name in the log; whoever knows all of it may resume it."""

Clock = Callable[[], float]
Deliver = Callable[[str, Result | None], None]
"""Takes a session's name and its result; None if there is only more room."""
Key = tuple[str, int]


@dataclass(slots=True)
class _Timing:
    """When what happened to a segment, in seconds of the clock."""

    began: float
    samples: int = 0
    busy_s: float = 0.0
    first_text: float | None = None
    ended: float | None = None


class Worker:
    """Runs the engine for all sessions."""

    def __init__(
        self,
        engine: Engine,
        thread: Executor,
        metrics: Metrics,
        *,
        clock: Clock = time.monotonic,
    ) -> None:
        """Prepare; `run` begins.

        Args:
            engine: The model; nobody else calls it, `info` and `check` excepted.
            thread: An executor with one thread, always the same.
            metrics: Told about each segment.
            clock: Monotonic, in seconds.
        """
        self._engine, self._thread = engine, thread
        self._metrics, self._clock = metrics, clock
        self._book = JobBook()
        self._utterances: dict[Key, Utterance] = {}
        self._timings: dict[Key, _Timing] = {}
        self._wake = asyncio.Event()

    def add(self, session: str, jobs: Iterable[Job]) -> None:
        """Take the jobs of a session."""
        now, jobs = self._clock(), list(jobs)
        for job in jobs:
            key = session, job.segment
            match job:
                case OpenUtterance():
                    self._timings[key] = _Timing(now)
                case HearAudio(pcm=pcm):
                    self._timings[key].samples += len(pcm) // 2
                case MakeFinal():
                    self._timings[key].ended = now
        self._book.add(session, jobs, now)
        self._wake.set()

    def cancel(self, session: str) -> None:
        """Drop what is to be done for a session; free what the engine holds for it."""
        self._book.cancel(session)
        for key in [key for key in self._timings if key[0] == session]:
            del self._timings[key]
        self._wake.set()

    def backlog(self, session: str) -> int:
        """Return how many samples of a session the engine has not been given."""
        return self._book.backlog(session)

    def longest_wait(self) -> float:
        """Return how long the most neglected utterance has waited, in seconds."""
        return self._book.longest_wait(self._clock())

    async def warm_up(self) -> None:
        """Let the engine run once through everything.

        Raises:
            EngineError: If it cannot.
        """
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._warm_up)

    async def run(self, deliver: Deliver) -> None:
        """Work until cancelled; hand each result to `deliver`, in the event loop."""
        loop = asyncio.get_running_loop()
        while True:
            work = self._book.take(self._clock())
            if work is None:
                self._wake.clear()
                await self._wake.wait()
                continue
            began = self._clock()
            result = await loop.run_in_executor(self._thread, self._run, work)
            self._account(work, result, self._clock() - began)
            deliver(work.session, result)

    def _warm_up(self) -> None:
        try:
            self._engine.warm_up()
        except Exception as exc:
            logger.debug("the warm-up failed", exc_info=True)
            raise EngineError(
                f"the engine failed as it warmed up: {type(exc).__name__}: {exc}"
            ) from exc

    def _run(self, work: Work) -> Result | None:
        """Do one piece of work, in the engine thread; a failure ends its segment."""
        try:
            return self._perform(work)
        except EngineError as exc:
            return Failed(work.segment, "engine", str(exc))
        except Exception:
            logger.exception("the engine failed on a segment")
            return Failed(work.segment, "internal", "the engine failed on this segment")

    def _perform(self, work: Work) -> Result | None:
        utterance = self._utterances.pop((work.session, work.segment), None)
        if work.action is Action.CLOSE:
            if utterance is not None:  # else, opening it is what failed
                utterance.close()
            return None
        utterance = utterance or self._engine.open(work.options)
        if work.action is Action.FINAL:
            with closing(utterance):
                _push(utterance, work.pcm)
                return Finished(work.segment, tuple(utterance.final()))
        self._utterances[work.session, work.segment] = utterance
        _push(utterance, work.pcm)
        if work.action is Action.PARTIAL:
            return Heard(work.segment, tuple(utterance.partial()), work.heard)
        if work.action is Action.EARLY_FINAL:
            utterance.final()  # kept by the utterance until more audio follows
        return None

    def _account(self, work: Work, result: Result | None, busy_s: float) -> None:
        """Tell the metrics, the log and, after a failure, the book."""
        logger.debug(
            "session %s segment %d: %s of %d samples waited %.3f s, took %.3f s",
            *(work.session[:SHOWN], work.segment, work.action.name),
            *(len(work.pcm) // 2, work.waited_s, busy_s),
        )
        self._metrics.queue_delay.observe(work.waited_s)
        self._metrics.engine_busy.inc(busy_s)
        self._metrics.audio.inc(len(work.pcm) / 2 / SAMPLE_RATE)
        self._metrics.partials_dropped.inc(work.shed)
        if isinstance(result, Failed):
            self._metrics.failures.inc()
            self._book.drop(work.session, work.segment)
            self._timings.pop((work.session, work.segment), None)
            return
        timing = self._timings.get((work.session, work.segment))
        if timing is None:  # its session has gone meanwhile
            return
        now = self._clock()
        timing.busy_s += busy_s
        if timing.first_text is None and _has_text(result):
            timing.first_text = now
            self._metrics.ttft.observe(now - timing.began)
        if isinstance(result, Finished):
            del self._timings[work.session, work.segment]
            self._report(work, timing, now)

    def _report(self, work: Work, timing: _Timing, now: float) -> None:
        assert timing.ended is not None, "a final of a segment that goes on"
        audio_s = timing.samples / SAMPLE_RATE
        factor = timing.busy_s / audio_s
        latency_s = now - timing.ended
        self._metrics.real_time_factor.observe(factor)
        self._metrics.final_latency.observe(latency_s)
        first = timing.first_text
        logger.info(
            "session %s segment %d: %.2f s of audio, real-time factor %.2f, "
            "first text %s, final %.2f s after its end",
            work.session[:SHOWN],
            work.segment,
            audio_s,
            factor,
            "none" if first is None else f"after {first - timing.began:.2f} s",
            latency_s,
        )


def _has_text(result: Result | None) -> bool:
    if not isinstance(result, Heard | Finished):
        return False
    return any(hypothesis.text for hypothesis in result.hypotheses)


def _push(utterance: Utterance, pcm: bytes) -> None:
    """Push audio, if there is any: a push voids an early final."""
    if pcm:
        utterance.push(to_float(pcm))
