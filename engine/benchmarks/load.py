"""What becomes of text when several speak at once, each to a session of their own.

    1, 2, 4, 8 clients   each streams a clip as if spoken, all begin together
                         1 s of silence │ clip │ 1.5 s of silence
    8 / clients times    so that at each number the same eight clips are heard

Server and clients are processes, as people run them, and share the machine.  Where the
engine computes for longer than there is audio, text comes later and later; how much
later in a stream of many minutes, these short ones do not tell.
"""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

from engine.benchmarks.latency import AFTER_S, ONSET_S
from engine.benchmarks.report import Advance, Row, Setup
from engine.benchmarks.server import MeasuredServer, measured_server
from engine.benchmarks.sounds import between_silences, write_wav
from engine.benchmarks.statistics import Quantiles, quantiles
from engine.benchmarks.timing import arrival_s, final_times
from engine.data.audio import read_clip
from engine.evaluation import live

SESSIONS = (1, 2, 4, 8)
PATIENCE_S = 180.0  # for a client; its clip lasts seconds


@dataclass(frozen=True, slots=True)
class Level:
    """What so many sessions at once got."""

    sessions: int
    failed: int
    """Clients that were refused, or cut off."""
    real_time_factor: float
    """Time for which the engine computed / speech that it heard."""
    first_partial_s: Quantiles
    """From the beginning of the clip to its first partial."""
    final_s: Quantiles
    """From the end of speech and the hangover to the final."""


@dataclass(frozen=True, slots=True)
class LoadFigures:
    """What was found."""

    engine: str
    levels: list[Level]

    def rows(self) -> list[Row]:
        """Return what people want to know of it."""
        rows = []
        for level in self.levels:
            failed = f"; {level.failed} failed" if level.failed else ""
            first, final = level.first_partial_s, level.final_s
            rows += [
                Row(f"{level.sessions} at once{failed}", ""),
                Row("  real-time factor", f"{level.real_time_factor:.2f}"),
                Row("  first partial, p50 / p90 / p95", first.told("s")),
                Row("  final, p50 / p90 / p95", final.told("s")),
            ]
        return rows


def run(setup: Setup) -> LoadFigures:
    """Let more and more clients speak at once.

    Raises:
        EngineError: If a clip is no audio, or the server fails.
        ValueError: If at some number of sessions nothing was heard.
    """
    levels = []
    with TemporaryDirectory() as folder, measured_server(setup.config) as server:
        files = []
        for index, clip in enumerate(setup.clips[: max(SESSIONS)]):
            samples = between_silences(
                read_clip(clip.file), before_s=ONSET_S, after_s=AFTER_S
            )
            files.append(write_wav(Path(folder, f"{index}.wav"), samples))
        rounds, most = setup.rounds or 1, max(SESSIONS)
        heard = list(islice(cycle(files), rounds * most))
        with setup.steps("load", len(heard) * len(SESSIONS)) as advance:
            for sessions in SESSIONS:
                levels.append(_measure(server, heard, sessions, advance))
        return LoadFigures(engine=server.engine, levels=levels)


def _measure(
    server: MeasuredServer, files: Sequence[Path], sessions: int, advance: Advance
) -> Level:
    """Stream all files, so many at once."""
    names = "salmonn_engine_busy_seconds_total", "salmonn_audio_seconds_total"
    before = [server.metric(name) for name in names]
    heard = list[list[live.Event] | None]()
    for first in range(0, len(files), sessions):
        heard += stream_together(server.url, files[first : first + sessions])
        advance(sessions)
    busy_s, speech_s = (
        server.metric(name) - then for name, then in zip(names, before, strict=True)
    )
    factor = busy_s / speech_s if speech_s else 0.0
    return level(heard, sessions, server.segmenter, factor)


def stream_together(url: str, files: Sequence[Path]) -> list[list[live.Event] | None]:
    """Stream files at the same time, each by a client of its own, as if spoken.

    Returns:
        The events of each; None of a client that failed.
    """
    clients = list[tuple[subprocess.Popen[bytes], Path]]()
    with TemporaryDirectory() as folder:
        try:
            for index, file in enumerate(files):
                target = Path(folder, f"{index}.jsonl")
                with target.open("w", encoding="utf-8") as out:
                    command = live.file_command(url, [file])
                    clients.append((subprocess.Popen(command, stdout=out), target))
            return [_events(client, target) for client, target in clients]
        finally:
            for client, _ in clients:  # who is left waits for a server long
                client.kill()
                client.wait()


def _events(client: subprocess.Popen[bytes], told: Path) -> list[live.Event] | None:
    try:
        failed = client.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        return None
    lines = told.read_text("utf-8").splitlines()
    return None if failed else [json.loads(line) for line in lines]


def level(
    heard: Sequence[list[live.Event] | None],
    sessions: int,
    segmenter: dict[str, int],
    real_time_factor: float,
) -> Level:
    """Return the figures of all that was heard, so many at the same time.

    Raises:
        ValueError: If none had a partial, or none a final.
    """
    whole = [events for events in heard if events is not None]
    partials = [
        [arrival_s(event) for event in events if event["type"] == "partial"]
        for events in whole
    ]
    finals = [
        time.late_s for events in whole for time in final_times(events, segmenter)
    ]
    return Level(
        sessions=sessions,
        failed=len(heard) - len(whole),
        real_time_factor=real_time_factor,
        first_partial_s=quantiles(
            [min(times) - ONSET_S for times in partials if times], of="first partial"
        ),
        final_s=quantiles(finals, of="final"),
    )
