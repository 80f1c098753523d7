"""A Valkey server of this machine for as long as somebody needs it.

`valkey-server`, or `redis-server`, of which Valkey is a fork and which answers the same
commands; a Debian package has either's name.
"""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import valkey

NAMES = ("valkey-server", "redis-server")
READY_S = 20.0
POLL_S = 0.02


def program() -> str | None:
    """Return the path of a server; None if none is installed."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@dataclass
class LocalValkey:
    """One that answers."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.folder / 'socket'}"

    def client(self) -> valkey.Valkey:
        return valkey.Valkey.from_url(self.url, decode_responses=True)

    def start(self) -> None:
        """Start it with nothing in its memory, and wait until it answers."""
        found = program()
        assert found, f"no {' or '.join(NAMES)}"
        self.process = subprocess.Popen(
            [found, "--port", "0", "--unixsocket", "socket", "--save", ""],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + READY_S
        with contextlib.closing(self.client()) as client:
            while True:
                try:
                    client.ping()
                except (valkey.ConnectionError, valkey.exceptions.BusyLoadingError):
                    assert time.monotonic() < deadline, "it does not answer"
                    time.sleep(POLL_S)
                else:
                    return

    def stop(self) -> None:
        """End it as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextlib.contextmanager
def running() -> Iterator[LocalValkey]:
    """Run one while the block runs, reached by a socket in a folder of its own."""
    with TemporaryDirectory() as folder:
        server = LocalValkey(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()
