"""A server of one's own, and what it costs: its memory, its time, its own figures."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psutil

from engine.evaluation import live

MB = 1_000_000


class MeasuredServer:
    """A server that runs, seen from outside."""

    def __init__(self, url: str, pid: int) -> None:
        self.url = url
        self._process = psutil.Process(pid)
        self._health = live.health(url)

    @property
    def engine(self) -> str:
        """What it computes with, in a line."""
        return str(self._health["engine"])

    @property
    def segmenter(self) -> dict[str, int]:
        """Where its segments begin and end; durations in milliseconds."""
        return dict[str, int](self._health["segmenter"])

    def rss_mb(self) -> float:
        """Return how much memory it holds."""
        return float(self._process.memory_info().rss) / MB

    def cpu_s(self) -> float:
        """Return how long it has computed, all its threads together."""
        times: Any = self._process.cpu_times()
        return float(times.user + times.system)

    def loop_s(self) -> float:
        """Return how long its main thread has computed: that of its event loop."""
        return main_thread_s(self._process)

    def metric(self, name: str) -> float:
        """Return a figure of `/metrics` that has no labels."""
        http = self.url.replace("ws://", "http://")
        with urlopen(f"{http}/metrics", timeout=10) as answer:
            return read_metric(answer.read().decode(), name)


@contextmanager
def measured_server(
    config: Path | None, *, flags: Sequence[str] = (), module: str = "stream"
) -> Iterator[MeasuredServer]:
    """Run a server while inside; flags and module as for `live.running_server`.

    Raises:
        LiveError: If it does not start.
    """
    with live.running_server(config=config, flags=flags, module=module) as (url, pid):
        yield MeasuredServer(url, pid)


def main_thread_s(process: psutil.Process) -> float:
    """Return how long the main thread of a process has computed."""
    threads: Any = process.threads()
    return sum(
        float(thread.user_time + thread.system_time)
        for thread in threads
        if thread.id == process.pid  # as Linux numbers them
    )


def read_metric(text: str, name: str) -> float:
    """Return a figure without labels from Prometheus' text format.

    Raises:
        LiveError: If it is not there.
    """
    for line in text.splitlines():
        found, _, value = line.partition(" ")
        if found == name:
            return float(value)
    raise live.LiveError(f"/metrics has no {name}")
