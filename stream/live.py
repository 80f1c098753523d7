"""A session while it lives: its log, and the connection that it has or waits for.

What is told of it is followed here; who feeds it, and what ends it, the hub knows.
"""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from stream.events import ServerEvent
from stream.resume import EventLog
from stream.session import Session


@dataclass(slots=True, eq=False)
class Stream:
    """A session, its log, and the connection that it has or waits for."""

    session: Session
    log: EventLog
    owner: str
    is_resumable: bool = False
    """Whether its client can come back for it, here or at another process."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when there are new events."""
    progressed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the engine has taken audio."""
    superseded: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when another connection takes over; each connection has its own."""

    @property
    def name(self) -> str:
        """What a client resumes it by."""
        return self.session.name

    async def follow(self, seq: int) -> AsyncGenerator[ServerEvent, None]:
        """Yield the events behind `seq` as they come, to the end of the session.

        Raises:
            ForgottenError: If the reader is so slow that some are lost.
        """
        while True:
            if news := self.log.after(seq):
                for event in news:
                    seq = event.seq
                    yield event
            elif self.session.is_over:
                return
            else:  # nothing comes between the look and the wait, whoever else reads
                self.changed.clear()
                await self.changed.wait()


class Attached:
    """How many connections have a stream."""

    def __init__(self) -> None:
        """Begin with none."""
        self._count = 0
        self._emptied = asyncio.Event()
        self._emptied.set()

    def add(self) -> None:
        """Count a connection in."""
        self._count += 1
        self._emptied.clear()

    def remove(self) -> None:
        """Count a connection out."""
        self._count -= 1
        if not self._count:
            self._emptied.set()

    async def emptied(self, within_s: float) -> bool:
        """Wait until no connection has a stream; return whether that came in time."""
        try:
            async with asyncio.timeout(within_s):
                await self._emptied.wait()
        except TimeoutError:
            return False
        return True
