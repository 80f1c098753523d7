"""The one engine thread, and the coroutine that feeds it.

The book decides what is next, the thread runs it, the coroutine hands the results
back: only the runner touches the engine, and only there is time spent outside the event
loop.  It knows sessions by name and has never seen a socket.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Executor

from engine.api import Engine
from stream.audio import SAMPLE_RATE
from stream.book import JobBook
from stream.jobs import CancelReply, Generating, Hearing, Job, Result, Weighing, Work
from stream.metrics import Metrics
from stream.runner import Runner
from stream.timings import SHOWN, Timings

__all__ = ["SHOWN", "Clock", "Deliver", "Worker"]

logger = logging.getLogger(__name__)

Clock = Callable[[], float]
Deliver = Callable[[str, Result | None], None]
"""Takes a session's name and its result; None if there is only more room."""


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
            engine: The model; nobody else calls it, `info` and the checks excepted.
            thread: An executor with one thread, always the same.
            metrics: Told about each segment and each reply.
            clock: Monotonic, in seconds.
        """
        self._runner, self._thread = Runner(engine), thread
        self._metrics, self._clock = metrics, clock
        self._book = JobBook()
        self._timings = Timings(metrics)
        self._wake = asyncio.Event()
        self._cancelled: set[str] = set()
        """Since the work was begun that goes on: its results are nobody's.  A session
        that comes back from another front end has the name that it had here."""

    def add(self, session: str, jobs: Iterable[Job]) -> None:
        """Take the jobs of a session."""
        now, jobs = self._clock(), list(jobs)
        self._timings.want(session, jobs, now)
        for job in jobs:
            if isinstance(job, CancelReply):
                self._timings.forget_reply(session, job.reply)
        left_out = self._book.num_left_out
        self._book.add(session, jobs, now)
        self._metrics.passages_left_out.inc(self._book.num_left_out - left_out)
        self._wake.set()

    def cancel(self, session: str) -> None:
        """Drop what is to be done for a session; free what the engine holds for it."""
        self._book.cancel(session)
        self._timings.forget(session)
        self._cancelled.add(session)
        self._wake.set()

    def backlog(self, session: str) -> int:
        """Return how many samples of a session the engine has not been given."""
        return self._book.backlog(session)

    def voice_backlog(self, session: str) -> int:
        """Return how many samples of a session wait to have their speakers told."""
        return self._book.voice_backlog(session)

    def num_standing(self, session: str) -> int:
        """Return how many replies that belong to finals a session waits for."""
        return self._book.num_standing(session)

    @property
    def num_waiting(self) -> int:
        """How many prompts, of all sessions, the engine has not begun with."""
        return self._book.num_waiting

    def longest_wait(self) -> float:
        """Return how long the most neglected utterance has waited, in seconds."""
        return self._book.longest_wait(self._clock())

    async def warm_up(self) -> None:
        """Let the engine run once through everything.

        Raises:
            EngineError: If it cannot.
        """
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._runner.warm_up)

    async def run(self, deliver: Deliver) -> None:
        """Work until cancelled; hand each result to `deliver`, in the event loop."""
        loop = asyncio.get_running_loop()
        while True:
            work = self._book.take(self._clock())
            if work is None:
                self._wake.clear()
                await self._wake.wait()
                continue
            self._cancelled.clear()
            began = self._clock()
            results = await loop.run_in_executor(self._thread, self._runner.run, work)
            self._account(work, self._clock() - began)
            for session, result in results:
                if session in self._cancelled:
                    continue
                self._book.note(session, result)
                self._timings.answer(session, result, self._clock())
                deliver(session, result)

    def _account(self, work: Work, busy_s: float) -> None:
        """Tell the metrics and the log of a piece of work."""
        self._metrics.engine_busy.inc(busy_s)
        self._metrics.replies.set(self._runner.num_replies)
        if isinstance(work, Generating):
            logger.debug("a token for %d replies: %.3f s", len(work.replies), busy_s)
        if isinstance(work, Weighing):
            self._metrics.passages.inc(work.is_last)
        if not isinstance(work, Hearing):
            return
        logger.debug(
            "%s of %d samples waited %.3f s, took %.3f s",
            *(work.action.name, len(work.pcm) // 2, work.waited_s, busy_s),
            extra={"session": work.session[:SHOWN], "segment": work.segment},
        )
        self._timings.hear(work.session, work.segment, busy_s)
        self._metrics.queue_delay.observe(work.waited_s)
        self._metrics.audio.inc(len(work.pcm) / 2 / SAMPLE_RATE)
        self._metrics.partials_dropped.inc(work.shed)
