"""`salmonn-mcp` as hosts run it: a process of its own, over stdio and over HTTP."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
import pytest
from mcp import Client, MCPError, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from clients.mcp.tools import LIVE
from tests.checkout import ROOT
from tests.clients.mcp.test_inputs import write_wav
from tests.clients.virtual_microphone import NAME, need_portaudio, virtual_microphone
from tests.fakes import process
from tests.fakes.engine import speak
from tests.weights import require_weights

pytestmark = pytest.mark.slow

AUDIO = speak(1, 2, 0, 0, 3, 0, 0, samples=1_600)
"""Two segments in 0.7 s."""
PROCESS_S = 90
LOADING_S = 270
"""What loading and measuring a model may take beside other work."""
ENDED = "salmonn-mcp: no longer listening"
OWN_SERVER = """
import sys
from clients.mcp import __main__ as command
command.SERVE = {serve!r}
sys.exit(command.main(sys.argv[1:]))
"""


@pytest.fixture
def audio(tmp_path) -> str:
    return str(write_wav(tmp_path / "a.wav", AUDIO * 40))


@pytest.fixture
def log(tmp_path) -> Path:
    return tmp_path / "stderr"


@contextlib.asynccontextmanager
async def over_stdio(
    log: Path, *arguments: str, mode="auto", env=None, code=None, limit_s=PROCESS_S
):
    """Start the command as a host does; leaving ends it as a host does."""
    program = ("-m", "clients.mcp") if code is None else ("-c", code)
    parameters = StdioServerParameters(
        command=sys.executable,
        args=[*program, *arguments],
        env={"PYTHONPATH": str(ROOT)} | (env or {}),
        cwd=ROOT,
    )
    with log.open("w") as errors:
        transport = stdio_client(parameters, errlog=errors)
        async with asyncio.timeout(limit_s), Client(transport, mode=mode) as client:
            yield client


@contextlib.asynccontextmanager
async def over_http(log: Path, *arguments: str, env=None):
    """Run the command over HTTP; yield its address.  A signal has to end it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with log.open("w") as errors:
        running = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "clients.mcp", "--http", str(port), *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stderr=errors,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | (env or {}),
            cwd=ROOT,
        )
    try:
        url = f"http://127.0.0.1:{port}/mcp"
        async with asyncio.timeout(PROCESS_S), httpx2.AsyncClient() as client:
            while running.returncode is None:
                with contextlib.suppress(httpx2.TransportError):
                    await client.get(url)
                    break
        yield url
    finally:
        running.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PROCESS_S):
            assert await running.wait() == 0


async def said(client: Client, name: str, **arguments) -> dict:
    result = await client.call_tool(name, arguments)
    assert not result.is_error, result.content[0].text
    return result.structured_content


async def refused(client: Client, name: str, **arguments) -> str:
    result = await client.call_tool(name, arguments)
    assert result.is_error
    return result.content[0].text


def words(result: dict) -> list[str]:
    return [segment["text"] for segment in result["segments"]]


async def test_a_host_listens_asks_and_reads_over_stdio(audio, log, tmp_path):
    async with process.serving(tmp_path) as address:
        arguments = ("--url", f"ws://{address}", "--input", audio)
        async with over_stdio(log, *arguments, mode="legacy") as client:
            assert log.read_text() == ""
            heard = await said(client, "listen", seconds=0.7, question="who?")
            assert words(heard) == ["1 2", "3"]
            assert heard["answer"] == "who? 1 2 3"
            assert words(await said(client, "listen", seconds=0.4)) == ["1 2"]
            answer = await said(client, "ask", question="what?", last_seconds=0.4)
            assert answer["answer"] == "what? 1 2"
            assert words(await said(client, "transcript")) == ["1 2", "3", "1 2"]
            (content,) = (await client.read_resource(LIVE)).contents
            assert content.text.endswith("] 1 2\n(not listening)\n")
    assert log.read_text().splitlines() == [
        f"salmonn-mcp: listening to {audio} for 0.7 s: a tool asked for it",
        "salmonn-mcp: no longer listening; 0.7 s were heard",
        f"salmonn-mcp: listening to {audio} for 0.4 s: a tool asked for it",
        "salmonn-mcp: no longer listening; 0.4 s were heard",
    ]


async def test_a_host_waits_for_a_sound_over_stdio(audio, log, tmp_path):
    async with process.serving(tmp_path) as address:
        arguments = ("--url", f"ws://{address}", "--input", audio)
        async with over_stdio(log, *arguments) as client:
            told = await said(client, "watch", text="word 3", seconds=20)
            assert told["heard"]
            assert words(told)[:2] == ["1 2", "3"]
            assert 0 <= told["heard_from_s"] < told["end_s"] < 20
    begun, ended = log.read_text().splitlines()
    assert begun.endswith(" for 20 s: a tool asked for it")
    assert ended.startswith(ENDED)


async def test_who_cancels_a_call_or_leaves_ends_the_listening(audio, log, tmp_path):
    async with process.serving(tmp_path) as address:
        arguments = ("--url", f"ws://{address}", "--input", audio)
        async with over_stdio(log, *arguments) as client:
            cancelled = asyncio.create_task(said(client, "listen", seconds=20))
            while not words(await said(client, "transcript")):
                pass
            cancelled.cancel()
            while (await said(client, "transcript"))["listening_to"] is not None:
                pass
            left = asyncio.create_task(said(client, "listen", seconds=20))
            while (await said(client, "transcript"))["listening_to"] is None:
                pass
        with pytest.raises(MCPError, match="Connection closed"):
            await left
    told = log.read_text().splitlines()
    assert [line.split(";")[0] for line in told[1::2]] == [ENDED] * 2


