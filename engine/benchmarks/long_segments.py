"""How right the text of long segments is, by how they are encoded.

Nothing is timed, no partial is asked for: only what the encoding does to the words is
measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.api import Samples, UtteranceOptions
from engine.benchmarks.report import Setup
from engine.benchmarks.sounds import joined, runs
from engine.config import EncodingConfig
from engine.data.audio import read_clip
from engine.data.manifest import Clip
from engine.evaluation.scores import word_errors
from engine.geometry import SAMPLE_RATE, WINDOW_SAMPLES
from engine.local import LocalEngine

MIN_S, MAX_S = 25.0, 27.0  # with the closing silence, close to the model's 30 s


@dataclass(frozen=True, slots=True)
class LongSegments:
    """What was heard in segments that were joined from clips of one speaker."""

    segments: int
    audio_s: float
    wer: dict[str, float]
    """Percent, by encoding."""
    details: list[dict[str, Any]]


def encodings(
    default: EncodingConfig, left_contexts_s: Sequence[float]
) -> dict[str, EncodingConfig]:
    """Return the encodings to compare, by name."""
    streaming = {
        f"streaming, {left_s:g} s left context": replace(
            default, left_context_s=left_s, closing="streaming"
        )
        for left_s in left_contexts_s
    }
    return streaming | {"exact, in one pass": replace(default, closing="exact")}


def hear_long(
    engine: LocalEngine, setup: Setup, compared: dict[str, EncodingConfig]
) -> LongSegments | None:
    """Hear long segments in each encoding; None if no clips make one.

    Raises:
        EngineError: If a clip is no audio.
    """
    found = runs(setup.clips, min_s=MIN_S, max_s=MAX_S)[: setup.limit]
    if not found:
        return None
    engines = {name: engine.with_encoding(how) for name, how in compared.items()}
    heard: dict[str, list[str]] = {name: [] for name in engines}
    audio_s = 0.0
    with setup.steps("cost: long segments", len(found)) as advance:
        for clips in found:
            samples = joined([read_clip(clip.file) for clip in clips])
            audio_s += len(samples) / SAMPLE_RATE
            for name, other in engines.items():
                heard[name].append(_hear(other, samples))
            advance()
    references = [" ".join(clip.facts["text"] for clip in clips) for clips in found]
    return LongSegments(
        segments=len(found),
        audio_s=audio_s,
        wer={
            name: word_errors(references, texts).rate for name, texts in heard.items()
        },
        details=_details(found, references, heard),
    )


def _hear(engine: LocalEngine, samples: Samples) -> str:
    utterance = engine.open(UtteranceOptions())
    for start in range(0, len(samples), WINDOW_SAMPLES):
        utterance.push(samples[start : start + WINDOW_SAMPLES])
    text = utterance.final()[0].text
    utterance.close()
    return text


def _details(
    found: Sequence[Sequence[Clip]],
    references: Sequence[str],
    heard: dict[str, list[str]],
) -> list[dict[str, Any]]:
    return [
        {
            "paths": [clip.path for clip in clips],
            "reference": references[index],
            **{name: texts[index] for name, texts in heard.items()},
        }
        for index, clips in enumerate(found)
    ]
