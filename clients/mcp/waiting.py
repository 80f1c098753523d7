"""What one call waits to hear, and whether it was heard.

Pure: events in.  Knows no session and no device.
"""

import secrets

from clients.errors import WatchError
from stream.events import Error, ServerEvent
from stream.sound_events import Noticed, Watch

NAME_BYTES = 8


class Waiting:
    """One watch, from the call that asks for it to what is noticed first.

    Args:
        text: What is waited for.
    """

    def __init__(self, text: str) -> None:
        self.watch = Watch(id=secrets.token_hex(NAME_BYTES), text=text)
        """Its id is no other call's: what that one noticed is not this one's."""
        self.noticed: Noticed | None = None
        self.failure: WatchError | None = None
        """Why it is not listened for."""

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.noticed is not None or self.failure is not None

    def follow(self, event: ServerEvent) -> None:
        """Take an event of the session."""
        if self.is_over:
            return
        match event:
            case Noticed(id=name) if name == self.watch.id:
                self.noticed = event
            case Error(watch=str(name)) if name == self.watch.id:
                self.failure = WatchError(self.watch.text, event.code, event.message)
