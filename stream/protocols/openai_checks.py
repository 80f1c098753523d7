"""The values in what an OpenAI Realtime client sends: what each has to be.

Pure.  A check takes where a value stands and the value; it returns what is kept of it,
or raises `FieldError`, which names the place.
"""

import base64
import json
import math
from collections.abc import Callable
from typing import Any

from stream.errors import quote
from stream.protocols.openai_errors import FieldError

Json = dict[str, Any]

Check = Callable[[str, Any], Any]
"""Takes where a value stands and the value; returns it, or raises `FieldError`."""


def read_json(text: str | bytes) -> Any:
    """Return what a JSON text says.

    Raises:
        ValueError: If it is none, or has a number that JSON cannot say: settings are
            answered as they came.
        RecursionError: If it is nested too deeply.
    """
    return json.loads(text, parse_float=_finite, parse_constant=_finite)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no finite number")
    return value


def json_object(where: str, value: Any) -> Json:
    """Take an object."""
    if not isinstance(value, dict):
        raise FieldError(where, f"is {quote(value)}; expected an object")
    return value


def boolean(where: str, value: Any) -> bool:
    """Take true or false."""
    if not isinstance(value, bool):
        raise FieldError(where, f"is {quote(value)}; expected true or false")
    return value


def text_or_none(where: str, value: Any) -> str | None:
    """Take a text or null."""
    if not isinstance(value, str | None):
        raise FieldError(where, f"is {quote(value)}; expected a text or null")
    return value


def base64_bytes(where: str, value: Any) -> bytes:
    """Take a text of base64; return what it stands for."""
    if not isinstance(value, str):
        raise FieldError(where, f"is {quote(value)}; expected a text of base64")
    try:
        return base64.b64decode(value, validate=True)
    except ValueError as exc:
        raise FieldError(where, "is not base64") from exc


def or_none(check: Check) -> Check:
    """Return a check that takes null, too."""
    return lambda where, value: None if value is None else check(where, value)


def whole_between(least: int, most: int) -> Check:
    """Return a check for whole numbers of a range, both ends included."""

    def check(where: str, value: Any) -> int:
        if type(value) is not int or not least <= value <= most:
            raise FieldError(
                where, f"is {quote(value)}; expected a whole number {least} to {most}"
            )
        return value

    return check


def between(least: float, most: float) -> Check:
    """Return a check for numbers of a range, both ends included."""

    def check(where: str, value: Any) -> float:
        if type(value) not in (int, float) or not least <= value <= most:
            raise FieldError(
                where, f"is {quote(value)}; expected a number {least:g} to {most:g}"
            )
        return float(value)

    return check


def one_of(*choices: str | None) -> Check:
    """Return a check for some choices."""

    def check(where: str, value: Any) -> Any:
        if not isinstance(value, str | None) or value not in choices:
            expected = ", ".join(choice or "null" for choice in choices)
            raise FieldError(where, f"is {quote(value)}; expected one of {expected}")
        return value

    return check


def only_text(where: str, value: Any) -> list[str]:
    """Return what is answered whatever is asked for: there is no voice here."""
    if not isinstance(value, list) or not {*map(str, value)} <= {"text", "audio"}:
        raise FieldError(where, f"is {quote(value)}; expected text, audio or both")
    return ["text"]


def texts_or_none(where: str, value: Any) -> list[str] | None:
    """Take a list of texts or null."""
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise FieldError(where, f"is {quote(value)}; expected a list of texts")
    return value


def tokens_or_inf(where: str, value: Any) -> int | str:
    """Take the most tokens of a response."""
    if value == "inf":
        return "inf"
    if type(value) is not int or value < 1:
        problem = f"is {quote(value)}; expected a whole number above 0, or inf"
        raise FieldError(where, problem)
    return value


def instructions(where: str, value: Any) -> str:
    """Take what a model is told; null is nothing."""
    return text_or_none(where, value) or ""
