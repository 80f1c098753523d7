import pytest

from stream.protocols.openai_errors import FieldError
from stream.protocols.openai_history import MOST_ITEMS, MOST_SIZE, History

NAMES = [f"item_{i}" for i in range(MOST_ITEMS + 1)]


def item(name, text="", kind="input_text"):
    return {"id": name, "content": [{"type": kind, "text": text}]}


def filled(*names, text=""):
    history = History()
    for name in names:
        history.add(name)
        history.note(item(name, text))
    return history


def test_an_item_follows_the_one_before_it():
    history = History(last="zero")
    assert history.add("one") == {"previous_item_id": "zero"}
    assert history.add("two") == {"previous_item_id": "one"}


def test_an_item_is_found_as_it_is_now():
    history = filled("one")
    history.note(item("one", "changed"))
    assert history.find("one") == item("one", "changed")


def test_what_is_deleted_is_gone_and_the_next_follows_the_one_before_it():
    history = filled("one", "two")
    history.delete("two")
    history.note(item("two"))
    with pytest.raises(FieldError, match="'two'; there is no such item"):
        history.find("two")
    assert history.add("three") == {"previous_item_id": "one"}
    history.delete("one")
    history.delete("three")
    assert history.add("four") == {"previous_item_id": None}


@pytest.mark.parametrize("name", ["one", 1, None, ["one"]])
def test_what_is_not_there_is_told(name):
    with pytest.raises(FieldError, match="there is no such item"):
        History().delete(name)


def test_the_oldest_go_when_there_are_too_many():
    history = filled(*NAMES)
    assert NAMES[0] not in history
    assert all(name in history for name in NAMES[1:])


def test_the_oldest_go_when_they_say_too_much_also_after_deletions():
    history = filled("one", "two", text="x" * (MOST_SIZE // 3))
    for _ in range(9):
        history.delete("two")
        history.add("two")
        history.note(item("two", "x" * (MOST_SIZE // 3)))
    assert "one" in history
    history.add("three")
    history.note(item("three", "x" * (MOST_SIZE // 2)))
    assert "one" not in history
    assert "three" in history
    history.note(item("three", "x" * MOST_SIZE))
    assert "three" not in history


def test_a_transcript_is_noted_once_and_what_was_told_stays():
    history = History()
    history.add("one")
    told = {"id": "one", "content": [{"type": "input_audio", "transcript": None}]}
    history.note(told)
    history.transcribed("one", "hello")
    history.transcribed("one", "again")
    history.transcribed("none", "nothing")
    assert history.find("one")["content"][0]["transcript"] == "hello"
    assert told["content"][0]["transcript"] is None
