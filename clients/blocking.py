"""The Python client for programs without an event loop.

    with blocking(connect("ws://127.0.0.1:8765")) as client:
        for piece in AudioFile(path).pieces(1600):
            client.send(piece)
        client.end()
        for event in client:
            ...

A thread of its own runs the asynchronous client and reads events all the time, so that
one may send everything first and read then.  What is called from several threads at
once is done one after the other.  What a client does, `clients.conversation` knows.
"""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

from clients.answers import PendingAnswer
from clients.arrivals import ArrivalQueue
from clients.conversation import Client
from clients.errors import ClientError
from clients.latency import Arrival
from stream.events import Answer, ServerEvent
from stream.sound_events import Watch

T = TypeVar("T")
MAX_WAITING = 65_536
"""Events that wait for their reader: hours of talk.  When it is full the client stops
reading, and the server sees a slow reader."""


class BlockingAnswer:
    """The answer to one question: iterate over its pieces, or wait for all of it."""

    def __init__(self, answer: PendingAnswer, client: "BlockingClient") -> None:
        self._answer, self._client = answer, client
        self._pieces = aiter(answer)

    @property
    def text(self) -> str:
        """What has been said so far."""
        return self._answer.text

    def __iter__(self) -> Iterator[str]:
        """Yield what is added to the text, to its end.

        Raises:
            QuestionError: If there is no answer.
            ClientError: That ended the session.
        """
        while (piece := self._client.wait(anext_or_none(self._pieces))) is not None:
            yield piece

    def complete(self) -> Answer:
        """Return the answer when it is there.

        Raises:
            QuestionError: If there is none.
            ClientError: That ended the session.
        """
        return self._client.wait(self._answer.complete())

    def cancel(self) -> None:
        """Want no more of it; what was said until then is its answer."""
        self._client.wait(self._answer.cancel())


class BlockingClient:
    """One session.  Entering it connects; leaving it closes, at once.

    Any method raises the `ClientError` that ended the session.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        # Daemonic: who does not leave the block can still end the program.
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._live()), daemon=True
        )
        self._lives = threading.Event()
        self._loop: asyncio.AbstractEventLoop
        self._left: asyncio.Event
        self._arrivals = ArrivalQueue(MAX_WAITING)
        self._reader: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        """Connect and begin the session; errors are those of the client."""
        self._thread.start()
        self._lives.wait()
        try:
            self.wait(self._enter())
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.wait(self._leave())
        finally:
            self._stop()

    def send(self, pcm: bytes) -> None:
        """Send whole samples; wait while too much of what was sent is unsettled."""
        self.wait(self._client.send(pcm))

    def flush(self) -> None:
        """End the current segment here, without waiting for silence."""
        self.wait(self._client.flush())

    def ask(self, text: str | None = None, **wishes: Any) -> BlockingAnswer:
        """Ask about what was sent so far; `wishes` are those of `Client.ask`."""
        return BlockingAnswer(self.wait(self._client.ask(text, **wishes)), self)

    def name_speaker(self, speaker: int | bytes, name: str) -> None:
        """Call who has a number, or a voice, by a name; see `Client.name_speaker`."""
        self.wait(self._client.name_speaker(speaker, name))

    def watch(self, watch: Watch) -> None:
        """Be told of something from now on; see `Client.watch`."""
        self.wait(self._client.watch(watch))

    def unwatch(self, name: str) -> None:
        """Be told of something no more."""
        self.wait(self._client.unwatch(name))

    def end(self) -> None:
        """Say that no more audio follows; the events end after the last final."""
        self.wait(self._client.end())

    def __iter__(self) -> Iterator[ServerEvent]:
        """Yield each event once; end after `ended`."""
        for arrival in self.arrivals():
            yield arrival.event

    def arrivals(self) -> Iterator[Arrival]:
        """Yield each event once, with its latency; end after `ended`."""
        while (arrival := self.wait(self._arrivals.next())) is not None:
            yield arrival

    def wait(self, doing: Coroutine[Any, Any, T]) -> T:
        """Return what a coroutine returns that runs beside the client."""
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result()

    async def _live(self) -> None:
        """Be the loop of the client until it is left."""
        self._loop, self._left = asyncio.get_running_loop(), asyncio.Event()
        self._lives.set()
        await self._left.wait()

    async def _enter(self) -> None:
        await self._client.__aenter__()
        self._reader = asyncio.create_task(self._read())

    async def _leave(self) -> None:
        assert self._reader is not None, "left without having been entered"
        self._reader.cancel()
        await asyncio.wait([self._reader])
        await self._client.__aexit__(None, None, None)

    async def _read(self) -> None:
        """Take every event as it comes."""
        failure = None
        try:
            async for arrival in self._client.arrivals():
                await self._arrivals.put(arrival)
        except ClientError as exc:
            failure = exc
        await self._arrivals.end(failure)

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._left.set)
        self._thread.join()


async def anext_or_none(pieces: Any) -> Any:
    """Return the next of an asynchronous iterator, None behind its end."""
    return await anext(pieces, None)


def blocking(client: Client) -> BlockingClient:
    """Return a client whose methods wait, to be entered with `with`.

    Args:
        client: As `clients.client.connect` returns it, not entered.
    """
    return BlockingClient(client)
