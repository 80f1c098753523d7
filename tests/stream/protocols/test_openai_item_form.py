import pytest

from stream.protocols.openai_errors import FieldError
from stream.protocols.openai_item_form import MAX_ITEM, read_item, text_of

AUDIO = {"type": "input_audio", "audio": "AAAA"}


def message(*content, **more):
    return {"type": "message", "role": "user", "content": [*content], **more}


def text(said, kind="input_text"):
    return {"type": kind, "text": said}


def test_a_message_is_asked_and_shown_without_what_is_not_known():
    given = read_item(message(text("Who?"), text("Where?") | {"x": 1}, id="a", y=2))
    assert given.text == "Who?\nWhere?"
    assert given.shown == {
        "id": "a",
        "object": "realtime.item",
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [text("Who?"), text("Where?")],
    }


def test_an_answer_from_before_is_shown_and_not_asked():
    given = read_item(message(text("So.", "output_text"), role="assistant"))
    assert given.text is None
    assert given.shown["content"] == [text("So.", "output_text")]


def test_audio_is_heard_and_not_shown():
    given = read_item(message(AUDIO, text("Who?"), AUDIO | {"transcript": "Me."}))
    assert (given.audio, given.text) == (bytes(6), "Who?")
    assert given.shown["content"] == [
        {"type": "input_audio", "transcript": None},
        text("Who?"),
        {"type": "input_audio", "transcript": "Me."},
    ]


@pytest.mark.parametrize(
    "call",
    [
        {"type": "function_call", "name": "f", "arguments": "{}", "call_id": None},
        {"type": "function_call_output", "call_id": "c", "output": "3"},
    ],
)
def test_calls_of_functions_are_shown_and_not_asked(call):
    given = read_item(call | {"id": "a"})
    assert given.text is None
    assert call.items() <= given.shown.items()


@pytest.mark.parametrize(
    ("item", "param", "problem"),
    [
        (1, "item", "expected an object"),
        (message(id="x" * 65), "item.id", "expected a text of 64 characters"),
        (message(type="mcp_call"), "item.type", "expected one of message, function_ca"),
        (message(type=["message"]), "item.type", "expected one of"),
        (message(role="me"), "item.role", "expected one of user, system, assistant"),
        (message(1), "item.content[0]", "expected an object"),
        ({"content": "x"}, "item.content", "expected a list"),
        (message(text(1)), "item.content[0].type", "input_text or input_audio, with a"),
        (message(text("x", "input_image")), "item.content[0].type", "'input_image'"),
        (message(AUDIO, role="system"), "item.content[0].type", "expected input_text,"),
        (message(AUDIO | {"audio": ""}), "item.content[0].audio", "is empty"),
        (message(AUDIO | {"audio": "?"}), "item.content[0].audio", "is not base64"),
        (message({"type": "input_audio"}), "item.content[0].audio", "a text of base64"),
        (
            message(AUDIO | {"transcript": 1}),
            *("item.content[0].transcript", "expected a text or null"),
        ),
        (message(text("x" * MAX_ITEM)), "item", f"more than {MAX_ITEM} characters"),
        ({"type": "function_call", "name": "f"}, "item.arguments", "expected a text"),
        ({"type": "function_call_output", "output": ""}, "item.call_id", "is None"),
    ],
)
def test_what_is_wrong_with_an_item_is_told(item, param, problem):
    with pytest.raises(FieldError) as refused:
        read_item(item)
    assert refused.value.param == param
    assert problem in str(refused.value)


def test_a_response_s_own_input_has_texts_only():
    assert text_of("x", message(text("Who?"))) == "Who?"
    with pytest.raises(
        FieldError, match=r"x\.content\[0\]\.type .*expected input_text"
    ):
        text_of("x", message(AUDIO))
    with pytest.raises(FieldError, match=r"x\.type is 'function_call'"):
        text_of("x", {"type": "function_call"})
