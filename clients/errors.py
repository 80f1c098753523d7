"""What can go wrong on the side of a client.

ClientError
├── ServerStartError    a server of our own does not start
├── UnreachableError    nobody answers at the address, or not as our server does
├── RefusedError        the server turned the connection away
├── ServerError         the server ended the session with an error
├── QuestionError       a question that gets no answer; the session goes on
├── WatchError          something that is not listened for; the session goes on
├── DroppedError        the connection was lost and the session was not resumed
├── BrokenServerError   the server broke the protocol
├── AudioSourceError    what should be audio is none, or none that we can send
├── DeviceError         no microphone, or none that opens
├── OutputError         a file of results that cannot be written
├── BusyError           it is listening already
└── NothingHeardError   a question before there is anything that it could be about
"""

from stream.errors import quote
from stream.events import Error, ServerEvent


class ClientError(Exception):
    """Base of all errors that the clients raise."""


class ServerStartError(ClientError):
    """Raised when a server that a client runs does not get ready."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __str__(self) -> str:
        return f"the server did not start: {self.reason}"


class UnreachableError(ClientError):
    """Raised when no server answers at an address."""

    def __init__(self, url: str, reason: str) -> None:
        self.url, self.reason = url, reason

    def __str__(self) -> str:
        return f"no server answers at {self.url}: {self.reason}"


class RefusedError(ClientError):
    """Raised when the server answers the handshake with an HTTP error."""

    def __init__(
        self,
        url: str,
        status: int,
        *,
        reason: str | None = None,
        retry_s: int | None = None,
    ) -> None:
        """Note who refused.

        Args:
            url: The server's.
            status: Of HTTP.
            reason: What the server itself says; None if it says nothing.
            retry_s: After how many seconds it wants to be asked again.
        """
        self.url, self.status = url, status
        self.reason, self.retry_s = reason, retry_s

    def __str__(self) -> str:
        meaning = self.reason or _STATUS.get(
            self.status, "it expects something else at this address"
        )
        later = "" if self.retry_s is None else f"; try again in {self.retry_s} s"
        return (
            f"{self.url} refused the connection (HTTP {self.status}): {meaning}{later}"
        )


_STATUS = {
    401: "it wants another token",
    403: "it lets this origin not in, or has no stream at this path (/v1/stream has)",
    404: "there is no such path; the native protocol is at /v1/stream",
    503: "it is full or not ready",
}
"""What is meant where a server does not say it, a proxy before it for instance."""


class ServerError(ClientError):
    """Raised when the server ends the session with an `error` event."""

    def __init__(self, code: str, message: str) -> None:
        self.code, self.message = code, message

    def __str__(self) -> str:
        return f"the server ended the session ({self.code}): {self.message}"


class QuestionError(ClientError):
    """Raised when a question gets no answer; the session goes on."""

    def __init__(self, question: str, code: str, message: str) -> None:
        self.question, self.code, self.message = question, code, message

    def __str__(self) -> str:
        return f"no answer to question {self.question} ({self.code}): {self.message}"


class WatchError(ClientError):
    """Raised when something is not listened for; the session goes on."""

    def __init__(self, text: str, code: str, message: str) -> None:
        self.text, self.code, self.message = text, code, message

    def __str__(self) -> str:
        return f"cannot listen for {self.text!r} ({self.code}): {self.message}"


class DroppedError(ClientError):
    """Raised when the connection was lost and could not be made good."""

    def __init__(self, url: str, reason: str) -> None:
        self.url, self.reason = url, reason

    def __str__(self) -> str:
        return f"lost the connection to {self.url}: {self.reason}"


class BrokenServerError(ClientError):
    """Raised when the server says what the protocol does not allow."""

    def __init__(self, problem: str) -> None:
        self.problem = problem

    def __str__(self) -> str:
        return f"the server broke the protocol: {self.problem}"


class AudioSourceError(ClientError):
    """Raised when a file or a stream is no audio, or none that can be sent."""

    def __init__(self, name: str, problem: str) -> None:
        self.name, self.problem = name, problem

    def __str__(self) -> str:
        return f"{self.name}: {self.problem}"


class DeviceError(ClientError):
    """Raised when there is no microphone, or it does not open."""

    def __init__(self, problem: str, *, device: str | None = None) -> None:
        self.problem, self.device = problem, device

    def __str__(self) -> str:
        which = "" if self.device is None else f" {quote(self.device)}"
        return f"microphone{which}: {self.problem}"


class OutputError(ClientError):
    """Raised when results cannot be written."""

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"{self.path}: cannot be written: {self.reason}"


class BusyError(ClientError):
    """Raised when what captures audio is asked to, and does already."""

    def __init__(self, name: str, left_s: float) -> None:
        self.name, self.left_s = name, left_s

    def __str__(self) -> str:
        return (
            f"it is listening to {self.name} already, for another {self.left_s:.0f} s"
        )


class NothingHeardError(ClientError):
    """Raised when a question is asked before anything was heard."""

    def __str__(self) -> str:
        return "nothing was heard yet that the question could be about"


def raise_if_fatal(event: ServerEvent) -> None:
    """Do nothing, unless an event ends the session with an error.

    Raises:
        ServerError: If it does.
    """
    if isinstance(event, Error) and event.ends_session:
        raise ServerError(event.code, event.message)
