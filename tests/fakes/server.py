"""A server in this process, on a free port, with the scripted engine behind it."""

import asyncio
import contextlib
import json
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from urllib.error import HTTPError

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from stream.config import (
    AuthConfig,
    LimitsConfig,
    ServerConfig,
    SessionsConfig,
    WyomingConfig,
)
from stream.events import Final, Start
from stream.messages import decode_server, encode
from stream.server import Server
from tests.fakes.driver import SEGMENTER, WATCHES
from tests.fakes.engine import AnySound, ScriptedEngine, speak

DEADLINE_S = 20.0
TALK = speak(1, 2, 0, 0, 3, 0, 0)
"""Two segments, "1 2" and "3", with pauses that end them."""


def pieces(audio, size=3_200):
    return [audio[i : i + size] for i in range(0, len(audio), size)]


def finals(events):
    """Return the texts of the finals among events."""
    return [event.text for event in events if isinstance(event, Final)]


@dataclass
class Running:
    """A server that listens."""

    server: Server
    engine: ScriptedEngine
    port: int
    finished: asyncio.Task = field(repr=False, default=None)

    @property
    def hub(self):
        return self.server.hub

    def let_audio_wait(self):
        """Let new connections wait for the engine for long, however short pings are.

        Then a test of pings holds on a machine that is slow, too.
        """
        limits = replace(self.hub.config.limits, ping_timeout_s=4 * DEADLINE_S)
        self.hub.config = replace(self.hub.config, limits=limits)

    def dial(self, **options) -> connect:
        url = f"ws://127.0.0.1:{self.port}/v1/stream"
        return connect(url, proxy=None, compression=None, **options)

    async def until(self, condition, *, limit_s=DEADLINE_S):
        """Ask for the server's health until a condition holds."""
        async with asyncio.timeout(limit_s):
            while not condition():
                await self.get("/health")

    async def until_closed(self):
        """Ask until nobody listens at the port."""
        with contextlib.suppress(OSError):
            await self.until(lambda: False)

    async def get(self, path):
        """Return the status and the body of an HTTP answer."""
        url = f"http://127.0.0.1:{self.port}{path}"
        return await asyncio.to_thread(_get, url)


def _get(url):
    try:
        with urllib.request.urlopen(url, timeout=DEADLINE_S) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as exc:
        return exc.code, exc.read().decode()


@contextlib.asynccontextmanager
async def running(
    *,
    engine=None,
    auth=None,
    warm=True,
    wyoming=None,
    segmenter=SEGMENTER,
    detector=AnySound,
    watches=WATCHES,
    valkey=None,
    **limits,
):
    """Serve until the block is left; `limits` are fields of `LimitsConfig`."""
    engine = engine or ScriptedEngine()
    config = ServerConfig(
        port=0,
        segmenter=segmenter,
        limits=replace(LimitsConfig(drain_s=5.0), **limits),
        auth=auth or AuthConfig(),
        wyoming=wyoming or WyomingConfig(),
        watches=watches,
        sessions=SessionsConfig(valkey=valkey),
    )
    with ThreadPoolExecutor(1) as thread:
        server = Server(config, engine, thread, detector=detector)
        loop = asyncio.get_running_loop()
        listening, ready = loop.create_future(), loop.create_future()
        serving = asyncio.create_task(
            server.run(on_ready=ready.set_result, on_listen=listening.set_result)
        )
        await asyncio.wait(
            [serving, ready if warm else listening],
            return_when=asyncio.FIRST_COMPLETED,
        )
        if serving.done():
            serving.result()
        port = int(listening.result().rpartition(":")[2])
        try:
            yield Running(server, engine, port, serving)
        finally:
            if (free := getattr(engine, "free", None)) is not None:
                free.set()  # a scripted engine that a test has stopped
            server.stop()
            server.stop()
            async with asyncio.timeout(DEADLINE_S):
                await serving


class Client:
    """A client that remembers what it was told."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.events = []

    async def start(self, **wishes):
        await self.socket.send(encode(Start(**wishes)))
        return await self.next()

    async def say(self, text):
        """Send a text message as it is, or a dictionary as JSON."""
        await self.socket.send(text if isinstance(text, str) else json.dumps(text))

    async def next(self):
        async with asyncio.timeout(DEADLINE_S):
            event = decode_server(await self.socket.recv())
        self.events.append(event)
        return event

    async def until(self, kind):
        while not isinstance(event := await self.next(), kind):
            pass
        return event

    async def rest(self):
        """Return all further events and the close code."""
        events = []
        with contextlib.suppress(ConnectionClosed):
            while True:
                events.append(await self.next())
        return events, self.socket.close_code

    async def finish(self, *audio):
        """Send audio and `end`; return all further events and the close code."""
        for message in audio:
            await self.socket.send(message)
        await self.say({"type": "end"})
        return await self.rest()


@contextlib.asynccontextmanager
async def client_of(server, **options):
    async with server.dial(**options) as socket:
        yield Client(socket)
