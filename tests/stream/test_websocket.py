"""What uvicorn's WebSocket protocol does, with our gaps closed, over loopback.

These tests are the ground of docs/adr/0009-one-port.md: a new version of uvicorn that
behaves otherwise fails here.
"""

import asyncio
import contextlib
import logging
import socket
import sys

import pytest
import uvicorn
from uvicorn.protocols.utils import ClientDisconnected
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode

from stream.events import Error
from stream.messages import decode_server
from stream.websocket import MESSAGE_BYTES, WebSocketProtocol

MAX_SIZE = 1 << 16
ONE_READ = 1 << 18
"""Bytes; the most that asyncio reads from a socket at once."""
DEADLINE_S = 20.0
CLOSE = {"type": "websocket.close", "code": 1000}


class Application:
    """Accepts connections; a test drives `receive` and `send` of each."""

    def __init__(self):
        self.connections = asyncio.Queue()

    async def __call__(self, scope, receive, send):
        assert scope["type"] == "websocket"
        await receive()
        if scope["path"] == "/refused":
            await send({"type": "websocket.http.response.start", "status": 503})
            await send({"type": "websocket.http.response.body", "body": b"full"})
            return
        await send({"type": "websocket.accept", "subprotocol": None})
        finished = asyncio.Event()
        await self.connections.put((receive, send, finished))
        await finished.wait()


@contextlib.asynccontextmanager
async def serving(**options):
    application = Application()
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        application,
        ws=WebSocketProtocol,
        ws_max_size=MAX_SIZE,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=1,
        **options,
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext
    running = asyncio.create_task(server.serve([listener]))
    try:
        yield application, listener.getsockname()[1], server
    finally:
        server.should_exit = True
        await running


def dial(port, path="/", **options):
    return connect(
        f"ws://127.0.0.1:{port}{path}", proxy=None, compression=None, **options
    )


async def told(client):
    """Return the error event and the close code that a client reads."""
    error = decode_server(await client.recv())
    with pytest.raises(ConnectionClosed):
        await client.recv()
    return error, client.close_code


async def disconnected(receive):
    while (message := await receive())["type"] != "websocket.disconnect":
        pass
    return message["code"]


@pytest.mark.parametrize("size", [MAX_SIZE + 1, 100_000_000])
async def test_a_message_that_is_too_big_is_told_and_never_held(size):
    async with serving() as (application, port, _), dial(port) as client:
        receive, _, finished = await application.connections.get()
        with contextlib.suppress(ConnectionClosed):
            await client.send(bytes(size))
        error, code = await told(client)
        assert isinstance(error, Error)
        assert (error.code, error.seq, code) == ("limit", 0, 1009)
        assert f"exceeds limit of {MAX_SIZE} bytes" in error.message
        assert await disconnected(receive) == 1009
        finished.set()


