"""A scripted server in a thread, for commands that bring their own loop."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.clients.scripted_server import ScriptedServer

START_S = 10


@contextmanager
def threaded_server() -> Iterator[ScriptedServer]:
    server, ready = ScriptedServer(), threading.Event()
    loop, over = asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with server:
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert ready.wait(START_S), "the server did not start"
        yield server
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()
