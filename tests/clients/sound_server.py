"""A PulseAudio server without hardware: one output, whose sound goes nowhere."""

import contextlib
import os
import shutil
import subprocess
import time

import pytest

from tests.conftest import NEEDS_PACKAGE

OUTPUT = "speakers"
DEADLINE_S = 20.0


def need_pulseaudio():
    for program, package in (
        ("pulseaudio", "pulseaudio"),
        ("parec", "pulseaudio-utils"),
    ):
        if shutil.which(program) is None:
            pytest.skip(f"{NEEDS_PACKAGE}{package}")


@contextlib.contextmanager
def sound_server(folder):
    """Run it; yield the environment in which programs use it."""
    socket = folder / "socket"
    server = subprocess.Popen(
        [
            *("pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no"),
            *("--exit-idle-time=-1", "--log-level=error"),
            f"--load=module-null-sink sink_name={OUTPUT}",
            f"--load=module-native-protocol-unix socket={socket} auth-anonymous=1",
        ],
        env=os.environ | {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)},
        stderr=subprocess.DEVNULL,  # it warns of being run by root
    )
    environment = os.environ | {"PULSE_SERVER": f"unix:{socket}", "HOME": str(folder)}
    try:
        end_s = time.monotonic() + DEADLINE_S
        asked = ["pactl", "info"]
        while subprocess.run(asked, env=environment, capture_output=True).returncode:
            assert server.poll() is None, "pulseaudio ended"
            assert time.monotonic() < end_s, "pulseaudio does not answer"
        yield environment
    finally:
        server.terminate()
        server.wait()
