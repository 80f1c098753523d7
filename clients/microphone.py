"""`salmonn-mic`: stream a microphone to a server.

    salmonn-mic --list
    salmonn-mic --device USB --task transcribe --task translate:en
    salmonn-mic --device monitor --save meeting.srt     # what this computer plays
    salmonn-mic --seconds 60 --save note.srt

Ctrl-C, or `q`, ends the audio; what was spoken is still answered.  `sounddevice` is
imported only here, and only when a microphone is wanted: without PortAudio it does not
import.
"""

import argparse
import sys
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any

from clients.conversation import MAX_HELD_S
from clients.errors import DeviceError
from clients.inlet import Inlet
from clients.monitors import Monitor, MonitorSource, list_monitors
from clients.options import Options, Outputs, add_options, read_options
from clients.pcm import describe
from clients.run import caption, exit_code
from clients.values import checked, positive
from stream.audio import MAX_CHANNELS, SAMPLE_RATE, PcmFormat
from stream.errors import AudioFormatError

PROGRAM = "salmonn-mic"
BLOCK_MS = 20
MAX_BLOCKS = 500
"""10 s between the audio thread and the loop.  When it is full, audio is lost: the
audio thread must not wait.  The loss is counted, and told at the end."""


@dataclass(frozen=True, slots=True)
class Microphone:
    """A device that records."""

    index: int
    name: str
    channels: int
    rate: int
    """The device's own."""
    is_default: bool

    def __str__(self) -> str:
        channels = "1 channel" if self.channels == 1 else f"{self.channels} channels"
        mark = "*" if self.is_default else " "
        return f"{mark} {self.index:2}  {self.name}  ({channels}, {self.rate} Hz)"


def load_sounddevice() -> Any:
    """Return the module.

    Raises:
        DeviceError: If it cannot be loaded.
    """
    try:
        import sounddevice
    except OSError as exc:
        raise DeviceError(
            "PortAudio is missing; install Debian's libportaudio2 "
            "(on other systems, the package named portaudio)"
        ) from exc
    return sounddevice


def list_microphones(sd: Any) -> list[Microphone]:
    """Return all devices that record."""
    default = sd.default.device[0]
    return [
        Microphone(
            index=device["index"],
            name=device["name"],
            channels=device["max_input_channels"],
            rate=round(device["default_samplerate"]),
            is_default=device["index"] == default,
        )
        for device in sd.query_devices()
        if device["max_input_channels"] > 0
    ]


Device = Microphone | Monitor


def choose(devices: Sequence[Device], wanted: str | None) -> Device:
    """Return the device with a number, or whose name alone contains a text.

    Without a wish, the default microphone, or the first.

    Raises:
        DeviceError: If there is none, or more than one.
    """
    microphones = [one for one in devices if isinstance(one, Microphone)]
    if not (devices if wanted else microphones):
        raise DeviceError("there is none on this machine", device=wanted)
    if wanted is None:
        return next((m for m in microphones if m.is_default), microphones[0])
    fitting: Sequence[Device]
    if wanted.isdecimal():
        fitting = [m for m in microphones if m.index == int(wanted)]
    else:
        exact = [one for one in devices if one.name == wanted]
        part = [one for one in devices if wanted.lower() in one.name.lower()]
        fitting = exact or part
    if len(fitting) != 1:
        found = "more than one fits" if fitting else "no device fits"
        names = ", ".join(map(_short, fitting or devices))
        raise DeviceError(f"{found}; there are {names}", device=wanted)
    return fitting[0]


def _short(device: Device) -> str:
    if isinstance(device, Monitor):
        return device.name
    return f"{device.index} {device.name}"


def find_devices() -> tuple[Any, list[Device]]:
    """Return `sounddevice` and everything to listen to.

    Without PortAudio the first is None, and there are only monitors.

    Raises:
        DeviceError: If PortAudio is missing, and there is no monitor either.
    """
    monitors = list_monitors()
    try:
        sd = load_sounddevice()
    except DeviceError:
        if not monitors:
            raise
        return None, [*monitors]
    return sd, [*list_microphones(sd), *monitors]


def choose_format(sd: Any, microphone: Microphone) -> PcmFormat:
    """Return a format in which a device records, the smallest first.

    Raises:
        DeviceError: If it does not open in any.
    """
    reason = "no format"
    most = min(microphone.channels, MAX_CHANNELS)
    for channels in dict.fromkeys((1, most)):
        for rate in dict.fromkeys((SAMPLE_RATE, microphone.rate)):
            try:
                audio = PcmFormat(rate=rate, channels=channels)
                sd.check_input_settings(
                    device=microphone.index,
                    channels=channels,
                    samplerate=rate,
                    dtype="int16",
                )
            except (sd.PortAudioError, AudioFormatError) as exc:
                reason = str(exc)
            else:
                return audio
    raise DeviceError(f"it does not open: {reason}", device=microphone.name)


