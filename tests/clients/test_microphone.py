import contextlib
import sys
import threading
from types import SimpleNamespace

import pytest

from clients.errors import DeviceError
from clients.microphone import (
    Microphone,
    MicrophoneSource,
    choose,
    choose_format,
    list_microphones,
    load_sounddevice,
    main,
)
from stream.audio import PcmFormat

BLOCK = b"\1\2" * 160
FINE = SimpleNamespace(input_overflow=False)
OVERFLOWN = SimpleNamespace(input_overflow=True)


def microphone(index: int = 0, name: str = "Built-in", **fields) -> Microphone:
    facts = {"channels": 1, "rate": 44_100, "is_default": False} | fields
    return Microphone(index=index, name=name, **facts)


class FakePortAudio:
    """As much of `sounddevice` as is used; its audio thread plays a script."""

    class PortAudioError(Exception):
        pass

    def __init__(self, blocks=(), *, formats=None, dies: bool = False) -> None:
        self.blocks = blocks
        self.formats = formats
        self.dies = dies
        self.opened: dict = {}
        self.default = SimpleNamespace(device=(1, 0))
        self.devices = [
            {"name": "Speaker", "max_input_channels": 0, "default_samplerate": 48e3},
            {"name": "Built-in", "max_input_channels": 2, "default_samplerate": 48e3},
            {"name": "USB Mic", "max_input_channels": 1, "default_samplerate": 44.1e3},
        ]

    def query_devices(self):
        return [{"index": i, **device} for i, device in enumerate(self.devices)]

    def check_input_settings(self, *, device, channels, samplerate, dtype):
        if self.formats is not None and (samplerate, channels) not in self.formats:
            raise self.PortAudioError("Invalid sample rate")

    @contextlib.contextmanager
    def RawInputStream(self, **settings):  # noqa: N802
        self.opened = settings

        def play() -> None:
            for block, status in self.blocks:
                settings["callback"](block, len(block) // 2, None, status)
            if self.dies:
                settings["finished_callback"]()

        thread = threading.Thread(target=play)
        thread.start()
        thread.join()
        yield
        settings["finished_callback"]()


def source(sd: FakePortAudio, audio: PcmFormat | None = None, **options):
    audio = audio or PcmFormat(rate=8000)
    return MicrophoneSource(sd, microphone(), audio, **options)


def test_only_devices_that_record_are_listed():
    found = list_microphones(FakePortAudio())
    assert [(m.index, m.name, m.is_default) for m in found] == [
        (1, "Built-in", True),
        (2, "USB Mic", False),
    ]
    assert str(found[0]) == "*  1  Built-in  (2 channels, 48000 Hz)"
    assert str(found[1]) == "   2  USB Mic  (1 channel, 44100 Hz)"


DEVICES = [
    microphone(1, "USB Mic"),
    microphone(4, "USB Mic 2", is_default=True),
    microphone(5, "Line"),
]


@pytest.mark.parametrize(
    ("wanted", "index"),
    [(None, 4), ("5", 5), ("line", 5), ("Mic 2", 4), ("USB Mic", 1)],
    ids=["default", "number", "part", "another part", "whole name"],
)
def test_a_microphone_is_chosen_by_number_or_name(wanted, index):
    assert choose(DEVICES, wanted).index == index


def test_without_a_default_the_first_is_taken():
    assert choose(DEVICES[2:], None).index == 5


@pytest.mark.parametrize(
    ("microphones", "wanted", "problem"),
    [
        ([], None, "microphone: there is none on this machine"),
        (DEVICES, "9", "microphone '9': no device fits; there are 1 USB Mic, 4 USB"),
        (DEVICES, "studio", "no device fits"),
        (DEVICES, "usb", "more than one fits; there are 1 USB Mic, 4 USB Mic 2$"),
    ],
)
def test_a_choice_that_is_none_is_named(microphones, wanted, problem):
    with pytest.raises(DeviceError, match=problem):
        choose(microphones, wanted)


@pytest.mark.parametrize(
    ("formats", "expected"),
    [
        (None, (16_000, 1)),
        ({(44_100, 1), (44_100, 2)}, (44_100, 1)),
        ({(44_100, 2)}, (44_100, 2)),
        ({(16_000, 2), (44_100, 2)}, (16_000, 2)),
    ],
)
def test_the_smallest_format_that_opens_is_taken(formats, expected):
    audio = choose_format(FakePortAudio(formats=formats), microphone(channels=2))
    assert (audio.rate, audio.channels) == expected


def test_of_very_many_channels_as_many_are_taken_as_are_mixed():
    audio = choose_format(
        FakePortAudio(formats={(44_100, 8)}), microphone(channels=128)
    )
    assert audio.channels == 8


def test_a_device_that_opens_in_no_format_is_named():
    with pytest.raises(DeviceError, match="'Built-in': it does not open: Invalid"):
        choose_format(FakePortAudio(formats={}), microphone())


async def test_blocks_of_the_audio_thread_arrive_in_order():
    blocks = [(bytes([i, 0]) * 160, FINE) for i in range(50)]
    sd = FakePortAudio(blocks)
    mic = source(sd, max_s=50 * 0.02)
    assert [piece async for piece in mic.pieces()] == [block for block, _ in blocks]
    assert (sd.opened["samplerate"], sd.opened["channels"]) == (8000, 1)
    assert (sd.opened["dtype"], sd.opened["blocksize"]) == ("int16", 160)
    assert mic.loss is None


async def test_it_stops_by_itself_after_its_time_to_the_sample():
    mic = source(FakePortAudio([(BLOCK, FINE)] * 10), max_s=0.05)
    assert sum([len(piece) async for piece in mic.pieces()]) == 2 * 400


async def test_it_ends_after_what_was_recorded_when_it_is_stopped():
    mic = source(FakePortAudio([(BLOCK, FINE)] * 3))
    pieces = mic.pieces()
    heard = [await anext(pieces)]
    mic.stop()
    heard += [piece async for piece in pieces]
    assert heard == [BLOCK] * 3


async def test_audio_that_finds_no_room_is_counted_and_told():
    mic = source(FakePortAudio([(BLOCK, FINE)] * 5), max_blocks=2, max_s=0.04)
    assert len([piece async for piece in mic.pieces()]) == 2
    assert mic.loss == (
        "0.06 s were lost because this program was behind; later times are early by it"
    )


async def test_audio_that_the_device_drops_is_counted_and_told():
    mic = source(FakePortAudio([(BLOCK, OVERFLOWN), (BLOCK, FINE)]), max_s=0.04)
    assert len([piece async for piece in mic.pieces()]) == 2
    assert mic.loss == "the device dropped audio 1 times; later times are early by it"


async def test_a_device_that_goes_away_is_an_error_after_its_last_block():
    mic = source(FakePortAudio([(BLOCK, FINE)], dies=True))
    pieces = mic.pieces()
    assert await anext(pieces) == BLOCK
    with pytest.raises(DeviceError, match="it stopped by itself"):
        await anext(pieces)


async def test_a_paused_microphone_hears_nothing():
    mic = source(FakePortAudio())
    for is_paused in (False, True, False):
        (mic.pause if is_paused else mic.resume)()
        mic.hear(bytes([is_paused]) * 320, 160, None, FINE)
    mic.stop()
    assert b"".join([piece async for piece in mic.pieces()]) == bytes(640)
    assert mic.loss is None


async def test_a_device_that_does_not_open_is_named():
    sd = FakePortAudio()

    def fail(**settings):
        raise sd.PortAudioError("Device unavailable")

    sd.RawInputStream = fail
    with pytest.raises(DeviceError, match="'Built-in': Device unavailable"):
        await anext(source(sd).pieces())


def test_a_machine_without_portaudio_is_told_which_package_to_install(monkeypatch):
    class Missing:
        def find_spec(self, name, path=None, target=None):
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
    with pytest.raises(DeviceError, match="install Debian's libportaudio2"):
        load_sounddevice()


@pytest.mark.parametrize("flags", [["--list"], []], ids=["list", "record"])
def test_no_microphone_is_one_sentence_and_a_failed_run(flags, monkeypatch, capsys):
    sd = FakePortAudio()
    sd.devices = sd.devices[:1]
    monkeypatch.setattr("clients.microphone.load_sounddevice", lambda: sd)
    assert main(flags) == 1
    said = capsys.readouterr().err
    assert said == "salmonn-mic: microphone: there is none on this machine\n"


def test_the_list_is_printed(monkeypatch, capsys):
    monkeypatch.setattr("clients.microphone.load_sounddevice", FakePortAudio)
    assert main(["--list"]) == 0
    assert capsys.readouterr().out.splitlines()[0].startswith("*  1  Built-in")


@pytest.mark.parametrize("text", ["0", "-1", "soon", "inf", "nan"])
def test_a_time_that_is_none_is_wrong_usage(text):
    with pytest.raises(SystemExit) as info:
        main(["--seconds", text])
    assert info.value.code == 2
