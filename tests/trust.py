"""What a server is trusted with, shown on one that runs in this process.

    python -m tests.trust resume            a connection that is cut 20 times
    python -m tests.trust sessions          200 sessions, one after the other
    python -m tests.trust crowd             50 clients at once, of which 30 misbehave
    python -m tests.trust hour              an hour of audio in one session
    python -m tests.trust overload          1, 2, 4, 8 and 16 who speak at once
    python -m tests.trust bodies            files over HTTP that no client would send
    python -m tests.trust cluster           the engine on Ray, and a replica that dies
    python -m tests.trust frontends         two front ends, and one that dies
    … --engine mini [--manifest FILE]       with the model in place of words as numbers
    … --replicas N                          crowd, sessions: on so many replicas on Ray

prints a table, and the same facts as JSON on the last line.

    resume      the samples that reach the engine, as a hash, beside two uncut runs; and
                how many words are not as in the first of them
    sessions    tasks, threads and file descriptors before and behind, and the memory
    crowd       the same; 10 vanish, 10 send garbage, 10 never read: the others' finals
    hour        the speed, by how much lag and memory grow, and the earliest text, from
                the file that was saved and from the server;
                --speed S sends at S × real time, else as fast as it is heard
    overload    finals, partials and latencies; who comes when it is too much is refused
    bodies      enormous, two hours, hours of silence in a small file, no audio: the one
                error of each from each route, how soon, and the memory; always without
                a model
    cluster     how late first text and finals are through Ray, as a ratio; the finals
                of ten utterances in whose middle a replica is killed; needs the extra
                cluster
    frontends   finals, words and stable text of sessions in whose middle their front
                end is killed, beside two undisturbed ones, and how soon they go on;
                needs the extra valkey, and valkey-server or redis-server

    0  it is as promised
    1  it is not
"""

import argparse
import asyncio
import json
import logging
import random
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from engine.api import load
from engine.benchmarks.clips import DEMO
from engine.benchmarks.machine import this_machine
from engine.config import EncodingConfig, EngineConfig
from engine.data.audio import read_clip
from engine.data.manifest import read_manifest
from stream.audio import SAMPLE_RATE, to_pcm
from stream.segmenter import SegmenterConfig
from stream.vad import WebRtcVoiceDetector
from tests import (
    trust_bodies,
    trust_crowd,
    trust_frontends,
    trust_hour,
    trust_overload,
    trust_resume,
)
from tests.fakes.driver import SEGMENTER
from tests.fakes.engine import AnySound, ScriptedEngine, speak
from tests.trust_setup import Outcome, Setup

