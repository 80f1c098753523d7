"""Both voice detectors on speech, noise and music, side by side.

    python -m tests.compare_detectors --manifest ../shared/data/manifest.jsonl

prints a line a sort of sound and detector, and as JSON on the last line the same facts.
Each clip is heard between two seconds of silence, with the segmenter's defaults:

    voiced    share of the frames
    missed    loud frames of speech (within 35 dB of the clip's loudest) that lie
              outside all segments; behind it, clips without a segment
    accepted  clips of noise and music in which a segment starts; behind it, the share
              of their audio that lies in segments
    late      from the last loud frame of speech to the segment's last voiced one
    cost      time of a processor for a second of audio, whatever else it does

docs/adr/0011 has what it printed.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from engine.api import Samples, silero_weights
from engine.benchmarks.clips import DEMO
from engine.benchmarks.machine import this_machine
from engine.benchmarks.sounds import between_silences, silence, white_noise
from engine.config import EngineConfig
from engine.data.audio import read_clip
from engine.data.manifest import ManifestError, read_manifest
from engine.errors import EngineError
from stream.audio import FRAME_SAMPLES, SAMPLE_RATE, Frame, Framer, to_pcm
from stream.segmenter import (
    SegmentEnded,
    Segmenter,
    SegmenterConfig,
    SegmentStarted,
)
from stream.silero import SileroVoiceDetector, load_network
from stream.vad import VoiceDetector, WebRtcVoiceDetector

SPEECH = (
    "librispeech_devclean20",
    "speechocean762",
    "tuxpaint_descriptions",
    "asterisk_prompts",
    "ravdess",
)
NOISE = ("esc10", "tuxpaint_sounds", "donateacry")
MUSIC = ("game_music", "instruments", "philharmonia")
NOISY = "librispeech_devclean20"
SNR_DB = (10, 0)
GENERATED_S = 60.0
NOISE_DBFS = (-60, -40, -20)
AROUND_S = 2.0  # of silence, before and after each clip
LOUD_DB = 35.0
PERCENT = 100.0
MS = 1000.0

Make = Callable[[], VoiceDetector]


@dataclass(frozen=True, slots=True)
class Sound:
    """What a detector hears."""

    samples: Samples
    speech: Samples | None
    """The speech in it, alone; None if there is none."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a detector made of one sound; a boolean a frame."""

    voiced: NDArray[np.bool_]
    inside: NDArray[np.bool_]
    """Frames in segments."""
    last_voiced: int | None
    """The frame with which the last segment's speech ended."""
    taken_s: float


@dataclass(frozen=True, slots=True)
class Row:
    """What a detector made of a sort of sound; shares in percent."""

    sort: str
    detector: str
    clips: int
    audio_s: float
    voiced: float
    missed: float | None
    deaf: int | None
    """Clips of speech without a segment."""
    late_ms: float | None
    accepted: float | None
    in_segments: float | None
    cost_ms: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.compare_detectors",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--manifest", type=Path, metavar="FILE", help="labelled clips")
    parser.add_argument("--limit", type=int, default=60, help="clips of a set")
    options = parser.parse_args(arguments)
    console = Console(width=120)
    try:
        network = load_network(silero_weights(EngineConfig()))
    except EngineError as exc:
        sys.stderr.write(f"compare_detectors: {exc}\n")
        return 1
    detectors: dict[str, Make] = {
        "webrtc": WebRtcVoiceDetector,
        "silero": partial(SileroVoiceDetector, network),
    }
    machine = this_machine()
    console.print(str(machine), highlight=False)
    rows = [
        row_of(sort, detector, [hear(make(), sound) for sound in sounds], sounds)
        for sort, sounds in sorts(options.manifest, options.limit, console)
        for detector, make in detectors.items()
    ]
    console.print(drawn(rows))
    facts = {"machine": asdict(machine), "rows": [asdict(row) for row in rows]}
    sys.stdout.write(json.dumps(facts) + "\n")
    return 0


def sorts(
    manifest: Path | None, limit: int, console: Console
) -> Iterator[tuple[str, list[Sound]]]:
    """Yield each sort of sound; say which are left out, and why."""
    yield "silence", [Sound(silence(GENERATED_S), None)]
    for dbfs in NOISE_DBFS:
        noise = white_noise(GENERATED_S, dbfs=dbfs)
        yield f"white noise, {dbfs} dBFS", [Sound(noise, None)]
    speech = between(read_clip(DEMO / "jfk.ogg"))
    yield "demo/jfk.ogg", [Sound(speech, speech)]
    yield "demo/guitar.ogg", [Sound(between(read_clip(DEMO / "guitar.ogg")), None)]
    if manifest is None:
        console.print("sets are skipped: no --manifest")
        return
    for name in (*SPEECH, *NOISE, *MUSIC):
        try:
            clips = read_manifest(manifest, sets=(name,), limit=limit)
            heard = [between(read_clip(clip.file)) for clip in clips]
        except ManifestError as exc:
            console.print(f"{name} is skipped: {exc}", highlight=False)
            continue
        is_speech = name in SPEECH
        yield name, [Sound(clip, clip if is_speech else None) for clip in heard]
        if name == NOISY:
            for snr_db in SNR_DB:
                noisy = [Sound(in_noise(clip, snr_db), clip) for clip in heard]
                yield f"… in white noise, {snr_db} dB below", noisy


