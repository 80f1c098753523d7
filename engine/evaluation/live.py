"""Run the server and its file client as a user does: as processes.

The layers forbid the engine to import them; their commands are the interface.
"""

import json
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from engine.config import EngineConfig, build
from engine.errors import EngineError

LISTENING = "listening on "
START_S = 180.0  # loading and warming up, on a slow disk
STOP_S = 30.0
STOPPED = 143  # what a shell makes of SIGTERM

Event = dict[str, Any]
"""A line of `salmonn-file --json -`."""


class LiveError(EngineError):
    """Raised when the server or a client of it fails."""


@contextmanager
def running_server(
    *,
    config: Path | None = None,
    port: int = 0,
    flags: Sequence[str] = (),
    module: str = "stream",
) -> Iterator[tuple[str, int]]:
    """Run a server; yield its URL and its process id once it is ready.

    Args:
        config: Its file.
        port: Where it listens; 0 takes a free one.
        flags: Of `salmonn-serve`, as `--preset`.
        module: What to run in its place, with the same flags and words.

    Raises:
        LiveError: If it ends before it is ready.
    """
    command = [sys.executable, "-m", module, "--port", str(port)]
    command += ["--log-level", "warning"]  # the terminal is for progress and figures
    if config:
        command += ["--config", str(config)]
    command += flags
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout, "stdout is a pipe"
    # Told to stop, we must not leave the server behind.
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(STOPPED))
    try:
        line = server.stdout.readline().strip()
        if not line.startswith(LISTENING):
            raise LiveError(f"the server did not start (exit {server.wait(STOP_S)})")
        yield line.removeprefix(LISTENING), server.pid
    finally:
        server.terminate()
        server.wait(STOP_S)
        server.stdout.close()
        signal.signal(signal.SIGTERM, before)


def engine_config(server_config: Path | None) -> EngineConfig:
    """Return the engine's part of a server's configuration file.

    Raises:
        ValueError: If it is not TOML, or that part of it is wrong.
        OSError: If it cannot be read.
    """
    if server_config is None:
        return EngineConfig()
    table = tomllib.loads(server_config.read_text(encoding="utf-8"))
    return build(EngineConfig, table.get("engine", {}), where="engine.")


def health(url: str) -> dict[str, Any]:
    """Return what `/health` says of a server."""
    with urlopen(url.replace("ws://", "http://") + "/health", timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def file_command(url: str, files: Sequence[Path], *options: str) -> list[str]:
    """Return the command that streams files and prints a line of JSON an event."""
    command = [sys.executable, "-m", "clients.file", *map(str, files)]
    return [*command, "--url", url, "--json", "-", *options]


def stream_files(
    url: str, files: Sequence[Path], *options: str
) -> Iterator[tuple[str, Event]]:
    """Stream files to a server, one after the other; yield file and event.

    Args:
        url: The server's.
        files: What to stream.
        options: Of `salmonn-file`, as `--fast`.

    Raises:
        LiveError: If the client fails.
    """
    command = file_command(url, files, *options)
    client = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert client.stdout, "stdout is a pipe"
    with client.stdout as lines:
        for line in lines:
            event = json.loads(line)
            yield event["file"], event
    if code := client.wait(STOP_S):
        raise LiveError(f"salmonn-file failed (exit {code})")


def finals(events: Sequence[Event]) -> list[Event]:
    """Return the finals among events."""
    return [event for event in events if event["type"] == "final"]


def transcript(events: Sequence[Event]) -> str:
    """Return the text of all finals, joined."""
    return " ".join(event["text"] for event in finals(events) if event["text"])


def answer(events: Sequence[Event]) -> str:
    """Return the answer to the one question that was asked.

    Raises:
        LiveError: If there is none.
    """
    found = [event for event in events if event["type"] == "answer"]
    if not found:
        told = [str(event["message"]) for event in events if event["type"] == "error"]
        raise LiveError(f"the server answered no question: {'; '.join(told) or '-'}")
    return str(found[-1]["text"])


def hear(
    url: str, files: Sequence[Path], *options: str, report: Callable[[], None]
) -> list[list[Event]]:
    """Stream files to a server, one after the other.

    Args:
        url: The server's.
        files: What to stream; each once.
        options: Of `salmonn-file`.
        report: Called as each file's first event comes.

    Returns:
        The events of each file.

    Raises:
        LiveError: If the client fails.
    """
    heard: dict[str, list[Event]] = {str(file): [] for file in files}
    for name, event in stream_files(url, files, *options):
        if not heard[name]:
            report()
        heard[name].append(event)
    return list(heard.values())
