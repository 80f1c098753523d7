"""Whether memory and lag stay flat over minutes of audio sent as fast as it is heard.

The server is seen from outside: what it holds as each text comes, and how long ago the
end of the audio that the text is about was sent.
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
PARTIALS_APART_S = 1.0


@dataclass(frozen=True, slots=True)
class Sample:
    """The state of a server as a text comes."""

    time_s: float
    """Since the first event."""
    audio_s: float
    """What it has answered."""
    rss_mb: float
    lag_s: float | None
    """How long ago the last sample of a final was sent; None with partials."""


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
            Row("lag, seconds, p50 / p90 / p95", str(self.lag_s)),
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
    """Return a sample for each final, and for partials a second or more apart.

    Args:
        events: As they come.
        rss_mb: Tells what the server holds now.
        advance: Told each second of audio.
        clock: Seconds.
    """
    samples = list[Sample]()
    begin_s = None
    audio_s = 0.0
    for event in events:
        now_s = clock()
        begin_s = now_s if begin_s is None else begin_s
        if event["type"] not in ("partial", "final"):
            continue
        advance(max(0, int(event["end_s"]) - int(audio_s)))
        audio_s = max(audio_s, event["end_s"])
        is_final = event["type"] == "final"
        time_s = now_s - begin_s
        if is_final or not samples or time_s >= samples[-1].time_s + PARTIALS_APART_S:
            lag_s = event["latency_s"] if is_final else None
            samples.append(Sample(time_s, audio_s, rss_mb(), lag_s))
    return samples


def figures(engine: str, samples: Sequence[Sample]) -> MemoryFigures:
    """Return the figures of a stream.

    Raises:
        ValueError: If there was no final.
    """
    lags = [(s.audio_s / 60, s.lag_s) for s in samples if s.lag_s is not None]
    lag_s = quantiles([lag for _, lag in lags], of="final")
    last = samples[-1]
    half = last.audio_s / 60 / 2
    held = [(s.audio_s / 60, s.rss_mb) for s in samples]
    marks = [m for m in MARKS if round(last.audio_s / 60, 1) >= m]
    return MemoryFigures(
        engine=engine,
        audio_s=last.audio_s,
        speed=last.audio_s / last.time_s,
        rss_mb={m: [mb for minute, mb in held if minute <= m][-1] for m in marks},
        rss_mb_per_minute=slope([point for point in held if point[0] >= half]),
        lag_s=lag_s,
        lag_s_per_minute=slope([point for point in lags if point[0] >= half]),
        details=[asdict(sample) for sample in samples],
    )
