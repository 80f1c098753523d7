"""Two front ends that share their sessions, and one of them killed.

Both are processes.  Some sessions at the speed of speech are at the first, through
what stands for a TCP balancer, when SIGKILL ends it in their middle; what they are told
is laid beside sessions that nobody disturbed.  A Valkey server runs for this command.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from rapidfuzz.distance import Levenshtein
from websockets.asyncio.client import connect as dial

from clients.client import connect
from clients.paced import paced
from stream.audio import SAMPLE_RATE
from stream.events import Final, Partial, Resume, ServerEvent, Started
from tests import local_valkey
from tests.clients.cutting_proxy import CuttingProxy
from tests.fakes import process
from tests.fakes.server import Client
from tests.trust_setup import Outcome, Setup, finals, pieces, say

KILLED_AT = 0.5
"""So much of the audio has been sent by then."""
LOADED_S = 300.0
"""The model may take so long, beside another that loads."""
MINI = "import sys, stream.__main__ as command; sys.exit(command.main(sys.argv[1:]))"
MINI_SETTINGS = (
    "port = 0\n[engine]\ncaptions_only = true\n[limits]\nmax_wait_s = 3600\n"
)


@dataclass
class Heard:
    """What one client was told, and when."""

    events: list[ServerEvent] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)

    @property
    def finals(self) -> list[Final]:
        return finals(self.events)

    @property
    def words(self) -> list[str]:
        return " ".join(final.text for final in self.finals).split()

    @property
    def connections(self) -> list[Started]:
        return [event for event in self.events if isinstance(event, Started)]

    @property
    def num_taken_back(self) -> int:
        """How many partials had stable text that their final does not begin with."""
        said = {(final.segment, final.task): final.text for final in self.finals}
        return sum(
            not said.get((event.segment, event.task), "").startswith(
                event.text[: event.stable]
            )
            for event in self.events
            if isinstance(event, Partial)
        )


async def run(setup: Setup, *, seconds: float, at_once: int) -> Outcome:
    """Hear twice undisturbed, and with a front end killed."""
    audio = setup.reading(seconds)
    async with AsyncExitStack() as stack:
        store = stack.enter_context(local_valkey.running())
        folders = [Path(stack.enter_context(TemporaryDirectory())) for _ in range(2)]
        first, second = [
            await stack.enter_async_context(_front_end(setup, folder, store))
            for folder in folders
        ]
        one, again = await _listen([_url(second)] * 2, audio)
        ports = [_port(first)] * at_once + [_port(second)]
        killed_s = 0.0

        async def kill() -> None:
            nonlocal killed_s
            await asyncio.sleep(KILLED_AT * len(audio) / 2 / SAMPLE_RATE)
            await first.kill()
            killed_s = time.monotonic()

        async with CuttingProxy(ports, []) as balancer, asyncio.TaskGroup() as tasks:
            tasks.create_task(kill())
            moved = await _listen([balancer.url] * at_once, audio)
        kept = [await _from_the_first(second, heard) for heard in moved]
    return _outcome(len(audio), one, again, moved, kept, killed_s)


@asynccontextmanager
async def _front_end(
    setup: Setup, folder: Path, store: local_valkey.LocalValkey
) -> AsyncIterator[process.Served]:
    shared = f'[sessions]\nvalkey = "{store.url}"\n'
    engine = {}
    if setup.name != "scripted":
        engine = {"program": MINI, "settings": MINI_SETTINGS, "ready_s": LOADED_S}
    async with process.started(
        folder, "--log-level", "warning", more=shared, **engine
    ) as served:
        yield served


async def _listen(urls: list[str], audio: bytes) -> list[Heard]:
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(_converse(url, audio)) for url in urls]
    return [task.result() for task in running]


async def _converse(url: str, audio: bytes) -> Heard:
    heard = Heard()
    source = paced(pieces(audio), bytes_per_second=2 * SAMPLE_RATE)
    async with connect(url) as client, say(client, source):
        async for event in client:
            heard.events.append(event)
            heard.times_s.append(time.monotonic())
    return heard


async def _from_the_first(server: process.Served, heard: Heard) -> list[Final]:
    """Return the finals of a session that has ended, as a front end has them."""
    (name,) = {event.session for event in heard.connections[-1:]}
    resume = Resume(session=name, seq=0, settled=0, segment=0)
    url = f"ws://{server.addresses[0]}/v1/stream"
    async with dial(url, proxy=None) as socket:
        client = Client(socket)
        if not (await client.start(resume=resume)).resumed:
            return []
        events, _ = await client.rest()
    return finals(events)


def _outcome(
    num_bytes: int,
    one: Heard,
    again: Heard,
    moved: list[Heard],
    kept: list[list[Final]],
    killed_s: float,
) -> Outcome:
    apart = [Levenshtein.distance(one.words, heard.words) for heard in (again, *moved)]
    names = [{event.session for event in heard.connections} for heard in moved]
    is_resumed = [
        len(heard.connections) == 2 and heard.connections[1].resumed and len(name) == 1
        for heard, name in zip(moved, names, strict=True)
    ]
    in_order = [
        [final.segment for final in heard.finals] == [*range(1, len(heard.finals) + 1)]
        for heard in moved
    ]
    same = [
        [(f.segment, f.text) for f in told]
        == [(f.segment, f.text) for f in heard.finals]
        for told, heard in zip(kept, moved, strict=True)
    ]
    silences_s = [
        min((t for t in heard.times_s if t > killed_s), default=killed_s) - killed_s
        for heard in moved
    ]
    texts_s = [
        min(
            (
                t - killed_s
                for event, t in zip(heard.events, heard.times_s, strict=True)
                if isinstance(event, Partial | Final) and t > killed_s
            ),
            default=float("nan"),
        )
        for heard in moved
    ]
    taken_back = sum(heard.num_taken_back for heard in moved)
    count = len(moved)
    rows = [
        ["audio, s", *[round(num_bytes / 2 / SAMPLE_RATE, 1)] * 3],
        ["sessions", 1, 1, count],
        ["finals of each", *(len(h.finals) for h in (one, again)), _each(moved)],
        ["words not as in the first", 0, apart[0], max(apart[1:])],
        ["sessions resumed under their names", "", "", sum(is_resumed)],
        ["… each final once, in order", "", "", sum(in_order)],
        ["… whose texts the other has from the first", "", "", sum(same)],
        ["partials whose stable text changed", "", "", taken_back],
        ["until a session goes on, s", "", "", round(max(silences_s), 2)],
        ["until it has text again, s", "", "", round(max(texts_s), 2)],
    ]
    problems = []
    if sum(is_resumed) < count:
        problems.append(f"{count - sum(is_resumed)} sessions were not resumed")
    if sum(in_order) < count:
        problems.append("a segment has no final, or two")
    if sum(same) < count:
        problems.append("the other front end has other finals")
    if taken_back:
        problems.append(f"{taken_back} partials had stable text that changed")
    if max(apart[1:]) > apart[0]:
        problems.append("the text differs more than between the undisturbed ones")
    return Outcome(["undisturbed", "again", "front end killed"], rows, problems)


def _each(moved: list[Heard]) -> str:
    return " ".join(str(len(heard.finals)) for heard in moved)


def _port(served: process.Served) -> int:
    return int(served.addresses[0].rpartition(":")[2])


def _url(served: process.Served) -> str:
    return f"ws://{served.addresses[0]}"
