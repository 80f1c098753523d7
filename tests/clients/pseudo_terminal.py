"""A program on a terminal of its own: what it shows is read, keys are pressed.

The terminal controls the program's session, as the one of a person does.
"""

import asyncio
import contextlib
import fcntl
import os
import pty
import re
import struct
import termios

DEADLINE_S = 30.0
STEERING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
SIZE = struct.pack("HHHH", 24, 100, 0, 0)  # rows, columns


class PseudoTerminal:
    """The end of it that a person sees."""

    def __init__(self) -> None:
        self.ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, SIZE)
        self._bytes = b""
        self._seen = 0
        self._news = asyncio.Event()
        asyncio.get_running_loop().add_reader(self.ours, self._read)

    @property
    def settings(self):
        return termios.tcgetattr(self.theirs)

    @property
    def shown(self):
        """What is shown since the last text that was waited for, without colours."""
        text = self._bytes.decode(errors="replace")
        return STEERING.sub("", text)[self._seen :]

    def press(self, keys):
        os.write(self.ours, keys.encode())

    async def until(self, text):
        """Wait until a text is shown that was not when the last one was waited for."""
        async with asyncio.timeout(DEADLINE_S):
            while text not in self.shown:
                self._news.clear()
                await self._news.wait()
        self._seen += self.shown.index(text) + len(text)

    async def run(self, *command, **options):
        """Start a program on it."""
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=self.theirs,
            stdout=self.theirs,
            stderr=self.theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            **options,
        )

    def close(self):
        asyncio.get_running_loop().remove_reader(self.ours)
        os.close(self.ours)
        os.close(self.theirs)

    def _read(self):
        with contextlib.suppress(OSError):
            self._bytes += os.read(self.ours, 65_536)
        self._news.set()


@contextlib.asynccontextmanager
async def running_on_terminal(*command, **options):
    """Run a program; yield its terminal and its process."""
    terminal = PseudoTerminal()
    try:
        process = await terminal.run(*command, **options)
        try:
            yield terminal, process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    finally:
        terminal.close()
