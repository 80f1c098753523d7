"""Do what keys ask for while a source is heard, and keep the line about it up to date.

Knows no key by name (`clients.panel`) and no terminal's ways (`clients.keys`).
"""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Sequence
from typing import Protocol, Self, runtime_checkable

from clients.conversation import Client
from clients.keys import Keyboard, is_attended
from clients.options import Options
from clients.panel import Order, Panel, Question
from clients.speakers import SpeakerPrinter
from clients.terminal import LivePrinter, Printer
from stream.audio import PcmFormat

REDRAW_S = 0.1


@runtime_checkable
class Pausable(Protocol):
    """A source that can stand still: what sounds meanwhile is not heard."""

    @property
    def format(self) -> PcmFormat:
        """What its bytes mean."""

    def pause(self) -> None:
        """Yield no more audio for now."""

    def resume(self) -> None:
        """Go on."""


class Controls:
    """The keyboard of one session."""

    def __init__(
        self,
        panel: Panel,
        source: Pausable,
        options: Options,
        *,
        screen: LivePrinter,
        printers: Sequence[Printer],
    ) -> None:
        """Begin with nothing pressed.

        Args:
            panel: Knows what keys mean.
            source: What is paused.
            options: Say how a question is asked.
            screen: Shows the panel.
            printers: Are told of marks, the screen among them.
        """
        self.panel = panel
        self._source, self._options = source, options
        self._screen, self._printers = screen, printers

    @classmethod
    def at_terminal(
        cls, source: object, options: Options, printers: Sequence[Printer]
    ) -> Self | None:
        """Return the keyboard of a session; None where nobody sits at one.

        A program that reads our JSON lines gets no keys either.
        """
        behind = [p.printer if isinstance(p, SpeakerPrinter) else p for p in printers]
        screens = [one for one in behind if isinstance(one, LivePrinter)]
        if not screens or options.json is not None or not isinstance(source, Pausable):
            return None
        if not is_attended(sys.stdin, sys.stdout):
            return None
        panel = Panel(source.format)
        return cls(panel, source, options, screen=screens[0], printers=printers)

    async def run(self, client: Client) -> None:
        """Obey keys until cancelled."""
        with Keyboard(sys.stdin.fileno()) as keyboard:
            while True:
                self._screen.show_panel(self.panel.line())
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(REDRAW_S):
                        await keyboard.wait()
                for key in keyboard.take():
                    await self._obey(key, client)

    async def _obey(self, key: str, client: Client) -> None:
        match self.panel.press(key):
            case Question(text):
                await self._options.ask(client, text)
            case Order.PAUSE:
                self.panel.is_paused = True
                self._source.pause()
                await client.flush()  # what comes next does not go on from here
            case Order.RESUME:
                self.panel.is_paused = False
                self._source.resume()
            case Order.MARK:
                mark = self.panel.mark()
                for printer in self._printers:
                    printer.mark(mark)
            case Order.QUIT:
                signal.raise_signal(signal.SIGINT)
