"""`salmonn-mcp`: ears for a program that speaks the Model Context Protocol.

    salmonn-mcp                                    # a server on ws://127.0.0.1:8765
    salmonn-mcp --serve                            # a server of its own
    salmonn-mcp --serve -- --preset mini --ckpt F  # … that answers questions
    salmonn-mcp --http 8766                        # streamable HTTP in place of stdio

The microphone is opened by a call of the tool `listen`, and by nothing else.  What a
person should know is written to stderr: stdout belongs to the protocol.
"""

import argparse
import asyncio
import ipaddress
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from clients.child import SERVE, running_server
from clients.errors import AudioSourceError, ClientError
from clients.mcp.ears import Ears
from clients.mcp.inputs import DeviceInput, FileInput, Input
from clients.options import add_token, add_url, read_secret
from clients.values import checked
from clients.voices import add_speakers, read_speakers

PROGRAM = "salmonn-mcp"
LOOPBACK = "127.0.0.1"
TOKENS_VARIABLE = "SALMONN_TOKENS"  # what `salmonn-serve` reads
GRACE_S = 3.0
"""How long open requests over HTTP may take after a signal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Http:
    """Where streamable HTTP is served."""

    host: str
    port: int
    token: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class McpOptions:
    """What was asked on the command line."""

    source: Input
    url: str
    token: str | None
    serve: tuple[str, ...] | None
    """Arguments of a server of its own; None if there is none."""
    language: str | None
    speakers: int
    voices: Mapping[str, bytes]
    """Of speakers that are known, by their names."""
    http: Http | None


async def serve(options: McpOptions) -> None:
    """Serve until the client leaves or a signal comes; then close everything."""
    from clients.mcp.tools import PATH, StaticToken, make_server, run_http, run_stdio

    stopped, http, auth = _stop_at_signals(), options.http, None
    if http is not None and http.token is not None:
        auth = StaticToken(http.token, f"http://{LOOPBACK}:{http.port}")
    async with _server(options) as (address, token):
        async with Ears(
            address,
            options.source,
            tell=tell,
            token=token,
            language=options.language,
            speakers=options.speakers,
            voices=options.voices,
        ) as ears:
            server = make_server(ears, auth=auth)
            if http is None:
                serving = asyncio.create_task(run_stdio(server))
            else:
                tell(f"serving http://{http.host}:{http.port}{PATH}")
                running = run_http(server, host=http.host, port=http.port)
                serving = asyncio.create_task(running)
            signalled = asyncio.create_task(stopped.wait())
            await asyncio.wait(
                [serving, signalled], return_when=asyncio.FIRST_COMPLETED
            )
            signalled.cancel()
        if http is not None:  # the library has seen the signal, too
            await asyncio.wait([serving], timeout=GRACE_S)
    if serving.done():
        serving.result()
        return
    # What is ours is closed.  In the library a thread waits for a line of stdin, or
    # streams for clients to leave: nothing ends these, and cancelled they complain.
    sys.stderr.flush()
    os._exit(0)


def tell(line: str) -> None:
    """Show a line to a person."""
    print(f"{PROGRAM}: {line}", file=sys.stderr, flush=True)


def _stop_at_signals() -> asyncio.Event:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped


@asynccontextmanager
async def _server(
    options: McpOptions,
) -> AsyncIterator[tuple[Callable[[], Awaitable[str]], str | None]]:
    """Yield what says where the server is, and its token; stop it if it is ours.

    A server of ours loads its model while the client is already served.  It takes a
    token that nobody else has: others on this machine find its port, and no ear.
    """
    if options.serve is None:

        async def known() -> str:
            return options.url

        yield known, options.token
        return
    token = secrets.token_urlsafe()
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(_run_server([*SERVE, *options.serve], token, ready))

    async def address() -> str:
        return await asyncio.shield(ready)

    try:
        yield address, token
    finally:
        running.cancel()
        await asyncio.wait([running])


async def _run_server(
    command: Sequence[str], token: str, ready: asyncio.Future[str]
) -> None:
    """Run a server until this is cancelled; say where it is, or why it is not."""
    theirs = os.environ.get(TOKENS_VARIABLE)
    tokens = ",".join(filter(None, (theirs, token)))
    environment = os.environ | {TOKENS_VARIABLE: tokens}
    tell("starting a server; it loads and measures its model")
    try:
        # In our group: whoever kills that, as hosts do in the end, leaves no server.
        async with running_server(command, environment=environment, apart=False) as url:
            tell(f"the server listens on {url}")
            ready.set_result(url)
            await asyncio.Event().wait()
    except ClientError as exc:
        tell(str(exc))
        ready.set_exception(exc)
        ready.exception()  # told; a call that comes later raises it again


def make_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Ears for programs that speak the Model Context Protocol, over "
        "stdio or HTTP. The microphone is captured only while a call of the tools "
        "`listen` or `watch` goes on.",
    )
    server = parser.add_argument_group("server")
    where = server.add_mutually_exclusive_group()
    add_url(where)
    where.add_argument(
        "--serve",
        action="store_true",
        help="start a server, and stop it at the end; what follows -- is passed to it",
    )
    add_token(server)
    server.add_argument(
        "arguments", nargs="*", metavar="ARGUMENT", help="of salmonn-serve, after --"
    )
    audio = parser.add_argument_group("what is listened to")
    what = audio.add_mutually_exclusive_group()
    what.add_argument(
        "--device",
        metavar="N|NAME",
        help="a microphone, unless a call names another (default: the system's)",
    )
    what.add_argument(
        "--input",
        type=Path,
        metavar="FILE",
        help="a file in place of microphones, as if it were spoken; each call goes on "
        "where the last one ended",
    )
    audio.add_argument(
        "--language",
        metavar="L",
        help="code of the spoken language, as en (default: the model tells)",
    )
    add_speakers(audio)
    http = parser.add_argument_group("HTTP")
    http.add_argument(
        "--http",
        type=checked(_port),
        metavar="PORT",
        help="serve streamable HTTP in place of stdio, any number of clients",
    )
    http.add_argument(
        "--host",
        type=checked(_address),
        default=LOOPBACK,
        metavar="ADDRESS",
        help="on which address of this machine (default: %(default)s); another one "
        "needs --http-token-env",
    )
    http.add_argument(
        "--http-token-env",
        metavar="VAR",
        help="the environment variable that holds the token that clients have to send",
    )
    return parser


def read_options(
    parser: argparse.ArgumentParser, arguments: argparse.Namespace
) -> McpOptions:
    """Return the options; wrong usage ends the program with code 2."""
    if arguments.arguments and not arguments.serve:
        parser.error("arguments of a server, but no --serve")
    token = read_secret(parser, "--token-env", arguments.token_env)
    if arguments.serve and token is not None:
        parser.error("--token-env: a server of its own has a token of its own")
    http_token = read_secret(parser, "--http-token-env", arguments.http_token_env)
    http = None
    if arguments.http is not None:
        http = Http(host=arguments.host, port=arguments.http, token=http_token)
        if http_token is None and not ipaddress.ip_address(http.host).is_loopback:
            parser.error("--host: other machines could listen; set --http-token-env")
    elif http_token is not None or arguments.host != LOOPBACK:
        parser.error("--host and --http-token-env: there is no --http")
    try:
        source: Input = (
            DeviceInput(arguments.device)
            if arguments.input is None
            else FileInput(arguments.input)
        )
    except AudioSourceError as exc:
        parser.error(f"--input: {exc}")
    speakers, voices = read_speakers(parser, arguments)
    return McpOptions(
        source=source,
        url=arguments.url,
        token=token,
        serve=tuple(arguments.arguments) if arguments.serve else None,
        language=arguments.language,
        speakers=speakers,
        voices=voices,
        http=http,
    )


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port < 65_536:
        raise ValueError(f"{text!r} is no port; expected 1 to 65535")
    return port


def _address(text: str) -> str:
    if ipaddress.ip_address(text).is_unspecified:
        raise ValueError(f"{text!r} is every address; name one, as clients will")
    return text


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = make_parser()
    options = read_options(parser, parser.parse_args(argv))
    try:
        asyncio.run(serve(options))
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] not in ("mcp", "pydantic"):
            raise
        tell("its library is missing: pip install 'salmonn-live[mcp]'")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
