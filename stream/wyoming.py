"""The port of the Wyoming protocol: a task a connection, until the server stops.

It knows sockets; what is said over them, stream/protocols/wyoming.py knows.
"""

import asyncio
import logging
import socket

from stream.hub import Hub
from stream.protocols.wyoming import Memory, WyomingConnection

logger = logging.getLogger(__name__)


async def serve(listener: socket.socket, hub: Hub) -> None:
    """Serve until cancelled; what is open then is cut off.

    Args:
        listener: Bound; it is closed in the end.
        hub: Of the server.
    """
    memory = Memory(hub)

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.create_task(_serve(reader, writer, hub, memory))

    server = await asyncio.start_server(accept, sock=listener, start_serving=False)
    async with server, asyncio.TaskGroup() as connections:
        await server.serve_forever()


async def _serve(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    hub: Hub,
    memory: Memory,
) -> None:
    """Serve one connection; whatever happens to it, the others go on."""
    try:
        await WyomingConnection(reader, writer, hub, memory).run()
        writer.close()
        async with asyncio.timeout(hub.config.limits.send_timeout_s):
            await writer.wait_closed()
    except (OSError, TimeoutError):
        logger.info("a wyoming connection was cut")
    finally:
        writer.transport.abort()
