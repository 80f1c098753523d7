"""Questions: what is refused, and what is told of those that are not."""

import pytest

from engine.api import Finish, Mode, Prompt, Source
from engine.errors import UnsupportedError
from stream.errors import LimitError, ProtocolError, UnsupportedRequestError
from stream.events import Answer, AnswerPartial, AnswerStarted, Ask, Error
from stream.jobs import Answered, Asked, Failed, ReplyFailed, Said
from stream.questions import (
    MAX_TEXT,
    MOST_ENDED,
    Passage,
    Questions,
    after_phrase,
    refusal,
)

PASSAGE = Passage(start=16_000, end=32_000)


def accept(prompt):
    """Check a prompt as an engine that answers all."""


def refuse(prompt):
    raise UnsupportedError("prompt", prompt.task or prompt.text, ("describe",))


def questions(most=8, check=accept):
    return Questions(check=check, most=most)


def opened(*ids, most=8, passage=PASSAGE):
    book = questions(most)
    for number, name in enumerate(ids, start=1):
        ask = Ask(id=name, text=f"what is {name}?")
        book.check(ask, language=None)
        book.open(number, ask, passage)
    return book


def test_a_question_becomes_a_prompt():
    ask = Ask(id="1", text="who?", max_tokens=7, temperature=0.5)
    assert questions().check(ask, language="de") == Prompt(
        text="who?", language="de", max_tokens=7, temperature=0.5
    )
    assert questions().check(Ask(id="1", task="describe"), language=None) == Prompt(
        task="describe"
    )


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (Ask(id="", text="a"), "id has 0 characters; it must have 1 to 64"),
        (Ask(id="x" * 65, text="a"), "id has 65 characters"),
        (
            Ask(id="spoken-1", text="a"),
            "ids that begin with .spoken-. are",
        ),
        (Ask(id="1"), "there must be a text or a task, and not both"),
        (Ask(id="1", text="a", task="b"), "and not both"),
        (Ask(id="1", text=" \n"), "text is empty"),
        (Ask(id="1", text="a" * (MAX_TEXT + 1)), "text has 4001 characters"),
        (Ask(id="1", text="a", about="me"), "about is 'me'; expected segment or last_"),
        (Ask(id="1", text="a", seconds=0.0), "seconds is 0; it must be above 0, at mo"),
        (Ask(id="1", text="a", seconds=30.1), "seconds is 30.1; it must be above 0"),
        (Ask(id="1", text="a", seconds=float("nan")), "seconds is nan"),
        (Ask(id="1", text="a", max_tokens=0), "max_tokens is 0; it must be 1 to 1000"),
        (Ask(id="1", text="a", max_tokens=1_001), "max_tokens is 1001"),
        (
            Ask(id="1", text="a", temperature=-0.1),
            "temperature is -0.1; it must be",
        ),
        (Ask(id="1", text="a", temperature=float("inf")), "temperature is inf"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_nobody_could_answer_is_refused_with_its_reason(ask, message):
    with pytest.raises(ProtocolError, match=f"^ask: .*{message}"):
        questions().check(ask, language=None)


def test_an_id_that_is_open_is_taken_and_free_after_its_answer():
    book = opened("a")
    with pytest.raises(ProtocolError, match="id 'a' is that of an open question"):
        book.check(Ask(id="a", text="x"), language=None)
    book.deliver(Answered(1, "", 0, Finish.STOP))
    book.check(Ask(id="a", text="x"), language=None)


def test_the_questions_of_a_session_are_bounded():
    book = opened("a", "b", most=2)
    with pytest.raises(LimitError, match="2 questions are open, the most of a session"):
        book.check(Ask(id="c", text="x"), language=None)
    book.cancel("a")
    book.check(Ask(id="c", text="x"), language=None)


def test_what_the_engine_does_not_answer_is_refused():
    with pytest.raises(UnsupportedRequestError, match="no prompt 'x'; there are descr"):
        questions(check=refuse).check(Ask(id="1", text="x"), language=None)


def test_an_answer_is_told_as_it_grows():
    book = opened("a")
    told = [
        book.deliver(result)
        for result in (
            Asked(1, 8_000, Source.AUDIO, Mode.STREAMING, 40),
            Said(1, "a", 1),
            Said(1, "a dog", 2),
            Answered(1, "a dog", 2, Finish.LENGTH),
        )
    ]
    where = {"id": "a", "start": 16_000, "end": 24_000}
    assert told == [
        AnswerStarted(seq=0, question="what is a?", **where),
        AnswerPartial(seq=0, text="a", **where),
        AnswerPartial(seq=0, text="a dog", **where),
        Answer(
            seq=0,
            text="a dog",
            finish="length",
            source="audio",
            mode="streaming",
            tokens=2,
            prompt_tokens=40,
            **where,
        ),
    ]
    assert len(book) == 0
    assert book.deliver(Said(1, "late", 3)) is None


def test_a_cancelled_answer_has_what_was_said_until_then():
    book = opened("a")
    book.deliver(Asked(1, 8_000, Source.AUDIO, Mode.EXACT, 40))
    book.deliver(Said(1, "a dog", 2))
    reply, answer = book.cancel("a")
    assert reply == 1
    assert (answer.text, answer.finish, answer.mode) == ("a dog", "cancelled", "exact")
    assert (answer.tokens, answer.prompt_tokens) == (2, 40)


def test_one_that_was_cancelled_before_it_began_was_made_from_nothing():
    _, answer = opened("a").cancel("a")
    assert (answer.text, answer.source, answer.mode) == ("", "", "")
    assert (answer.start, answer.end) == (PASSAGE.start, PASSAGE.end)


def test_a_cancel_that_comes_too_late_is_no_error_and_one_of_nothing_is():
    book = opened("a")
    book.deliver(Answered(1, "", 0, Finish.STOP))
    assert book.cancel("a") is None
    with pytest.raises(ProtocolError, match="cancel: no question has the id 'b'"):
        book.cancel("b")


def test_ids_of_the_past_are_not_remembered_for_ever():
    book = opened("old")
    book.cancel("old")
    for number in range(MOST_ENDED):
        book.open(2, Ask(id=str(number), text="x"), PASSAGE)
        book.cancel(str(number))
    with pytest.raises(ProtocolError, match="no question has the id 'old'"):
        book.cancel("old")


def test_a_question_that_failed_is_told_with_its_id():
    error = opened("a").deliver(ReplyFailed(1, "engine", "no"))
    assert error == Error(seq=0, code="engine", message="no", question="a")


def test_questions_about_a_segment_fail_with_it_until_they_were_asked():
    book = opened("a", "b", passage=Passage(start=0, end=0, segment=3))
    book.deliver(Asked(2, 8_000, Source.AUDIO, Mode.EXACT, 40))
    assert book.fail_segment(Failed(4, "engine", "no")) == []
    (error,) = book.fail_segment(Failed(3, "engine", "no"))
    assert error.question == "a"
    assert len(book) == 1


def test_a_refusal_repeats_no_more_of_an_id_than_an_id_may_have():
    error = refusal("x" * 1_000, ProtocolError("bad"))
    assert (error.code, len(error.question)) == ("protocol", 64)
    assert not error.ends_session


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("Hey, Salmon! What was that?", "What was that?"),
        ("hey salmon what was that", "what was that"),
        ('HEY "SALMON": „was war das?“', "was war das?“"),
        ("Hey salmon.", ""),
        ("Hey salmon", ""),
        ("Hey salmonella is bad", None),
        ("Oh hey salmon, what?", None),
        ("Hey", None),
        ("", None),
    ],
)
def test_what_stands_behind_the_opening_phrase_is_the_question(text, rest):
    assert after_phrase(text, "hey, salmon") == rest


def test_a_script_without_spaces_needs_none_behind_the_phrase():
    assert after_phrase("小三文，那是什么声音？", "小三文") == "那是什么声音？"
    assert after_phrase("小三文那是什么声音？", "小三文") == "那是什么声音？"
