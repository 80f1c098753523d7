"""`salmonn-serve`: read the configuration, load the engine, serve.

Exit status: 0 after a graceful stop, 1 if the engine or the port cannot be had, 2 if
the command line or the configuration is wrong, 130 if interrupted while it loads.
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any, get_args, get_type_hints

from engine.api import Engine, load, silero_weights
from engine.config import EngineConfig, PartsConfig
from engine.errors import EngineError, PackageError
from stream import logs
from stream.config import ServerConfig, read_config
from stream.config_text import config_text
from stream.server import Server
from stream.silero import SileroVoiceDetector, load_network
from stream.vad import VoiceDetector, WebRtcVoiceDetector

logger = logging.getLogger("stream")  # however the command was started

FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130
PARTS = tuple(field.name for field in fields(PartsConfig))


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    arguments = _parser().parse_args(argv)
    try:
        config = _configure(arguments)
    except (ValueError, OSError) as exc:
        return _complain(exc, WRONG_USAGE)
    if arguments.show_config:
        sys.stdout.write(config_text(config))
        return 0
    logs.configure(config.log_level, config.log_format)
    asked_early = threading.Event()
    if arguments.config is not None:  # asked to read it again, it has to be up first
        signal.signal(signal.SIGHUP, lambda *_: asked_early.set())
    logger.info("%s", config)
    with ThreadPoolExecutor(1, thread_name_prefix="engine") as thread:
        try:
            detector = detector_of(config)
            engine = thread.submit(load, config.engine).result()
        except (EngineError, OSError) as exc:
            return _complain(exc, FAILED)
        except KeyboardInterrupt:  # loading goes on; the executor waits for its end
            return INTERRUPTED
        try:
            logger.info("%s", engine.info.description)
            read = partial(_configure, arguments) if arguments.config else None
            return asyncio.run(
                _serve(config, engine, thread, detector, read, asked_early)
            )
        except Exception:  # Python would write on what the exception says
            logger.critical("the server failed", exc_info=True)
            return FAILED
        finally:
            thread.submit(engine.close).result()


def detector_of(config: ServerConfig) -> Callable[[], VoiceDetector]:
    """Return what makes a voice detector for a session.

    Raises:
        WeightsError: If its weights cannot be had.
    """
    if config.vad.detector == "silero":
        network = load_network(silero_weights(config.engine))
        return partial(SileroVoiceDetector, network)
    return partial(WebRtcVoiceDetector, config.vad.mode)


async def _serve(
    config: ServerConfig,
    engine: Engine,
    thread: ThreadPoolExecutor,
    detector: Callable[[], VoiceDetector],
    read: Callable[[], ServerConfig] | None,
    asked_early: threading.Event,
) -> int:
    """Serve until told to stop; return the exit status.

    Args:
        config: How.
        engine: Loaded.
        thread: Its own.
        detector: Makes a voice detector for a session.
        read: Returns the configuration again, if there is a file to read.
        asked_early: Set if it was asked for that before the server was ready.
    """
    try:
        server = Server(config, engine, thread, detector=detector)
    except PackageError as exc:
        return _complain(exc, FAILED)
    except ValueError as exc:
        return _complain(exc, WRONG_USAGE)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_tell_failure)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, server.stop)

    def on_ready(address: str) -> None:
        _announce(server, address)
        if read is not None:
            loop.add_signal_handler(signal.SIGHUP, _reload, server, read)
            if asked_early.is_set():
                _reload(server, read)

    try:
        await server.run(on_ready=on_ready)
    except (OSError, EngineError) as exc:
        return _complain(exc, FAILED)
    return 0


def _reload(server: Server, read: Callable[[], ServerConfig]) -> None:
    """Read the configuration again; what is wrong with it changes nothing."""
    try:
        done = server.reload(read())
    except (ValueError, OSError) as exc:
        logger.error("the configuration stays as it was: %s", exc)
        return
    logs.configure(done.config.log_level, done.config.log_format)
    level = logging.WARNING if done.waiting else logging.INFO
    logger.log(level, "the configuration was read again; %s", done)


def _tell_failure(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what nobody waited for; asyncio's line shows what a callback was given."""
    logger.error("a callback failed", exc_info=context.get("exception"))


def _announce(server: Server, address: str) -> None:
    for listening in filter(None, (address, server.wyoming_address)):
        sys.stdout.write(f"listening on {listening}\n")
    sys.stdout.flush()


def _complain(error: Exception, status: int) -> int:
    sys.stderr.write(f"salmonn-serve: {error}\n")
    return status


def _configure(arguments: argparse.Namespace) -> ServerConfig:
    """Return the configuration with what the command line changes in it.

    Raises:
        ValueError: If it is not what it should be.
        OSError: If its file cannot be read.
    """
    config = read_config(arguments.config, os.environ)
    named = {part: getattr(arguments, part) for part in PARTS}
    parts = {part: path for part, path in named.items() if path is not None}
    engine = replace(config.engine, parts=replace(config.engine.parts, **parts))
    if arguments.preset is not None:
        engine = replace(engine, preset=arguments.preset)
    if arguments.engine is not None:
        engine = replace(engine, backend=arguments.engine)
    if arguments.device is not None:
        engine = replace(engine, device=arguments.device)
    if arguments.captions_only:
        engine = replace(engine, captions_only=True)
    auth = replace(
        config.auth,
        tls_cert=arguments.tls_cert or config.auth.tls_cert,
        tls_key=arguments.tls_key or config.auth.tls_key,
    )
    wyoming = config.wyoming
    if arguments.wyoming_port is not None:
        wyoming = replace(wyoming, port=arguments.wyoming_port)
    return replace(
        config,
        host=config.host if arguments.host is None else arguments.host,
        port=config.port if arguments.port is None else arguments.port,
        log_level=arguments.log_level or config.log_level,
        log_format=arguments.log_format or config.log_format,
        engine=engine,
        auth=auth,
        wyoming=wyoming,
    )


def _parser() -> argparse.ArgumentParser:
    of_engine = get_type_hints(EngineConfig)
    kinds = get_type_hints(ServerConfig)
    parser = argparse.ArgumentParser(
        prog="salmonn-serve", description="Serve live captions over WebSocket."
    )
    parser.add_argument("--port", type=int, help="0 takes a free one")
    parser.add_argument("--host", help="address to listen on; 0.0.0.0 is every one")
    parser.add_argument(
        "--wyoming-port", type=int, metavar="PORT", help="for Home Assistant; or none"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML")
    parser.add_argument(
        "--preset", choices=get_args(of_engine["preset"]), help="which model"
    )
    parser.add_argument(
        "--engine",
        choices=get_args(of_engine["backend"]),
        help="engine.backend: in this process (default), or on a Ray cluster",
    )
    parser.add_argument(
        "--device", help="engine.device: cpu, cuda, cuda:1, or auto (default: cpu)"
    )
    parser.add_argument(
        "--captions-only",
        action="store_true",
        help="load no language model: less memory, and no answers",
    )
    for part in PARTS:
        parser.add_argument(
            f"--{part}", type=Path, metavar="PATH", help=f"engine.parts.{part}"
        )
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="PEM")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="PEM")
    parser.add_argument(
        "--show-config",
        action="store_true",
        help="print the configuration as TOML, with what each key means; serve nothing",
    )
    for name in ("log_level", "log_format"):
        parser.add_argument(
            f"--{name.replace('_', '-')}", choices=get_args(kinds[name]), help=name
        )
    return parser


if __name__ == "__main__":
    sys.exit(main())
