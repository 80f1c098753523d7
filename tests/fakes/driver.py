"""A session with an engine beside it, driven step by step: no thread, no clock."""

from stream.book import JobBook
from stream.config import WatchesConfig
from stream.events import Start
from stream.jobs import Work
from stream.runner import Runner
from stream.segmenter import SegmenterConfig
from stream.session import Session
from tests.fakes.engine import AnySound, ScriptedEngine

SEGMENTER = SegmenterConfig(
    pre_roll_ms=100,
    min_speech_ms=40,
    start_window_ms=60,
    tail_ms=60,
    hangover_ms=120,
    soft_limit_ms=4_000,
    soft_hangover_ms=60,
    max_segment_ms=8_000,
    search_ms=1_000,
    search_pause_ms=40,
)
"""Short, so that a test's audio is short."""
WATCHES = WatchesConfig(hop_s=0.2, window_s=0.6, cooldown_s=0.4)
"""Likewise."""


def open_session(
    request=None,
    *,
    name="session",
    engine=None,
    max_s=3600.0,
    max_questions=8,
    watches=WATCHES,
    state=None,
):
    engine = engine or ScriptedEngine()
    return Session(
        name,
        request or Start(),
        info=engine.info,
        check=engine.check,
        check_prompt=engine.check_prompt,
        detector=AnySound(),
        segmenter=SEGMENTER,
        max_s=max_s,
        max_questions=max_questions,
        watches=watches,
        state=state,
    )


class Desk:
    """Does what a session asks for, when it is told to."""

    def __init__(self, session: Session, *, engine=None) -> None:
        self.session = session
        self.engine = engine or ScriptedEngine()
        self.done: list[Work] = []
        self._book = JobBook()
        self._runner = Runner(self.engine)

    def take_jobs(self) -> None:
        self._book.add(self.session.name, self.session.jobs(), 0.0)

    def step(self) -> bool:
        """Do one piece of work; return whether there was one."""
        self.take_jobs()
        work = self._book.take(0.0)
        if work is None:
            return False
        self.done.append(work)
        for name, result in self._runner.run(work):
            self._book.note(name, result)
            if result is not None:
                self.session.deliver(result)
        return True

    def run(self) -> None:
        while self.step():
            pass
