from pathlib import Path

import pytest

from engine.benchmarks.latency import Live, Offline, figures
from engine.data.manifest import Clip
from tests.engine.benchmarks.test_timing import SEGMENTER, event


def clip(name, text):
    return Clip(name, Path(name), 4.0, {"text": text})


CLIPS = [clip("a.ogg", "red blue"), clip("b.ogg", "green grey"), clip("c.ogg", "pink")]
HEARD = Live(
    engine="tiny",
    segmenter=SEGMENTER,
    events=[
        [
            event("partial", "Red", end=2.0, late=0.2),
            event("final", "Red blue.", end=5.0, late=0.4),
        ],
        [event("final", "Green hay.", end=5.0, late=0.8)],
        [],
    ],
    real_time_factor=0.3,
    cpu_s_per_s=0.4,
)
PLAIN = Offline(texts=["Red blue.", "Green gray.", "Pink."], taken_s=[1.0, 1.0, 1.0])


@pytest.fixture
def found():
    return figures(CLIPS, HEARD, PLAIN)


def test_quality_and_latency_come_from_the_same_finals(found):
    assert found.wer == pytest.approx(100 * 2 / 5)
    assert found.final_s.p50 == pytest.approx((0.1 + 0.5) / 2)
    assert found.final_with_hangover_s.p50 == pytest.approx((0.6 + 1.0) / 2)


def test_the_first_text_counts_from_the_onset(found):
    assert found.first_text_s.count == 2
    assert found.first_text_s.p50 == pytest.approx((1.2 + 4.8) / 2)
    assert (found.first_texts_by_final, found.clips_without_text) == (1, 1)


def test_the_plain_way_waits_for_the_end_of_a_clip(found):
    assert found.offline_wer == 0.0
    assert found.offline_s.p50 == 1.0
    assert found.offline_first_text_s.p50 == 5.0


def test_each_clip_is_told_in_the_details(found):
    first, _, last = found.details
    assert first["hypothesis"] == "Red blue."
    assert first["finals_s"] == [pytest.approx(0.1)]
    assert last["first_text_s"] is None


def test_people_see_live_beside_offline(found):
    shown = {row.what.strip(): row for row in found.rows()}
    assert shown["word error rate, live"].figure == "40.00 %"
    assert shown["live - offline"].figure == "+40.00"
    assert shown["live : offline, first text"].figure == "0.60"
    assert shown["first text after the onset"].promised == "p50 ≤ 1.2"
