"""Where a front end leaves its calls, and replicas fetch those of their seats.

An actor of `engine.ray`, beside the front end, that dies with it; knows nothing of Ray
but that it keeps no order among the calls of such an actor.
"""

import asyncio

from engine.hosting import Call


class Box:
    """The calls for one seat."""

    def __init__(self) -> None:
        self._early: dict[int, Call | None] = {}
        self._num_ready = 0
        self._ready: asyncio.Queue[Call | None] = asyncio.Queue()

    def put(self, number: int, call: Call | None) -> None:
        """Add a call; it is ready once those before it are."""
        self._early[number] = call
        while self._num_ready in self._early:
            self._ready.put_nowait(self._early.pop(self._num_ready))
            self._num_ready += 1

    def end(self) -> None:
        """Send away who waits."""
        self._ready.put_nowait(None)

    async def take(self) -> list[Call | None]:
        """Return all calls that are ready, one or more."""
        calls = [await self._ready.get()]
        while not self._ready.empty():
            calls.append(self._ready.get_nowait())
        return calls


class Door:
    """The calls of a front end, until the replicas fetch them.

    What waits here is an answer's worth: whoever posts waits for answers.  Audio that
    nobody answers is at most an utterance's.
    """

    def __init__(self) -> None:
        self._boxes: dict[str, Box] = {}
        """By ticket."""
        self._replicas: dict[str, str] = {}
        """By ticket, which one fetches."""

    async def post(self, ticket: str, number: int, call: Call | None) -> None:
        """Leave a call; they are numbered from 0, and None ends the seat."""
        self._box(ticket).put(number, call)

    async def next(self, ticket: str, replica: str) -> list[Call | None]:
        """Return what has come for a seat; wait if that is nothing."""
        if self._replicas.setdefault(ticket, replica) != replica:
            return [None]  # Serve tried again: what the first one fetched is gone
        return await self._box(ticket).take()

    async def forget(self, ticket: str) -> None:
        """Drop what was left for a seat that is no more."""
        self._replicas.pop(ticket, None)
        if box := self._boxes.pop(ticket, None):
            box.end()  # for a replica that still waits

    def _box(self, ticket: str) -> Box:
        return self._boxes.setdefault(ticket, Box())