async def test_fragments_that_are_too_big_together_are_told():
    async with serving() as (application, port, _), dial(port) as client:
        _, _, finished = await application.connections.get()
        with contextlib.suppress(ConnectionClosed):
            await client.send([bytes(MAX_SIZE // 4)] * 5)
        error, code = await told(client)
        assert (error.code, code) == ("limit", 1009)
        finished.set()


async def test_fragments_are_kept_as_one_however_many_and_small_they_are():
    async with serving() as (application, port, server), dial(port) as client:
        receive, _, finished = await application.connections.get()
        (connection,) = server.server_state.connections
        pieces = [b"", *[b"a", b""] * 1_000]
        for i, piece in enumerate(pieces):
            kind = Opcode.CONT if i else Opcode.BINARY
            frame = Frame(kind, piece, fin=False)
            client.transport.write(frame.serialize(mask=True))
        await (await client.ping())
        assert len(connection.frames) == 1
        client.transport.write(Frame(Opcode.CONT, b"b").serialize(mask=True))
        assert (await receive())["bytes"] == b"a" * 1_000 + b"b"
        await client.send(["é", "ü"])
        assert (await receive())["text"] == "éü"
        finished.set()


async def test_what_is_sent_behind_our_close_finds_the_client_gone():
    async with serving() as (application, port, _), dial(port) as client:
        receive, send, finished = await application.connections.get()
        client.transport.write(Frame(Opcode.TEXT, b"\xff").serialize(mask=True))
        await disconnected(receive)
        for message in ({"type": "websocket.send", "text": "x"}, CLOSE):
            with pytest.raises(ClientDisconnected):
                await send(message)
        finished.set()


async def test_text_that_is_not_utf8_is_told():
    async with serving() as (application, port, _), dial(port) as client:
        _, _, finished = await application.connections.get()
        frame = Frame(Opcode.TEXT, b"\xff\xfe")
        client.transport.write(frame.serialize(mask=True))
        error, code = await told(client)
        assert (error.code, code) == ("protocol", 1007)
        finished.set()


async def test_a_frame_that_is_none_is_told():
    async with serving() as (application, port, _), dial(port) as client:
        _, _, finished = await application.connections.get()
        client.transport.write(b"\xff\xff\xff\xff\xff\xff")
        error, code = await told(client)
        assert (error.code, code) == ("protocol", 1002)
        finished.set()


async def test_a_handshake_can_be_refused_with_a_status(caplog):
    async with serving() as (_, port, _server):
        with pytest.raises(InvalidStatus) as caught:
            await dial(port, "/refused")
        assert caught.value.response.status_code == 503
        assert caught.value.response.body == b"full"
    assert [r.message for r in caplog.records if r.levelno >= logging.WARNING] == []


async def test_subprotocols_that_nobody_chose_are_not_answered():
    async with (
        serving() as (application, port, _),
        dial(port, subprotocols=["a", "b"]) as client,
    ):
        _, _, finished = await application.connections.get()
        assert client.subprotocol is None
        finished.set()


async def test_reading_stops_while_nothing_is_received_and_goes_on_after():
    """As much as the largest message and one read waits, not all that is sent."""
    size, count = 1 << 15, 400  # 13 MB
    async with serving() as (application, port, server), dial(port) as client:
        receive, _, finished = await application.connections.get()
        (connection,) = server.server_state.connections

        async def send():
            for _ in range(count):
                await client.send(bytes(size))

        sending = asyncio.create_task(send())
        first = await receive()
        for _ in range(200):  # turns of the loop; it would take all in fewer
            await asyncio.sleep(0)
        assert not sending.done()
        assert connection.reading.unread_s(connection.loop.time()) > 0
        assert len(first["bytes"]) == size
        for _ in range(count - 1):
            in_all = MAX_SIZE + ONE_READ + MAX_SIZE
            assert connection.queue.num_bytes <= in_all * 1.1
            assert len((await receive())["bytes"]) == size
        await sending
        assert connection.queue.num_bytes == 0
        assert connection.reading.unread_s(connection.loop.time()) == 0
        finished.set()


async def test_messages_without_anything_in_them_stop_reading_too():
    most = MAX_SIZE // (MESSAGE_BYTES + sys.getsizeof(b"")) + ONE_READ // 6
    async with serving() as (application, port, server), dial(port) as client:
        receive, _, finished = await application.connections.get()
        (connection,) = server.server_state.connections
        empty = Frame(Opcode.BINARY, b"").serialize(mask=True)
        client.transport.write(empty * (most + 20_000))
        for _ in range(most + 20_000):
            assert connection.queue.qsize() <= most + 1
            assert (await receive())["bytes"] == b""
        finished.set()


@contextlib.asynccontextmanager
async def pinged(**options):
    """Yield a client that nobody receives from, its `receive`, and the connection.

    It is pinged often, and has 0.2 s to answer.
    """
    pings = {"ws_ping_interval": 0.05, "ws_ping_timeout": 0.2}
    async with (
        serving(**pings) as (application, port, server),
        dial(port, ping_interval=None, **options) as client,
        asyncio.timeout(DEADLINE_S),
    ):
        receive, _, finished = await application.connections.get()
        (connection,) = server.server_state.connections
        yield client, receive, connection
        finished.set()


async def times(connection, method, count):
    """Wait until a method of the connection was called so many times."""
    called = asyncio.Semaphore(0)
    original = getattr(connection, method)

    def call(*arguments):
        original(*arguments)
        called.release()

    setattr(connection, method, call)
    for _ in range(count):
        await called.acquire()


async def test_pongs_are_read_while_a_few_messages_wait_to_be_received():
    async with pinged() as (client, receive, connection):
        for word in (b"ab", b"", b"cd"):
            await client.send(word)
        await times(connection, "handle_pong", 8)
        assert [(await receive())["bytes"] for _ in range(3)] == [b"ab", b"", b"cd"]


async def test_nobody_is_dropped_for_pongs_that_we_do_not_read():
    async with pinged() as (client, receive, connection):
        for _ in range(3):
            await client.send(bytes(MAX_SIZE))
        await times(connection, "keepalive_timeout", 3)
        assert not connection.transport.is_reading()
        for _ in range(3):
            assert len((await receive())["bytes"]) == MAX_SIZE
        await times(connection, "handle_pong", 3)
        await client.send("still here")
        assert (await receive())["text"] == "still here"


async def test_who_is_dead_is_found_once_reading_goes_on():
    async with pinged() as (client, receive, connection):
        await client.send(bytes(MAX_SIZE))
        client.transport.pause_reading()  # and so it answers no ping
        await times(connection, "keepalive_timeout", 2)
        assert not connection.transport.is_reading()
        assert len((await receive())["bytes"]) == MAX_SIZE
        assert await disconnected(receive) == 1005
        assert connection.reading.has_left
        client.transport.abort()


async def test_who_breaks_off_while_nothing_is_read_is_found_by_the_next_pings():
    async with pinged() as (client, receive, connection):
        for _ in range(3):
            await client.send(bytes(MAX_SIZE))
        client.transport.abort()
        await times(connection, "connection_lost", 1)
        assert connection.reading.has_left
        assert await disconnected(receive) == 1005


async def test_a_close_is_seen_while_a_message_waits_to_be_received():
    async with serving() as (application, port, server), dial(port) as client:
        receive, _, finished = await application.connections.get()
        (connection,) = server.server_state.connections
        assert not connection.reading.has_left
        await client.send("last words")
        await client.close(1001)
        assert connection.reading.has_left
        assert (await receive())["text"] == "last words"
        assert await disconnected(receive) == 1001
        finished.set()


async def test_a_client_that_answers_pings_stays():
    async with (
        serving(ws_ping_interval=0.02, ws_ping_timeout=5) as (application, port, _),
        dial(port, ping_interval=None) as client,
    ):
        receive, send, finished = await application.connections.get()
        pings = 0
        while pings < 3:
            await client.send(b"")
            await receive()
            pings += 1
            await send({"type": "websocket.send", "text": str(pings)})
            assert await client.recv() == str(pings)
        finished.set()


async def test_the_close_code_of_the_application_reaches_the_client():
    async with serving() as (application, port, _), dial(port) as client:
        _, send, finished = await application.connections.get()
        await send({"type": "websocket.close", "code": 1013, "reason": "later"})
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert (client.close_code, client.close_reason) == (1013, "later")
        finished.set()


async def test_the_close_code_of_the_client_reaches_the_application():
    async with serving() as (application, port, _), dial(port) as client:
        receive, _, finished = await application.connections.get()
        await client.close(1001)
        assert await disconnected(receive) == 1001
        finished.set()


async def test_a_client_that_vanishes_is_a_disconnect():
    async with serving() as (application, port, _), dial(port) as client:
        receive, _, finished = await application.connections.get()
        client.transport.abort()
        assert await disconnected(receive) == 1005
        finished.set()


async def test_a_peer_that_does_not_read_is_not_read_from_and_is_cut_at_the_end():
    async with serving() as (application, port, server):
        client = await dial(port, max_queue=1)
        client.transport.pause_reading()
        _, send, finished = await application.connections.get()
        sending = asyncio.create_task(_send_until_blocked(send))
        (connection,) = server.server_state.connections
        ended = asyncio.Event()
        connection.connection_lost = _then(connection.connection_lost, ended)
        blocked = asyncio.Event()
        connection.pause_writing = _then(connection.pause_writing, blocked)
        async with asyncio.timeout(DEADLINE_S):
            await blocked.wait()
        assert not connection.transport.is_reading()
        sending.cancel()
        finished.set()
        async with asyncio.timeout(DEADLINE_S):
            await ended.wait()
        client.transport.abort()


def _then(method, event):
    def call(*arguments):
        method(*arguments)
        event.set()

    return call


async def _send_until_blocked(send):
    while True:
        await send({"type": "websocket.send", "bytes": bytes(1 << 16)})
