"""The messages of the native protocol: every event comes back as it was sent."""

import json
from dataclasses import MISSING, fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import ProtocolError
from stream.events import CLIENT_EVENTS, SERVER_EVENTS, Ask, Start
from stream.messages import decode_client, decode_server, encode

st.register_type_strategy(float, st.floats(allow_nan=False))  # nan is not itself


@pytest.mark.parametrize("kind", CLIENT_EVENTS.values(), ids=lambda kind: kind.type)
@given(data=st.data())
def test_a_client_s_event_comes_back_as_it_was_sent(kind, data):
    event = data.draw(st.from_type(kind))
    assert decode_client(encode(event)) == event


@pytest.mark.parametrize("kind", SERVER_EVENTS.values(), ids=lambda kind: kind.type)
@given(data=st.data())
def test_a_server_s_event_comes_back_as_it_was_sent(kind, data):
    event = data.draw(st.from_type(kind))
    assert decode_server(encode(event)) == event


@given(text=st.text())
def test_any_text_is_an_event_or_one_clear_error(text):
    for decode in (decode_client, decode_server):
        with pytest.raises(ProtocolError, match=r"^(not JSON|not a JSON object): "):
            decode(json.dumps(text))
        with pytest.raises(ProtocolError, match="expected start or flush or ask or"):
            decode_client(json.dumps({"type": text + "?"}))


@pytest.mark.parametrize("name", [declared.name for declared in fields(Start)], ids=str)
@pytest.mark.parametrize("value", [[None], [1.5], {}], ids=repr)
def test_a_field_of_the_wrong_type_is_named(name, value):
    with pytest.raises(ProtocolError, match=rf"^start: (missing key )?{name}"):
        decode_client(json.dumps({"type": "start", name: value}))


@pytest.mark.parametrize("kind", SERVER_EVENTS.values(), ids=lambda kind: kind.type)
def test_a_field_that_is_missing_is_named(kind):
    required = [f.name for f in fields(kind) if f.default is MISSING]
    with pytest.raises(ProtocolError, match="missing key") as caught:
        decode_server(json.dumps({"type": kind.type}))
    assert all(name in str(caught.value) for name in required)


@pytest.mark.parametrize(
    "key", ["\ud800", "\x1b[2J", "k" * 100_000], ids=["lone", "escape", "long"]
)
def test_an_unknown_key_is_repeated_only_as_far_as_it_can_be_sent_and_read(key):
    with pytest.raises(ProtocolError, match="unknown key") as caught:
        decode_client(json.dumps({"type": "start", key: 1}))
    message = str(caught.value)
    assert message.encode().isascii() or "…" in message
    assert message.isprintable()
    assert len(message) < 250


def test_what_is_no_unicode_can_be_sent_and_is_read_as_it_was():
    event = Ask(id="\ud800", text="é \udfff?")
    message = encode(event)
    assert "é" in message.encode().decode()
    assert decode_client(message) == event


def test_a_number_too_long_for_its_field_is_named():
    text = f'{{"type": "ask", "id": "a", "text": "x", "seconds": {10**400}}}'
    with pytest.raises(ProtocolError, match=r"ask: seconds is 1000.*expected a number"):
        decode_client(text)


def test_nesting_without_end_is_one_clear_error():
    with pytest.raises(ProtocolError, match="not JSON"):
        decode_client("[" * 100_000)
