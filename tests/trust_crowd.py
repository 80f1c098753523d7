"""Many sessions, good ones and others, and what is left over behind them."""

import asyncio
import contextlib
import random
import time
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import WebSocketException

from stream.events import Start
from stream.messages import encode
from tests.fakes.server import Client, Running
from tests.trust_setup import (
    Holdings,
    Outcome,
    Setup,
    converse,
    finals,
    pieces,
    url_of,
)

UTTERANCE_S = 5.0
GONE_S = 600.0
CLOSING_S = 1.0
"""For which the least of what is held counts: the socket of an answered request, and a
task that was cancelled, last a moment longer."""
QUESTIONS = 2_000
"""Of a client that never reads: their refusals are more than the network holds."""
GROWTH_MB = 16.0
"""Of memory, between two runs of the same: what allocators keep is not returned to the
system, so the level is that behind a first run."""
GARBAGE: tuple[tuple[bool, str | bytes], ...] = (
    (False, "{"),
    (False, '{"type": "start", "rate": "fast"}'),
    (False, "[" * 100_000),
    (False, b"\0" * 3_200),
    (False, '{"type": "ended"}'),
    (True, "\0\x1b[2J"),
    (True, '{"type": "start"}'),
    (True, b"\xff"),
    (True, bytes(2**20)),
    (True, '{"type": "ask", "id": []}'),
)
"""What is sent, and whether behind a `start`."""


async def run_sessions(setup: Setup, count: int) -> Outcome:
    """Hold sessions one after the other; then as many again, which are counted."""
    audio = setup.reading(1.0)
    async with setup.server(resume_s=1.0) as server:
        for _ in range(count):
            await converse(url_of(server), audio)
        before = await _left(server)
        complete = 0
        expected = finals(await converse(url_of(server), audio))
        for _ in range(count):
            told = finals(await converse(url_of(server), audio))
            complete += [f.text for f in told] == [f.text for f in expected]
        after = await _left(server)
    problems = left_over(before, after)
    if complete != count:
        problems.append(f"{count - complete} sessions had other finals")
    rows = [["sessions with all their finals", "", complete], *_rows(before, after)]
    return Outcome(["before", "behind"], rows, problems)


async def run_crowd(setup: Setup, each: int) -> Outcome:
    """Let clients that vanish, send garbage or never read meet others.

    Of each of them there are `each`, of the others twice as many.  They meet two times;
    the second counts.
    """
    audio = setup.reading(UTTERANCE_S)
    async with setup.server(max_sessions=5 * each, resume_s=1.0) as server:
        expected = finals(await converse(url_of(server), audio))
        await _meet(server, audio, each)
        before = await _left(server)
        told = await _meet(server, audio, each)
        after = await _left(server)
    problems = left_over(before, after)
    wanted = [(final.segment, final.start, final.end) for final in expected]
    found = [[(f.segment, f.start, f.end) for f in one] for one in told]
    complete = sum(one == wanted for one in found)
    if complete != len(told):
        problems.append(f"{len(told) - complete} good clients had other finals")
    texts = [f.text for f in expected]
    alike = sum([f.text for f in one] == texts for one in told)
    rows = [
        ["clients at once", "", 5 * each],
        ["good clients with all their finals", "", f"{complete} of {len(told)}"],
        ["… with the words of one who is alone", "", alike],
        ["finals of each", "", len(expected)],
        *_rows(before, after),
    ]
    return Outcome(["before", "behind"], rows, problems)


async def _meet(server: Running, audio: bytes, each: int) -> list[list[Any]]:
    """Return the finals of the good clients."""
    over = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for i in range(each):
            tasks.create_task(_vanish(server, audio))
            tasks.create_task(_send_garbage(server, *GARBAGE[i % len(GARBAGE)]))
            tasks.create_task(_never_read(server, audio, over))
        good = [
            tasks.create_task(converse(url_of(server), audio)) for _ in range(2 * each)
        ]
        told = [finals(await one) for one in good]
        over.set()
    return told


async def _vanish(server: Running, audio: bytes) -> None:
    async with server.dial() as socket:
        await Client(socket).start()
        cut = random.Random(len(audio)).randrange(len(audio) // 2, len(audio), 2)
        for piece in pieces(audio[:cut]):
            await socket.send(piece)
        socket.transport.abort()


async def _send_garbage(server: Running, is_begun: bool, garbage: str | bytes) -> None:
    async with server.dial() as socket:
        if is_begun:
            await Client(socket).start()
        with contextlib.suppress(WebSocketException):
            await socket.send(garbage)
        await socket.wait_closed()
        assert socket.close_code in (1002, 1003, 1007, 1009), socket.close_code


async def _never_read(server: Running, audio: bytes, over: asyncio.Event) -> None:
    async with server.dial() as socket:
        socket.transport.pause_reading()
        asking = asyncio.create_task(_talk_on(socket, audio))
        await over.wait()
        asking.cancel()
        await asyncio.wait([asking])
        socket.transport.abort()


async def _talk_on(socket: ClientConnection, audio: bytes) -> None:
    """Speak, and ask what is refused, until nobody listens."""
    with contextlib.suppress(WebSocketException):
        await socket.send(encode(Start()))
        for piece in pieces(audio):
            await socket.send(piece)
        for i in range(QUESTIONS):
            await socket.send(f'{{"type": "ask", "id": "{i}", "task": "{i * "x"}"}}')


async def _left(server: Running) -> Holdings:
    """Wait until all sessions are gone; return what is held then, at the least."""

    def are_gone() -> bool:
        return not server.hub.streams and not server.hub.num_connections

    await server.until(are_gone, limit_s=GONE_S)
    await server.get("/health")
    left = Holdings.now()
    deadline = time.monotonic() + CLOSING_S
    while time.monotonic() < deadline:
        await asyncio.sleep(CLOSING_S / 20)
        left = left.least(Holdings.now())
    return left


def _rows(before: Holdings, after: Holdings) -> list[list[Any]]:
    return [
        ["tasks", before.tasks, after.tasks],
        ["threads", before.threads, after.threads],
        ["file descriptors", before.descriptors, after.descriptors],
        ["memory, MB", before.memory_mb, after.memory_mb],
    ]


def left_over(before: Holdings, after: Holdings) -> list[str]:
    """Return what is more than before, memory by more than `GROWTH_MB`."""
    problems = [
        f"{name}: {was} before, {now} behind"
        for name, was, now in _rows(before, after)[:3]
        if now > was
    ]
    if after.memory_mb > before.memory_mb + GROWTH_MB:
        problems.append(f"memory grew by {after.memory_mb - before.memory_mb:.0f} MB")
    return problems
