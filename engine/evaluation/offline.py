"""Cut clips that are longer than the model hears at once; no server, no VAD."""

from engine.api import Samples
from engine.geometry import FRAME_SAMPLES, MAX_FRAMES, samples_of

MAX_SAMPLES = MAX_FRAMES * FRAME_SAMPLES
SEARCH_SAMPLES = samples_of(5.0)  # a longer clip is cut in the last 5 s that fit ...
QUIET_SAMPLES = samples_of(0.1)  # ... where it is quietest for so long


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
