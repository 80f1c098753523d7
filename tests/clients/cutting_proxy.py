"""A network that breaks: it carries connections to servers and cuts them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

READ_BYTES = 1024


@dataclass(frozen=True)
class Cut:
    """After how many bytes a connection breaks, and in which direction they went."""

    after_bytes: int
    upwards: bool


class CuttingProxy:
    """Carry connection i to `ports[i]`, and cut it as `cuts[i]` says.

    The last port and no cut are for all connections after.
    """

    def __init__(self, ports: Sequence[int], cuts: Sequence[Cut]) -> None:
        self._ports, self._cuts = list(ports), list(cuts)
        self.num_connections = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        number = self.num_connections
        self.num_connections += 1
        port = self._ports[min(number, len(self._ports) - 1)]
        cut = self._cuts[number] if number < len(self._cuts) else None
        up_limit = cut.after_bytes if cut and cut.upwards else None
        down_limit = cut.after_bytes if cut and not cut.upwards else None
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", port)
        pumps = [
            asyncio.create_task(_pump(reader, server_writer, up_limit)),
            asyncio.create_task(_pump(server_reader, writer, down_limit)),
        ]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        for end in (writer, server_writer):
            end.transport.abort()


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int | None
) -> None:
    """Carry bytes one way, until an end leaves or the limit is reached."""
    left = limit
    try:
        while data := await reader.read(READ_BYTES):
            writer.write(data if left is None else data[:left])
            await writer.drain()
            if left is not None and (left := left - len(data)) <= 0:
                return
        writer.write_eof()
        await reader.read()
    except ConnectionError:
        return
