"""Who speaks when: the error rates of live speakers beside offline clustering.

    python -m tests.diarise --manifest ../shared/data/manifest.jsonl
    python -m tests.diarise --manifest … --tuning

mixes meetings (tests/meetings.py), hears them as a server does (voice detector,
segments, pieces, but no captions), and prints a line for each number of speakers, and
as JSON on the last line the same facts.  `--tuning` does so for the meetings of other
voices that the rules were chosen by.  Almost all of the time is the encoder's, so
`--voices FOLDER` keeps what it computes, and takes it from there the next time; the
cost is then not told.

    DER       diarisation error rate: speech that is missed, false or another's, as a
              share of all speech; within 0.25 s of a turn's border nothing counts.
              Behind the bar, without stretches in which two speak.
    live      what was told by the end; `at once`: what was told when a segment ended
    offline   the same windows of a whole meeting, clustered by average linkage
    count     by how many speakers too many (or too few), on average
    settles   seconds of audio from a moment to the last change of what is told of it:
              half of all moments, nine in ten
    cost      computing time for a second of audio, of one processor

Source: pyannote.metrics for the error rates; its `collar` is both sides together.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from pyannote.core import Annotation, Timeline
from pyannote.core import Segment as Stretch
from pyannote.metrics.diarization import DiarizationErrorRate
from rich.console import Console
from rich.table import Table

from engine.benchmarks.machine import this_machine
from engine.config import EngineConfig
from engine.data.manifest import Clip, ManifestError, read_manifest
from engine.errors import EngineError
from engine.voices import load_voices
from engine.weights import resolve
from stream.audio import SAMPLE_RATE
from tests.heard_meetings import Heard, Remembering, Spans, hear
from tests.meetings import Meeting, mix_meetings

COLLAR_S: Final = 0.5  # 0.25 s on either side
PERCENT: Final = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Meetings:
    """What to mix."""

    name: str
    sets: tuple[str, ...]
    split: str | None = None
    counts: tuple[int, ...]
    """Speakers of each meeting."""
    length_s: float
    seed: int


REPORTED = (
    Meetings(
        name="librispeech_devclean20",
        sets=("librispeech_devclean20",),
        counts=(2, 3, 4) * 6 + (2, 3),
        length_s=300.0,
        seed=20,
    ),
)
TUNING = (
    Meetings(
        name="librispeech_trainclean251",
        sets=("librispeech_trainclean251_untranscribed",),
        counts=(2, 3, 4) * 10,
        length_s=60.0,
        seed=1,
    ),
    Meetings(
        name="speechocean762, adults",
        sets=("speechocean762",),
        split="train",
        counts=(2, 3, 4) * 2,
        length_s=300.0,
        seed=2,
    ),
)
LEAST_HEARD_S: Final = 60.0
LEAST_AGE: Final = 16
"""Who has less audio than this, or is younger, is in no meeting of the second set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """How meetings of some number of speakers went; rates in percent."""

    meetings: str
    speakers: str
    number: int
    live: float
    live_single: float
    """Where one speaks."""
    at_once: float
    offline: float
    offline_single: float
    live_count: float
    """Speakers too many, on average."""
    offline_count: float
    settles_s: float
    settles_9_of_10_s: float
    cost_ms: float | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.diarise",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--manifest", type=Path, metavar="FILE", required=True)
    parser.add_argument(
        "--tuning", action="store_true", help="meetings of other voices"
    )
    parser.add_argument(
        "--limit", type=int, help="the first meetings of each kind only"
    )
    parser.add_argument("--voices", type=Path, metavar="FOLDER", help="keeps voices")
    options = parser.parse_args(arguments)
    console = Console(width=140)
    torch.set_num_threads(1)
    machine = this_machine()
    console.print(str(machine), highlight=False)
    rows: list[Row] = []
    try:
        encoder = load_voices(resolve("voices", EngineConfig()))
        for wanted in TUNING if options.tuning else REPORTED:
            kept = options.voices and options.voices / f"{wanted.name}.npy"
            remembering = Remembering(encoder, kept)
            rows += measure(wanted, options.manifest, remembering, options.limit)
            remembering.close()
    except (EngineError, ManifestError) as exc:
        sys.stderr.write(f"diarise: {exc}\n")
        return 1
    console.print(drawn(rows))
    facts = {"machine": asdict(machine), "rows": [asdict(row) for row in rows]}
    sys.stdout.write(json.dumps(facts) + "\n")
    return 0


