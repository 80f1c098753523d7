import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from clients.errors import BrokenServerError
from clients.replay import Receipts, ReplayBuffer, settled_by
from stream.events import Ended, Error, Final, Flush, Partial, Progress, Resume, Started

ROOM = 50


def held(num_samples: int = 10) -> ReplayBuffer:
    """Return a buffer of samples that are numbered from 0."""
    buffer = ReplayBuffer(sample_bytes=1, max_samples=ROOM)
    buffer.append(bytes(range(num_samples)))
    return buffer


def test_audio_is_taken_in_pieces_and_once():
    buffer = held(5)
    assert [buffer.take(2) for _ in range(4)] == [b"\0\1", b"\2\3", b"\4", None]
    assert buffer.is_sent


def test_a_flush_is_taken_at_its_place():
    buffer = held(3)
    buffer.flush()
    buffer.append(b"\3")
    assert [buffer.take(9) for _ in range(4)] == [b"\0\1\2", Flush(), b"\3", None]


def test_two_flushes_at_one_place_are_one():
    buffer = held(1)
    buffer.flush()
    buffer.flush()
    assert [buffer.take(9) for _ in range(3)] == [b"\0", Flush(), None]


def test_audio_is_held_until_it_is_settled_not_until_it_is_sent():
    buffer = held(10)
    buffer.take(10)
    assert buffer.room == ROOM - 10
    buffer.release(4)
    assert buffer.room == ROOM - 6
    buffer.release(2)  # goes back: no news
    assert buffer.settled == 4


def test_sending_goes_on_from_what_was_accepted():
    buffer = held(10)
    buffer.take(8)
    buffer.release(2)
    buffer.rewind(5)
    assert buffer.take(9) == bytes(range(5, 10))


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [(5, [b"\5\6\7\x08\x09"]), (4, [Flush(), b"\4\5\6\7\x08\x09"])],
    ids=["accepted beyond the flush", "accepted up to the flush"],
)
def test_a_flush_is_sent_again_unless_audio_after_it_arrived(accepted, expected):
    buffer = ReplayBuffer(sample_bytes=1, max_samples=ROOM)
    buffer.append(bytes(range(4)))
    buffer.flush()
    buffer.append(bytes(range(4, 10)))
    while buffer.take(9) is not None:
        pass
    buffer.rewind(accepted)
    taken = [buffer.take(9) for _ in range(3)]
    assert [x for x in taken if x is not None] == expected


def test_a_server_cannot_settle_what_was_not_sent():
    buffer = held(10)
    buffer.take(3)
    with pytest.raises(BrokenServerError, match="settled sample 4, but only 3"):
        buffer.release(4)


@pytest.mark.parametrize("accepted", [1, 11])
def test_a_server_cannot_ask_for_what_is_not_held(accepted):
    buffer = held(10)
    buffer.take(10)
    buffer.release(2)
    with pytest.raises(BrokenServerError, match=f"sample {accepted} on; 2 to 10"):
        buffer.rewind(accepted)


class AnyConversation(RuleBasedStateMachine):
    """A server that takes, settles and drops at any time hears each sample once."""

    @initialize(sample_bytes=st.integers(1, 4))
    def begin(self, sample_bytes):
        self.sample_bytes = sample_bytes
        self.buffer = ReplayBuffer(sample_bytes=sample_bytes, max_samples=ROOM)
        self.spoken = bytearray()
        self.heard = bytearray()

    @rule(data=st.data())
    def speak(self, data):
        num = data.draw(st.integers(0, self.buffer.room))
        pcm = data.draw(
            st.binary(
                min_size=num * self.sample_bytes, max_size=num * self.sample_bytes
            )
        )
        self.buffer.append(pcm)
        self.spoken += pcm

    @rule()
    def flush(self):
        self.buffer.flush()

    @rule(max_samples=st.integers(1, ROOM))
    def send(self, max_samples):
        message = self.buffer.take(max_samples)
        if isinstance(message, bytes):
            assert 0 < len(message) <= max_samples * self.sample_bytes
            self.heard += message

    @precondition(lambda self: self.buffer.settled < self.buffer.cursor)
    @rule(data=st.data())
    def settle(self, data):
        bounds = st.integers(self.buffer.settled, self.buffer.cursor)
        self.buffer.release(data.draw(bounds))

    @rule(data=st.data())
    def drop(self, data):
        bounds = st.integers(self.buffer.settled, self.buffer.cursor)
        accepted = data.draw(bounds)
        del self.heard[accepted * self.sample_bytes :]
        self.buffer.rewind(accepted)

    def teardown(self):
        if not hasattr(self, "buffer"):
            return
        while (message := self.buffer.take(ROOM)) is not None:
            if isinstance(message, bytes):
                self.heard += message
        assert self.buffer.is_sent
        assert self.heard == self.spoken


