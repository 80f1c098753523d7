import json
import subprocess
import sys

import numpy as np
import pytest

from clients import microphone
from clients.errors import DeviceError
from clients.microphone import choose, find_devices, main
from clients.monitors import Monitor, MonitorSource, list_monitors
from stream.audio import SAMPLE_RATE, to_float
from tests.clients.sound_server import OUTPUT, need_pulseaudio, sound_server
from tests.clients.test_microphone import FakePortAudio
from tests.clients.test_microphone import microphone as fake_microphone
from tests.clients.threaded_server import threaded_server

NAME = f"{OUTPUT}.monitor"
TONE_HZ = 500
PROCESS_S = 60


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Return how to put programs in place of `pactl` and `parec`."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def write(**scripts):
        for name, script in scripts.items():
            path = tmp_path / name
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(0o755)

    return write


def test_only_what_repeats_an_output_is_a_monitor(programs):
    lines = r"printf '0\tmic\tx\ts16le\tIDLE\n1\tout.monitor\tx\ts16le\tIDLE\n'"
    programs(pactl=lines, parec="")
    assert list_monitors() == [Monitor("out.monitor")]
    assert (
        str(Monitor("out.monitor")) == "   -  out.monitor  (what this computer plays)"
    )


def test_without_a_sound_server_there_is_none(programs):
    programs(pactl="echo Connection refused >&2; exit 1", parec="")
    assert list_monitors() == []


def test_without_its_programs_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert list_monitors() == []


def test_a_monitor_is_chosen_by_name_and_never_by_default():
    devices = [fake_microphone(1, "USB Mic"), Monitor("out.monitor")]
    assert choose(devices, None).name == "USB Mic"
    assert choose(devices, "monitor") == Monitor("out.monitor")
    with pytest.raises(DeviceError, match=r"there are 1 USB Mic, out\.monitor"):
        choose(devices, "studio")
    with pytest.raises(DeviceError, match="there is none"):
        choose(devices[1:], None)


def test_monitors_need_no_portaudio(programs, monkeypatch, capsys):
    def missing():
        raise DeviceError("PortAudio is missing")

    monkeypatch.setattr(microphone, "load_sounddevice", missing)
    programs(pactl=r"printf '1\tout.monitor\tx\ts16le\tIDLE\n'", parec="")
    assert find_devices() == (None, [Monitor("out.monitor")])
    assert main(["--list"]) == 0
    assert "out.monitor" in capsys.readouterr().out


def test_monitors_are_listed_behind_the_microphones(programs, monkeypatch, capsys):
    monkeypatch.setattr(microphone, "load_sounddevice", FakePortAudio)
    programs(pactl=r"printf '1\tout.monitor\tx\ts16le\tIDLE\n'", parec="")
    assert main(["--list"]) == 0
    *_, last = capsys.readouterr().out.splitlines()
    assert "out.monitor" in last


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("echo 'No such entity' >&2; exit 1", "'out': No such entity"),
        ("exit 0", "'out': it stopped by itself"),
    ],
)
async def test_a_recorder_that_ends_is_an_error(programs, script, problem):
    programs(parec=script)
    pieces = MonitorSource(Monitor("out")).pieces()
    with pytest.raises(DeviceError, match=problem):
        await anext(pieces)


async def test_a_recorder_is_stopped_and_its_time_is_limited(programs):
    programs(parec="exec cat /dev/zero")
    source = MonitorSource(Monitor("out"))
    async for piece in source.pieces():
        assert len(piece) == 2 * SAMPLE_RATE * 40 // 1000
        source.stop()
    limited = MonitorSource(Monitor("out"), max_s=0.1)
    heard = b"".join([piece async for piece in limited.pieces()])
    assert len(heard) == 0.1 * 2 * SAMPLE_RATE


async def test_a_paused_recorder_is_not_heard(programs):
    programs(parec="exec cat /dev/zero")
    source, count = MonitorSource(Monitor("out"), max_s=0.2), 0
    async for _ in source.pieces():
        count += 1
        source.pause()
        source.resume()
    assert count == 5


@pytest.fixture
def playing(tmp_path):
    """Run a sound server that plays a tone; return the environment that uses it."""
    need_pulseaudio()
    times = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    tone = np.rint(16_000 * np.sin(2 * np.pi * TONE_HZ * times)).astype("<i2").tobytes()
    sound = tmp_path / "tone"
    sound.write_bytes(30 * tone)
    with sound_server(tmp_path) as environment, sound.open() as played:
        player = subprocess.Popen(
            [
                "pacat",
                "--raw",
                "--format=s16le",
                f"--rate={SAMPLE_RATE}",
                "--channels=1",
            ],
            stdin=played,
            env=environment,
        )
        try:
            yield environment
        finally:
            player.kill()
            player.wait()


@pytest.mark.end_to_end
def test_what_the_computer_plays_is_heard(playing):
    command = [sys.executable, "-m", "clients.microphone"]
    with threaded_server() as server:
        run = subprocess.run(
            [
                *(*command, "--url", server.url, "--device", "monitor"),
                *("--seconds", "2", "--json", "-"),
            ],
            env=playing,
            capture_output=True,
            text=True,
            timeout=PROCESS_S,
        )
        heard = to_float(bytes(server.audio))
    assert run.returncode == 0, run.stderr
    assert f"listening to {NAME}" in run.stderr
    assert len(heard) == 2 * SAMPLE_RATE
    assert np.argmax(np.abs(np.fft.rfft(heard[-SAMPLE_RATE:]))) == TONE_HZ
    finals = [
        e for e in map(json.loads, run.stdout.splitlines()) if e["type"] == "final"
    ]
    assert len(finals) == 2
