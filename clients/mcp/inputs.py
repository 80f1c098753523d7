"""What can be listened to: a device, opened for one stretch; or a file, in parts.

Knows no server and no protocol.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Protocol

from clients.errors import AudioSourceError, DeviceError
from clients.microphone import (
    Device,
    Microphone,
    MicrophoneSource,
    choose,
    choose_format,
    find_devices,
)
from clients.monitors import Monitor, MonitorSource
from clients.paced import paced
from clients.pcm import AudioFile
from stream.audio import PcmFormat

PIECE_MS = 20


class Capture(Protocol):
    """One stretch of audio, as it is spoken."""

    @property
    def name(self) -> str:
        """What is listened to."""

    @property
    def format(self) -> PcmFormat:
        """What its bytes mean."""

    @property
    def loss(self) -> str | None:
        """What to tell of audio that was lost; None if none was."""

    def pieces(self) -> AsyncGenerator[bytes, None]:
        """Open the device; yield whole samples; close it.  Closing it closes both.

        Raises:
            ClientError: If it fails.
        """

    def stop(self) -> None:
        """End soon; before `pieces`, end at once."""


class Input(Protocol):
    """Where stretches come from."""

    async def devices(self) -> list[Device]:
        """Return what a stretch can be of.

        Raises:
            DeviceError: If that cannot be told.
        """

    async def capture(self, device: str | None, seconds: float) -> Capture:
        """Return a stretch of a device, None for the usual one; nothing is open yet.

        Raises:
            ClientError: If there is no such device, or it has no more audio.
        """


class DeviceCapture:
    """So many seconds of a device."""

    def __init__(self, name: str, source: MicrophoneSource | MonitorSource) -> None:
        self.name = name
        self.format = source.format
        self._source = source
        self._is_stopped = False

    @property
    def loss(self) -> str | None:
        """What to tell of audio that was lost."""
        return self._source.loss

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Record; nothing, if it was stopped before."""
        if self._is_stopped:
            return
        async with aclosing(self._source.pieces()) as pieces:
            async for piece in pieces:
                yield piece

    def stop(self) -> None:
        """End after what has been recorded."""
        self._is_stopped = True
        self._source.stop()


class DeviceInput:
    """The microphones of this machine, and what it plays.

    Args:
        usual: Number or part of a name of the one that is taken unless a call names
            another; None is the system's default.
    """

    def __init__(self, usual: str | None = None) -> None:
        self._usual = usual

    async def devices(self) -> list[Device]:
        """Return the devices; none at all is no error where PortAudio is."""
        _, devices = await asyncio.to_thread(find_devices)  # the system takes its time
        return devices

    async def capture(self, device: str | None, seconds: float) -> Capture:
        """Return so many seconds of a device."""
        wanted = self._usual if device is None else device
        sd, devices = await asyncio.to_thread(find_devices)
        chosen = choose(devices, wanted)
        source: MicrophoneSource | MonitorSource
        if isinstance(chosen, Monitor):
            source = MonitorSource(chosen, max_s=seconds)
        else:
            audio = await asyncio.to_thread(choose_format, sd, chosen)
            source = MicrophoneSource(sd, chosen, audio, max_s=seconds)
        return DeviceCapture(chosen.name, source)


class FileCapture:
    """The next seconds of a file, as fast as they were spoken."""

    def __init__(self, name: str, audio: PcmFormat, pieces: Iterator[bytes]) -> None:
        self.name = name
        self.format = audio
        self.loss = None
        self._pieces = pieces
        self._is_stopped = False

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield them; what a stop leaves over, the next stretch has."""
        rate = self.format.rate * self.format.sample_bytes
        async for piece in paced(self._until_stopped(), bytes_per_second=rate):
            yield piece

    def stop(self) -> None:
        """End after the piece that is under way."""
        self._is_stopped = True

    def _until_stopped(self) -> Iterator[bytes]:
        while not self._is_stopped and (piece := next(self._pieces, b"")):
            yield piece


class FileInput:
    """A file in place of a microphone: each stretch goes on where the last one ended.

    Raises:
        AudioSourceError: If it cannot be read, or is no audio.
    """

    def __init__(self, path: Path) -> None:
        file = AudioFile(path)
        self._name, self._format = str(path), file.format
        self._pieces = file.pieces(file.format.rate * PIECE_MS // 1000)
        self._next: bytes | None = None

    async def devices(self) -> list[Device]:
        """Return the file, as if it were a device."""
        audio = self._format
        return [Microphone(0, self._name, audio.channels, audio.rate, is_default=True)]

    async def capture(self, device: str | None, seconds: float) -> Capture:
        """Return its next seconds, in whole pieces."""
        if device not in (None, "0", self._name):
            raise DeviceError(
                f"there is none; {self._name} is heard in its place", device=device
            )
        if self._next is None:
            self._next = next(self._pieces, b"")
        if not self._next:
            raise AudioSourceError(self._name, "it was heard to its end")
        return FileCapture(self._name, self._format, self._part(seconds))

    def _part(self, seconds: float) -> Iterator[bytes]:
        """Yield pieces while less than so much was yielded.

        The piece behind them is read, too: whether there is one, the next part must
        know before it begins.
        """
        left = round(seconds * self._format.rate)
        while left > 0 and self._next:
            piece, self._next = self._next, next(self._pieces, b"")
            left -= len(piece) // self._format.sample_bytes
            yield piece
