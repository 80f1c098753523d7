"""Whether memory and lag stay flat over minutes of audio sent as fast as it is heard.

The server is seen from outside: what it holds as each text comes, and how much audio
it has accepted that is not settled: it has found speech there, but sent no final.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from engine.benchmarks.report import Advance, Row, Setup
from engine.benchmarks.server import measured_server
from engine.benchmarks.sounds import GAP_S, endless, write_wav
from engine.benchmarks.statistics import Quantiles, quantiles, slope
from engine.evaluation import live

MINUTES = 10
MARKS = (1, 5, MINUTES)  # minutes of audio at which memory is told
APART_S = 1.0  # of samples between finals


@dataclass(frozen=True, slots=True)
class Sample:
    """The state of a server as an event comes."""

    time_s: float
    """Since the first event."""
    audio_s: float
    """What is settled: the end of the last final."""
    found_s: float
    """What is accepted at least: where the server has last found speech."""
    rss_mb: float

    @property
    def lag_s(self) -> float:
        """Audio that is accepted and not settled."""
        return self.found_s - self.audio_s


@dataclass(frozen=True, slots=True)
class MemoryFigures:
    """What was found; slopes are of least-squares lines over the second half."""

    engine: str
    audio_s: float
    speed: float
    """Seconds of audio answered in a second."""
    rss_mb: dict[int, float]
    """At minutes of audio."""
    rss_mb_per_minute: float | None
    """Of audio."""
    lag_s: Quantiles
    lag_s_per_minute: float | None
    details: list[dict[str, Any]]

    def rows(self) -> list[Row]:
        """Return what people want to know of it."""
        return [
            Row("audio", f"{self.audio_s / 60:.1f} minutes"),
            Row("speed", f"{self.speed:.1f} × real time"),
            *(
                Row(f"memory at {m} min", f"{mb:.0f} MB")
                for m, mb in self.rss_mb.items()
            ),
            Row(
                "  slope, second half",
                _per_minute(self.rss_mb_per_minute, "MB"),
                "flat",
            ),
            Row("lag, s of audio, p50 / p90 / p95", str(self.lag_s)),
            Row(
                "  slope, second half", _per_minute(self.lag_s_per_minute, "s"), "flat"
            ),
        ]


def _per_minute(figure: float | None, unit: str) -> str:
    return "too short" if figure is None else f"{figure:+.2f} {unit} a minute of audio"


def run(setup: Setup) -> MemoryFigures:
    """Send joined clips as one stream; watch the server.

    Raises:
        EngineError: If a clip is no audio, or the server or its client fails.
        ValueError: If nothing was heard at all.
    """
    length_s = 60.0 * MINUTES
    if setup.limit:
        chosen = islice(cycle(setup.clips), setup.limit)
        length_s = min(length_s, sum(clip.duration_s + GAP_S for clip in chosen))
    with TemporaryDirectory() as folder, measured_server(setup.config) as server:
        file = write_wav(Path(folder, "joined.wav"), endless(setup.clips, length_s))
        with setup.steps("memory: seconds of audio", round(length_s)) as advance:
            stream = live.stream_files(server.url, [file], "--fast")
            samples = watch((event for _, event in stream), server.rss_mb, advance)
        return figures(server.engine, samples)


def watch(
    events: Iterable[live.Event],
    rss_mb: Callable[[], float],
    advance: Advance,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Sample]:
    """Return a sample for each final, and for other events some time apart.

    Args:
        events: As they come.
        rss_mb: Tells what the server holds now.
        advance: Told each second of audio.
        clock: Seconds.
    """
    samples = list[Sample]()
    begin_s = None
    found_s = answered_s = 0.0
    for event in events:
        now_s = clock()
        begin_s = now_s if begin_s is None else begin_s
        found_s = max(found_s, event["end_s"] or event["start_s"] or 0.0)
        is_final = event["type"] == "final"
        if is_final:
            advance(int(event["end_s"]) - int(answered_s))
            answered_s = event["end_s"]
        time_s = now_s - begin_s
        if is_final or not samples or time_s >= samples[-1].time_s + APART_S:
            samples.append(Sample(time_s, answered_s, found_s, rss_mb()))
    return samples


def figures(engine: str, samples: Sequence[Sample]) -> MemoryFigures:
    """Return the figures of a stream.

    Raises:
        ValueError: If there was no final.
    """
    heard = [sample for sample in samples if sample.audio_s]
    lag_s = quantiles([sample.lag_s for sample in heard], of="final")
    last = samples[-1]
    later = [sample for sample in heard if sample.audio_s >= last.audio_s / 2]
    held = {sample.audio_s / 60: sample.rss_mb for sample in samples}
    marks = [m for m in MARKS if round(last.audio_s / 60, 1) >= m]
    return MemoryFigures(
        engine=engine,
        audio_s=last.audio_s,
        speed=last.audio_s / last.time_s,
        rss_mb={m: held[max(at for at in held if at <= m)] for m in marks},
        rss_mb_per_minute=slope([(s.audio_s / 60, s.rss_mb) for s in later]),
        lag_s=lag_s,
        lag_s_per_minute=slope(
            # Once all audio is accepted, the lag can only fall.
            [(s.audio_s / 60, s.lag_s) for s in later if s.found_s < last.found_s]
        ),
        details=[asdict(sample) for sample in samples],
    )
