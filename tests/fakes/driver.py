"""A session with an engine beside it, driven step by step: no thread, no clock."""

from engine.api import UtteranceOptions
from stream.audio import to_float
from stream.events import Start
from stream.jobs import Action, Finished, Heard, JobBook
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


def open_session(request=None, *, name="session", engine=None, max_s=3600.0):
    engine = engine or ScriptedEngine()
    return Session(
        name,
        request or Start(),
        info=engine.info,
        check=engine.check,
        detector=AnySound(),
        segmenter=SEGMENTER,
        max_s=max_s,
    )


class Desk:
    """Does what a session asks for, when it is told to."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._book = JobBook()
        self._engine = ScriptedEngine()
        self._utterances = {}

    def take_jobs(self) -> None:
        self._book.add(self.session.name, self.session.jobs(), 0.0)

    def step(self) -> bool:
        """Do one piece of work; return whether there was one."""
        self.take_jobs()
        work = self._book.take(0.0)
        if work is None:
            return False
        utterance = self._utterances.get(work.segment)
        if utterance is None:
            utterance = self._engine.open(work.options or UtteranceOptions())
            self._utterances[work.segment] = utterance
        utterance.push(to_float(work.pcm))
        if work.action is Action.PARTIAL:
            hypotheses = tuple(utterance.partial())
            self.session.deliver(Heard(work.segment, hypotheses, work.heard))
        elif work.action is Action.FINAL:
            self.session.deliver(Finished(work.segment, tuple(utterance.final())))
        return True

    def run(self) -> None:
        while self.step():
            pass
