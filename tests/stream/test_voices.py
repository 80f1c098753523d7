"""When the engine is given voices to hear: after all else, and all of them."""

from engine.api import UtteranceOptions
from stream.book import JobBook
from stream.jobs import (
    Action,
    Enrolling,
    EnrolVoice,
    Failed,
    Forgetting,
    HearAudio,
    Hearing,
    MakeFinal,
    OpenUtterance,
    Recognising,
    RecognisingFailed,
    ReleaseKept,
)
from stream.voices import SLICE, STEP

OPTIONS = UtteranceOptions()


def audio(segment, samples):
    return HearAudio(segment, bytes(2 * samples))


def begin(segment, samples, *, speakers=4):
    opened = OpenUtterance(segment, OPTIONS, False, speakers=speakers)
    return [opened, audio(segment, samples)]


def drain(book):
    done = []
    while (work := book.take(0.0)) is not None:
        done.append(work)
    return done


def voices(done):
    return [
        (work.session, work.segment, len(work.pcm) // 2, work.is_last)
        for work in done
        if isinstance(work, Recognising)
    ]


def test_captions_go_before_voices():
    book = JobBook()
    book.add("a", begin(1, SLICE), 0.0)
    book.add("b", [*begin(1, SLICE), MakeFinal(1)], 0.0)
    done = drain(book)
    first = next(i for i, work in enumerate(done) if isinstance(work, Recognising))
    assert all(isinstance(work, Recognising) for work in done[first:])
    assert any(
        isinstance(work, Hearing) and work.action is Action.FINAL
        for work in done[:first]
    )


def test_a_segment_is_heard_in_pieces_to_its_end():
    book = JobBook()
    book.add("a", [*begin(1, SLICE + STEP + 1), MakeFinal(1)], 0.0)
    assert voices(drain(book)) == [("a", 1, SLICE, False), ("a", 1, STEP + 1, True)]
    assert book.voice_backlog("a") == 0


def test_less_than_a_step_waits_for_more_or_for_the_end():
    book = JobBook()
    book.add("a", begin(1, STEP - 1), 0.0)
    assert voices(drain(book)) == []
    assert book.voice_backlog("a") == STEP - 1
    book.add("a", [MakeFinal(1)], 0.0)
    assert voices(drain(book)) == [("a", 1, STEP - 1, True)]


def test_a_session_s_segments_are_heard_in_their_order():
    book = JobBook()
    jobs = [*begin(1, STEP), MakeFinal(1), *begin(2, STEP), MakeFinal(2)]
    book.add("a", jobs, 0.0)
    assert voices(drain(book)) == [("a", 1, STEP, True), ("a", 2, STEP, True)]


def test_sessions_take_turns():
    book = JobBook()
    for session in ("a", "b"):
        book.add(session, [*begin(1, 2 * SLICE), MakeFinal(1)], 0.0)
    order = [session for session, *_ in voices(drain(book))]
    assert order == ["a", "b", "a", "b"]


def test_nothing_is_heard_of_who_did_not_ask():
    book = JobBook()
    book.add("a", [*begin(1, SLICE, speakers=0), MakeFinal(1)], 0.0)
    assert voices(drain(book)) == []
    assert book.voice_backlog("a") == 0


def test_what_failed_is_heard_no_further():
    for failure in (Failed(1, "engine", "no"), RecognisingFailed(1, "engine", "no")):
        book = JobBook()
        book.add("a", [*begin(1, 3 * SLICE), *begin(2, STEP), MakeFinal(2)], 0.0)
        book.note("a", failure)
        assert [segment for _, segment, *_ in voices(drain(book))] == [2]


def test_the_engine_forgets_the_voices_of_a_session_that_ends_or_is_cancelled():
    for end in (
        lambda book: book.add("a", [ReleaseKept()], 0.0),
        lambda book: book.cancel("a"),
    ):
        book = JobBook()
        book.add("a", [*begin(1, STEP), MakeFinal(1)], 0.0)
        drain(book)
        end(book)
        assert Forgetting("a") in drain(book)
        assert book.voice_backlog("a") == 0


def test_voices_that_a_client_brings_go_before_segments_and_are_forgotten_with_them():
    book = JobBook()
    book.add("a", begin(1, SLICE), 0.0)
    book.add("a", [EnrolVoice("Anna", 4, b"\1\0"), EnrolVoice("Ben", 4, b"")], 0.0)
    done = [w for w in drain(book) if isinstance(w, Enrolling | Recognising)]
    assert [type(work) for work in done] == [Enrolling, Enrolling, Recognising]
    assert (done[0].session, done[0].name, done[0].pcm) == ("a", "Anna", b"\1\0")
    book.add("a", [EnrolVoice("Cleo", 4, b"")], 0.0)
    book.cancel("a")
    assert drain(book)[-1] == Forgetting("a")


def test_of_a_session_whose_voices_were_not_heard_nothing_is_forgotten():
    book = JobBook()
    book.add("a", begin(1, STEP - 1), 0.0)
    book.cancel("a")
    assert not any(isinstance(work, Forgetting) for work in drain(book))
