"""What this computer plays, as something to listen to: PulseAudio's monitor sources.

PipeWire has them, too, for the same programs, `pactl` and `parec` (Debian's
pulseaudio-utils).  PortAudio lists none of them.  Knows no microphone.
"""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from shutil import which

from clients.conversation import MAX_HELD_S
from clients.errors import DeviceError
from stream.audio import SAMPLE_RATE, PcmFormat

SUFFIX = ".monitor"  # of the name of every source that repeats what is played
ANSWER_S = 5.0
BLOCK_BYTES = 2 * SAMPLE_RATE * 40 // 1000


@dataclass(frozen=True, slots=True)
class Monitor:
    """A source that repeats what an output plays."""

    name: str

    def __str__(self) -> str:
        return f"   -  {self.name}  (what this computer plays)"


def list_monitors() -> list[Monitor]:
    """Return all monitor sources; none where no sound server answers."""
    if which("pactl") is None or which("parec") is None:
        return []
    try:
        listing = subprocess.run(
            ["pactl", "list", "short", "sources"],
            capture_output=True,
            text=True,
            timeout=ANSWER_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    # A line a source: number, name, driver, format and state, between tabs.
    rows = [line.split("\t") for line in listing.stdout.splitlines()]
    return [Monitor(row[1]) for row in rows if len(row) > 1 and row[1].endswith(SUFFIX)]


class MonitorSource:
    """The audio that an output plays, mixed and resampled by the sound server."""

    name = None
    format = PcmFormat()
    is_live = True
    max_held_s = MAX_HELD_S
    loss = None
    """Nothing is lost: the sound server keeps what is not read yet."""

    def __init__(self, monitor: Monitor, *, max_s: float | None = None) -> None:
        self._monitor = monitor
        self._left = None if max_s is None else 2 * round(max_s * SAMPLE_RATE)
        self._recorder: asyncio.subprocess.Process | None = None
        self._is_stopped = False
        self._is_paused = False

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Record until `stop` is called or the time is over.

        Raises:
            DeviceError: If it does not open, or ends by itself.
        """
        self._recorder = await asyncio.create_subprocess_exec(
            *("parec", f"--device={self._monitor.name}", "--client-name=salmonn-mic"),
            *("--raw", "--format=s16le", "--channels=1", f"--rate={SAMPLE_RATE}"),
            "--latency-msec=40",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for us: it ends when we say so
        )
        assert self._recorder.stdout is not None, "stdout is a pipe"
        try:
            while not self._is_stopped and self._left != 0:
                try:
                    block = await self._recorder.stdout.readexactly(BLOCK_BYTES)
                except asyncio.IncompleteReadError:
                    await self._end()
                    return
                if not self._is_paused:
                    piece = block[: self._left]
                    if self._left is not None:
                        self._left -= len(piece)
                    yield piece
        finally:
            self._kill()
            await self._recorder.communicate()

    def stop(self) -> None:
        """End after what has been read."""
        self._is_stopped = True
        self._kill()

    def pause(self) -> None:
        """Hear nothing; times go on where they were, and `max_s` does not run."""
        self._is_paused = True

    def resume(self) -> None:
        """Hear again."""
        self._is_paused = False

    async def _end(self) -> None:
        """Say why the recorder ended, unless it was told to."""
        if self._is_stopped:
            return
        assert self._recorder is not None, "it has begun"
        _, err = await self._recorder.communicate()
        reason = " ".join(err.decode(errors="replace").split())
        raise DeviceError(reason or "it stopped by itself", device=self._monitor.name)

    def _kill(self) -> None:
        if self._recorder is not None:
            with contextlib.suppress(ProcessLookupError):
                self._recorder.terminate()
