"""What is told of the answer to a chat completion."""

from itertools import accumulate

import pytest

from stream.events import Answer
from stream.protocols.openai_chat_replies import Completion, Stopped


def answer(text, finish="stop"):
    return Answer(
        seq=1,
        id="a",
        text=text,
        finish=finish,
        source="audio",
        mode="streaming",
        start=0,
        end=1,
        tokens=3,
        prompt_tokens=40,
    )


@pytest.mark.parametrize(
    ("stops", "text", "shown"),
    [
        ((), "one two", "one two"),
        (("two",), "one two", "one "),
        (("two", "ne"), "one two", "o"),
        (("xy",), "one x", "one x"),
        (("aab",), "aaab and", "a"),
        (("one",), "one", ""),
    ],
)
def test_a_text_ends_where_a_stop_begins_however_it_grows(stops, text, shown):
    at_once, by_letters = Stopped(stops), Stopped(stops)
    assert at_once.grow(text, is_whole=True) == shown
    pieces = [by_letters.grow(so_far) for so_far in accumulate(text)]
    pieces.append(by_letters.grow(text, is_whole=True))
    assert "".join(pieces) == by_letters.text == shown
    assert by_letters.has_ended == at_once.has_ended == (shown != text)


def test_what_may_become_a_stop_is_held_back():
    text = Stopped(("END",))
    assert text.grow("so E") == "so "
    assert text.grow("so EN") == ""
    assert text.grow("so ENG") == "ENG"


def completion(*stops):
    return Completion("c", model="m", created=7, stops=stops)


def test_a_whole_completion():
    whole = completion().whole(answer("A dog.", "length"))
    assert whole == {
        "id": "c",
        "object": "chat.completion",
        "created": 7,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "A dog.",
                    "refusal": None,
                },
                "logprobs": None,
                "finish_reason": "length",
            }
        ],
        "usage": {"prompt_tokens": 40, "completion_tokens": 3, "total_tokens": 43},
    }


@pytest.mark.parametrize("finish", ["stop", "loop"])
def test_what_ends_by_itself_and_what_is_cut_off_stop(finish):
    (choice,) = completion().whole(answer("A dog.", finish))["choices"]
    assert choice["finish_reason"] == "stop"


def test_chunks_make_the_whole():
    told = completion()
    chunks = [told.begin()]
    chunks += [told.piece(told.grow("A d"))]
    chunks += told.end(answer("A dog."), include_usage=True)
    *pieces, cost = chunks
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    deltas = [chunk["choices"][0]["delta"] for chunk in pieces]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert "".join(delta.get("content", "") for delta in deltas) == "A dog."
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in pieces]
    assert reasons == [None, None, None, "stop"]
    assert cost["choices"] == []
    assert cost["usage"]["total_tokens"] == 43


def test_a_stop_ends_it_though_the_answer_goes_on():
    told = completion(".")
    assert told.grow("A dog. A") == "A dog"
    assert told.has_ended
    (last,) = told.end(answer("A dog. A cat.", "length"), include_usage=False)
    assert last["choices"][0] == {
        "index": 0,
        "delta": {},
        "logprobs": None,
        "finish_reason": "stop",
    }
