"""Events as the text messages that carry them: JSON objects with a `type`.

Knows no event by name; their fields and types are `stream.events`'.
"""

import json
from dataclasses import asdict
from typing import TypeVar

from engine.config import build
from stream.errors import ProtocolError, quote
from stream.events import CLIENT_EVENTS, SERVER_EVENTS, ClientEvent, ServerEvent

T = TypeVar("T")


def json_text(value: object) -> str:
    """Return a value as JSON that UTF-8 can hold.

    A lone surrogate, which a client can name by an escape, stays that escape.
    """
    text = json.dumps(value, ensure_ascii=False)
    return text.encode(errors="backslashreplace").decode()


def encode(event: ClientEvent | ServerEvent) -> str:
    """Return the text message that carries `event`."""
    return json_text({"type": event.type, **asdict(event)})


def decode_client(message: str) -> ClientEvent:
    """Return the event in a client's text message.

    Raises:
        ProtocolError: If it is not JSON, not an event of a client, or a field is
            unknown, missing or of a wrong type.
    """
    return _decode(message, CLIENT_EVENTS)


def decode_server(message: str) -> ServerEvent:
    """Return the event in a server's text message.

    Raises:
        ProtocolError: As `decode_client` does.
    """
    return _decode(message, SERVER_EVENTS)


def _decode(message: str, known: dict[str, type[T]]) -> T:
    try:
        table = json.loads(message)
    except (ValueError, RecursionError) as exc:
        raise ProtocolError(f"not JSON: {quote(message)}") from exc
    if not isinstance(table, dict):
        raise ProtocolError(f"not a JSON object: {quote(message)}")
    name = table.pop("type", None)
    if not isinstance(name, str) or name not in known:
        raise ProtocolError(f"type is {quote(name)}; expected {' or '.join(known)}")
    try:
        return build(known[name], table)
    except ValueError as exc:
        raise ProtocolError(f"{name}: {exc}") from exc
