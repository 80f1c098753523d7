import asyncio
import io
import os
import signal
import termios

from clients.keys import Keyboard, is_attended
from tests.clients.pseudo_terminal import DEADLINE_S, PseudoTerminal


async def taken(keyboard, count):
    keys = ""
    async with asyncio.timeout(DEADLINE_S):
        while len(keys) < count:
            await keyboard.wait()
            keys += keyboard.take()
    return keys


async def test_keys_come_at_once_and_the_terminal_is_left_as_it_was():
    terminal = PseudoTerminal()
    before = terminal.settings
    with Keyboard(terminal.theirs) as keyboard:
        assert terminal.settings != before
        terminal.press("aé")
        assert await taken(keyboard, 2) == "aé"
        terminal.press("\x1b[A")  # an arrow
        terminal.press("q")
        assert (await taken(keyboard, 1))[-1] == "q"
    assert terminal.settings == before
    assert "a" not in terminal.shown
    terminal.close()


async def test_a_program_put_in_front_again_takes_the_terminal_again():
    terminal = PseudoTerminal()
    with Keyboard(terminal.theirs) as keyboard:
        ours = terminal.settings
        shells = terminal.settings
        shells[3] |= termios.ICANON | termios.ECHO
        termios.tcsetattr(terminal.theirs, termios.TCSANOW, shells)
        os.kill(os.getpid(), signal.SIGCONT)
        terminal.press("m")
        assert await taken(keyboard, 1) == "m"
        assert terminal.settings == ours
    terminal.close()


async def test_nobody_sits_at_a_pipe_or_at_the_terminal_of_another_session():
    assert not is_attended(io.StringIO(), io.StringIO())
    terminal = PseudoTerminal()
    with (
        os.fdopen(terminal.theirs, closefd=False) as stdin,
        os.fdopen(terminal.theirs, "w", closefd=False) as stdout,
    ):
        assert stdin.isatty()
        assert not is_attended(stdin, stdout)
    terminal.close()
