"""Run a session from a source of audio to its last final.

Interrupting ends the source, not the session: what was spoken is still answered.  A
second interrupt ends everything.  Knows no device and no file.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Protocol, TypeVar

from clients.actions import Actions
from clients.controls import Controls
from clients.conversation import Client
from clients.errors import ClientError
from clients.latency import LagWatch
from clients.options import Options, Outputs
from clients.panel import Panel
from clients.records import record
from clients.terminal import Printer
from stream.audio import PcmFormat
from stream.events import Error
from stream.sound_events import Noticed

E = TypeVar("E", bound=BaseException)
INTERRUPTED = 130  # what a shell makes of SIGINT


class Source(Protocol):
    """Something that yields audio."""

    @property
    def name(self) -> str | None:
        """What it is, for the results; None if there is nothing to tell apart."""

    @property
    def format(self) -> PcmFormat:
        """What its bytes mean."""

    @property
    def is_live(self) -> bool:
        """Whether audio comes as it is spoken: only then do latencies mean anything."""

    @property
    def max_held_s(self) -> float:
        """How much of it may be unsettled: less if it comes faster than spoken."""

    def pieces(self) -> AsyncIterator[bytes]:
        """Yield whole samples, to the end.

        Raises:
            ClientError: If the source fails.
        """

    def stop(self) -> None:
        """End soon."""


async def caption(source: Source, options: Options, outputs: Outputs) -> bool:
    """Send a source to its end and show what comes back.

    Where somebody sits at a terminal, keys are obeyed meanwhile.

    Returns:
        Whether every segment was answered.

    Raises:
        ExceptionGroup: Of `ClientError`s, if the source or the session failed.
    """
    is_answered, lag = True, LagWatch()
    watching = options.watching
    with ExitStack() as stack, stopped_by_signals(source.stop):
        printers = [_closing(stack, p) for p in outputs.printers(source.name)]
        controls = Controls.at_terminal(source, options, printers)
        async with (
            Actions(watching.actions, tell=_tell) as actions,
            options.connect(source.format, max_held_s=source.max_held_s) as client,
            asyncio.TaskGroup() as tasks,
        ):
            panel = None
            if controls is not None:
                panel, obeying = controls.panel, tasks.create_task(controls.run(client))
            tasks.create_task(_feed(client, source, options, panel))
            async for arrival in client.arrivals():
                if isinstance(arrival.event, Error):
                    is_answered = False
                if isinstance(arrival.event, Noticed) and not arrival.event.complete:
                    actions.offer(record(arrival.event, file=source.name) or {})
                if not source.is_live:
                    arrival = replace(arrival, latency_s=None)
                if lag.is_news(arrival.event, arrival.latency_s):
                    late = f"{arrival.latency_s:.0f} s behind what it was sent"
                    print(f"the server is {late}", file=sys.stderr)
                for printer in printers:
                    printer.show(arrival)
            if panel is not None:
                obeying.cancel()
    return is_answered


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


def _closing(stack: ExitStack, printer: Printer) -> Printer:
    stack.callback(printer.close)
    return printer


async def _feed(
    client: Client, source: Source, options: Options, panel: Panel | None
) -> None:
    """Send audio, and ask what was to be asked of it; the answers come as events."""
    second = source.format.rate * source.format.sample_bytes
    sent_s = asked_s = 0.0
    async for piece in source.pieces():
        await client.send(piece)
        if panel is not None:
            panel.hear(piece)
        sent_s += len(piece) / second
        if options.every_s is not None and sent_s - asked_s >= options.every_s:
            asked_s = sent_s
            await _ask(client, options)
    if panel is not None:
        panel.is_ending = True
    if sent_s > asked_s:
        await _ask(client, options)
    await client.end()


async def _ask(client: Client, options: Options) -> None:
    for text in options.asks:
        await options.ask(client, text)


@contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` at the first SIGINT or SIGTERM; the second acts as ever."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)

    def interrupt() -> None:
        for number in signals:
            loop.remove_signal_handler(number)
        stop()

    for number in signals:
        loop.add_signal_handler(number, interrupt)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


def exit_code(main: Coroutine[None, None, bool], *, program: str) -> int:
    """Run a client's coroutine; return its exit code, what went wrong told once."""
    code = 1
    try:
        code = 0 if asyncio.run(main) else 1
    except* ClientError as group:
        print(f"{program}: {first(group)}", file=sys.stderr)
    except* BrokenPipeError:  # who read our output has left
        _leave_stdout()
    except* OSError as group:  # files have errors of their own
        error = first(group)
        print(f"{program}: standard output: {error.strerror}", file=sys.stderr)
        _leave_stdout()
    except* KeyboardInterrupt:
        code = INTERRUPTED
    return code


def _leave_stdout() -> None:
    """Have nothing flushed to it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def first(group: BaseExceptionGroup[E]) -> E:
    """Return the first error of a group: the others follow from it."""
    error: E | BaseExceptionGroup[E] = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