async def test_a_signal_ends_it_though_the_host_stays(audio, log, tmp_path):
    with log.open("w") as errors:
        running = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "clients.mcp", "--input", audio),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            cwd=ROOT,
        )
    running.stdin.write(b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n')
    async with asyncio.timeout(PROCESS_S):
        assert await running.stdout.readline()
        running.send_signal(signal.SIGTERM)
        assert await running.wait() == 0
    assert log.read_text() == ""


async def test_hosts_share_its_ears_over_http_and_a_signal_ends_it_at_once(
    audio, log, tmp_path
):
    async with process.serving(tmp_path) as address, AsyncExitStack() as hosts:
        arguments = ("--url", f"ws://{address}", "--input", audio)
        async with over_http(log, *arguments) as url:
            one = await hosts.enter_async_context(Client(url))
            other = await hosts.enter_async_context(Client(url, mode="legacy"))
            updates = await hosts.enter_async_context(
                one.listen(resource_subscriptions=[LIVE])
            )
            assert words(await said(one, "listen", seconds=0.7)) == ["1 2", "3"]
            assert (await anext(updates)).uri == LIVE
            assert words(await said(other, "transcript")) == ["1 2", "3"]
            listening = asyncio.create_task(said(one, "listen", seconds=20))
            while (await said(other, "transcript"))["listening_to"] is None:
                pass
            told = await refused(other, "listen", seconds=1)
            assert f"listening to {audio} already" in told
        # It has ended, though both are there, one follows it and one listens.
        with pytest.raises(MCPError):
            await listening
    told = log.read_text().splitlines()
    assert told[0] == f"salmonn-mcp: serving {url}"
    assert [line for line in told if line.startswith(ENDED)]


async def test_a_page_that_was_bent_to_this_address_is_not_let_in(audio, log):
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    accept = {"Accept": "application/json, text/event-stream"}
    async with over_http(log, "--input", audio) as url, httpx2.AsyncClient() as client:
        for headers, status in (
            ({"Host": "evil.example"}, 421),
            ({"Host": "evil.example:80"}, 421),
            ({"Origin": "https://evil.example"}, 403),
        ):
            answer = await client.post(url, json=call, headers=accept | headers)
            assert answer.status_code == status


async def test_a_token_is_asked_of_clients_over_http(audio, log):
    arguments = ("--input", audio, "--http-token-env", "EARS")
    async with over_http(log, *arguments, env={"EARS": "secret"}) as url:
        async with httpx2.AsyncClient() as client:
            assert (await client.post(url, json={})).status_code == 401
            wrong = {"Authorization": "Bearer wrong"}
            answer = await client.post(url, json={}, headers=wrong)
            assert answer.status_code == 401
        right = {"Authorization": "Bearer secret"}
        async with httpx2.AsyncClient(headers=right) as client:
            transport = streamable_http_client(url, http_client=client)
            async with Client(transport) as host:
                assert words(await said(host, "transcript")) == []


async def test_a_server_of_its_own_is_started_and_stopped(audio, log, tmp_path):
    (tmp_path / "server.toml").write_text(process.SETTINGS)
    pid = tmp_path / "pid"
    code = f"import os; open({str(pid)!r}, 'w').write(str(os.getpid()))"
    serve = (sys.executable, "-c", f"{code}\n{process.COMMAND}")
    arguments = ("--serve", "--", "--config", str(tmp_path / "server.toml"))
    code = OWN_SERVER.format(serve=serve)
    async with over_stdio(log, "--input", audio, *arguments, code=code) as client:
        assert words(await said(client, "listen", seconds=0.7)) == ["1 2", "3"]
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
    assert "the server listens on ws://127.0.0.1:" in log.read_text()


async def test_a_server_of_its_own_that_does_not_start_is_told(audio, log):
    serve = (sys.executable, "-c", "import sys; sys.exit('the reason')")
    code = OWN_SERVER.format(serve=serve)
    async with over_stdio(log, "--input", audio, "--serve", code=code) as client:
        told = await refused(client, "listen", seconds=1)
        assert "the server did not start: it ended with exit code 1" in told
        assert told == await refused(client, "listen", seconds=1)
    assert "the server's log ends:\nthe reason" in log.read_text()


@pytest.mark.end_to_end
async def test_a_microphone_is_listed_and_heard(log, tmp_path):
    need_portaudio()
    async with process.serving(tmp_path) as address:
        with virtual_microphone(tmp_path, speak(1, 2, 0, 0, 3, 0, 0)) as environment:
            env = {"ALSA_CONFIG_PATH": environment["ALSA_CONFIG_PATH"]}
            arguments = ("--url", f"ws://{address}")
            async with over_stdio(log, *arguments, env=env) as client:
                devices = (await said(client, "list_devices"))["result"]
                assert NAME in [device["name"] for device in devices]
                heard = await said(client, "listen", seconds=2.5, device=NAME)
                assert words(heard) == ["1 2", "3"]
                told = await refused(client, "listen", seconds=1, device="studio")
                assert "microphone 'studio': no device fits" in told
    assert f"listening to {NAME} for 2.5 s" in log.read_text()


@pytest.mark.end_to_end
async def test_speech_is_written_down_by_a_server_of_its_own(log):
    require_weights()
    arguments = ("--input", str(ROOT / "demo" / "jfk.ogg"), "--serve")
    served = ("--", "--captions-only")
    async with over_stdio(log, *arguments, *served, limit_s=LOADING_S) as client:
        heard = await said(client, "listen", seconds=5, question="Who speaks?")
        assert "my fellow Americans" in " ".join(words(heard))
        assert heard["answer"] is None
        assert "no trained weights here that answer" in heard["refusal"]
