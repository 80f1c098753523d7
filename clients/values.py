"""Texts of a command line as values, or a sentence that says why not.

It knows no flag.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

from clients.subtitles import SUFFIXES

MAX_RECENT_S, MAX_TEMPERATURE = 30, 2  # of the protocol


def checked(read: Callable[[str], object]) -> Callable[[str], object]:
    """Return a type for argparse that shows the sentence of a `ValueError`."""

    def convert(text: str) -> object:
        try:
            return read(text)
        except ValueError as exc:
            raise argparse.ArgumentTypeError(str(exc)) from exc

    return convert


def positive(text: str) -> float:
    """Return a time in seconds.

    Raises:
        ValueError: If it is none, or not above 0.
    """
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise ValueError(f"{text!r} is no time; expected seconds above 0")
    return seconds


def recent(text: str) -> float:
    """Return how much of the recent audio a question is about, in seconds.

    Raises:
        ValueError: If it is no time, or too long.
    """
    seconds = positive(text)
    if seconds > MAX_RECENT_S:
        raise ValueError(f"{text!r} is too long; at most {MAX_RECENT_S} s are heard")
    return seconds


def temperature(text: str) -> float:
    """Return how freely an answer is drawn.

    Raises:
        ValueError: If it is no number of the range.
    """
    value = float(text)
    if not 0 <= value <= MAX_TEMPERATURE:
        raise ValueError(f"{text!r} is no temperature; it is 0 to {MAX_TEMPERATURE}")
    return value


def language(text: str) -> str:
    """Return the code of a language.

    Raises:
        ValueError: If it is none.
    """
    if not text.isalnum():
        raise ValueError(f"{text!r} is no code of a language")
    return text


def phrase(text: str) -> str:
    """Return words that can be heard.

    Raises:
        ValueError: If nothing of them can.
    """
    if not any(map(str.isalnum, text)):
        raise ValueError(f"{text!r} has no letter")
    return text


def transcript(text: str) -> Path:
    """Return the path of a file that finals are kept in.

    Raises:
        ValueError: If its suffix says not how.
    """
    path = Path(text)
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{text!r} has no suffix of {', '.join(SUFFIXES)}")
    return path
