"""Settings that are read again while a server runs: what changes, what waits.

What a server is built from (where it listens, its engine, its detector) holds until
it is started anew; all else is what connections meet that come.  It compares
configurations and knows no server, no file and no signal.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from stream.config import ServerConfig

BUILT_IN = ("host", "port", "vad", "wyoming", "sessions", "engine")
"""Fields of a configuration that hold until a restart."""


@dataclass(frozen=True, slots=True)
class Reload:
    """What a server goes on with, and how that differs from what it had."""

    config: ServerConfig
    changed: tuple[str, ...]
    """Keys that have other values now."""
    waiting: tuple[str, ...]
    """Keys that are wanted otherwise, which takes a restart."""

    def __str__(self) -> str:
        """Name the keys, and no value."""
        parts = [f"changed: {', '.join(self.changed) or 'nothing'}"]
        if self.waiting:
            parts.append(f"after a restart: {', '.join(self.waiting)}")
        return "; ".join(parts)


def reload(running: ServerConfig, wanted: ServerConfig) -> Reload:
    """Return what becomes of a server that runs with one configuration.

    Args:
        running: What it has.
        wanted: What was read.
    """
    kept = {name: getattr(running, name) for name in BUILT_IN}
    config = replace(wanted, **kept)
    if (running.auth.tls_cert is None) != (wanted.auth.tls_cert is None):
        # The port speaks TLS or does not, to everybody.
        cert, key = running.auth.tls_cert, running.auth.tls_key
        config = replace(config, auth=replace(wanted.auth, tls_cert=cert, tls_key=key))
    return Reload(
        config, tuple(_differing(running, config)), tuple(_differing(config, wanted))
    )


def _differing(one: Any, other: Any, where: str = "") -> Iterator[str]:
    """Yield the keys whose values differ, as the file names them."""
    for field in fields(one):
        before, after = getattr(one, field.name), getattr(other, field.name)
        if is_dataclass(before):
            yield from _differing(before, after, f"{where}{field.name}.")
        elif before != after:
            yield where + field.name
