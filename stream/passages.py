"""The last seconds of sessions that wait to be weighed, the newest of each only.

Pure book-keeping, a part of `stream.book`: it knows neither watches nor captions.  What
a newer passage replaces before anyone had time for it is left out, and counted: so
nothing queues, and a busy engine listens less often.
"""

from stream.jobs import Weighing, WeighPassage


class PassageBook:
    """A passage a session, at most; whoever waits longest is next."""

    def __init__(self) -> None:
        self._waiting: dict[str, WeighPassage] = {}
        self.num_left_out = 0
        """Passages that nobody had time for."""

    def add(self, session: str, job: WeighPassage) -> None:
        """Enter a passage in place of the one that waits."""
        self.num_left_out += session in self._waiting
        self._waiting[session] = job  # in the old one's place in the row

    def next_turn(self) -> Weighing | None:
        """Return the next piece of work, if there is any."""
        for session in self._waiting:
            return Weighing(session=session, wish=self._waiting.pop(session))
        return None

    def cancel(self, session: str) -> None:
        """Forget a session."""
        self._waiting.pop(session, None)
