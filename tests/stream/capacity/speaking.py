"""Speech without a voice, and what it costs: what is loud is voiced."""

import numpy as np

from stream.audio import FRAME_SAMPLES, SAMPLE_RATE
from stream.capacity.costs import Costs, Line
from stream.capacity.priced import info_of
from stream.capacity.speech import record
from stream.segmenter import SegmenterConfig

SEGMENTER = SegmenterConfig()
FREE = Costs(
    source="assumed", engine="none", machine="none", partial=Line(), final=Line()
)


class Loud:
    """A detector that hears whatever is not silent."""

    def is_voiced(self, frame):
        return any(frame.pcm)

    def reset(self):
        pass


def loud(seconds):
    return np.full(round(seconds * SAMPLE_RATE), 7, "<i2").tobytes()


def quiet(seconds):
    return bytes(2 * round(seconds * SAMPLE_RATE))


def turn_of(*speech_s, pause_s=1.5, costs=FREE, tasks=("transcribe",)):
    """Return a turn with stretches of speech, silence before, between and behind."""
    pcm = quiet(1.0)
    for seconds in speech_s:
        pcm += loud(seconds) + quiet(pause_s)
    assert len(pcm) % (2 * FRAME_SAMPLES) == 0
    return record(pcm, Loud(), SEGMENTER, info_of(costs), tasks=tasks)


def costing(partial_s=0.0, final_s=0.0, **others):
    """Return costs that are the same for any audio."""
    return Costs(
        source="assumed",
        engine="constant",
        machine="none",
        partial=Line(fixed_s=partial_s),
        final=Line(fixed_s=final_s),
        **others,
    )
