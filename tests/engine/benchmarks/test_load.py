import pytest

from engine.benchmarks.load import level, stream_together
from engine.benchmarks.statistics import Quantiles
from tests.checkout import ROOT
from tests.clients.threaded_server import threaded_server

SEGMENTER = {
    "hangover_ms": 500,
    "tail_ms": 200,
    "soft_limit_ms": 12_000,
    "soft_hangover_ms": 200,
    "max_segment_ms": 28_000,
    "search_ms": 3_000,
}


def session(*, partial_late_s, final_late_s):
    """Return what a client prints whose clip speaks from 1.0 to 2.8 s."""
    common = {"segment": 1, "start_s": 0.8}
    return [
        {**common, "type": "partial", "end_s": 2.0, "latency_s": partial_late_s},
        {**common, "type": "partial", "end_s": 2.4, "latency_s": 0.0},
        {**common, "type": "final", "end_s": 3.0, "latency_s": final_late_s},
    ]


def test_sessions_count_from_the_beginning_of_their_clip_and_the_end_of_speech():
    heard = [
        session(partial_late_s=0.1, final_late_s=0.5),
        None,
        session(partial_late_s=0.3, final_late_s=0.9),
    ]
    found = level(heard, 3, SEGMENTER, 0.7)
    assert (found.sessions, found.failed, found.real_time_factor) == (3, 1, 0.7)
    assert found.first_partial_s.count == 2
    assert found.first_partial_s.p50 == pytest.approx(1.2)
    # 2.8 s ends the speech, 0.5 s of pause behind it are waited for.
    assert found.final_s == Quantiles(2, 0.4, 0.56, 0.58)


def test_where_nothing_was_heard_there_is_no_figure():
    with pytest.raises(ValueError, match="no first partial"):
        level([None], 1, SEGMENTER, 0.0)


def test_clients_speak_at_the_same_time_and_one_that_fails_is_none(tmp_path):
    files = [ROOT / "demo" / "crow.ogg", tmp_path / "none.wav"]
    with threaded_server() as server:
        heard, missing = stream_together(server.url, files)
    assert heard is not None
    assert "final" in {event["type"] for event in heard}
    assert missing is None
