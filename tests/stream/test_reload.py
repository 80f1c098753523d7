"""A server that reads its settings again, and one that is started anew: real ones."""

import asyncio
import signal
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from websockets.asyncio.client import connect as dial
from websockets.exceptions import InvalidStatus

from clients.client import connect
from engine.config import EngineConfig
from stream.config import (
    AuthConfig,
    LimitsConfig,
    ServerConfig,
    VadConfig,
    WatchesConfig,
    WyomingConfig,
)
from stream.events import Final, Partial, Started
from stream.reload import reload
from tests.fakes.engine import speak
from tests.fakes.process import COMMAND, READY_S, SETTINGS, started
from tests.fakes.server import Client, finals, running

RUNNING = ServerConfig()


def test_nothing_has_changed_where_nothing_is_wanted_otherwise():
    done = reload(RUNNING, ServerConfig())
    assert (done.config, str(done)) == (RUNNING, "changed: nothing")


def test_what_newcomers_meet_is_taken_and_named_without_its_values():
    wanted = ServerConfig(
        log_level="debug",
        auth=AuthConfig(tokens=("hunter2",), origins=("https://a",)),
        limits=LimitsConfig(max_sessions=2),
        watches=WatchesConfig(hop_s=1.0),
    )
    done = reload(RUNNING, wanted)
    assert done.config == wanted
    assert str(done) == (
        "changed: log_level, limits.max_sessions, auth.tokens, auth.origins, "
        "watches.hop_s"
    )


def test_what_a_server_is_built_from_waits_for_a_restart_and_is_named():
    wanted = ServerConfig(
        host="0.0.0.0",
        port=1,
        vad=VadConfig(detector="silero"),
        wyoming=WyomingConfig(port=2),
        limits=LimitsConfig(max_sessions=2),
        engine=EngineConfig(threads=3),
    )
    done = reload(RUNNING, wanted)
    assert done.config == replace(RUNNING, limits=wanted.limits)
    assert str(done) == (
        "changed: limits.max_sessions; after a restart: host, port, vad.detector, "
        "wyoming.port, engine.threads"
    )


@pytest.mark.parametrize("is_running", [True, False])
def test_a_port_begins_and_ends_to_speak_tls_at_a_restart_only(is_running):
    files = {"tls_cert": Path("c"), "tls_key": Path("k")}
    secure = ServerConfig(auth=AuthConfig(tokens=("a",), **files))
    plain = ServerConfig(auth=AuthConfig(tokens=("b",)))
    one, other = (secure, plain) if is_running else (plain, secure)
    done = reload(one, other)
    assert done.config.auth.tls_cert == one.auth.tls_cert
    assert done.config.auth.tokens == other.auth.tokens
    assert done.waiting == ("auth.tls_cert", "auth.tls_key")


async def test_other_files_for_tls_are_taken_while_the_port_speaks_it():
    auth = AuthConfig(tls_cert=Path("c"), tls_key=Path("k"))
    newer = ServerConfig(auth=replace(auth, tls_cert=Path("d")))
    done = reload(ServerConfig(auth=auth), newer)
    assert (done.config, done.changed, done.waiting) == (newer, ("auth.tls_cert",), ())


async def test_a_newcomer_may_send_no_more_than_the_new_limit():
    async with running() as server:
        config = server.hub.config
        limits = replace(config.limits, max_message_bytes=1_000)
        server.server.reload(replace(config, limits=limits))
        async with server.dial() as socket:
            client = Client(socket)
            await client.start()
            await socket.send(bytes(2_000))
            events, code = await client.rest()
        assert (events[-1].code, code) == ("limit", 1009)


async def test_settings_that_do_not_fit_the_engine_change_nothing():
    async with running() as server:
        config = server.hub.config
        segmenter = replace(config.segmenter, max_segment_ms=60_000)
        with pytest.raises(ValueError, match="max_segment_ms is 60000; scripted hears"):
            server.server.reload(replace(config, segmenter=segmenter))
        assert server.hub.config == config


def bearing(address, token):
    """Return a connection of who has a token."""
    headers = {"Authorization": f"Bearer {token}"}
    url = f"ws://{address}/v1/stream"
    return dial(url, proxy=None, additional_headers=headers)


async def status_of(address, token):
    """Return what HTTP says to a newcomer."""
    try:
        async with bearing(address, token) as socket:
            return socket.response.status_code
    except InvalidStatus as exc:
        return exc.response.status_code


async def test_a_token_that_is_removed_opens_nothing_and_what_it_opened_goes_on(
    tmp_path,
):
    def write(tokens, more=""):
        text = f"{more}{SETTINGS}[auth]\ntokens = {tokens}\n"
        (tmp_path / "server.toml").write_text(text)
        served.process.send_signal(signal.SIGHUP)

    more = '[auth]\ntokens = ["ann", "bob"]\n'
    async with (
        started(tmp_path, more=more) as served,
        asyncio.timeout(2 * READY_S),
    ):
        (address,) = served.addresses
        async with bearing(address, "bob") as socket:
            client = Client(socket)
            await client.start()
            await socket.send(speak(1, 2))
            await client.until(Partial)
            write('["ann"]', 'log_format = "json"\n')
            await served.until(lambda: "changed: log_format, auth.tokens" in served.log)
            assert await status_of(address, "bob") == 401
            assert await status_of(address, "ann") == 101
            events, code = await client.finish(speak(3, 0, 0))
            assert (finals(events), code) == (["1 2 3"], 1000)
        write('["bob"]\ntokns = 1')
        await served.until(lambda: "stays as it was" in served.log)
        assert "unknown key auth.tokns" in served.log
        assert await status_of(address, "bob") == 401
        assert await status_of(address, "ann") == 101
        write('["ann"]\n[engine]\nthreads = 3')
        await served.until(lambda: "after a restart: engine.threads" in served.log)
        assert "bob" not in served.log


async def test_a_client_goes_on_with_a_server_that_was_killed_and_started_anew(
    tmp_path,
):
    async def hear_until(kind, text):
        async for event in client:
            events.append(event)
            if isinstance(event, kind) and text in event.text:
                return

    events = []
    async with asyncio.timeout(3 * READY_S):
        async with AsyncExitStack() as stack:
            first = await stack.enter_async_context(started(tmp_path))
            (address,) = first.addresses
            client = connect(f"ws://{address}", give_up_s=2 * READY_S)
            await stack.enter_async_context(client)
            await client.send(speak(1, 2, 0, 0))
            await hear_until(Final, "1 2")
            await client.send(speak(3))
            await hear_until(Partial, "3")
            await first.kill()
            port = address.rpartition(":")[2]
            await stack.enter_async_context(started(tmp_path, "--port", port))
            await client.send(speak(4, 0, 0))
            await client.end()
            events += [event async for event in client]
    assert finals(events) == ["1 2", "3 4"]
    _, again = (event for event in events if isinstance(event, Started))
    settled = next(event.settled for event in events if isinstance(event, Final))
    assert (again.resumed, again.accepted) == (False, settled)


ASKED_WHILE_LOADING = """
import os, signal, sys
from pathlib import Path

def load(config):
    path = Path(sys.argv[2])
    path.write_text('log_format = "json"\\n' + path.read_text())
    os.kill(os.getpid(), signal.SIGHUP)
    return ScriptedEngine()
"""


async def test_who_asks_while_the_model_loads_is_heard_once_it_has(tmp_path):
    program = COMMAND.replace("lambda config: ScriptedEngine()", "load")
    async with started(tmp_path, program=ASKED_WHILE_LOADING + program) as served:
        await served.until(lambda: "changed: log_format" in served.log)
