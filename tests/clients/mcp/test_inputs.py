"""What can be listened to.  A file has to be to its listener what a microphone is."""

import wave
from pathlib import Path

import pytest

from clients.errors import AudioSourceError, DeviceError
from clients.mcp.inputs import DeviceInput, FileInput
from clients.monitors import Monitor
from tests.clients.test_microphone import FINE, FakePortAudio

SECOND = 2 * 16_000
BLOCK = b"\1\2" * 320


def write_wav(path: Path, pcm: bytes, rate: int = 16_000) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm)
    return path


@pytest.fixture
def portaudio(monkeypatch):
    sd = FakePortAudio([(BLOCK, FINE)] * 50)
    monkeypatch.setattr("clients.microphone.load_sounddevice", lambda: sd)
    monkeypatch.setenv("PATH", "")  # no monitors
    return sd


@pytest.fixture(params=["microphone", "file"])
def source(request, tmp_path):
    """Something with a second of audio."""
    if request.param == "file":
        return FileInput(write_wav(tmp_path / "a.wav", BLOCK * 50))
    request.getfixturevalue("portaudio")
    return DeviceInput()


async def heard(capture) -> bytes:
    return b"".join([piece async for piece in capture.pieces()])


async def test_a_stretch_is_as_long_as_it_was_asked_for(source):
    capture = await source.capture(None, 0.1)
    assert await heard(capture) == BLOCK * 5
    assert capture.loss is None


async def test_what_is_listened_to_is_among_the_devices(source):
    names = [device.name for device in await source.devices()]
    assert (await source.capture(None, 0.1)).name in names


async def test_a_device_is_named_by_its_number(source):
    for device in await source.devices():
        capture = await source.capture(str(device.index), 0.1)
        assert capture.name == device.name


async def test_a_device_that_there_is_not_is_named(source):
    with pytest.raises(DeviceError, match="microphone 'studio'"):
        await source.capture("studio", 0.1)


async def test_stopped_before_it_begins_it_hears_nothing(source):
    capture = await source.capture(None, 1.0)
    capture.stop()
    assert await heard(capture) == b""


async def test_stopped_it_ends(source):
    capture = await source.capture(None, 1.0)
    pieces = capture.pieces()
    first = await anext(pieces)
    capture.stop()
    rest = [piece async for piece in pieces]
    assert 0 < len(first) + sum(map(len, rest)) <= SECOND


async def test_nothing_is_opened_before_it_is_heard_and_closing_closes_it(portaudio):
    capture = await DeviceInput().capture(None, 1.0)
    assert not portaudio.opened
    pieces = capture.pieces()
    await anext(pieces)
    assert portaudio.opened
    await pieces.aclose()


async def test_the_usual_device_is_taken_unless_a_call_names_another(portaudio):
    usual = DeviceInput("usb")
    assert (await usual.capture(None, 1.0)).name == "USB Mic"
    assert (await usual.capture("built", 1.0)).name == "Built-in"


async def test_a_machine_without_microphones_has_an_empty_list(portaudio):
    portaudio.devices = portaudio.devices[:1]
    assert await DeviceInput().devices() == []
    with pytest.raises(DeviceError, match="there is none on this machine"):
        await DeviceInput().capture(None, 1.0)


async def test_what_the_machine_plays_is_a_device_that_is_named(
    portaudio, tmp_path, monkeypatch
):
    for name, script in (
        ("pactl", r"printf '1\tout.monitor\tx\ts16le\tIDLE\n'"),
        ("parec", "exec cat /dev/zero"),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    source = DeviceInput()
    assert Monitor("out.monitor") in await source.devices()
    assert (await source.capture(None, 0.1)).name == "Built-in"
    capture = await source.capture("monitor", 0.1)
    assert capture.name == "out.monitor"
    assert await heard(capture) == bytes(SECOND // 10)


async def test_the_next_stretch_of_a_file_goes_on_where_the_last_ended(tmp_path):
    pcm = bytes(i % 251 for i in range(SECOND // 2))
    source = FileInput(write_wav(tmp_path / "a.wav", pcm))
    parts = [await heard(await source.capture(None, 0.1)) for _ in range(5)]
    assert b"".join(parts) == pcm
    assert {len(part) for part in parts} == {SECOND // 10}
    with pytest.raises(AudioSourceError, match="it was heard to its end"):
        await source.capture(None, 0.1)


async def test_what_a_stopped_stretch_leaves_over_the_next_one_has(tmp_path):
    pcm = bytes(i % 251 for i in range(SECOND // 5))
    source = FileInput(write_wav(tmp_path / "a.wav", pcm))
    capture = await source.capture(None, 1.0)
    pieces = capture.pieces()
    first = await anext(pieces)
    capture.stop()
    first += b"".join([piece async for piece in pieces])
    assert first + await heard(await source.capture(None, 1.0)) == pcm


async def test_a_file_that_ends_early_ends_the_stretch(tmp_path):
    source = FileInput(write_wav(tmp_path / "a.wav", BLOCK * 3))
    assert await heard(await source.capture(None, 10.0)) == BLOCK * 3


def test_a_file_that_is_no_audio_is_told_at_once(tmp_path):
    path = tmp_path / "a.wav"
    path.write_text("not audio")
    with pytest.raises(AudioSourceError, match="not audio"):
        FileInput(path)
