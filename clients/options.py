"""The command line that all clients share: its flags, its outputs, its exit codes.

`EXIT_STATUS` is what scripts may build on.  Knows no source of audio.
"""

import argparse
import os
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from clients.client import connect
from clients.conversation import MAX_HELD_S, Client
from clients.output import OutputFile
from clients.records import JsonPrinter
from clients.speakers import SpeakerPrinter
from clients.subtitles import SUFFIXES, TranscriptFile, TranscriptPrinter
from clients.terminal import Printer, make_printer
from clients.values import (
    checked,
    language,
    phrase,
    positive,
    recent,
    temperature,
    transcript,
)
from clients.voices import add_speakers, read_speakers
from clients.watching import Watching, add_watching, read_watching
from clients.wire import native_url
from stream.audio import PcmFormat
from stream.events import full_task

DEFAULT_URL = "ws://127.0.0.1:8765"
STDOUT = "-"
ABOUT = ("segment", "last_segment", "recent")
EXIT_STATUS = """\
exit status:
  0    everything was heard and answered
  1    it was not: no server, no audio, a segment or a question without its answer,
       a file that was stopped before its end
  2    wrong usage
  130  interrupted again, while the last words were waited for
"""
KEYS = """\
keys, where input and output are a terminal and there is no --json:
  a         ask: what is typed up to Enter; Escape leaves it
  p, space  pause, and go on
  m         mark this moment; --save keeps it
  q         quit, as Ctrl-C: the last words are waited for; again, they are not

"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What every client was asked on its command line."""

    url: str = DEFAULT_URL
    tasks: tuple[str, ...] = ("transcribe",)
    language: str | None = None
    partials: bool = True
    words: bool = False
    asks: tuple[str, ...] = ()
    """Questions that are asked at the end of the audio, or again and again."""
    about: str = "recent"
    last_s: float = 30.0
    """How much of the recent audio they are about."""
    temperature: float = 0.0
    """0 takes the likeliest token of an answer; above, tokens are drawn."""
    every_s: float | None = None
    """After how much audio they are asked again."""
    opening_phrase: str | None = None
    speakers: int = 0
    """The most that are told apart; 0 tells none."""
    watching: Watching = field(default_factory=Watching)
    """What is listened for all the time, and who is told."""
    voices: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Of speakers that are known, by their names: s16le at 16 kHz."""
    token: str | None = None
    json: str | None = None
    """A path, or `-` for standard output, which then carries nothing else."""
    save: Path | None = None
    verbose: bool = False

    def connect(self, audio: PcmFormat, *, max_held_s: float = MAX_HELD_S) -> Client:
        """Return a client for audio of a format, not yet connected."""
        return connect(
            self.url,
            tasks=self.tasks,
            language=self.language,
            rate=audio.rate,
            encoding=audio.encoding,
            channels=audio.channels,
            partials=self.partials,
            words=self.words,
            opening_phrase=self.opening_phrase,
            speakers=self.speakers,
            sounds=self.watching.sounds,
            watches=self.watching.watches,
            voices=self.voices,
            token=self.token,
            max_held_s=max_held_s,
        )

    async def ask(self, client: Client, text: str) -> None:
        """Ask a question as it was wished; the answer comes as events."""
        await client.ask(
            text,
            about=self.about,
            seconds=self.last_s,
            temperature=self.temperature,
        )


def add_options(parser: argparse.ArgumentParser, *, keys: bool = False) -> None:
    """Add the flags that all clients share, and what the help ends with.

    Args:
        parser: Of a command.
        keys: Whether the command obeys keys while it hears.
    """
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = f"{KEYS if keys else ''}{EXIT_STATUS}"
    server = parser.add_argument_group("server")
    add_url(server)
    add_token(server)
    asked = parser.add_argument_group("what is asked")
    asked.add_argument(
        "--task",
        action="append",
        metavar="T",
        help="transcribe, translate:en, …; may be given again (default: transcribe)",
    )
    asked.add_argument(
        "--translate",
        action="append",
        default=[],
        type=checked(language),
        metavar="L",
        help="translate into a language, as en, beside what else is asked; repeatable",
    )
    asked.add_argument(
        "--language",
        metavar="L",
        help="code of the spoken language, as en (default: the model tells)",
    )
    asked.add_argument(
        "--no-partials",
        dest="partials",
        action="store_false",
        help="only final text",
    )
    asked.add_argument(
        "--words", action="store_true", help="where each word of a final was spoken"
    )
    add_speakers(asked)
    add_watching(parser)
    questions = parser.add_argument_group("questions (for models that answer them)")
    questions.add_argument(
        "--ask",
        action="append",
        metavar="TEXT",
        help="asked at the end of the audio; may be given again",
    )
    questions.add_argument(
        "--about",
        choices=ABOUT,
        default="recent",
        help="what it is about: a segment of speech, or all audio of the last seconds "
        "(default: %(default)s)",
    )
    questions.add_argument(
        "--last",
        type=checked(recent),
        default=30.0,
        metavar="S",
        help="how many seconds of recent audio (default: %(default)s)",
    )
    questions.add_argument(
        "--temperature",
        type=checked(temperature),
        default=0.0,
        metavar="T",
        help="0 answers with the likeliest words, up to 2 with others too (default: 0)",
    )
    questions.add_argument(
        "--every",
        type=checked(positive),
        metavar="S",
        help="ask after every S seconds of audio, and at its end",
    )
    questions.add_argument(
        "--opening-phrase",
        type=checked(phrase),
        metavar="WORDS",
        help='what is said behind these words is a question, as "hey salmon"',
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "--json",
        metavar="FILE",
        help="one line of JSON an event; - for standard output, in place of text",
    )
    output.add_argument(
        "--save",
        type=checked(transcript),
        metavar="FILE",
        help=f"keep the final text in a file: {', '.join(SUFFIXES)}",
    )
    output.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="show how late text comes, and partials on a pipe, too",
    )


def add_url(group: argparse._ActionsContainer) -> None:
    """Add the option that says where the server is."""
    group.add_argument(
        "--url",
        type=checked(native_url),
        default=DEFAULT_URL,
        metavar="ws://HOST:PORT",
        help="where the server is (default: %(default)s)",
    )


def add_token(group: argparse._ActionsContainer) -> None:
    """Add the option that says where the server's token is."""
    group.add_argument(
        "--token-env",
        metavar="VAR",
        help="the environment variable that holds the token, if the server wants one",
    )


