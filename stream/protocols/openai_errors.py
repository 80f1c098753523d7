"""Our errors as OpenAI's clients know errors: a type, a code, an HTTP status.

StreamError              status  type                   code
ProtocolError            400     invalid_request_error  invalid_request
AudioFormatError         400     invalid_request_error  invalid_audio
UnsupportedRequestError  400     invalid_request_error  unsupported_value
UnauthorizedError        401     authentication_error   invalid_api_key
ForeignOriginError       403     permission_error       forbidden_origin
LimitError               413     invalid_request_error  too_large
OverloadedError          503     server_error           overloaded
ShutdownError            503     server_error           shutting_down
InternalError            500     server_error           internal_error
"""

from typing import Any, ClassVar, NamedTuple

from starlette.responses import JSONResponse, Response

from stream.auth import ForeignOriginError
from stream.errors import (
    AudioFormatError,
    InternalError,
    LimitError,
    OverloadedError,
    ProtocolError,
    ShutdownError,
    StreamError,
    UnauthorizedError,
    UnsupportedRequestError,
)
from stream.events import Error

RETRY_S = 5  # what a refused client is told to wait, in seconds


class Kind(NamedTuple):
    """How a sort of error is told."""

    status: int
    type: str
    code: str


KINDS: dict[type[StreamError], Kind] = {
    ProtocolError: Kind(400, "invalid_request_error", "invalid_request"),
    AudioFormatError: Kind(400, "invalid_request_error", "invalid_audio"),
    UnsupportedRequestError: Kind(400, "invalid_request_error", "unsupported_value"),
    UnauthorizedError: Kind(401, "authentication_error", "invalid_api_key"),
    ForeignOriginError: Kind(403, "permission_error", "forbidden_origin"),
    LimitError: Kind(413, "invalid_request_error", "too_large"),
    OverloadedError: Kind(503, "server_error", "overloaded"),
    ShutdownError: Kind(503, "server_error", "shutting_down"),
    InternalError: Kind(500, "server_error", "internal_error"),
}
BY_CODE = {error.code: kind for error, kind in KINDS.items()} | {
    UnauthorizedError.code: KINDS[UnauthorizedError]
}
"""By the codes of our own protocol, under which a session tells its errors."""
ENGINE = Kind(500, "server_error", "engine_error")
"""What the model raised on a segment, under a code of its own."""


class FieldError(ProtocolError):
    """Raised when one field of a request is wrong; it names the field."""

    def __init__(self, param: str, problem: str) -> None:
        super().__init__(f"{param} {problem}")
        self.param = param


class RefusedError(ProtocolError):
    """Raised when an event comes at the wrong time; OpenAI has a code for it."""

    told_as: ClassVar[str]


class SessionError(Exception):
    """Raised when a session ends with an error, or a question has one for an answer."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind = kind

    @classmethod
    def of(cls, error: Error) -> "SessionError":
        """Return what a session's event tells."""
        return cls(BY_CODE.get(error.code, ENGINE), error.message)

    @classmethod
    def unread(cls) -> "SessionError":
        """Return that the client read too slowly, so that some of it is lost."""
        return cls(KINDS[OverloadedError], "the client does not read")

    @property
    def described(self) -> dict[str, Any]:
        """The object that tells it."""
        return describe(self.kind, str(self))


def kind_of(error: StreamError) -> Kind:
    """Return how an error is told."""
    return next(KINDS[cls] for cls in type(error).__mro__ if cls in KINDS)


def describe(
    kind: Kind, message: str, *, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    """Return the object that tells an error."""
    return {
        "type": kind.type,
        "code": code or kind.code,
        "message": message,
        "param": param,
    }


def describe_error(error: StreamError) -> dict[str, Any]:
    """Return the object that tells an error of ours."""
    param, code = getattr(error, "param", None), getattr(error, "told_as", None)
    return describe(kind_of(error), str(error), param=param, code=code)


def refusal(kind: Kind, error: dict[str, Any]) -> Response:
    """Return the HTTP answer that tells an error."""
    headers = {"Retry-After": str(RETRY_S)} if kind.status == 503 else {}
    if kind.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse({"error": error}, status_code=kind.status, headers=headers)
