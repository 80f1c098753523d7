"""The end of a server: nobody loses a final."""

import asyncio
import contextlib
import shutil
import ssl
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from engine.errors import EngineError
from stream.config import AuthConfig, ServerConfig
from stream.events import SpeechStarted
from stream.server import Server
from tests.fakes.driver import SEGMENTER
from tests.fakes.engine import AnySound, ScriptedEngine, speak
from tests.fakes.server import (
    DEADLINE_S,
    TALK,
    Client,
    client_of,
    finals,
    running,
)


async def test_stopping_finishes_the_finals_and_says_why_it_closes():
    async with running() as server, client_of(server) as client:
        await client.start()
        await client.socket.send(TALK + speak(4))
        await client.until(SpeechStarted)
        server.server.stop()
        events, code = await client.rest()
        assert finals(events) == ["1 2", "3", "4"]
        assert (events[-1].code, code) == ("shutdown", 1001)
        await server.finished
        assert not server.hub.num_connections


async def test_stopping_does_not_wait_for_finals_for_ever():
    async with running(drain_s=0.2) as server, client_of(server) as client:
        await client.start()
        server.engine.free.clear()
        await client.socket.send(speak(1))
        await client.until(SpeechStarted)
        server.server.stop()
        events, code = await client.rest()
        assert (events[-1].code, code) == ("shutdown", 1001)
        server.engine.free.set()
        await server.finished


async def test_nobody_is_let_in_while_the_server_stops():
    async with running() as server, client_of(server) as client:
        await client.start()
        server.engine.free.clear()
        await client.socket.send(speak(1))
        await client.until(SpeechStarted)
        server.server.stop()
        await server.until_closed()
        with pytest.raises(ConnectionRefusedError):
            await server.dial()
        server.engine.free.set()
        await client.rest()


async def test_a_free_port_is_taken_and_told():
    async with running() as server:
        assert server.port > 0
        assert server.engine.is_warm


async def test_an_engine_too_small_for_the_longest_segment_is_refused():
    with pytest.raises(ValueError, match="max_segment_ms is 8000; scripted hears"):
        async with running(engine=ScriptedEngine(max_samples=16_000)):
            pass


async def test_a_certificate_that_is_not_there_is_named():
    auth = AuthConfig(tls_cert=Path(__file__), tls_key=Path("none.key"))
    with pytest.raises(OSError, match=r"No such file or directory: 'none\.key'"):
        async with running(auth=auth):
            pass


async def test_a_certificate_that_is_none_is_named():
    auth = AuthConfig(tls_cert=Path(__file__), tls_key=Path(__file__))
    with pytest.raises(
        OSError, match=r"test_server\.py are no certificate and its key: .*PEM"
    ):
        async with running(auth=auth):
            pass


@pytest.mark.parametrize("host", ["a..b", "x" * 70])
async def test_a_host_that_is_none_is_named(host):
    config = ServerConfig(host=host, port=0, segmenter=SEGMENTER)
    with ThreadPoolExecutor(1) as thread:
        server = Server(config, ScriptedEngine(), thread, detector=AnySound)
        with pytest.raises(OSError, match=f"host is '{host}'; expected"):
            await server.run(on_ready=print)


async def test_an_engine_that_cannot_warm_up_ends_the_server_in_one_sentence():
    class Cold(ScriptedEngine):
        def warm_up(self):
            raise RuntimeError("out of memory")

    with pytest.raises(EngineError, match=r"warmed up: RuntimeError: out of memory"):
        async with running(engine=Cold()):
            pass


async def test_stopping_does_not_wait_for_who_never_began():
    async with (
        running(start_timeout_s=600.0, drain_s=600.0) as server,
        client_of(server) as client,
        client_of(server) as idle,
    ):
        await client.start()
        await client.socket.send(speak(1))
        await client.until(SpeechStarted)
        server.server.stop()
        events, code = await client.rest()
        assert (finals(events), code) == (["1"], 1001)
        async with asyncio.timeout(DEADLINE_S):
            await server.finished
        _, code = await idle.rest()
        assert code == 1012


@pytest.fixture
def certificate(tmp_path):
    if not shutil.which("openssl"):
        pytest.skip("needs Debian's openssl")
    return make_certificate(tmp_path)


def make_certificate(folder):
    """Write a new certificate and its key; return what names them."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec"),
            *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", key, "-out", cert),
        ],
        check=True,
        capture_output=True,
    )
    return AuthConfig(tls_cert=cert, tls_key=key)


async def test_a_server_with_a_certificate_speaks_tls(certificate):
    trust = ssl.create_default_context(cafile=certificate.tls_cert)
    async with running(auth=certificate) as server:
        url = f"wss://localhost:{server.port}/v1/stream"
        async with connect(url, ssl=trust, proxy=None) as socket:
            client = Client(socket)
            await client.start()
            events, code = await client.finish(TALK)
        assert (finals(events), code) == (["1 2", "3"], 1000)
        async with connect(url, ssl=trust, proxy=None) as socket:
            client = Client(socket)
            await client.start()
            with contextlib.suppress(ConnectionClosed):
                await socket.send(bytes(20 << 20))
            events, code = await client.rest()
        assert (events[-1].code, code) == ("limit", 1009)


async def certificate_of(server):
    """Return the certificate that newcomers are shown."""
    return await asyncio.to_thread(
        ssl.get_server_certificate, ("127.0.0.1", server.port), timeout=DEADLINE_S
    )


async def test_a_certificate_that_was_renewed_is_shown_to_newcomers(certificate):
    trust = ssl.create_default_context(cafile=certificate.tls_cert)
    async with running(auth=certificate) as server:
        url = f"wss://localhost:{server.port}/v1/stream"
        async with connect(url, ssl=trust, proxy=None) as socket:
            client = Client(socket)
            await client.start()
            before = await certificate_of(server)
            await asyncio.to_thread(make_certificate, certificate.tls_cert.parent)
            server.server.reload(server.hub.config)
            assert await certificate_of(server) != before
            events, _ = await client.finish(TALK)
        assert finals(events) == ["1 2", "3"]


async def test_a_certificate_without_its_key_leaves_the_one_that_was(certificate):
    async with running(auth=certificate) as server:
        before = await certificate_of(server)
        key = certificate.tls_key.read_bytes()
        await asyncio.to_thread(make_certificate, certificate.tls_cert.parent)
        certificate.tls_key.write_bytes(key)
        with pytest.raises(OSError, match="no certificate and its key"):
            server.server.reload(server.hub.config)
        assert await certificate_of(server) == before