SET = "librispeech_devclean20"
PAUSE = bytes(2 * SAMPLE_RATE)  # a second, which ends a segment
SECONDS = {
    "resume": 180.0,
    "hour": 3_600.0,
    "overload": 60.0,
    "cluster": 60.0,
    "frontends": 60.0,
}
"""Of audio, in a session."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.CRITICAL)  # what misbehaves is told otherwise
    setup = scripted()
    if options.engine == "mini":
        setup = _mini(options.manifest, options.closing)
    seconds = options.seconds or SECONDS.get(options.what, 0.0)
    runs: dict[str, Callable[[], Any]] = {
        "resume": lambda: trust_resume.run(
            setup, seconds=seconds, cuts=options.cuts, paced=options.paced
        ),
        "sessions": lambda: _heard_by(
            setup,
            options.replicas,
            lambda by: trust_crowd.run_sessions(by, options.sessions),
        ),
        "crowd": lambda: _heard_by(
            setup,
            options.replicas,
            lambda by: trust_crowd.run_crowd(by, options.each),
            places=5 * options.each,
        ),
        "hour": lambda: trust_hour.run(setup, seconds=seconds, speed=options.speed),
        "overload": lambda: trust_overload.run(
            setup, seconds=seconds, counts=options.counts
        ),
        "bodies": lambda: trust_bodies.run(trust_bodies.Sizes()),
        "cluster": lambda: _cluster(setup, seconds, options.rounds),
        "frontends": lambda: trust_frontends.run(
            setup, seconds=seconds, at_once=options.at_once
        ),
    }
    outcome = asyncio.run(runs[options.what]())
    console = Console(width=100)
    machine = this_machine()
    console.print(f"{machine}; engine {setup.name}", highlight=False)
    table = Table("", *outcome.columns)
    for name, *values in outcome.rows:
        table.add_row(name, *map(str, values))
    console.print(table)
    for problem in outcome.problems:
        console.print(f"not as promised: {problem}", markup=False)
    facts = {"what": options.what, "engine": setup.name, **asdict(outcome)}
    sys.stdout.write(json.dumps({"machine": asdict(machine), **facts}) + "\n")
    return 1 if outcome.problems else 0


def scripted() -> Setup:
    """Return an engine to which words are numbers: what is lost or doubled shows."""

    def reading(seconds: float) -> bytes:
        words, generator = list[int](), random.Random(0)
        while len(words) * 4_800 < seconds * SAMPLE_RATE:
            words += generator.choices(range(20, 10_000), k=generator.randint(1, 12))
            words += [0, 0]
        return speak(*words)

    return Setup(
        "scripted", ScriptedEngine(), SEGMENTER, AnySound, reading, ScriptedEngine
    )


def _mini(manifest: Path | None, closing: Literal["exact", "streaming"]) -> Setup:
    """Return the model that comes with it, which hears clips joined by pauses."""
    clips = [DEMO / "jfk.ogg"]
    if manifest is not None:
        found = read_manifest(manifest, sets=(SET,), split="dev")
        clips = [clip.file for clip in found]

    def reading(seconds: float) -> bytes:
        audio, paths = b"", cycle(clips)
        while len(audio) < seconds * 2 * SAMPLE_RATE:
            audio += to_pcm(read_clip(next(paths))) + PAUSE
        return audio

    config = EngineConfig(encoding=EncodingConfig(closing=closing), captions_only=True)
    again = partial(load, config)
    engine = again()
    return Setup("mini", engine, SegmenterConfig(), WebRtcVoiceDetector, reading, again)


def _cluster(setup: Setup, seconds: float, rounds: int) -> Coroutine[Any, Any, Outcome]:
    from tests import trust_cluster  # the others do without Ray

    return trust_cluster.run(setup, seconds=seconds, rounds=rounds)


def _heard_by(
    setup: Setup,
    replicas: int,
    run: Callable[[Setup], Coroutine[Any, Any, Outcome]],
    places: int = 1,
) -> Coroutine[Any, Any, Outcome]:
    """Run it with the engine in this process or, where there are any, on replicas."""
    if not replicas:
        return run(setup)
    from tests import trust_cluster  # the others do without Ray

    return trust_cluster.run_on(setup, replicas, places, run)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.trust", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    what = ["resume", "sessions", "crowd", "hour", "overload", "bodies", "cluster"]
    add("what", choices=[*what, "frontends"])
    add("--engine", choices=["scripted", "mini"], default="scripted")
    add(
        "--manifest", type=Path, metavar="FILE", help="clips for mini (else the demo's)"
    )
    modes = ["exact", "streaming"]
    add("--closing", choices=modes, default="exact", help="how mini makes its finals")
    told = ", ".join(f"{seconds:g} for {what}" for what, seconds in SECONDS.items())
    add("--seconds", type=float, help=f"of audio in a session ({told})")
    add("--cuts", type=int, default=20, help="for resume")
    add("--paced", action="store_true", help="resume: send as fast as it is spoken")
    add("--sessions", type=int, default=200, help="for sessions")
    add("--each", type=int, default=10, help="crowd: of each sort; of the good, twice")
    add("--replicas", type=int, default=0, help="on Ray (else in this process)")
    add("--speed", type=float, help="hour: × real time (else as it is heard)")
    add("--rounds", type=int, default=2, help="cluster: sessions on each, by turns")
    add("--at-once", type=int, default=2, help="frontends: who are at the killed one")
    counts = [1, 2, 4, 8, 16]
    add("--counts", type=int, nargs="+", default=counts, help="overload: who speak")
    return parser


if __name__ == "__main__":
    sys.exit(main())
