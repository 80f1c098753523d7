"""What a chat completion asks, and what is wrong with it."""

import base64

import pytest

from stream.protocols.openai_chat_form import read_chat
from stream.protocols.openai_errors import FieldError

DATA = base64.b64encode(b"sound").decode()
AUDIO = {"type": "input_audio", "input_audio": {"data": DATA, "format": "wav"}}
TEXT = {"type": "text", "text": "What is it?"}
HEARD = {"role": "user", "content": [AUDIO, TEXT]}


def chat(*messages, **fields):
    return read_chat({"model": "any", "messages": list(messages or [HEARD]), **fields})


def test_a_question_about_a_file():
    wishes = chat()
    assert wishes.question == "What is it?"
    assert [(part.where, part.format) for part in wishes.audio] == [
        ("messages[0].content[0].input_audio", "wav")
    ]
    assert wishes.audio[0].decode() == b"sound"
    assert (wishes.max_tokens, wishes.temperature, wishes.stop) == (200, 0.0, ())
    assert not wishes.stream
    assert not wishes.include_usage


def test_the_last_question_is_asked_about_the_last_audio():
    wishes = chat(
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": [AUDIO, AUDIO, TEXT]},
        {"role": "assistant", "content": "A dog."},
        {"role": "user", "content": "How big?"},
    )
    assert wishes.question == "Be short.\nHow big?"
    assert len(wishes.audio) == 2


def test_new_audio_stands_in_for_the_old():
    other = {"data": base64.b64encode(b"other").decode(), "format": "mp3"}
    wishes = chat(
        HEARD,
        {"role": "assistant", "content": None},
        {"role": "user", "content": [{"type": "input_audio", "input_audio": other}]},
        {"role": "user", "content": [TEXT]},
    )
    assert [part.decode() for part in wishes.audio] == [b"other"]


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"max_tokens": 7}, {"max_tokens": 7}),
        ({"max_tokens": 7, "max_completion_tokens": 9}, {"max_tokens": 9}),
        ({"max_tokens": 100_000}, {"max_tokens": 1_000}),
        ({"stop": "x"}, {"stop": ("x",)}),
        ({"stop": ["x", "yz"]}, {"stop": ("x", "yz")}),
        ({"temperature": 1}, {"temperature": 1.0}),
        (
            {"stream": True, "stream_options": {"include_usage": True}},
            {"stream": True, "include_usage": True},
        ),
        ({"n": 1, "logprobs": False, "modalities": ["text", "audio"]}, {}),
        (
            {"response_format": {"type": "text"}, "tools": [{}], "tool_choice": "auto"},
            {},
        ),
        ({"temperature": None, "stop": None, "stream": None, "max_tokens": None}, {}),
        ({"user": "me", "seed": 1, "whatever": {}}, {}),
    ],
)
def test_how_an_answer_is_wanted(fields, found):
    wishes = chat(**fields)
    assert {name: getattr(wishes, name) for name in found} == found


@pytest.mark.parametrize(
    ("fields", "param", "problem"),
    [
        ({"messages": []}, "messages", r"is \[\]; expected a list of 1 to 256"),
        ({"messages": [3]}, "messages[0]", "expected an object"),
        (
            {"messages": [{"role": "tool", "content": ""}]},
            *("messages[0].role", "'tool'; expected one of system"),
        ),
        (
            {"messages": [HEARD, {"role": "assistant", "content": "Yes."}]},
            *("messages[1]", "'assistant'; expected the user's at last"),
        ),
        (
            {"messages": [{"role": "user", "content": 7}]},
            *("messages[0].content", "expected a text, or a list of parts"),
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            *("messages[0].content[0].type", "'image_url'; expected text or input_"),
        ),
        (
            {"messages": [{"role": "system", "content": [AUDIO]}, HEARD]},
            *("messages[0].content[0].type", "'input_audio'; expected text"),
        ),
        (
            {"messages": [{"role": "user", "content": "What is it?"}]},
            *("messages", "have no input_audio"),
        ),
        (
            {"messages": [{"role": "user", "content": [AUDIO]}]},
            *("messages", "ask nothing"),
        ),
        (
            {"messages": [HEARD, {"role": "user", "content": "x" * 4_001}]},
            *("messages", "ask in 4001 characters; at most 4000"),
        ),
        ({"n": 2}, "n", "is 2; this server cannot do that"),
        ({"logprobs": True}, "logprobs", "this server cannot do that"),
        (
            {"response_format": {"type": "json_object"}},
            "response_format.type",
            "one of",
        ),
        ({"tool_choice": "required"}, "tool_choice", "'required'; expected one of"),
        ({"modalities": ["image"]}, "modalities", "expected text, audio or both"),
        ({"max_tokens": 0}, "max_tokens", "is 0; expected a whole number"),
        ({"temperature": 3}, "temperature", "is 3; expected a number 0 to 2"),
        ({"stop": [""]}, "stop", "of 1 to 100 characters"),
        ({"stop": ["a"] * 5}, "stop", "a list of 4 texts"),
        ({"stream": "yes"}, "stream", "expected true or false"),
        ({"stream_options": 3}, "stream_options", "expected an object"),
    ],
)
def test_what_is_wrong_is_named(fields, param, problem):
    with pytest.raises(FieldError, match=problem) as raised:
        chat(**fields)
    assert raised.value.param == param


@pytest.mark.parametrize(
    ("audio", "param", "problem"),
    [
        (None, "messages[0].content[0].input_audio", "is None; expected an object"),
        ({"data": DATA}, "…format", "is None; expected one of wav, mp3, flac, ogg"),
        ({"data": DATA, "format": "aac"}, "…format", "is 'aac'; expected one of"),
        ({"format": "wav"}, "…data", "is None; expected base64"),
    ],
)
def test_what_is_wrong_with_audio_is_named(audio, param, problem):
    part = {"type": "input_audio", "input_audio": audio}
    with pytest.raises(FieldError, match=problem) as raised:
        chat({"role": "user", "content": [part, TEXT]})
    param = param.replace("…", "messages[0].content[0].input_audio.")
    assert raised.value.param == param


@pytest.mark.parametrize("data", ["AAA", "A?==", "é", "AA\nAA"])
def test_what_is_not_base64_is_refused(data):
    audio = {"data": data, "format": "wav"}
    wishes = chat(
        {
            "role": "user",
            "content": [{"type": "input_audio", "input_audio": audio}, TEXT],
        }
    )
    with pytest.raises(FieldError, match="data is not base64"):
        wishes.audio[0].decode()
