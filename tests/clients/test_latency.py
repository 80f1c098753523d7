from hypothesis import given
from hypothesis import strategies as st

from clients.latency import BEHIND_S, EVENT_RATE, LagWatch, SendTimes
from stream.events import Partial, Progress, SpeechEnded, SpeechStarted
from tests.clients.events import final, partial


def ended(end: int) -> SpeechEnded:
    return SpeechEnded(seq=1, segment=1, end=end)


def test_latency_counts_from_the_piece_that_brought_the_last_sample():
    times = SendTimes(rate=EVENT_RATE)
    for end, time_s in [(100, 1.0), (200, 2.0), (300, 3.0)]:
        times.add(end, time_s)
    assert times.latency_s(ended(100), 10.0) == 9.0
    assert times.latency_s(ended(101), 10.0) == 8.0
    assert times.latency_s(ended(300), 10.0) == 7.0


def test_positions_are_converted_to_the_rate_of_the_client():
    times = SendTimes(rate=EVENT_RATE * 3)
    times.add(300, 1.0)
    times.add(600, 2.0)
    assert times.latency_s(ended(100), 10.0) == 9.0
    assert times.latency_s(ended(101), 10.0) == 8.0


def test_silence_that_the_server_added_counts_from_the_last_piece():
    times = SendTimes(rate=EVENT_RATE)
    times.add(100, 1.0)
    assert times.latency_s(ended(400), 10.0) == 9.0


def test_events_without_an_end_have_no_latency():
    times = SendTimes(rate=EVENT_RATE)
    times.add(100, 1.0)
    assert times.latency_s(Progress(seq=1, accepted=1, settled=0), 2.0) is None
    assert times.latency_s(SpeechStarted(seq=1, segment=1, start=0), 2.0) is None


def test_nothing_sent_is_no_latency():
    partial = Partial(seq=1, segment=1, task="t", text="", stable=0, start=0, end=1)
    assert SendTimes(rate=EVENT_RATE).latency_s(partial, 1.0) is None


@given(
    pieces=st.lists(st.integers(1, 50), min_size=1, max_size=30),
    before=st.integers(0, 800),
    later=st.integers(0, 800),
)
def test_forgetting_changes_no_latency_of_what_is_not_settled(pieces, before, later):
    whole, pruned = SendTimes(rate=EVENT_RATE), SendTimes(rate=EVENT_RATE)
    end = 0
    for time_s, piece in enumerate(pieces):
        end += piece
        whole.add(end, time_s)
        pruned.add(end, time_s)
    before = min(before, end)
    pruned.forget(before)
    event = ended(before + later)
    assert pruned.latency_s(event, 99.0) == whole.latency_s(event, 99.0)


def test_lag_is_news_once_until_the_server_has_caught_up():
    watch = LagWatch()
    late, barely, in_time = BEHIND_S + 1, BEHIND_S - 1, BEHIND_S / 2
    told = [
        watch.is_news(final("text"), latency_s)
        for latency_s in (0.5, barely, late, late, barely, late, in_time, late, None)
    ]
    assert told == [False, False, True, False, False, False, False, True, False]


def test_a_late_partial_is_no_lag_since_finals_go_first():
    assert not LagWatch().is_news(partial("text"), 2 * BEHIND_S)
