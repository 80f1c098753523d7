"""Of what waits to be weighed, the newest of each session is kept."""

from stream.book import JobBook
from stream.jobs import (
    HearAudio,
    MakeFinal,
    OpenUtterance,
    Recognising,
    Weighing,
    WeighPassage,
)
from stream.passages import PassageBook
from stream.utterances import BLOCK
from tests.stream.test_book import OPTIONS


def wish(number):
    return WeighPassage(
        passage=number, start=0, pcm=b"", questions=("Who?",), keys=(1,)
    )


def order(book):
    found = []
    while (work := book.next_turn()) is not None:
        found.append((work.session, work.wish.passage))
    return found


def test_a_newer_passage_takes_the_place_of_the_one_that_waits():
    book = PassageBook()
    for session, number in (("a", 1), ("b", 1), ("a", 2), ("a", 3)):
        book.add(session, wish(number))
    assert book.num_left_out == 2
    assert order(book) == [("a", 3), ("b", 1)]
    assert order(book) == []


def test_who_was_served_goes_to_the_end_of_the_row():
    book = PassageBook()
    for session in "ab":
        book.add(session, wish(1))
    assert book.next_turn().session == "a"
    book.add("a", wish(2))
    assert order(book) == [("b", 1), ("a", 2)]
    assert book.num_left_out == 0


def test_a_session_that_is_gone_is_not_weighed():
    book = JobBook()
    book.add("a", [wish(1)], 0.0)
    book.cancel("a")
    assert book.take(0.0) is None


def test_passages_wait_for_captions_and_take_turns_with_voices():
    book = JobBook()
    audio = bytes(2 * 3 * BLOCK)
    book.add("a", [OpenUtterance(1, OPTIONS, True, speakers=2)], 0.0)
    book.add("a", [wish(1), HearAudio(1, audio), wish(2), MakeFinal(1)], 0.0)
    book.add("b", [wish(1)], 0.0)
    taken = []
    while (work := book.take(0.0)) is not None:
        taken.append(work)
    kinds = [type(work) for work in taken]
    assert kinds.index(Weighing) == len(kinds) - 3
    assert kinds[-3:] == [Weighing, Recognising, Weighing]
    assert book.num_left_out == 1
