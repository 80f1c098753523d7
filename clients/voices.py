"""Which speakers are told, and whose voices are known: options, and files of voices.

A voice is sent to the server, which keeps what it makes of it no longer than the
session; nothing is written down here either.
"""

import argparse
from pathlib import Path

from clients.errors import AudioSourceError
from clients.pcm import AudioFile
from stream.audio import SAMPLE_RATE, PcmReader

MAX_SPEAKERS = 16  # of the protocol, as the next two
LEAST_S, MOST_S = 1.6, 6.0
MAX_NAME = 64  # characters; likewise


def add_speakers(group: argparse._ArgumentGroup) -> None:
    """Add the options that say whether speakers are told, how many, and who."""
    group.add_argument(
        "--speakers",
        action="store_true",
        help="tell who speaks (voices are kept no longer than the session)",
    )
    group.add_argument(
        "--max-speakers",
        type=int,
        choices=range(1, MAX_SPEAKERS + 1),
        default=8,
        metavar="N",
        help=f"the most that are told apart, up to {MAX_SPEAKERS} (default: "
        "%(default)s)",
    )
    group.add_argument(
        "--speaker",
        action="append",
        default=[],
        type=_named_voice,
        metavar="NAME=FILE",
        help=f"tell who speaks, and know one by {LEAST_S:g} to {MOST_S:g} s of their "
        "voice alone, which is sent; repeatable",
    )


def read_speakers(
    parser: argparse.ArgumentParser, arguments: argparse.Namespace
) -> tuple[int, dict[str, bytes]]:
    """Return how many speakers are told apart, 0 for none, and the voices by name.

    Wrong usage ends the program with code 2.
    """
    voices = dict(arguments.speaker)
    if len(voices) < len(arguments.speaker):
        parser.error("--speaker: a name comes twice")
    most = arguments.max_speakers
    if len(voices) > most:
        parser.error(f"--speaker: {len(voices)} voices; --max-speakers is {most}")
    return (most if arguments.speakers or voices else 0), voices


def read_voice(path: Path) -> bytes:
    """Return the beginning of a file as a voice is sent: s16le at 16 kHz, mono.

    Raises:
        AudioSourceError: If it is no audio, or too short.
    """
    file, voice = AudioFile(path), bytearray()
    reader, most = PcmReader(file.format), int(MOST_S * SAMPLE_RATE) * 2
    for piece in file.pieces(file.format.rate // 10):
        for frame in reader.push(piece):
            voice += frame.pcm
        if len(voice) >= most:
            break
    else:
        for frame in reader.flush():
            voice += frame.pcm
    file.close()
    seconds = len(voice) / 2 / SAMPLE_RATE
    if seconds < LEAST_S:
        problem = f"{seconds:.1f} s; a voice is known by {LEAST_S:g} s of it or more"
        raise AudioSourceError(str(path), problem)
    return bytes(voice[:most])


def _named_voice(text: str) -> tuple[str, bytes]:
    name, is_given, path = text.partition("=")
    name = name.strip()
    if not is_given or not name or len(name) > MAX_NAME or not name.isprintable():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FILE")
    try:
        return name, read_voice(Path(path))
    except AudioSourceError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc
