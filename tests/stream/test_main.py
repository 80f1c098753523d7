"""The command, as a process: what it prints, and how it ends."""

import asyncio
import contextlib
import signal
import socket
import sys
import tomllib

import pytest
from websockets.asyncio.client import connect

from tests.fakes.engine import speak
from tests.fakes.server import DEADLINE_S, Client, finals

COMMAND = """
import sys
import stream.__main__ as command
from engine.errors import WeightsError
from tests.fakes.engine import ScriptedEngine

def load(config):
    if config.threads == 1:
        raise WeightsError("model.safetensors is missing")
    engine = ScriptedEngine()
    if config.threads == 2:
        engine.warm_up = lambda: 1 / 0
    return engine

def silero_weights(config):
    raise WeightsError("silero_vad.onnx is missing")

command.load, command.silero_weights = load, silero_weights
sys.exit(command.main(sys.argv[1:]))
"""


@contextlib.asynccontextmanager
async def process(*arguments):
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", COMMAND, *map(str, arguments)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield started
    finally:
        with contextlib.suppress(ProcessLookupError):
            started.kill()
        await started.communicate()


async def outcome(*arguments):
    """Return the exit status, and what was printed to both streams."""
    async with process(*arguments) as started, asyncio.timeout(DEADLINE_S):
        out, err = await started.communicate()
    return started.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_says_where_it_listens_and_finishes_the_finals(number):
    async with process("--port", "0") as started, asyncio.timeout(DEADLINE_S):
        line = (await started.stdout.readline()).decode()
        assert line.startswith("listening on ws://127.0.0.1:")
        url = line.split()[-1]
        async with connect(f"{url}/v1/stream", proxy=None) as socket_:
            client = Client(socket_)
            await client.start()
            # WebRTC's detector listens here: this is no voice, and says nothing.
            await client.socket.send(speak(1))
            await client.say({"type": "flush"})
            started.send_signal(number)
            events, code = await client.rest()
        assert finals(events) == []
        assert (events[-1].code, code) == ("shutdown", 1001)
        out, err = await started.communicate()
        assert started.returncode == 0
        assert out == b""
        assert b"1001" in err


async def test_an_unknown_key_is_named_and_nothing_is_begun(tmp_path):
    path = tmp_path / "server.toml"
    path.write_text("[limits]\nsessions = 3\n")
    status, out, err = await outcome("--config", path)
    assert (status, out) == (2, "")
    assert err.startswith(f"salmonn-serve: {path}: unknown key limits.sessions")
    assert err.count("\n") == 1


async def test_a_configuration_that_is_not_there_is_wrong_usage(tmp_path):
    status, _, err = await outcome("--config", tmp_path / "none.toml")
    assert status == 2
    assert "No such file" in err


async def test_the_configuration_is_shown_as_it_would_hold_and_nothing_is_served(
    tmp_path,
):
    path = tmp_path / "server.toml"
    path.write_text('[auth]\ntokens = ["hunter2"]\n[engine]\nthreads = 1\n')
    status, out, err = await outcome("--config", path, "--port", "9", "--show-config")
    assert (status, err) == (0, "")
    shown = tomllib.loads(out)
    assert (shown["port"], shown["engine"]["threads"]) == (9, 1)
    assert "hunter2" not in out


async def test_an_unknown_preset_is_wrong_usage():
    status, _, err = await outcome("--preset", "huge")
    assert status == 2
    assert "invalid choice: 'huge'" in err


async def test_a_device_that_is_no_name_of_one_is_wrong_usage():
    status, out, err = await outcome("--device", "gpu")
    assert (status, out) == (2, "")
    assert err == (
        "salmonn-serve: device is 'gpu'; it must be auto, cpu, cuda or, of several, "
        "cuda:1\n"
    )


async def test_the_device_of_the_command_line_is_the_engine_s():
    status, out, _ = await outcome("--device", "cuda:1", "--show-config")
    assert status == 0
    assert tomllib.loads(out)["engine"]["device"] == "cuda:1"


async def test_the_engine_of_the_command_line_runs_on_a_cluster():
    status, out, _ = await outcome("--engine", "ray", "--show-config")
    assert status == 0
    shown = tomllib.loads(out)["engine"]
    assert (shown["backend"], shown["ray"]["address"]) == ("ray", "auto")


async def test_missing_weights_are_told_before_the_port_opens(tmp_path):
    path = tmp_path / "server.toml"
    path.write_text("[engine]\nthreads = 1\n")
    status, out, err = await outcome("--config", path, "--log-level", "error")
    assert (status, out) == (1, "")
    assert err == "salmonn-serve: model.safetensors is missing\n"


async def test_the_weights_of_a_detector_are_asked_for_only_where_it_is_chosen(
    tmp_path,
):
    path = tmp_path / "server.toml"
    path.write_text('[vad]\ndetector = "silero"\n')
    status, out, err = await outcome("--config", path, "--log-level", "error")
    assert (status, out) == (1, "")
    assert err == "salmonn-serve: silero_vad.onnx is missing\n"


async def test_a_warm_up_that_fails_is_one_line(tmp_path):
    path = tmp_path / "server.toml"
    path.write_text("port = 0\n[engine]\nthreads = 2\n")
    status, out, err = await outcome("--config", path, "--log-level", "error")
    assert (status, out) == (1, "")
    assert err == (
        "salmonn-serve: the engine failed as it warmed up: "
        "ZeroDivisionError: division by zero\n"
    )


async def test_a_port_that_is_taken_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, out, err = await outcome("--port", port, "--log-level", "error")
    assert (status, out) == (1, "")
    assert f"127.0.0.1:{port}" in err
    assert "Address already in use" in err


async def test_the_port_for_wyoming_is_told_behind_the_other():
    async with (
        process("--port", "0", "--wyoming-port", "0") as started,
        asyncio.timeout(DEADLINE_S),
    ):
        assert b"ws://127.0.0.1:" in await started.stdout.readline()
        line = (await started.stdout.readline()).decode()
        assert line.startswith("listening on tcp://127.0.0.1:")
        port = int(line.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b'{"type": "ping"}\n')
        assert b'"pong"' in await reader.readline()
        writer.close()
        started.terminate()
        await started.communicate()
        assert started.returncode == 0


async def test_a_port_for_wyoming_that_is_taken_is_told_and_the_other_is_closed():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, out, err = await outcome(
            *("--port", 0, "--wyoming-port", port, "--log-level", "error")
        )
    assert (status, out) == (1, "")
    assert (
        err == f"salmonn-serve: [Errno 98] 127.0.0.1:{port}: Address already in use\n"
    )