def between(samples: Samples) -> Samples:
    """Return a clip between silences."""
    return between_silences(samples, before_s=AROUND_S, after_s=AROUND_S)


def in_noise(speech: Samples, snr_db: float) -> Samples:
    """Return a clip with white noise, so much weaker than its speech, all along."""
    power_db = 10 * np.log10(np.mean(speech[speech != 0] ** 2))
    noise = white_noise(len(speech) / SAMPLE_RATE, dbfs=power_db - snr_db)
    return np.clip(speech + noise[: len(speech)], -1, 1).astype(np.float32)


def frames_of(samples: Samples) -> list[Frame]:
    """Return the whole frames of a clip."""
    return Framer().push(to_pcm(samples))


def hear(detector: VoiceDetector, sound: Sound) -> Heard:
    """Let a detector hear a sound, and cut it into segments."""
    frames = frames_of(sound.samples)
    began = time.thread_time()
    voiced = [detector.is_voiced(frame) for frame in frames]
    taken_s = time.thread_time() - began
    config = SegmenterConfig()
    segmenter = Segmenter(config)
    events = [
        event
        for frame, is_voiced in zip(frames, voiced, strict=True)
        for event in segmenter.push(frame, voiced=is_voiced)
    ]
    events += segmenter.flush()
    inside = np.zeros(len(frames), bool)
    start, last_voiced = 0, None
    for event in events:
        if isinstance(event, SegmentStarted):
            start = event.start // FRAME_SAMPLES
        elif isinstance(event, SegmentEnded):
            end = event.end // FRAME_SAMPLES
            inside[start:end] = True
            last_voiced = max(i for i in range(start, end) if voiced[i])
    return Heard(np.array(voiced), inside, last_voiced, taken_s)


def loud(speech: Samples) -> NDArray[np.bool_]:
    """Return which frames of a clip are loud enough to be of its speech."""
    count = len(speech) // FRAME_SAMPLES
    frames = speech[: count * FRAME_SAMPLES].reshape(count, FRAME_SAMPLES)
    power = np.mean(frames**2, axis=1)
    return np.asarray(power > power.max() * 10 ** (-LOUD_DB / 10))


def row_of(
    sort: str, detector: str, heard: Sequence[Heard], sounds: Sequence[Sound]
) -> Row:
    """Return the figures of a sort of sound."""
    audio_s = sum(len(sound.samples) for sound in sounds) / SAMPLE_RATE
    inside = np.concatenate([one.inside for one in heard])
    with_segment = sum(bool(one.inside.any()) for one in heard)
    missed = deaf = late_ms = accepted = in_segments = None
    if sounds[0].speech is None:
        accepted = PERCENT * with_segment / len(heard)
        in_segments = PERCENT * float(inside.mean())
    else:
        wanted = [loud(sound.speech) for sound in sounds if sound.speech is not None]
        missed = PERCENT * float((~inside)[np.concatenate(wanted)].mean())
        deaf = len(heard) - with_segment
        lags = [
            one.last_voiced - int(np.flatnonzero(of_speech)[-1])
            for one, of_speech in zip(heard, wanted, strict=True)
            if one.last_voiced is not None
        ]
        late_ms = median(lags) * FRAME_SAMPLES * MS / SAMPLE_RATE if lags else None
    return Row(
        sort=sort,
        detector=detector,
        clips=len(heard),
        audio_s=audio_s,
        voiced=PERCENT * float(np.concatenate([h.voiced for h in heard]).mean()),
        missed=missed,
        deaf=deaf,
        late_ms=late_ms,
        accepted=accepted,
        in_segments=in_segments,
        cost_ms=MS * sum(one.taken_s for one in heard) / audio_s,
    )


def drawn(rows: Sequence[Row]) -> Table:
    """Return the rows as people read them."""
    table = Table("", "clips", "", "voiced %", "missed % (deaf)", "late ms")
    for title in ("accepted % (in segments %)", "ms per s"):
        table.add_column(title)
    for row in rows:
        of_speech = "" if row.missed is None else f"{row.missed:.1f} ({row.deaf})"
        late = "" if row.late_ms is None else f"{row.late_ms:.0f}"
        of_others = ""
        if row.accepted is not None:
            of_others = f"{row.accepted:.0f} ({row.in_segments:.1f})"
        cells = (f"{row.voiced:.1f}", of_speech, late, of_others, f"{row.cost_ms:.1f}")
        table.add_row(row.sort, str(row.clips), row.detector, *cells)
    return table


if __name__ == "__main__":
    sys.exit(main())
