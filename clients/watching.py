"""The flags of what is listened for all the time, and what is done when it is noticed.

Knows no session and no screen.
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass

from clients.actions import Action
from clients.commands import Command, arguments_of
from clients.webhook import Webhook, checked_address
from stream.sound_events import Watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """What is listened for, and who is told."""

    sounds: bool = False
    """Whether sounds are told by their names."""
    watches: tuple[Watch, ...] = ()
    command: tuple[str, ...] = ()
    """What is run when a watch notices something; none if it is empty."""
    webhook: Webhook | None = None

    @property
    def actions(self) -> Sequence[Action]:
        """What is done when a watch notices something."""
        done: list[Action] = [Command(self.command)] if self.command else []
        return [*done, *([self.webhook] if self.webhook else [])]


def add_watching(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    group = parser.add_argument_group("what is listened for, speech or not")
    group.add_argument(
        "--sounds",
        action="store_true",
        help="tell sounds by their names, as [dog barking] (for models taught some)",
    )
    group.add_argument(
        "--watch",
        action="append",
        metavar="TEXT",
        help='tell when something is heard, as "a crying baby"; may be given again '
        "(for models that answer questions)",
    )
    group.add_argument(
        "--threshold",
        type=float,
        metavar="P",
        help="score, 0 to 1, from which it counts as heard (default: the server's)",
    )
    group.add_argument(
        "--watch-audio",
        action="store_true",
        help="with the audio in which it was noticed, in JSON",
    )
    group.add_argument(
        "--run",
        metavar="CMD",
        help="a program and its arguments, run without a shell when a watch notices "
        "something; it gets one JSON object on standard input",
    )
    group.add_argument(
        "--webhook",
        metavar="URL",
        help="an address that is sent the same object by POST, signed: https, or this "
        "machine",
    )
    group.add_argument(
        "--webhook-secret-env",
        metavar="VAR",
        help="the environment variable that holds the secret of the signature",
    )
    group.add_argument(
        "--webhook-insecure",
        action="store_true",
        help="send it to any http address, too, where others can read it",
    )


def read_watching(
    parser: argparse.ArgumentParser, arguments: argparse.Namespace
) -> Watching:
    """Return what the flags say; wrong usage ends the program with code 2."""
    texts: list[str] = arguments.watch or []
    if not all(text.strip() for text in texts):
        parser.error("--watch: a text is empty")
    threshold: float | None = arguments.threshold
    if threshold is not None and not 0 < threshold < 1:
        parser.error(f"--threshold: {threshold:g} is not between 0 and 1")
    for flag in ("run", "webhook", "threshold", "watch_audio"):
        if getattr(arguments, flag) and not texts:
            parser.error(f"--{flag.replace('_', '-')}: there is nothing to --watch")
    try:
        command = arguments_of(arguments.run) if arguments.run is not None else ()
    except ValueError as exc:
        parser.error(f"--run: {exc}")
    watches = tuple(
        Watch(
            id=str(number),
            text=text.strip(),
            threshold=threshold,
            audio=arguments.watch_audio,
        )
        for number, text in enumerate(texts, 1)
    )
    return Watching(
        sounds=arguments.sounds,
        watches=watches,
        command=command,
        webhook=_webhook(parser, arguments),
    )


def _webhook(
    parser: argparse.ArgumentParser, arguments: argparse.Namespace
) -> Webhook | None:
    if arguments.webhook is None:
        return None
    variable = arguments.webhook_secret_env
    if variable is None:
        parser.error("--webhook: --webhook-secret-env must name its secret")
    if not (secret := os.environ.get(variable)):
        parser.error(f"--webhook-secret-env: {variable} is not set")
    try:
        address = checked_address(
            arguments.webhook, insecure=arguments.webhook_insecure
        )
    except ValueError as exc:
        parser.error(f"--webhook: {exc}")
    return Webhook(address, secret)
