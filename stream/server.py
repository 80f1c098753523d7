"""One server: its port, its engine thread's coroutine, its beginning and its end.

    bind ─▶ listen (/health 503) ─▶ warm up ─▶ ready ─▶ stop ─▶ finals ─▶ closed

It serves HTTP and WebSocket on one port (docs/adr/0009-one-port.md), Wyoming on
another one if it is told to, and knows neither messages nor sessions: those are the
hub's.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Generator
from concurrent.futures import Executor

import uvicorn

from engine.api import Engine
from engine.errors import EngineError, PackageError
from stream import wyoming
from stream.config import ServerConfig
from stream.hub import Hub
from stream.live import Stream
from stream.metrics import Metrics
from stream.reload import Reload, reload
from stream.resume import MemorySessionStore, SessionStore
from stream.routes import build_app
from stream.tls import renew, told
from stream.vad import VoiceDetector
from stream.websocket import WebSocketProtocol
from stream.worker import Worker

logger = logging.getLogger(__name__)

Announce = Callable[[str], None]
"""Takes the address of the server."""

BACKLOG = 128  # TCP connections that wait to be accepted; more are refused
SEND_BUFFER_BYTES = 1 << 16
"""In the kernel, for a client that is slow to read.  Its default grows to megabytes,
behind which a client that has stopped reading would go unnoticed for minutes."""
LEAVE_S = 2  # for connections that do not close by themselves


class _Uvicorn(uvicorn.Server):
    """uvicorn, told by us when to stop, and telling us when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals to the command: uvicorn would drop all sessions at once."""
        yield


class Server:
    """Serves one engine."""

    def __init__(
        self,
        config: ServerConfig,
        engine: Engine,
        thread: Executor,
        *,
        detector: Callable[[], VoiceDetector],
    ) -> None:
        """Prepare; `run` serves.

        Args:
            config: How.
            engine: Loaded, not warmed up.
            thread: An executor with one thread, which alone calls the engine.
            detector: Makes a voice detector for a session.

        Raises:
            ValueError: If the configuration does not fit the engine.
            PackageError: If it needs a package that is not installed.
        """
        config.check_engine(engine.info)
        self._config = config
        metrics = Metrics()
        self._worker = Worker(engine, thread, metrics)
        self._store = _store(config, metrics)
        self.hub = Hub(config, engine, self._worker, metrics, detector, self._store)
        self._settings = self._uvicorn_config()
        self._stopping = asyncio.Event()
        self._hurried = asyncio.Event()
        self.wyoming_address: str | None = None
        """Of the port that Wyoming is spoken at, if there is one and it is open."""

    async def run(
        self, on_ready: Announce, *, on_listen: Announce | None = None
    ) -> None:
        """Serve until stopped; the last clients get their finals.

        Args:
            on_ready: Called once with the address when the model has warmed up.
            on_listen: Called before that, when the port is open.

        Raises:
            OSError: If the port, a file for TLS, or the store of the sessions cannot be
                had.
            EngineError: If the engine cannot warm up.
        """
        with told(self._config.auth):
            self._settings.load()
        listener = _bind(self._config.host, self._config.port)
        try:
            await self._store.open()
            beside = self._bind_wyoming()
        except OSError:
            listener.close()
            await self._store.close()
            raise
        web = _Uvicorn(self._settings)
        failure: EngineError | None = None
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(web.serve([listener]))
            own = [
                tasks.create_task(self._worker.run(self.hub.deliver)),
                tasks.create_task(self.hub.expire()),
                tasks.create_task(self._store.run(self.hub.give_up)),
            ]
            if beside is not None:
                own.append(tasks.create_task(wyoming.serve(beside, self.hub)))
            await web.listens.wait()
            if on_listen is not None:
                on_listen(self._address(listener))
            try:
                await self._worker.warm_up()
            except EngineError as exc:
                failure = exc  # raised outside the group, which would wrap it
            else:
                self.hub.is_ready = True
                on_ready(self._address(listener))
                await self._stopping.wait()
            for server in web.servers:
                server.close()
            await self._drain()
            web.should_exit = True
            await serving
            for task in own:
                task.cancel()
        await self._store.close()
        if failure is not None:
            raise failure

    def stop(self) -> None:
        """Stop gracefully; called again, without waiting for finals."""
        if self._stopping.is_set():
            self._hurried.set()
        self._stopping.set()

    def reload(self, wanted: ServerConfig) -> Reload:
        """Let who comes from now on meet other settings, as far as that can be.

        The certificate is read again in any case.  Whoever is connected goes on.  If
        this raises, all stays as it was.

        Args:
            wanted: What was read.

        Returns:
            What changed, and what takes a restart.

        Raises:
            ValueError: If it does not fit the engine.
            OSError: If a file for TLS cannot be read, or is none; it names the file.
        """
        done = reload(self._config, wanted)
        done.config.check_engine(self.hub.engine.info)
        if self._settings.ssl is not None:
            renew(self._settings.ssl, done.config.auth)
        self._config = self.hub.config = done.config
        limits = done.config.limits
        # uvicorn looks at them for each connection.
        self._settings.ws_max_size = limits.max_message_bytes
        self._settings.ws_ping_interval = limits.ping_interval_s
        self._settings.ws_ping_timeout = limits.ping_timeout_s
        return done

    async def _drain(self) -> None:
        draining = asyncio.create_task(self.hub.stop())
        hurried = asyncio.create_task(self._hurried.wait())
        await asyncio.wait([draining, hurried], return_when=asyncio.FIRST_COMPLETED)
        for task in (draining, hurried):
            task.cancel()

    def _uvicorn_config(self) -> uvicorn.Config:
        limits, auth = self._config.limits, self._config.auth
        return uvicorn.Config(
            build_app(self.hub),
            ws=WebSocketProtocol,
            http="h11",  # not whichever parser some other package brought along
            ws_max_size=limits.max_message_bytes,
            ws_ping_interval=limits.ping_interval_s,
            ws_ping_timeout=limits.ping_timeout_s,
            ws_per_message_deflate=False,  # audio hardly shrinks; it costs memory
            ssl_certfile=auth.tls_cert,
            ssl_keyfile=auth.tls_key,
            backlog=BACKLOG,
            timeout_graceful_shutdown=LEAVE_S,
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
        )

    def _bind_wyoming(self) -> socket.socket | None:
        """Return a socket for Wyoming, if it is wanted.

        Raises:
            OSError: If it cannot be had.
        """
        config = self._config.wyoming
        if config.port is None:
            return None
        listener = _bind(config.host, config.port)
        self.wyoming_address = f"tcp://{_host_and_port(listener)}"
        return listener

    def _address(self, listener: socket.socket) -> str:
        scheme = "ws" if self._config.auth.tls_cert is None else "wss"
        return f"{scheme}://{_host_and_port(listener)}"


def _store(config: ServerConfig, metrics: Metrics) -> SessionStore[Stream]:
    """Return what keeps the sessions.

    Raises:
        PackageError: If the client of Valkey, which it takes, is not installed.
    """
    if config.sessions.valkey is None:
        return MemorySessionStore()
    try:
        from stream.valkey import ValkeySessionStore
    except ImportError as exc:
        raise PackageError("sessions.valkey", "valkey", "valkey") from exc
    return ValkeySessionStore(config.sessions.valkey, config.limits, metrics)


def _host_and_port(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"{f'[{host}]' if ':' in host else host}:{port}"


def _bind(host: str, port: int) -> socket.socket:
    """Return a socket at an address; `port` 0 takes a free one.

    Raises:
        OSError: If it cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as exc:
        raise OSError(f"host is {host!r}; expected a name or an address") from exc
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    try:
        listener.bind(address)
    except OSError as exc:
        listener.close()
        raise OSError(exc.errno, f"{host}:{port}: {exc.strerror}") from exc
    return listener
