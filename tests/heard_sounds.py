"""How a scene is heard for `tests/sound_events.py`: as a server does it, in one thread.

A session, the book and the runner, without a socket; all work is done before the next
piece of audio comes, so no passage is left out.  Nothing of scores.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from engine.api import Engine, Samples
from stream.audio import to_pcm
from stream.book import JobBook
from stream.config import ServerConfig
from stream.events import Final as FinalText
from stream.events import Start
from stream.jobs import Weighed, Weighing
from stream.runner import Runner
from stream.session import Session
from stream.sound_events import Noticed, Sound, Watch
from stream.vad import VoiceDetector
from stream.watches import chance

PIECE: Final = 3_200
"""Samples that come at a time; 0.2 s."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage that was weighed, in samples, and the scores of its names."""

    start: int
    end: int
    scores: dict[str, float]


@dataclass(slots=True)
class Told:
    """What was told of a scene."""

    finals: list[FinalText] = field(default_factory=list)
    sounds: list[Sound] = field(default_factory=list)
    """Those that are over."""
    noticed: list[Noticed] = field(default_factory=list)
    """Likewise."""
    passages: list[Passage] = field(default_factory=list)
    captions_s: float = 0.0
    """Of computing: all but what is below."""
    weighing_s: float = 0.0


def hear(
    samples: Samples,
    engine: Engine,
    config: ServerConfig,
    detector: VoiceDetector,
    *,
    tasks: tuple[str, ...] = ("transcribe",),
    sounds: bool = False,
    watches: Sequence[Watch] = (),
) -> Told:
    """Hear a scene to its end."""
    session = Session(
        "scene",
        Start(tasks=tasks, sounds=sounds, watches=tuple(watches)),
        info=engine.info,
        check=engine.check,
        check_prompt=engine.check_prompt,
        detector=detector,
        segmenter=config.segmenter,
        max_s=len(samples) / 16_000 + 60,
        max_questions=1,
        watches=config.watches,
    )
    book, runner, told = JobBook(), Runner(engine), Told()
    seconds: Counter[bool] = Counter()

    def work() -> None:
        book.add(session.name, session.jobs(), 0.0)
        while (piece := book.take(0.0)) is not None:
            began = time.process_time()
            results = runner.run(piece)
            seconds[isinstance(piece, Weighing)] += time.process_time() - began
            for name, result in results:
                book.note(name, result)
                if isinstance(result, Weighed):
                    told.passages.append(_passage(result))
                if result is not None:
                    session.deliver(result)
            book.add(session.name, session.jobs(), 0.0)

    pcm = to_pcm(samples)
    for first in range(0, len(pcm), 2 * PIECE):
        session.push(pcm[first : first + 2 * PIECE])
        work()
    session.end()
    work()
    for event in session.events():
        match event:
            case FinalText():
                told.finals.append(event)
            case Sound(complete=True):
                told.sounds.append(event)
            case Noticed(complete=True):
                told.noticed.append(event)
    assert book.num_left_out == 0, "all work is done before more audio comes"
    told.captions_s, told.weighing_s = seconds[False], seconds[True]
    return told


def _passage(result: Weighed) -> Passage:
    wish = result.wish
    scores = zip(wish.names, map(chance, result.odds), strict=True)
    return Passage(wish.start, wish.start + len(wish.pcm) // 2, dict(scores))
