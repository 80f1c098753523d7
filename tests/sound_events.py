"""Sounds and watches: what is told beside what there is, and what it costs.

    python -m tests.sound_events --manifest ../shared/data/manifest.jsonl --config FILE

mixes half an hour of speech, music and pauses with sounds at known times
(tests/sound_scenes.py), hears it as a server does, once with captions alone and once
with all sounds and a watch for each, and prints tables and, as JSON on the last line,
the same facts with the points of a DET plot.  The configuration is the server's: it
names weights that answer questions (`[engine.parts]`), the hop and the thresholds.

    precision   share of the events that are right
    recall      share of what there was that was told
    onset       seconds by which a right event's beginning is off: half, nine in ten
    missed      share of what there was that a watch did not notice
    false/h     events of a watch an hour of audio that are wrong
    WER         of the captions, in percent, with and without all that
    cost        seconds of computing for a second of audio, of the engine's thread

With `--no-captions` nothing is written down, so all else takes a third of the time.
With `--split train` it tells the scale and the bias that belong into the checkpoint:
`salmonn-weights --convert … --calibration SCALE BIAS`.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from engine.api import Engine, load, sound_name
from engine.benchmarks.machine import this_machine
from engine.data.manifest import ManifestError, read_manifest
from engine.errors import EngineError
from engine.evaluation.classes import called
from engine.evaluation.scores import word_errors
from stream.config import ServerConfig, read_config
from stream.sound_events import Watch
from stream.vad import WebRtcVoiceDetector
from stream.watches import rules_of
from tests.heard_sounds import Told, hear
from tests.sound_scenes import MUSIC, RATE, Scene, mix_scene
from tests.sound_scores import Counts, by_class, calibration, count, curve, pooled

COSTS: Final = (0, 1, 4, 16)
"""Watches of which the cost is told."""
SHARES: Final = (0.5, 0.9)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(arguments)
    console = Console(width=140)
    try:
        config = read_config(options.config, {})
        clips = read_manifest(options.manifest, split=options.split)
        scene = mix_scene(clips, length_s=options.length_s, seed=options.seed)
        engine = load(config.engine)
    except (EngineError, ManifestError, OSError, ValueError) as exc:
        sys.stderr.write(f"sound_events: {exc}\n")
        return 1
    if not engine.info.answers_questions:
        sys.stderr.write(
            f"sound_events: {engine.info.model} answers no questions, "
            "so nothing can be weighed\n"
        )
        return 1
    machine = this_machine()
    console.print(str(machine), highlight=False)
    console.print(engine.info.description, highlight=False)
    engine.warm_up()
    facts = measure(scene, engine, config, captions=options.captions)
    facts["cost"] = costs(scene, engine, config, options.cost_s)
    facts |= {"machine": asdict(machine), "seed": options.seed}
    for table in drawn(facts):
        console.print(table)
    if fitted := facts["calibration"]:
        shown = " ".join(f"{value:.4g}" for value in fitted)
        console.print(f"log-odds are right as often as they say with: {shown}")
    sys.stdout.write(json.dumps(facts) + "\n")
    return 0


def measure(
    scene: Scene, engine: Engine, config: ServerConfig, *, captions: bool = True
) -> dict[str, Any]:
    """Return how well sounds, watches and captions of a scene are told."""
    labels = sorted({heard.label for heard in scene.sounds})
    watches = [Watch(id=label, text=_text(label)) for label in labels]
    room = replace(
        config, watches=replace(config.watches, max_per_session=len(watches))
    )
    told = hear(
        scene.samples,
        engine,
        room,
        _detector(config),
        tasks=("transcribe",) if captions else (),
        sounds=bool(engine.info.sounds),
        watches=watches,
    )
    rates = {}
    if captions:
        alone = hear(scene.samples, engine, config, _detector(config))
        rates = {"alone": _wer(scene, alone), "with_sounds": _wer(scene, told)}
    hours = len(scene.samples) / RATE / 3600
    rules = rules_of(config.watches)
    noticed, curves, names = {}, {}, {}
    for watch in watches:
        truths = [heard for heard in scene.sounds if heard.label == watch.id]
        spans = [(e.start, e.end) for e in told.noticed if e.id == watch.id]
        noticed[watch.id] = count(truths, spans)
        names[watch.id] = name = sound_name(watch.text)
        curves[watch.id] = curve(truths, told.passages, name, rules, hours=hours)
    known = [sound.caption for sound in engine.info.sounds]
    sounds = by_class(
        scene.sounds, [(e.text, (e.start, e.end)) for e in told.sounds], known
    )
    return {
        "hours": hours,
        "threshold": config.watches.threshold,
        "sounds": {name: _facts(counts, hours) for name, counts in sounds.items()},
        "all_sounds": _facts(_sum(sounds.values()), hours),
        "watches": {name: _facts(counts, hours) for name, counts in noticed.items()},
        "all_watches": _facts(_sum(noticed.values()), hours),
        "det": {
            name: [asdict(point) for point in points]
            for name, points in (curves | {"all": pooled(curves)}).items()
        },
        "calibration": calibration(scene.sounds, told.passages, names),
        "wer": rates,
    }


def costs(
    scene: Scene, engine: Engine, config: ServerConfig, seconds: float
) -> dict[str, dict[str, float]]:
    """Return what hearing the beginning of a scene costs, by what is listened for."""
    samples = scene.samples[: round(seconds * RATE)]
    labels = sorted({heard.label for heard in scene.sounds})
    texts = [f"{_text(labels[n % len(labels)])}" for n in range(max(COSTS))]
    room = replace(config, watches=replace(config.watches, max_per_session=max(COSTS)))
    wishes: dict[str, dict[str, Any]] = {
        f"{number} watches": {
            "watches": [Watch(id=str(n), text=texts[n]) for n in range(number)]
        }
        for number in COSTS
    }
    if engine.info.sounds:
        wishes["sounds"] = {"sounds": True}
    found = {}
    for name, wish in wishes.items() if len(samples) else ():
        told = hear(samples, engine, room, _detector(config), **wish)
        audio_s = len(samples) / RATE
        found[name] = {
            "captions": round(told.captions_s / audio_s, 4),
            "weighing": round(told.weighing_s / audio_s, 4),
        }
    return found


def drawn(facts: dict[str, Any]) -> list[Table]:
    """Return the facts as tables for people."""
    tables = []
    for name, of_all in (("sounds", "all_sounds"), ("watches", "all_watches")):
        table = Table(
            *(name, "there", "told", "precision", "recall", "onset, s", "false/h")
        )
        for label, row in (*facts[name].items(), ("all", facts[of_all])):
            onset = [row["onset_s"], row["onset_9_of_10_s"]]
            table.add_row(
                label,
                str(row["truths"]),
                str(row["told"]),
                *(_shown(row[share], 100) for share in ("precision", "recall")),
                ", ".join(_shown(error, 1) for error in onset),
                f"{row['false_per_hour']:.1f}",
            )
        tables.append(table)
    table = Table("threshold", "missed, %", "false/h, a watch")
    for point in facts["det"]["all"]:
        table.add_row(
            f"{point['threshold']:.2f}",
            _shown(point["missed"], 100),
            f"{point['false_alarms_per_hour']:.2f}",
        )
    tables.append(table)
    table = Table("captions", "WER, %")
    for name, rate in facts["wer"].items():
        table.add_row(name, _shown(rate, 1))
    tables.append(table)
    table = Table("listened for", "captions, s/s", "weighing, s/s")
    for name, cost in facts["cost"].items():
        table.add_row(name, f"{cost['captions']:.3f}", f"{cost['weighing']:.3f}")
    return [*tables, table]


def _facts(counts: Counts, hours: float) -> dict[str, Any]:
    half, nine = (counts.onset_error_s(share) for share in SHARES)
    return {
        "truths": counts.truths,
        "told": counts.told,
        "hits": counts.hits,
        "precision": counts.precision,
        "recall": counts.recall,
        "onset_s": half,
        "onset_9_of_10_s": nine,
        "false_per_hour": (counts.told - counts.hits) / hours,
    }


def _sum(counts: Any) -> Counts:
    return sum(counts, Counts())


def _wer(scene: Scene, told: Told) -> float | None:
    """Return the word error rate of all that was said; None if nothing was."""
    said = " ".join(heard.label for heard in scene.speech)
    texts = " ".join(final.text for final in told.finals)
    return round(word_errors([said], [texts]).rate, 2) if said else None


def _text(label: str) -> str:
    """Return a label as one would watch for it."""
    return label if label == MUSIC else called(label)


def _shown(value: float | None, scale: float) -> str:
    return "" if value is None else f"{scale * value:.1f}"


def _detector(config: ServerConfig) -> WebRtcVoiceDetector:
    return WebRtcVoiceDetector(config.vad.mode)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.sound_events",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--manifest", type=Path, metavar="FILE", required=True)
    parser.add_argument("--config", type=Path, metavar="FILE", help="the server's TOML")
    parser.add_argument("--split", default="dev", help="default: %(default)s")
    parser.add_argument("--length-s", type=float, default=1800.0, help="%(default)s")
    parser.add_argument("--seed", type=int, default=11, help="default: %(default)s")
    parser.add_argument(
        "--no-captions",
        dest="captions",
        action="store_false",
        help="listen for sounds and watches alone",
    )
    parser.add_argument(
        "--cost-s",
        type=float,
        default=120.0,
        help="how much of it is heard again to tell the cost, each way "
        "(default: %(default)s)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
