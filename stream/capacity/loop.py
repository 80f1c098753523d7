"""The event loop of a server as a resource: what it owes, and what it takes.

    audio of all sessions ──▶ what is not done yet ──▶ jobs for the engine
                                  │
                engine's thread ◀─┘ finds the lock taken, the oftener the more there is

Pure: the time is an argument, in seconds.  Messages are not counted one by one, there
are 25 a second of each session: they are work that flows in, at a rate that follows
from who is there and who speaks, and that waits where more flows in than is done.
"""

from stream.capacity.costs import LoopCosts


def stretch(contention: float, load: float) -> float:
    """Return how many times as long the engine takes beside a loop of such a load."""
    return 1 + contention * min(load, 1.0)


class EventLoop:
    """One thread that moves messages and hears who speaks, beside the engine's."""

    def __init__(self, costs: LoopCosts) -> None:
        """Begin without sessions and with nothing to do."""
        self._costs = costs
        self._silent = self._speaking = 0
        self._owed_s = 0.0
        """Processor time of what has arrived and is not done."""
        self._since_s = 0.0

    @property
    def load(self) -> float:
        """What audio brings: seconds of processor time, each second."""
        costs = self._costs
        return self._silent * costs.silent_s + self._speaking * costs.speech_s

    @property
    def stretch(self) -> float:
        """How many times as long the engine takes for its work now."""
        return stretch(self._costs.contention, self.load)

    def follow(self, now_s: float, *, silent: int = 0, speaking: int = 0) -> None:
        """Note by how many more, or fewer, sessions are silent, and speak."""
        self._advance(now_s)
        self._silent += silent
        self._speaking += speaking

    def tell(self, now_s: float) -> None:
        """Note that a piece of work is done."""
        self._advance(now_s)
        self._owed_s += self._costs.piece_s

    def delay_s(self, now_s: float) -> float:
        """Return how long what arrives now waits for what arrived before it."""
        self._advance(now_s)
        return self._owed_s

    def _advance(self, now_s: float) -> None:
        grown_s = (self.load - 1.0) * (now_s - self._since_s)
        self._owed_s, self._since_s = max(0.0, self._owed_s + grown_s), now_s
