"""Which questions a client sends, when, and which of them again."""

from clients.questions import QuestionBook
from stream.events import PROTOCOL_VERSION, Answer, Ask, Cancel, Error, Started


def started(*, resumed: bool, asked: int = 0) -> Started:
    return Started(
        seq=1,
        version=PROTOCOL_VERSION,
        session="s",
        model="m",
        tasks=("transcribe",),
        resumed=resumed,
        accepted=0,
        settled=0,
        asked=asked,
    )


def answer(name: str) -> Answer:
    return Answer(
        seq=1, id=name, text="", finish="stop", source="", mode="", start=0, end=0
    )


def ask(name: str) -> Ask:
    return Ask(id=name, text="what?")


def asked(*names: str) -> QuestionBook:
    book = QuestionBook()
    for name in names:
        book.ask(ask(name), 0)
    return book


def taken(book: QuestionBook, cursor: int = 0) -> list[str]:
    sent = []
    while event := book.take(cursor):
        sent.append(event.id if isinstance(event, Ask) else f"-{event.id}")
    return sent


def test_a_question_is_sent_behind_the_audio_that_it_was_asked_after():
    book = QuestionBook()
    book.ask(ask("a"), 100)
    assert book.position == 100
    assert book.take(99) is None
    assert book.take(100) == ask("a")
    assert book.position is None


def test_a_question_that_is_answered_or_refused_is_open_no_more():
    book = asked("a", "b", "c")
    book.follow(answer("a"))
    book.follow(Error(seq=1, code="limit", message="", question="b"))
    assert [name in book for name in "abc"] == [False, False, True]


def test_only_a_question_that_is_open_is_cancelled_and_once():
    book = asked("a", "b")
    book.follow(answer("b"))
    for name in "aab":
        book.cancel(name, 0)
    assert taken(book) == ["a", "b", "-a"]


def test_what_had_not_arrived_is_sent_again_and_nothing_else():
    book = asked("a", "b", "c")
    assert taken(book) == ["a", "b", "c"]
    book.ask(ask("d"), 50)
    assert book.begin(started(resumed=True, asked=1)) == []
    assert taken(book, 50) == ["b", "c", "d"]
    assert book.begin(started(resumed=True, asked=4)) == []
    assert taken(book, 50) == []


def test_one_that_is_sent_again_waits_for_its_audio_again():
    book = QuestionBook()
    book.ask(ask("a"), 100)
    book.take(100)
    book.begin(started(resumed=True, asked=0))
    assert book.take(40) is None
    assert book.take(100) == ask("a")


def test_a_cancel_is_sent_again_as_it_may_not_have_arrived():
    book = asked("a", "b")
    book.take(0)
    book.cancel("a", 0)
    assert taken(book) == ["b", "-a"]
    book.begin(started(resumed=True, asked=1))
    assert taken(book) == ["-a", "b"]


def test_a_cancel_that_waits_is_not_sent_twice():
    book = asked("a")
    book.take(0)
    book.cancel("a", 100)
    book.begin(started(resumed=True, asked=1))
    assert taken(book, 100) == ["-a"]


def test_another_server_has_lost_what_was_sent_and_gets_what_was_not():
    book = asked("a", "b")
    taken(book)
    book.follow(answer("a"))
    book.cancel("b", 0)
    book.ask(ask("c"), 100)
    assert book.begin(started(resumed=False)) == ["b"]
    assert "b" not in book
    assert taken(book, 100) == ["c"]
    assert book.begin(started(resumed=True, asked=0)) == []
    assert taken(book, 100) == ["c"]


def test_a_cancel_alone_names_its_question():
    book = asked("a")
    book.take(0)
    book.cancel("a", 7)
    assert book.take(7) == Cancel(id="a")


def test_voices_are_sent_first_and_to_each_server_that_may_not_know_them():
    book = QuestionBook({"Anna": b"\1\0"})
    book.ask(ask("a"), 0)
    book.name(2, "Ben")
    book.begin(started(resumed=False))
    anna = book.take(0)
    assert (anna.name, anna.speaker, anna.voice) == ("Anna", 0, "AQA=")
    assert book.take(0).id == "a"
    book.name(b"\2\0", "Cleo")
    assert book.take(0).name == "Cleo"
    for resumed in (True, False):
        book.begin(started(resumed=resumed, asked=1))
        assert [book.take(0).name for _ in range(2)] == ["Anna", "Cleo"]
        assert book.take(0) is None
