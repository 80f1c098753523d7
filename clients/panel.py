"""The line below live text: how loud it is, how long it goes on, what keys do.

    a  ask: what is typed up to Enter is a question; Escape leaves it
    p  pause, and go on (the space bar does it, too)
    m  mark this moment
    q  quit: the last words are waited for; again, they are not

Pure: keys in, orders and a line of text out.  Knows no terminal and no connection.
"""

import math
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np

from clients.marks import Mark
from stream.audio import ENCODINGS, SAMPLE_RATE, PcmFormat

FLOOR_DB = -60.0
"""Below full scale; what is softer is shown as nothing."""
FALL_DB = 2.0
"""By how much the level shown falls with each piece: peaks are to be seen."""
CELLS = 12
ENTER, ESCAPE = "\r\n", "\x1b"
BACKSPACE, CLEAR, END = "\x7f\b", "\x15", "\x04"
MAX_QUESTION = 1_000  # characters; the protocol takes more


class Order(Enum):
    """What a key wants to be done."""

    PAUSE = auto()
    RESUME = auto()
    MARK = auto()
    QUIT = auto()


@dataclass(frozen=True, slots=True)
class Question:
    """What was typed."""

    text: str


class Panel:
    """What is shown and asked for at the keyboard, for one session."""

    def __init__(self, audio: PcmFormat) -> None:
        self._rate = audio.rate
        self._size = audio.sample_bytes
        self._decode = ENCODINGS[audio.encoding].decode
        self._samples = 0
        self._level_db = FLOOR_DB
        self._typed: str | None = None
        self._num_marks = 0
        self.is_paused = False
        self.is_ending = False
        """Whether no more audio follows: then nothing can be asked or marked."""

    def hear(self, piece: bytes) -> None:
        """Note audio that goes out."""
        self._samples += len(piece) // self._size
        samples = self._decode(piece)
        power = float(np.dot(samples, samples)) / max(1, len(samples))
        now_db = 10 * math.log10(power) if power else FLOOR_DB
        self._level_db = max(now_db, self._level_db - FALL_DB, FLOOR_DB)

    def press(self, key: str) -> Order | Question | None:
        """Take a key; return what is to be done."""
        if self._typed is not None:
            return self._type(key)
        if key in ("q", END):
            return Order.QUIT
        if self.is_ending:
            return None
        match key:
            case "a":
                self._typed = ""
            case "p" | " ":
                return Order.RESUME if self.is_paused else Order.PAUSE
            case "m":
                return Order.MARK
        return None

    def mark(self) -> Mark:
        """Return a mark of this moment."""
        self._num_marks += 1
        at = self._samples * SAMPLE_RATE // self._rate
        return Mark(self._num_marks, at, self._samples)

    def line(self) -> str:
        """Return what is to be shown."""
        if self._typed is not None:
            return f"ask: {self._typed}▏ (Enter asks, Escape leaves it)"
        minutes, seconds = divmod(self._samples // self._rate, 60)
        time = f"{minutes}:{seconds:02}"
        if self.is_ending:
            return f"{time}  waiting for the last words   q leave at once"
        state = "paused".center(CELLS + 2) if self.is_paused else self._meter()
        pause = "p go on" if self.is_paused else "p pause"
        return f"{state} {time}   a ask · {pause} · m mark · q quit"

    def _type(self, key: str) -> Question | None:
        assert self._typed is not None, "nothing is being typed"
        if key in ENTER or key in (ESCAPE, END):
            text, self._typed = self._typed.strip(), None
            is_asked = key in ENTER and text and not self.is_ending
            return Question(text) if is_asked else None
        if key in BACKSPACE:
            self._typed = self._typed[:-1]
        elif key == CLEAR:
            self._typed = ""
        elif key.isprintable() and len(self._typed) < MAX_QUESTION:
            self._typed += key
        return None

    def _meter(self) -> str:
        cells = round((1 - self._level_db / FLOOR_DB) * CELLS)
        return f"▕{'█' * cells:{CELLS}}▏"
