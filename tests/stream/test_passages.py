"""Of what waits to be weighed, the newest of each session is kept."""

from dataclasses import replace

from stream.book import JobBook
from stream.jobs import (
    HearAudio,
    Hearing,
    MakeFinal,
    OpenUtterance,
    Recognising,
    Weighing,
    WeighingFailed,
    WeighPassage,
)
from stream.passages import AT_ONCE, PassageBook
from stream.runner import Runner
from stream.utterances import BLOCK
from tests.fakes.engine import ScriptedEngine, speak
from tests.stream.test_book import OPTIONS


def wish(number, names=("rain",)):
    return WeighPassage(passage=number, start=0, pcm=bytes(640), names=names, keys=(1,))


MANY = tuple(str(n) for n in range(2 * AT_ONCE + 3))


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


def test_many_names_take_several_turns_and_captions_come_between():
    book = JobBook()
    book.add("a", [wish(1, MANY)], 0.0)
    first = book.take(0.0)
    assert (first.first, first.count, first.is_last) == (0, AT_ONCE, False)
    book.add("b", [OpenUtterance(1, OPTIONS, True), HearAudio(1, bytes(2 * BLOCK))], 0)
    book.add("b", [MakeFinal(1), wish(1)], 0.0)
    book.add("a", [wish(2, MANY)], 0.0)
    assert isinstance(book.take(0.0), Hearing)
    rest = []
    while (work := book.take(0.0)) is not None:
        rest.append((work.session, work.wish.passage, work.first, work.is_last))
    assert rest == [
        ("a", 1, AT_ONCE, False),
        ("a", 1, 2 * AT_ONCE, True),
        ("b", 1, 0, True),
        ("a", 2, 0, False),
        ("a", 2, AT_ONCE, False),
        ("a", 2, 2 * AT_ONCE, True),
    ]
    assert book.num_left_out == 0


def run(book, runner):
    results = []
    while (work := book.take(0.0)) is not None:
        for session, result in runner.run(work):
            book.note(session, result)
            results += [] if result is None else [result]
    return results


def test_weighed_in_turns_is_weighed_in_order():
    engine, book = ScriptedEngine(), JobBook()
    heard = replace(wish(1, MANY), pcm=speak(20))
    book.add("a", [heard], 0.0)
    (weighed,) = run(book, Runner(engine))
    assert [odds > 0 for odds in weighed.odds] == [n == 20 for n in range(len(MANY))]
    assert [len(asked) for asked in engine.weighed] == [AT_ONCE, AT_ONCE, 3]
    assert (engine.num_pushes, engine.num_open) == (1, 0)


def test_a_passage_that_fails_midway_goes_no_further_and_holds_nothing():
    engine, book = ScriptedEngine(), JobBook()
    engine.refuses = f"{AT_ONCE + 1}"
    book.add("a", [wish(1, MANY)], 0.0)
    (failed,) = run(book, Runner(engine))
    assert isinstance(failed, WeighingFailed)
    assert [len(asked) for asked in engine.weighed] == [AT_ONCE, AT_ONCE]
    assert engine.num_open == 0


def test_a_session_that_goes_midway_leaves_nothing_in_the_engine():
    engine, book = ScriptedEngine(), JobBook()
    runner = Runner(engine)
    book.add("a", [wish(1, MANY)], 0.0)
    runner.run(book.take(0.0))
    assert engine.num_open == 1
    book.cancel("a")
    assert run(book, runner) == []
    assert engine.num_open == 0
