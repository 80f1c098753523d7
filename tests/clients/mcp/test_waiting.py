"""What one call waits for, without a server."""

from clients.mcp.waiting import Waiting
from stream.events import Error
from stream.sound_events import Noticed


def noticed(name, *, score=0.9):
    return Noticed(
        seq=1, id=name, text="x", score=score, start=0, end=1, complete=False
    )


def test_what_is_heard_first_counts():
    waiting = Waiting("x")
    assert not waiting.is_over
    waiting.follow(noticed(waiting.watch.id))
    waiting.follow(noticed(waiting.watch.id, score=1.0))
    waiting.follow(Error(seq=3, code="engine", message="no", watch=waiting.watch.id))
    assert waiting.is_over
    assert waiting.noticed.score == 0.9
    assert waiting.failure is None


def test_what_other_calls_wait_for_is_none_of_its_business():
    waiting, other = Waiting("x"), Waiting("x")
    waiting.follow(noticed(other.watch.id))
    waiting.follow(Error(seq=2, code="limit", message="no", watch=other.watch.id))
    waiting.follow(Error(seq=3, code="engine", message="no", segment=1))
    assert not waiting.is_over


def test_a_refusal_says_why():
    waiting = Waiting("a baby")
    waiting.follow(Error(seq=1, code="limit", message="full", watch=waiting.watch.id))
    assert str(waiting.failure) == "cannot listen for 'a baby' (limit): full"
