"""A program that is run when a watch notices something.

It is named by its arguments and run without a shell; what was heard comes to it as one
JSON object on standard input, and is no part of a command line.
"""

import asyncio
import contextlib
import shlex
from typing import Any, Final

from stream.messages import json_text

STDERR: Final = 2
"""Where it writes what it has to say: standard output is for events."""
LIMIT_S: Final = 60.0
"""How long it may run."""


def arguments_of(command: str) -> tuple[str, ...]:
    """Return the arguments of a command, quoted as for a shell.

    Raises:
        ValueError: If there is none, or a quotation does not end.
    """
    try:
        found = tuple(shlex.split(command))
    except ValueError as exc:
        raise ValueError(f"{command!r}: {exc}") from exc
    if not found:
        raise ValueError("there is no command")
    return found


class Command:
    """Runs a program."""

    def __init__(self, arguments: tuple[str, ...], *, limit_s: float = LIMIT_S) -> None:
        """Prepare.

        Args:
            arguments: The program and what it is given.
            limit_s: After which it is killed.
        """
        self._arguments, self._limit_s = arguments, limit_s

    async def __call__(self, record: dict[str, Any]) -> str:
        """Run it to its end; return what went wrong, empty if nothing did."""
        name = self._arguments[0]
        try:
            process = await asyncio.create_subprocess_exec(
                *self._arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=STDERR,
                start_new_session=True,  # Ctrl-C is for us
            )
        except (OSError, ValueError) as exc:
            return f"{name} did not start: {getattr(exc, 'strerror', None) or exc}"
        line = json_text(record) + "\n"
        try:
            async with asyncio.timeout(self._limit_s):
                await process.communicate(line.encode())
        except TimeoutError:
            return f"{name} was killed after {self._limit_s:g} s"
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        return f"{name}: exit code {process.returncode}" if process.returncode else ""
