"""The lines of the log: sentences for people, or one JSON object a line for programs.

    2026-11-30 12:00:00,123 INFO stream.hub: session 4fQ9aZ: freed
    {"time": "2026-…", "level": "info", "logger": "stream.hub", "message": "freed", …}

What a line is about comes as `extra`, under the names of `ABOUT` and as `code`.  No
line has sound or words of a client.  Exceptions may quote them, so they are told by
their types and the places they passed; docs/adr/0044 has more.
"""

import json
import logging
import sys
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

ABOUT = ("connection", "session", "segment", "reply")
"""What a line may be about: a number, or the first characters of a name."""
OURS = ("stream", "engine")
"""Loggers whose level is chosen; others speak from warnings on."""
OF_THE_MACHINE = (MemoryError, OSError, RuntimeError)
"""Exceptions whose words are written, for they quote no client."""

ExcInfo = (
    tuple[type[BaseException], BaseException, TracebackType | None]
    | tuple[None, None, None]
)


class TextFormatter(logging.Formatter):
    """A time, a level, a logger, what the line is about, and a sentence."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: ")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """Return the line, without a traceback."""
        named = [f"{name} {value}" for name, value in _about(record).items()]
        about = f"{', '.join(named)}: " if named else ""
        code = getattr(record, "code", None)
        behind = "" if code is None else f" ({code})"
        return f"{super().formatMessage(record)}{about}{record.message}{behind}"

    def formatException(self, ei: ExcInfo) -> str:  # noqa: N802
        """Return the traceback, without what the exceptions say."""
        return told(ei[1])


class JsonFormatter(logging.Formatter):
    """One JSON object, on one line, in ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        time = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "time": time.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_about(record),
        }
        if (code := getattr(record, "code", None)) is not None:
            line["code"] = code
        if record.exc_info:
            line["traceback"] = told(record.exc_info[1])
        return json.dumps(line)


FORMATTERS = {"text": TextFormatter, "json": JsonFormatter}


def configure(level: str, form: str) -> None:
    """Send the log to standard error; called again, it changes how and how much.

    Args:
        level: From which on our own modules speak.
        form: A key of `FORMATTERS`.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(FORMATTERS[form]())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(True)
    for name in OURS:
        logging.getLogger(name).setLevel(level.upper())
    # What is wrong with a client's form is told to the client.
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


def told(exc: BaseException | None) -> str:
    """Return the places that an exception and its causes passed, and their types."""
    return "" if exc is None else "".join(_lines(exc)).rstrip()


def _lines(exc: BaseException) -> Iterator[str]:
    cause = exc.__cause__
    if cause is None and not exc.__suppress_context__:
        cause = exc.__context__
    if cause is not None:
        yield from _lines(cause)
        yield "which led to\n"
    yield from traceback.format_tb(exc.__traceback__)
    kind = type(exc)
    says = f": {exc}" if isinstance(exc, OF_THE_MACHINE) else ""
    yield f"{kind.__module__}.{kind.__qualname__}{says}\n"
    if isinstance(exc, BaseExceptionGroup):
        for inner in exc.exceptions:
            yield from _lines(inner)


def _about(record: logging.LogRecord) -> dict[str, object]:
    return {name: getattr(record, name) for name in ABOUT if hasattr(record, name)}
