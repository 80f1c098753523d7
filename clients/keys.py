"""Keys as they are pressed, from a terminal that somebody sits at.

Knows no meaning of them.  `termios` is imported only here, and only when there is a
terminal: Windows has none.
"""

import asyncio
import codecs
import os
import re
import signal
from types import TracebackType
from typing import Any, Self, TextIO

MAX_KEYS = 256
"""Pressed and not taken; when it is full, further ones are lost."""
READ_BYTES = 1_024
SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.)")
"""What arrows and function keys send (ECMA-48, control sequences)."""


def is_attended(stdin: TextIO, stdout: TextIO) -> bool:
    """Return whether both are the terminal that this program is in front on.

    A program in the background would be stopped for touching it.
    """
    if not (stdin.isatty() and stdout.isatty()):
        return False
    try:
        return os.tcgetpgrp(stdin.fileno()) == os.getpgrp()
    except OSError:  # a terminal, but not the one of this session
        return False


class Keyboard:
    """A terminal that gives each key at once and does not show it.

    Entered in the loop that takes the keys; left, the terminal is as it was.  Ctrl-C
    and Ctrl-Z mean what they always do.
    """

    def __init__(self, file: int) -> None:
        self._file = file
        self._keys = ""
        self._pressed = asyncio.Event()
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="ignore")
        self._before: list[Any] = []

    def __enter__(self) -> Self:
        import termios

        self._before = termios.tcgetattr(self._file)
        self._take_over()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._file, self._read)
        # Whoever puts a stopped program in front gives it a terminal as shells use it.
        loop.add_signal_handler(signal.SIGCONT, self._take_over)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        import termios

        loop = asyncio.get_running_loop()
        loop.remove_signal_handler(signal.SIGCONT)
        loop.remove_reader(self._file)
        termios.tcsetattr(self._file, termios.TCSADRAIN, self._before)

    async def wait(self) -> None:
        """Wait until a key was pressed that is not taken."""
        await self._pressed.wait()

    def take(self) -> str:
        """Return the keys since the last time; those that send several are left out."""
        taken, self._keys = self._keys, ""
        self._pressed.clear()
        return taken

    def _take_over(self) -> None:
        import termios
        import tty

        tty.setcbreak(self._file, termios.TCSANOW)  # what was typed is not lost

    def _read(self) -> None:
        try:
            data = os.read(self._file, READ_BYTES)
        except OSError:  # it was hung up
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._file)
            return
        text = SEQUENCE.sub("", self._decoder.decode(data))
        self._keys = (self._keys + text)[:MAX_KEYS]
        self._pressed.set()
