"""What work costs here, measured on a real server that hears recorded speech.

    alone      the clips one after the other, one session
    beside     some of them again, beside sessions that are silent
    crowded    as many sessions at once as make it lag

How long each piece of hearing took, the server's own worker says, and its main thread's
processor time, what the event loop took; which coefficients that makes, `fitting`
decides.  The language model's pieces are timed in this process.
"""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from engine.benchmarks.latency import AFTER_S, ONSET_S
from engine.benchmarks.machine import this_machine
from engine.benchmarks.report import Setup
from engine.benchmarks.server import MB, MeasuredServer, measured_server
from engine.benchmarks.sounds import between_silences
from engine.data.audio import read_clip
from engine.data.manifest import Clip
from engine.evaluation.live import Event, LiveError, finals
from stream.audio import SAMPLE_RATE, to_pcm
from stream.capacity.costs import Costs, Memory, ReplyCosts
from stream.capacity.crowd import Crowd
from stream.capacity.fitting import Phase, fit_hearing
from stream.capacity.worklog import read_work
from stream.utterances import EARLY_STEP

OBSERVED = "stream.capacity.observed"
SILENT, CROWD = 8, 8
BESIDE = 4
"""Clips that are heard again beside silence."""
HALF_STEP_S = EARLY_STEP / SAMPLE_RATE / 2
ASSUMED = (
    "a piece of work takes a constant, so much for each second of the segment, and so "
    "much for each second of it that no partial had read",
    "the event loop takes so much for each second of silence, of speech, and for each "
    "piece of work, and slows the engine the more, in proportion, the more it computes",
)


def padded(clip: Clip) -> bytes:
    """Return a clip with the silence about it that benchmarks send, as s16le."""
    return to_pcm(
        between_silences(read_clip(clip.file), before_s=ONSET_S, after_s=AFTER_S)
    )


def measure(
    setup: Setup, *, silent: int = SILENT, crowd: int = CROWD, with_replies: bool = True
) -> Costs:
    """Measure what work costs with a server's configuration.

    Args:
        setup: Clips of speech, the configuration, and where progress is told.
        silent: Sessions that are there and say nothing; 0 leaves that out.
        crowd: Sessions that speak at once.
        with_replies: Whether the language model is timed, too, where there is one.

    Raises:
        EngineError: If a clip is no audio, a weight is missing, or the server fails.
        ValueError: If nothing was heard.
    """
    clips = [padded(clip) for clip in setup.clips]
    beside = clips[:BESIDE] if silent else []
    machine = this_machine()
    with TemporaryDirectory() as folder:
        log = Path(folder, "work.jsonl")
        flags = ("--work-log", str(log))
        with measured_server(setup.config, flags=flags, module=OBSERVED) as server:
            watched = _Watched(server, log)
            total = len(clips) + len(beside) + 1
            with setup.steps("measure: clips", total) as advance:
                told = list[list[Event]]()
                for clip in clips:
                    told += watched.speak([clip])
                    advance()
                alone = watched.phase()
                for clip in beside:
                    watched.speak([clip, *[bytes(len(clip))] * silent])
                    advance()
                silence = watched.phase() if beside else None
                watched.speak(list(islice(cycle(clips), crowd)))
                crowded = watched.phase()
                advance()
            engine = server.engine
    found = fit_hearing(alone, silence, crowded)
    block_s, replies = _seconds(setup) if with_replies else (None, None)
    return Costs(
        source="measured",
        engine=engine,
        machine=str(machine),
        assumptions=ASSUMED,
        turn_s=found.turn_s,
        hear=found.hear,
        partial=found.partial,
        final=found.final,
        loop=found.loop,
        replies=replies,
        block_s=block_s,
        first_text_s=first_texts_s(told),
        memory=watched.memory(crowd),
    )


def _seconds(setup: Setup) -> tuple[float, ReplyCosts | None]:
    # Here, not above: `--help` must not wait for torch.
    from engine.benchmarks.costs import engine_seconds

    found = engine_seconds(setup.config, setup.clips)
    return found.block_s, ReplyCosts(**asdict(found.replies)) if found.replies else None


class _Watched:
    """A server, what its worker notes, what its loop takes, and the memory it holds."""

    def __init__(self, server: MeasuredServer, log: Path) -> None:
        self._server, self._log = server, log
        self._crowd = Crowd(server.url)
        self._num_read = 0
        self._lengths_s: list[list[float]] = []
        """Of the clips of each crowd since the last phase."""
        self._speech_s = self._loop_s = 0.0
        self._loaded_mb = self._most_mb = server.rss_mb()

    def speak(self, clips: Sequence[bytes]) -> list[list[Event]]:
        """Stream clips at once; return the events of each."""
        before_s = self._server.loop_s()
        told = self._crowd.speak(clips, meanwhile=self._look)
        self._loop_s += self._server.loop_s() - before_s
        if failed := sum(events is None for events in told):
            raise LiveError(f"{failed} of {len(clips)} sessions were refused or cut")
        heard = [events for events in told if events is not None]
        self._lengths_s.append([len(clip) / 2 / SAMPLE_RATE for clip in clips])
        self._speech_s += sum(
            final["end_s"] - final["start_s"]
            for events in heard
            for final in finals(events)
        )
        return heard

    def _look(self) -> None:
        self._most_mb = max(self._most_mb, self._server.rss_mb())

    def phase(self) -> Phase:
        """Return what was done since the last call."""
        lines = self._log.read_text(encoding="utf-8").splitlines()
        new, self._num_read = lines[self._num_read :], len(lines)
        found = Phase(
            pieces=read_work(new),
            loop_s=self._loop_s,
            audio_s=sum(map(sum, self._lengths_s)),
            speech_s=self._speech_s,
            company=company(self._lengths_s),
        )
        self._lengths_s, self._speech_s, self._loop_s = [], 0.0, 0.0
        return found

    def memory(self, crowd: int) -> Memory:
        """Return what was held, the most with so many sessions."""
        grown_mb = self._most_mb - self._loaded_mb
        return Memory(
            loaded_mb=round(self._loaded_mb, 1),
            session_mb=round(grown_mb / crowd, 2),
            machine_mb=round(psutil.virtual_memory().total / MB, 1),
        )


def company(groups_s: Sequence[Sequence[float]]) -> float:
    """Return how many sessions were there beside a second of audio, on average.

    Args:
        groups_s: The lengths of what was said at once, beginning together; the second
            itself counts.
    """
    beside_s = sum(min(a, b) for group in groups_s for a in group for b in group)
    return beside_s / sum(map(sum, groups_s))


def first_texts_s(told: Sequence[Sequence[Event]]) -> tuple[float, ...]:
    """Return how much of each segment had to be heard before it had text.

    Somewhere in the last step before its first partial that was; half of it is taken
    off.

    Raises:
        ValueError: If none had text before its final.
    """
    found = dict[tuple[int, int], float]()
    for number, events in enumerate(told):
        for event in events:
            if event["type"] == "partial":
                heard_s = event["end_s"] - event["start_s"] - HALF_STEP_S
                key = number, event["segment"]
                found.setdefault(key, round(max(0.0, heard_s), 3))
    if not found:
        raise ValueError("no segment had a partial while work was measured")
    return tuple(sorted(found.values()))
