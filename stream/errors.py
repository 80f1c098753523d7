"""What can go wrong between a client and the server.

    StreamError                  code           close
    ├── ProtocolError            protocol       1002
    ├── AudioFormatError         audio_format   1003
    ├── UnsupportedRequestError  unsupported    1008
    ├── UnauthorizedError        unauthorized   1008
    ├── LimitError               limit          1009
    ├── ShutdownError            shutdown       1001
    ├── OverloadedError          overloaded     1013
    └── InternalError            internal       1011

Anything unforeseen becomes an `InternalError`; the client hears nothing more of it.
"""

from typing import ClassVar

MAX_QUOTED = 80  # characters of foreign input that an error repeats


class StreamError(Exception):
    """Base of the errors that a client is told, once, before its connection ends."""

    code: ClassVar[str]
    close_code: ClassVar[int]


class ProtocolError(StreamError):
    """Raised when a message is not one of the protocol, or comes at a wrong time."""

    code = "protocol"
    close_code = 1002


class AudioFormatError(StreamError):
    """Raised when audio is not in the format that was declared, or none we know."""

    code = "audio_format"
    close_code = 1003


class UnsupportedRequestError(StreamError):
    """Raised when a task, language or version is asked for that is not served."""

    code = "unsupported"
    close_code = 1008


class UnauthorizedError(StreamError):
    """Raised when a client has no valid token, or comes from another origin."""

    code = "unauthorized"
    close_code = 1008


class LimitError(StreamError):
    """Raised when a message or a session is larger than the server allows."""

    code = "limit"
    close_code = 1009


class ShutdownError(StreamError):
    """Raised when the server stops; the session can be resumed elsewhere."""

    code = "shutdown"
    close_code = 1001


class OverloadedError(StreamError):
    """Raised when the server has no room for another session."""

    code = "overloaded"
    close_code = 1013


class InternalError(StreamError):
    """Raised in place of an unforeseen error, whose details go to the log only."""

    code = "internal"
    close_code = 1011

    def __str__(self) -> str:
        return "internal error; the server's log has the details"


def quote(value: object) -> str:
    """Return foreign input as an error may repeat it: quoted, cut, on one line."""
    shown = repr(value)
    return shown if len(shown) <= MAX_QUOTED else shown[: MAX_QUOTED - 1] + "…"
