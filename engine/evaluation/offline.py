"""Hear whole clips as the official code does; no server, no VAD."""

from collections.abc import Callable, Sequence

from engine.api import Samples, UtteranceOptions
from engine.evaluation.audio import read_clip
from engine.evaluation.manifest import Clip
from engine.geometry import FRAME_SAMPLES, MAX_FRAMES, samples_of
from engine.local import LocalEngine

MAX_SAMPLES = MAX_FRAMES * FRAME_SAMPLES
SEARCH_SAMPLES = samples_of(5.0)  # a longer clip is cut in the last 5 s that fit ...
QUIET_SAMPLES = samples_of(0.1)  # ... where it is quietest for so long


def hear(
    engine: LocalEngine,
    clips: Sequence[Clip],
    options: UtteranceOptions,
    *,
    report: Callable[[], None],
) -> list[str]:
    """Return the answer to the first task for each clip."""
    answers = []
    for clip in clips:
        report()
        parts = cut_long(read_clip(clip.file))
        texts = (engine.hear(part, options)[0].text for part in parts)
        answers.append(" ".join(text for text in texts if text))
    return answers


def cut_long(samples: Samples) -> list[Samples]:
    """Return a clip in parts that fit the model, cut where it is quiet."""
    parts = []
    while len(samples) > MAX_SAMPLES:
        region = samples[MAX_SAMPLES - SEARCH_SAMPLES : MAX_SAMPLES]
        pieces = region.reshape(-1, QUIET_SAMPLES)
        quietest = int((pieces**2).mean(axis=1).argmin())
        cut = MAX_SAMPLES - SEARCH_SAMPLES + round((quietest + 0.5) * QUIET_SAMPLES)
        parts.append(samples[:cut])
        samples = samples[cut:]
    return [*parts, samples]
