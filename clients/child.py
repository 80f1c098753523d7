"""A server as a child process: started, known by what it prints, and stopped.

Knows `salmonn-serve`'s command line and the line that says where it listens.  What it
logs is shown only if something fails.
"""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from tempfile import TemporaryFile
from typing import BinaryIO

from clients.errors import ClientError, ServerStartError

SERVE = (sys.executable, "-m", "stream", "--port", "0")
LISTENING = "listening on "
START_S = 180.0  # loading, measuring and warming up, on a slow disk
STOP_S = 30.0  # longer than a server takes for its last finals
LOG_LINES = 20


@asynccontextmanager
async def running_server(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    apart: bool = True,
) -> AsyncIterator[str]:
    """Run a server; yield its address once it is ready.  Leaving stops it.

    Args:
        command: A program and its arguments.
        environment: Its variables; None lets it have ours.
        apart: Whether a signal to our process group, as Ctrl-C, passes it by: then
            its last finals still come.  If not, whoever kills the group ends both.

    Raises:
        ServerStartError: If it does not get ready.
    """
    with TemporaryFile() as log:
        server = await asyncio.create_subprocess_exec(
            *command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            start_new_session=apart,
        )
        try:
            yield await _address(server)
        except (ClientError, ExceptionGroup):
            print(_end_of(log), file=sys.stderr)
            raise
        finally:
            await _stop(server)


async def _address(server: asyncio.subprocess.Process) -> str:
    assert server.stdout is not None, "stdout is a pipe"
    try:
        async with asyncio.timeout(START_S):
            line = (await server.stdout.readline()).decode().strip()
    except TimeoutError as exc:
        raise ServerStartError(f"it is not ready after {START_S:g} s") from exc
    if not line.startswith(LISTENING):
        raise ServerStartError(f"it ended with exit code {await server.wait()}")
    return line.removeprefix(LISTENING)


async def _stop(server: asyncio.subprocess.Process) -> None:
    if server.returncode is None:
        server.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await server.wait()
    except TimeoutError:
        server.kill()
        await server.wait()


def _end_of(log: BinaryIO) -> str:
    """Return the last lines of a log."""
    log.seek(0)
    lines = log.read().decode(errors="replace").splitlines()
    return "\n".join(["the server's log ends:", *lines[-LOG_LINES:]])