def measure(
    wanted: Meetings, manifest: Path, encoder: Remembering, limit: int | None
) -> list[Row]:
    """Return a row for each number of speakers, and one for all."""
    clips = read_manifest(manifest, sets=wanted.sets, split=wanted.split)
    if wanted.split:
        clips = well_heard(clips)
    meetings = mix_meetings(
        clips,
        counts=wanted.counts[:limit],
        length_s=wanted.length_s,
        seed=wanted.seed,
    )
    found = [(meeting, hear(meeting, encoder)) for meeting in meetings]
    counts = sorted({len(meeting.speakers) for meeting, _ in found})
    rows = [
        row_of(wanted.name, str(n), [f for f in found if len(f[0].speakers) == n])
        for n in counts
    ]
    return [*rows, row_of(wanted.name, "all", found)]


def well_heard(clips: Sequence[Clip]) -> list[Clip]:
    """Return the clips of grown speakers with a minute of audio."""
    heard: dict[str, float] = {}
    for clip in clips:
        name = str(clip.facts["speaker"])
        heard[name] = heard.get(name, 0.0) + float(clip.facts["duration_s"])
    return [
        clip
        for clip in clips
        if heard[str(clip.facts["speaker"])] >= LEAST_HEARD_S
        and int(clip.facts.get("age", LEAST_AGE)) >= LEAST_AGE
    ]


def row_of(name: str, speakers: str, found: Sequence[tuple[Meeting, Heard]]) -> Row:
    """Return how some meetings went."""

    def rate(told: Callable[[Heard], Spans], *, single: bool = False) -> float:
        metric = DiarizationErrorRate(collar=COLLAR_S, skip_overlap=single)
        for meeting, heard in found:
            whole = Timeline([Stretch(0.0, heard.audio_s)])
            metric(truth(meeting), annotation(told(heard)), uem=whole)
        return round(PERCENT * abs(metric), 2)

    def count(told: Callable[[Heard], Spans]) -> float:
        extra = [len({s for *_, s in told(h)}) - len(m.speakers) for m, h in found]
        return round(float(np.mean(extra)), 2)

    delays = np.concatenate([heard.delays_s for _, heard in found])
    audio_s = sum(heard.audio_s for _, heard in found)
    taken_s = [h.taken_s for _, h in found if h.taken_s is not None]
    cost_ms = round(1000 * sum(taken_s) / audio_s, 1) if taken_s else None
    return Row(
        meetings=name,
        speakers=speakers,
        number=len(found),
        live=rate(lambda heard: heard.live),
        live_single=rate(lambda heard: heard.live, single=True),
        at_once=rate(lambda heard: heard.at_once),
        offline=rate(lambda heard: heard.offline),
        offline_single=rate(lambda heard: heard.offline, single=True),
        live_count=count(lambda heard: heard.live),
        offline_count=count(lambda heard: heard.offline),
        settles_s=round(float(np.quantile(delays, 0.5)), 2),
        settles_9_of_10_s=round(float(np.quantile(delays, 0.9)), 2),
        cost_ms=cost_ms,
    )


def truth(meeting: Meeting) -> Annotation:
    """Return who speaks in a meeting."""
    return annotated((s.start, s.end, s.speaker) for s in meeting.spoken)


def annotation(told: Spans) -> Annotation:
    """Return who was told to speak."""
    return annotated((start, end, str(speaker)) for start, end, speaker in told)


def annotated(stretches: Iterable[tuple[int, int, str]]) -> Annotation:
    """Return stretches in the words of pyannote, in seconds."""
    found = Annotation()
    for track, (start, end, name) in enumerate(stretches):
        found[Stretch(start / SAMPLE_RATE, end / SAMPLE_RATE), track] = name
    return found


def drawn(rows: Sequence[Row]) -> Table:
    """Return the rows as a table for people."""
    table = Table(
        "meetings", "speakers", "n", "DER live", "at once", "offline", "count"
    )
    for heading in ("settles, s", "cost, ms"):
        table.add_column(heading)
    for row in rows:
        table.add_row(
            row.meetings,
            row.speakers,
            str(row.number),
            f"{row.live:.1f} | {row.live_single:.1f}",
            f"{row.at_once:.1f}",
            f"{row.offline:.1f} | {row.offline_single:.1f}",
            f"{row.live_count:+.1f}, offline {row.offline_count:+.1f}",
            f"{row.settles_s:.1f}, {row.settles_9_of_10_s:.1f}",
            "" if row.cost_ms is None else f"{row.cost_ms:.0f}",
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
