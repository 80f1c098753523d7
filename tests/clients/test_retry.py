import pytest

from clients.errors import (
    BrokenServerError,
    DroppedError,
    RefusedError,
    ServerError,
    UnreachableError,
)
from clients.retry import Retry, is_passing


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (DroppedError("u", "gone"), True),
        (UnreachableError("u", "refused"), True),
        (RefusedError("u", 503), True),
        (RefusedError("u", 401), False),
        (RefusedError("u", 403), False),
        (ServerError("shutdown", "stops"), True),
        (ServerError("overloaded", "full"), True),
        (ServerError("protocol", "no"), False),
        (ServerError("internal", "no"), False),
        (BrokenServerError("no"), False),
    ],
    ids=str,
)
def test_which_failures_may_pass(failure, expected):
    assert is_passing(failure) is expected


def longest(low: float, high: float) -> float:
    return high


def test_the_first_attempt_is_at_once_and_the_waits_double_up_to_a_limit():
    retry = Retry(100, jitter=longest)
    delays = [retry.delay_s(0) for _ in range(8)]
    assert delays == [0, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]


def test_time_is_up_when_the_limit_has_passed_since_the_loss():
    retry = Retry(10, jitter=longest)
    assert retry.delay_s(1000.0) == 0
    assert retry.delay_s(1009.9) is not None
    assert retry.delay_s(1010.0) is None


def test_a_session_that_goes_on_has_all_its_time_again():
    retry = Retry(10, jitter=longest)
    retry.delay_s(0)
    retry.reset()
    assert retry.delay_s(500) == 0


def test_the_time_of_a_connection_that_was_silent_does_not_count():
    retry = Retry(10, jitter=longest)
    retry.delay_s(0)
    retry.made(4)
    assert retry.delay_s(500) is not None
    assert retry.delay_s(505.9) is not None
    assert retry.delay_s(506) is None


def test_connections_that_break_at_once_end_the_attempts():
    retry, now_s = Retry(10, jitter=longest), 0.0
    while (delay_s := retry.delay_s(now_s)) is not None:
        now_s += delay_s
        retry.made(now_s)
    assert 10 <= now_s < 13


def test_the_waits_are_spread():
    def second_delay_s() -> float:
        retry = Retry(100)
        retry.delay_s(0)
        return retry.delay_s(0)

    assert all(0.05 <= second_delay_s() <= 0.1 for _ in range(20))