def read_secret(
    parser: argparse.ArgumentParser, flag: str, variable: str | None
) -> str | None:
    """Return what a variable holds that a flag names; None if it names none.

    One that is not set ends the program with code 2.
    """
    if variable is None:
        return None
    if not (value := os.environ.get(variable)):
        parser.error(f"{flag}: {variable} is not set")
    return value


def read_options(
    parser: argparse.ArgumentParser, arguments: argparse.Namespace
) -> Options:
    """Return the shared options; wrong usage ends the program with code 2."""
    if not all(text.strip() for text in arguments.ask or ()):
        parser.error("--ask: a question is empty")
    if arguments.every is not None and not arguments.ask:
        parser.error("--every: there is nothing to --ask")
    speakers, voices = read_speakers(parser, arguments)
    return Options(
        url=arguments.url,
        tasks=_tasks(arguments),
        language=arguments.language,
        partials=arguments.partials,
        words=arguments.words,
        asks=tuple(arguments.ask or ()),
        about=arguments.about,
        last_s=arguments.last,
        temperature=arguments.temperature,
        every_s=arguments.every,
        opening_phrase=arguments.opening_phrase,
        watching=read_watching(parser, arguments),
        speakers=speakers,
        voices=voices,
        token=read_secret(parser, "--token-env", arguments.token_env),
        json=arguments.json,
        save=arguments.save,
        verbose=arguments.verbose,
    )


def _tasks(arguments: argparse.Namespace) -> tuple[str, ...]:
    """Return what is asked, each once."""
    named = map(full_task, arguments.task or ["transcribe"])
    translations = (f"translate:{language}" for language in arguments.translate)
    return tuple(dict.fromkeys([*named, *translations]))


class Outputs(AbstractContextManager["Outputs"]):
    """Where results go, over all sessions of a program."""

    def __init__(self, options: Options, *, stdout: TextIO | None = None) -> None:
        self._options = options
        self._stdout = stdout or sys.stdout
        self._files = ExitStack()
        self._json: TextIO | OutputFile | None = None
        self._transcript: TranscriptFile | None = None

    def __enter__(self) -> Self:
        """Create the files.

        Raises:
            OutputError: If one cannot be written.
        """
        with ExitStack() as files:
            if self._options.json == STDOUT:
                self._json = self._stdout
            elif self._options.json is not None:
                json_file = OutputFile(Path(self._options.json))
                files.callback(json_file.close)
                self._json = json_file
            if self._options.save is not None:
                self._transcript = TranscriptFile(self._options.save)
                files.callback(self._transcript.close)
            self._files = files.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._files.close()

    def printers(self, name: str | None) -> list[Printer]:
        """Return what shows the events of one session, which hears `name`."""
        options = self._options
        printers: list[Printer] = []
        if options.json != STDOUT:
            text = make_printer(
                self._stdout, num_tasks=len(options.tasks), verbose=options.verbose
            )
            printers.append(SpeakerPrinter(text) if options.speakers else text)
        if self._json is not None:
            printers.append(JsonPrinter(self._json, file=name))
        if self._transcript is not None:
            printers.append(
                TranscriptPrinter(
                    self._transcript,
                    tasks=options.tasks,
                    name=name,
                    speakers=bool(options.speakers),
                    sounds=options.watching.sounds or bool(options.watching.watches),
                )
            )
        return printers
