import pytest

from engine.benchmarks.memory import Sample, figures, watch


def event(kind, *, start=None, end=None):
    return {"type": kind, "start_s": start, "end_s": end}


class Stopwatch:
    """Ticks a quarter of a second with each event."""

    def __init__(self):
        self.time_s = 0.0

    def __call__(self):
        self.time_s += 0.25
        return self.time_s


def test_memory_and_lag_are_seen_at_each_final_and_once_a_second():
    events = [
        event("speech_started", start=0.5),
        event("speech_ended", end=8.0),
        event("speech_started", start=9.0),
        event("speech_ended", end=20.0),
        event("partial", start=0.5, end=4.0),
        event("final", start=0.5, end=8.0),
    ]
    advanced = []
    samples = watch(events, lambda: 100.0, advanced.append, clock=Stopwatch())
    assert samples == [
        Sample(time_s=0.0, audio_s=0.0, found_s=0.5, rss_mb=100.0),
        Sample(time_s=1.0, audio_s=0.0, found_s=20.0, rss_mb=100.0),
        Sample(time_s=1.25, audio_s=8.0, found_s=20.0, rss_mb=100.0),
    ]
    assert samples[-1].lag_s == 12.0
    assert advanced == [8]


def minutes_of(rss_mb):
    """Return samples of 12 minutes, five times as fast as spoken."""
    return [
        Sample(
            time_s=12.0 * minute,
            audio_s=60.0 * minute,
            found_s=min(60.0 * minute + 30.0, 720.0),
            rss_mb=rss_mb(minute),
        )
        for minute in range(13)
    ]


def test_memory_that_grows_at_first_only_is_flat():
    found = figures("tiny", minutes_of(lambda minute: min(100.0 * minute, 300.0)))
    assert found.speed == pytest.approx(5.0)
    assert found.rss_mb == {1: 100.0, 5: 300.0, 10: 300.0}
    assert found.rss_mb_per_minute == pytest.approx(0.0)
    assert found.lag_s_per_minute == pytest.approx(0.0)


def test_a_leak_is_told_in_megabytes_a_minute():
    found = figures("tiny", minutes_of(lambda minute: 500.0 + 3.0 * minute))
    assert found.rss_mb_per_minute == pytest.approx(3.0)
    assert any("+3.00 MB a minute" in row.figure for row in found.rows())


def test_a_stream_without_a_final_is_no_measurement():
    with pytest.raises(ValueError, match="no final"):
        figures("tiny", [Sample(0.0, 0.0, 1.0, 100.0)])
