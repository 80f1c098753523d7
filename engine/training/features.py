"""Encoder frames of clips, computed once and kept.

    python -m engine.training.features --manifest FILE [--set NAME]…

The encoder is frozen, so its frames need not be computed again in each epoch.  They
are made as they are served: pushed a window at a time, in blocks with a short right
context, closed by a moment of silence.  How large blocks and right context are is drawn
anew for each clip of the train split, so that an adapter does not lean on one choice;
dev clips have the served one.  Frames of several layers are kept.  It reads no labels.

    clip ─▶ samples ─▶ StreamingEncoder ─▶ frames (T, L·D) ─▶ FrameWriter
"""

import argparse
import hashlib
import json
import random
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine import manifest
from engine.config import EncodingConfig, EngineConfig
from engine.data.audio import read_clip
from engine.data.manifest import Clip, read_manifest
from engine.encoding import StreamingEncoder
from engine.errors import EngineError
from engine.geometry import (
    ENCODER_RATE,
    FRAME_SAMPLES,
    MAX_FRAMES,
    WINDOW_SAMPLES,
    samples_of,
)
from engine.training.frame_store import GB, FrameReader, FrameWriter
from engine.weights import cache_folder, resolve
from engine.whisper import Whisper, load_whisper
from engine.whisper_encoder import BlockEncoder

FOLDER = "features"
VERSION = 1
"""Raised when the same settings give other frames than before."""

BLOCKS = (2, 2, 3, 4, 4)  # windows; what is served is likely, and small ones cost
RIGHTS = (1, 2, 2, 3)
REPORT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSettings:
    """What frames depend on, other than their clip."""

    encoder_sha256: str
    """Of the file of weights."""
    layers: tuple[int, ...] = (2, 3, 4, 5, 6)
    """Of the encoder, counted from 1."""
    layer_width: int = 512
    left_context_s: float = 15.0
    closing_silence_s: float = 1.0
    seed: int = 0
    """Of the sizes of blocks."""
    version: int = VERSION

    @property
    def width(self) -> int:
        """Of the frames that are kept."""
        return len(self.layers) * self.layer_width

    @property
    def name(self) -> str:
        """Of the folder that holds frames of these settings and no others."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def encoding(self, clip: Clip) -> EncodingConfig:
        """Return in what blocks a clip is encoded."""
        if clip.facts.get("split") != "train":
            return EncodingConfig(left_context_s=self.left_context_s)
        drawn = random.Random(f"{self.seed} {clip.path}")
        return EncodingConfig(
            block_windows=drawn.choice(BLOCKS),
            right_windows=drawn.choice(RIGHTS),
            left_context_s=self.left_context_s,
        )


def feature_folder(cache: Path, settings: FeatureSettings) -> Path:
    """Return where frames of these settings lie in the cache folder."""
    return cache / FOLDER / settings.name


def open_features(cache: Path, settings: FeatureSettings) -> FrameReader:
    """Return the frames that were kept so far.

    Raises:
        FrameStoreError: If the index is damaged.
    """
    return FrameReader(feature_folder(cache, settings), width=settings.width)


def stream_frames(
    encoder: BlockEncoder,
    samples: Tensor,
    encoding: EncodingConfig,
    *,
    closing_silence_s: float,
) -> Tensor:
    """Return the frames of a clip as a live utterance would have them, (T, L·D).

    Of a clip that is longer than the encoder's positions, the part that fits is heard.
    """
    room = MAX_FRAMES * FRAME_SAMPLES - samples_of(closing_silence_s)
    stream = StreamingEncoder(encoder, encoding)
    # In pieces: the loudest moment so far is part of how a block sounds.
    pieces = [stream.push(piece) for piece in samples[:room].split(WINDOW_SAMPLES)]
    return torch.cat([*pieces, stream.rest(closing_silence_s)])


def keep(
    clips: Iterable[Clip],
    encoder: BlockEncoder,
    writer: FrameWriter,
    settings: FeatureSettings,
) -> Iterator[Clip]:
    """Encode the clips that are not kept yet; yield each when it is.

    Raises:
        ManifestError: If a clip is not audio.
        FullError: If there is no room for the next one.
    """
    for clip in clips:
        digest = _digest(clip.file)
        known = writer.entries.get(clip.path)
        if known is not None and known.facts["sha256"] == digest:
            continue
        encoding = settings.encoding(clip)
        frames = stream_frames(
            encoder,
            torch.from_numpy(read_clip(clip.file)),
            encoding,
            closing_silence_s=settings.closing_silence_s,
        )
        rows = frames.clamp(-65504.0, 65504.0).numpy().astype(np.float16)
        facts = {
            "sha256": digest,
            "block_windows": encoding.block_windows,
            "right_windows": encoding.right_windows,
        }
        writer.append(clip.path, rows, facts)
        yield clip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        clips = [
            clip
            for name in options.set or [""]
            for clip in read_manifest(
                options.manifest, sets=(name,) if name else (), limit=options.limit
            )
        ]
        _fill(clips, options)
    except (EngineError, OSError, ValueError) as exc:
        sys.stderr.write(f"engine.training.features: {exc}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; what was encoded is kept\n")
        return 130
    return 0


def _fill(clips: list[Clip], options: argparse.Namespace) -> None:
    torch.set_num_threads(options.threads)
    settings, whisper = load_encoder()
    encoder = BlockEncoder(
        whisper.model.model.encoder,
        left_frames=round(settings.left_context_s * ENCODER_RATE),
        layers=settings.layers,
    )
    folder = feature_folder(cache_folder(), settings)
    max_bytes = round(options.max_gb * GB)
    with FrameWriter(
        folder, width=settings.width, settings=asdict(settings), max_bytes=max_bytes
    ) as writer:
        begun = reported = time.monotonic()
        heard_s, count = 0.0, 0
        for clip in keep(clips, encoder, writer, settings):
            heard_s, count = heard_s + clip.duration_s, count + 1
            if (now := time.monotonic()) - reported > REPORT_S:
                reported = now
                sys.stderr.write(
                    f"{count} clips, {heard_s:.0f} s of audio in {now - begun:.0f} s; "
                    f"{writer.size_bytes / GB:.2f} GB in {folder}\n"
                )
        sys.stderr.write(f"{count} clips added, {len(writer.entries)} in {folder}\n")


def load_encoder() -> tuple[FeatureSettings, Whisper]:
    """Return Whisper of the cache folder, and the settings that its weights give.

    Raises:
        WeightsError: If a weight is missing or damaged.
    """
    folder = resolve("whisper", EngineConfig())
    return settings_of(folder), load_whisper(folder, "float32")


def settings_of(whisper: Path) -> FeatureSettings:
    """Return the settings that go with the weights of a folder."""
    digest = manifest.digest(whisper / "model.safetensors")
    return FeatureSettings(encoder_sha256=digest)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m engine.training.features", description=__doc__
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--manifest", type=Path, required=True, help="clips, one JSON object a line")
    add("--set", action="append", default=[], help="sets, in this order; repeatable")
    add("--limit", type=int, metavar="N", help="N clips of each set, evenly spread")
    add(
        "--max-gb", type=float, default=20.0, help="room on disk (default: %(default)s)"
    )
    add("--threads", type=int, default=1, help="of torch (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
