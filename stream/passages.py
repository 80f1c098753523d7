"""The last seconds of sessions that wait to be weighed, the newest of each only.

    wait ──▶ weigh, `AT_ONCE` names a turn … ──▶ done
      ▲ a newer one takes its place

Pure book-keeping, a part of `stream.book`: it knows neither watches nor captions.  What
a newer passage replaces before anyone had time for it is left out, and counted: so
nothing queues, and a busy engine listens less often.  One that was begun is ended
before another begins: the engine holds one, and captions may come between its turns.
"""

from stream.jobs import Weighing, WeighPassage

AT_ONCE = 16
"""Names of one turn.  They share a pass over the weights, and captions wait for its
end: some tenths of a second for as many, on two cores, beside what the audio takes."""


class PassageBook:
    """A passage a session, at most; whoever waits longest is next."""

    def __init__(self) -> None:
        self._waiting: dict[str, WeighPassage] = {}
        self._begun: Weighing | None = None
        """The last piece that was handed out, of a passage that goes on."""
        self.num_left_out = 0
        """Passages that nobody had time for."""

    def add(self, session: str, job: WeighPassage) -> None:
        """Enter a passage in place of the one that waits."""
        self.num_left_out += session in self._waiting
        self._waiting[session] = job  # in the old one's place in the row

    def next_turn(self) -> Weighing | None:
        """Return the next piece of work, if there is any."""
        if self._begun is not None:
            session, wish = self._begun.session, self._begun.wish
            first = self._begun.first + self._begun.count
        elif self._waiting:
            session, first = next(iter(self._waiting)), 0
            wish = self._waiting.pop(session)
        else:
            return None
        count = min(AT_ONCE, len(wish.names) - first)
        piece = Weighing(session=session, wish=wish, first=first, count=count)
        self._begun = None if piece.is_last else piece
        return piece

    def end(self, session: str) -> bool:
        """Go no further with a session's passage; return whether one was begun."""
        is_begun = self._begun is not None and self._begun.session == session
        if is_begun:
            self._begun = None
        return is_begun

    def cancel(self, session: str) -> bool:
        """Forget a session; return whether the engine may hold a passage of it."""
        self._waiting.pop(session, None)
        return self.end(session)
