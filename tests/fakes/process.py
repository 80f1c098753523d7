"""`salmonn-serve` as a process of its own, with the scripted engine behind it."""

import asyncio
import contextlib
import os
import sys

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


@contextlib.asynccontextmanager
async def serving(folder, more=""):
    """Run the server; yield its address, as `127.0.0.1:PORT`.

    Args:
        folder: For its configuration.
        more: TOML that is added to `SETTINGS`.
    """
    path = folder / "server.toml"
    path.write_text(SETTINGS + more)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", COMMAND, "--config", str(path)),
        *("--log-level", "warning"),
        env=os.environ | {"PYTHONPATH": str(ROOT)},  # whatever folder it is run in
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(READY_S):
            line = (await process.stdout.readline()).decode()
        if not line:
            raise AssertionError((await process.stderr.read()).decode())
        yield line.split("//")[1].strip()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        _, err = await process.communicate()
    assert not err, err.decode()
    assert process.returncode == 0