class MicrophoneSource:
    """The audio of a device.  Made in the loop that reads it."""

    def __init__(
        self,
        sd: Any,
        microphone: Microphone,
        audio: PcmFormat,
        *,
        max_s: float | None = None,
        max_blocks: int = MAX_BLOCKS,
    ) -> None:
        self.name = None
        self.format = audio
        self.is_live = True
        self.max_held_s = MAX_HELD_S
        self.overflows = 0
        """How often the device said that it dropped some."""
        self._sd = sd
        self._microphone = microphone
        self._max_samples = None if max_s is None else round(max_s * audio.rate)
        self._inlet = Inlet(max_blocks)
        self._is_paused = False

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Record until `stop` is called or the time is over.

        Raises:
            DeviceError: If the device does not open, or stops by itself.
        """
        left = self._max_samples
        size = self.format.sample_bytes
        try:
            with self._open():
                async for block in self._inlet.chunks():
                    piece = block if left is None else block[: left * size]
                    yield piece
                    if left is not None:
                        left -= len(piece) // size
                        if left == 0:
                            break
                self._inlet.close()
        except self._sd.PortAudioError as exc:
            raise DeviceError(str(exc), device=self._microphone.name) from exc
        finally:
            self._inlet.close()

    def stop(self) -> None:
        """End after what has been recorded."""
        self._inlet.finish()

    def pause(self) -> None:
        """Hear nothing; times go on where they were, and `max_s` does not run."""
        self._is_paused = True

    def resume(self) -> None:
        """Hear again."""
        self._is_paused = False

    @property
    def loss(self) -> str | None:
        """What to tell of audio that was lost; None if none was."""
        parts = []
        if lost_bytes := self._inlet.refused_bytes:
            lost_s = lost_bytes / (self.format.sample_bytes * self.format.rate)
            parts.append(f"{lost_s:.2f} s were lost because this program was behind")
        if self.overflows:
            parts.append(f"the device dropped audio {self.overflows} times")
        return "; ".join(parts) + "; later times are early by it" if parts else None

    def hear(self, block: Any, _num: int, _time: Any, status: Any) -> None:
        """Take a block from the audio thread, which must not wait."""
        if status.input_overflow:
            self.overflows += 1
        if not self._is_paused:
            self._inlet.offer(bytes(block))

    def _open(self) -> Any:
        return self._sd.RawInputStream(
            device=self._microphone.index,
            samplerate=self.format.rate,
            channels=self.format.channels,
            dtype="int16",
            blocksize=self.format.rate * BLOCK_MS // 1000,
            callback=self.hear,
            finished_callback=self._end,
        )

    def _end(self) -> None:
        """Note that the device records no more; after `close` this is no news."""
        self._inlet.finish(
            DeviceError("it stopped by itself", device=self._microphone.name)
        )


async def send_microphone(
    wanted: str | None, options: Options, *, max_s: float | None
) -> bool:
    """Send a device until it is stopped; return whether all was answered."""
    sd, devices = find_devices()
    device = choose(devices, wanted)
    source: MicrophoneSource | MonitorSource
    if isinstance(device, Monitor):
        source = MonitorSource(device, max_s=max_s)
    else:
        audio = choose_format(sd, device)
        source = MicrophoneSource(sd, device, audio, max_s=max_s)
    print(f"listening to {device.name}: {describe(source.format)}", file=sys.stderr)
    with Outputs(options) as outputs:
        is_answered = await caption(source, options, outputs)
    if source.loss is not None:
        print(f"{PROGRAM}: {source.loss}", file=sys.stderr)
    return is_answered


async def show_microphones() -> bool:
    """Print the devices that record; return True.

    Raises:
        DeviceError: If there is none.
    """
    _, devices = find_devices()
    if not devices:
        raise DeviceError("there is none on this machine")
    for device in devices:
        print(device)
    return True


def make_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description="Stream a microphone to a server."
    )
    device = parser.add_argument_group("microphone")
    device.add_argument(
        "--list",
        action="store_true",
        help="list the microphones (* default), and what plays here, and end",
    )
    device.add_argument(
        "--device", metavar="N|NAME", help="its number, or a part of its name"
    )
    device.add_argument(
        "--seconds",
        type=checked(positive),
        metavar="N",
        help="stop by itself (default: at q or Ctrl-C)",
    )
    add_options(parser, keys=True)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = make_parser()
    arguments = parser.parse_args(argv)
    if arguments.list:
        return exit_code(show_microphones(), program=PROGRAM)
    options = read_options(parser, arguments)
    sending = send_microphone(arguments.device, options, max_s=arguments.seconds)
    return exit_code(sending, program=PROGRAM)


if __name__ == "__main__":
    sys.exit(main())