TestAnyConversation = AnyConversation.TestCase


def started(*, resumed: bool = False, seq: int = 1) -> Started:
    return Started(
        seq=seq,
        version=1,
        session="s",
        model="m",
        tasks=("transcribe", "translate:en"),
        resumed=resumed,
        accepted=0,
        settled=0,
    )


def final(
    seq: int,
    segment: int,
    task: str = "transcribe",
    settled: int = 0,
    end: int | None = None,
) -> Final:
    return Final(
        seq=seq,
        segment=segment,
        task=task,
        text="",
        start=0,
        end=segment if end is None else end,
        language="en",
        mode="exact",
        settled=settled,
    )


def begun() -> Receipts:
    receipts = Receipts()
    receipts.begin(started())
    return receipts


def test_an_event_counts_once_by_its_number():
    receipts = begun()
    progress = Progress(seq=2, accepted=1, settled=0)
    assert receipts.is_new(progress)
    receipts.begin(started(resumed=True, seq=3))
    assert not receipts.is_new(progress)


def test_events_replayed_after_the_greeting_of_a_resumption_are_new():
    receipts = begun()
    receipts.begin(started(resumed=True, seq=9))
    assert receipts.is_new(final(5, 1))


def test_another_server_may_count_its_events_from_the_start():
    receipts = begun()
    assert receipts.is_new(final(40, 1))
    receipts.begin(started(seq=1))
    assert receipts.is_new(Progress(seq=2, accepted=1, settled=0))


def test_a_resumption_names_the_last_segment_that_has_all_its_finals():
    receipts = begun()
    for seq, segment, task in [(2, 1, "transcribe"), (3, 1, "translate:en")]:
        receipts.is_new(final(seq, segment, task))
    receipts.is_new(final(4, 2, "transcribe"))
    assert receipts.resume(77) == Resume(session="s", seq=4, settled=77, segment=1)


def test_a_final_that_another_server_repeats_is_not_new():
    receipts = begun()
    receipts.is_new(final(2, 1, "transcribe"))
    receipts.begin(started(seq=3))
    assert not receipts.is_new(final(4, 1, "transcribe"))
    assert receipts.is_new(final(5, 1, "translate:en"))


def test_a_segment_that_failed_counts_as_answered():
    receipts = begun()
    receipts.is_new(Error(seq=2, code="engine", message="too long", segment=1))
    assert receipts.resume(0).segment == 1


@pytest.mark.parametrize(
    ("event", "settled"),
    [
        (final(1, 1, settled=5), 5),
        (Progress(seq=1, accepted=9, settled=6), 6),
        (Ended(seq=1, accepted=9, settled=9), 9),
        (Error(seq=1, code="internal", message="", segment=1), None),
        (started(resumed=True), None),
    ],
)
def test_what_each_event_settles(event, settled):
    assert settled_by(event) == settled


def test_finals_of_audio_that_another_server_cuts_otherwise_are_told_by_their_ends():
    receipts = begun()
    receipts.is_new(final(2, 1, end=100))
    receipts.is_new(final(3, 2, end=200))
    # The first segment was heard again, as two; then the second.
    again = [final(4, 1, end=50), final(5, 2, end=100), final(6, 3, end=200)]
    assert not any(receipts.is_new(event) for event in again)
    assert receipts.is_new(final(7, 4, end=300))
    # They were joined: what lies behind the last end is not lost.
    assert receipts.is_new(final(8, 4, end=350))


def test_a_task_that_failed_on_a_segment_is_complete_and_others_are_not():
    receipts = begun()
    for task in ("transcribe", "translate:en"):
        receipts.is_new(final(2 if task == "transcribe" else 3, 1, task))
    receipts.is_new(
        Error(seq=4, code="engine", message="", segment=2, task="translate:en")
    )
    assert receipts.resume(0).segment == 1
    receipts.is_new(final(5, 2, "transcribe"))
    assert receipts.resume(0).segment == 2


@given(segments=st.lists(st.integers(1, 5), max_size=20))
def test_finals_of_one_task_are_new_only_in_rising_order(segments):
    receipts = begun()
    kept = [s for seq, s in enumerate(segments, 2) if receipts.is_new(final(seq, s))]
    assert kept == sorted(set(kept))
    assert max(kept, default=0) == max(segments, default=0)


def test_partials_of_a_known_number_are_dropped():
    receipts = begun()
    partial = Partial(
        seq=1, segment=1, task="transcribe", text="", stable=0, start=0, end=1
    )
    assert not receipts.is_new(partial)
