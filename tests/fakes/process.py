"""`salmonn-serve` as a process of its own, with the scripted engine behind it."""

import asyncio
import contextlib
import os
import signal
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tests.checkout import ROOT

COMMAND = """
import sys
import stream.__main__ as command
from tests.fakes.engine import AnySound, ScriptedEngine

command.load = lambda config: ScriptedEngine()
command.detector_of = lambda config: AnySound
sys.exit(command.main(sys.argv[1:]))
"""
SETTINGS = """
port = 0
[segmenter]
pre_roll_ms = 100
min_speech_ms = 40
start_window_ms = 60
tail_ms = 60
hangover_ms = 120
soft_limit_ms = 4000
soft_hangover_ms = 60
max_segment_ms = 8000
search_ms = 1000
search_pause_ms = 40
"""
"""`tests.fakes.driver.SEGMENTER`."""
READY_S = 60.0


@dataclass
class Served:
    """A server that listens, and what it writes."""

    process: asyncio.subprocess.Process
    addresses: list[str]
    """As `127.0.0.1:PORT`; Wyoming's is the second, if there is one."""
    log_file: Path

    async def kill(self):
        """End it as a crash would."""
        self.process.kill()
        await self.process.wait()

    @property
    def log(self):
        return self.log_file.read_text()

    async def until(self, condition):
        """Ask for the server's health until a condition holds."""
        async with asyncio.timeout(READY_S):
            while not condition():
                await asyncio.to_thread(_get, f"http://{self.addresses[0]}/health")


def _get(url):
    with urllib.request.urlopen(url, timeout=READY_S) as answer:
        return answer.read()


@contextlib.asynccontextmanager
async def started(
    folder,
    *arguments,
    more="",
    num_ports=1,
    program=COMMAND,
    settings=SETTINGS,
    ready_s=READY_S,
):
    """Run the server; yield it as `Served`.  Leaving stops it.

    Args:
        folder: For its configuration, `server.toml`, and its log.
        arguments: More of the command line.
        more: TOML that is added to the settings.
        num_ports: How many it says that it listens at.
        program: In Python, in place of the command.
        settings: TOML.
        ready_s: How long it may take until it listens.
    """
    path, log = folder / "server.toml", folder / "server.log"
    path.write_text(settings + more)
    with log.open("wb") as written:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program, "--config", str(path)),
            *arguments,
            env=os.environ | {"PYTHONPATH": str(ROOT)},  # whatever folder it is run in
            stdout=asyncio.subprocess.PIPE,
            stderr=written,
        )
    try:
        async with asyncio.timeout(ready_s):
            lines = [await process.stdout.readline() for _ in range(num_ports)]
        if not all(lines):
            raise AssertionError(log.read_text())
        addresses = [line.decode().split("//")[1].strip() for line in lines]
        yield Served(process, addresses, log)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), log.read_text()


@contextlib.asynccontextmanager
async def serving(folder, more=""):
    """Run the server; yield its address, as `127.0.0.1:PORT`.

    Args:
        folder: For its configuration.
        more: TOML that is added to `SETTINGS`.
    """
    async with started(folder, "--log-level", "warning", more=more) as served:
        yield served.addresses[0]
    assert not served.log, served.log
