"""Recorded speech as a session makes jobs of it, to be repeated at any time.

The server's own session hears a clip once, message by message, with the server's voice
detector; what it wanted then, and when, is kept.  So where segments begin, pause and
end is not written a second time here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.api import EngineInfo
from engine.benchmarks.timing import PIECE_MS
from stream.audio import FRAME_MS, FRAME_SAMPLES, SAMPLE_RATE, Framer
from stream.config import WatchesConfig
from stream.events import Start
from stream.jobs import (
    HearAudio,
    Job,
    MakeFinal,
    OpenUtterance,
    SegmentJob,
    TryFinal,
)
from stream.segmenter import SegmenterConfig
from stream.session import Session
from stream.vad import VoiceDetector

FRAMES = PIECE_MS // FRAME_MS
"""In a message, which is sent when its last sample is due; as our clients do it."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What a session wants behind one message."""

    due_s: float
    """When the message is sent, from the beginning of the turn."""
    jobs: tuple[SegmentJob, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of a turn, in seconds from its beginning."""

    start_s: float
    decided_s: float
    """When its pause had lasted long enough."""
    ends_in_a_pause: bool
    """False where it was cut because it grew too long."""
    length_s: float


@dataclass(frozen=True, slots=True)
class Turn:
    """Some speech, with the silence about it."""

    length_s: float
    pieces: tuple[Piece, ...]
    """Only those behind which something is wanted."""
    segments: tuple[Segment, ...]
    """By their number in the turn, from 1."""

    @property
    def speech_s(self) -> float:
        """How much audio of it is in segments."""
        return sum(segment.length_s for segment in self.segments)


def record(
    pcm: bytes,
    detector: VoiceDetector,
    config: SegmenterConfig,
    info: EngineInfo,
    *,
    tasks: tuple[str, ...],
) -> Turn:
    """Let a session hear a clip; return what it wanted of an engine, and when.

    Args:
        pcm: s16le samples at 16 kHz.
        detector: Tells voiced frames from others; not shared.
        config: Where segments begin and end.
        info: What the engine can do.
        tasks: What is asked of each segment.

    Raises:
        ValueError: If there is no segment in it.
    """
    limit_s = len(pcm) / 2 / SAMPLE_RATE + 1.0
    session = Session(
        "recorded",
        Start(tasks=tasks),
        info=info,
        check=lambda _: None,
        check_prompt=lambda _: None,
        detector=detector,
        segmenter=config,
        max_s=limit_s,
        max_questions=1,
        watches=WatchesConfig(),
    )
    found = _Recorded()
    frames = Framer().push(pcm)
    for number, frame in enumerate(frames, 1):
        session.push(frame.pcm)
        found.add(session.jobs(), number)
    session.end()
    found.add(session.jobs(), len(frames))
    if not found.segments:
        raise ValueError("no speech was found in a clip that is to be repeated")
    return found.turn(len(frames))


class _Recorded:
    """Jobs as they come, by the message behind which they are wanted."""

    def __init__(self) -> None:
        self._pieces: dict[int, list[SegmentJob]] = {}
        self._starts: dict[int, int] = {}
        self._samples: dict[int, int] = {}
        self.segments: dict[int, Segment] = {}

    def add(self, jobs: Sequence[Job], num_frames: int) -> None:
        """Take what was wanted when so many frames were heard."""
        message = -(-num_frames // FRAMES)
        opened = {job.segment for job in jobs if isinstance(job, OpenUtterance)}
        for job in jobs:
            match job:
                case OpenUtterance(segment=number):
                    self._samples[number] = 0
                case HearAudio(segment=number, pcm=pcm):
                    self._samples[number] += len(pcm) // 2
                case MakeFinal(segment=number):
                    self._end(number, num_frames, is_cut=bool(opened - {number}))
                case TryFinal():
                    pass
                case _:  # of questions, which nobody asked
                    continue
            self._want(self._pieces.setdefault(message, []), job)
        for number in opened:  # its pre-roll came with it
            self._starts[number] = num_frames * FRAME_SAMPLES - self._samples[number]

    @staticmethod
    def _want(jobs: list[SegmentJob], job: SegmentJob) -> None:
        """Append a job; frames of one message, which follow each other, are joined."""
        last = jobs[-1] if jobs else None
        if isinstance(job, HearAudio) and isinstance(last, HearAudio):
            jobs[-1] = HearAudio(job.segment, last.pcm + job.pcm)
        else:
            jobs.append(job)

    def _end(self, number: int, num_frames: int, *, is_cut: bool) -> None:
        self.segments[number] = Segment(
            start_s=self._starts[number] / SAMPLE_RATE,
            decided_s=num_frames * FRAME_SAMPLES / SAMPLE_RATE,
            ends_in_a_pause=not is_cut,
            length_s=self._samples[number] / SAMPLE_RATE,
        )

    def turn(self, num_frames: int) -> Turn:
        """Return all of it."""
        pieces = [
            Piece(message * PIECE_MS / 1000, tuple(jobs))
            for message, jobs in self._pieces.items()
        ]
        segments = tuple(self.segments[number] for number in sorted(self.segments))
        return Turn(num_frames * FRAME_MS / 1000, tuple(pieces), segments)


def numbered(jobs: Sequence[SegmentJob], behind: int) -> list[Job]:
    """Return jobs of a turn as jobs of a session that had so many segments before."""
    return [replace(job, segment=job.segment + behind) for job in jobs]
