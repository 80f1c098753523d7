"""One session that goes on for an hour, as fast as its lag stays flat.

    without a speed   as fast as it is heard, with 45 s at most that are not settled, as
                      `salmonn-file --fast` sends: the lag cannot grow, and the speed is
                      what comes of it
    with one          at that speed; the lag tells whether it is held

When it has ended, another connection asks the server for all of it again, from its
first event: the earliest text is in the file that was saved, and on the server.

The lag is audio that was sent and is not settled.  What it and the memory grow by is a
least-squares line through what each final finds, over the second half of what came
while there was more to send: then the lag can only fall.
"""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from itertools import chain, repeat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from clients.client import connect
from clients.conversation import MAX_HELD_S, UNPACED_HELD_S
from clients.paced import paced, unpaced
from clients.subtitles import TranscriptFile, TranscriptPrinter
from engine.benchmarks.statistics import quantiles, slope
from stream.audio import SAMPLE_RATE
from stream.events import Final, Resume, Started
from tests.fakes.server import Running, client_of
from tests.trust_setup import Outcome, Setup, finals, pieces, say, url_of

BYTES_A_SECOND = 2 * SAMPLE_RATE
REPEATED_S = 600.0
"""Of audio that are held in memory; longer readings repeat them."""
LEAST_SPEED = 4.0
LAG_GROWTH_S = 5.0
"""Of lag over the second half, beyond which it is not flat."""
GROWTH_MB = 16.0
"""Of memory, likewise."""


@dataclass(frozen=True)
class Moment:
    """What a final found."""

    minute: float
    """Of the audio."""
    sent_s: float
    """All that had gone out."""
    lag_s: float
    memory_mb: float


@dataclass(frozen=True)
class Hour:
    """What became of it."""

    took_s: float
    moments: list[Moment]
    segments: list[int]
    partials: int
    told: list[str]
    saved: list[str]
    """The same words, as the file has them that was saved: a cue after the other."""
    again: list[str]
    """The finals once more, as the server had them when the session was over."""


async def run(setup: Setup, *, seconds: float, speed: float | None) -> Outcome:
    """Send so much audio in one session, at a speed or at the one that is found."""
    audio = setup.reading(min(seconds, REPEATED_S))
    async with setup.server() as server:
        hour = await _listen(server, audio, seconds, speed)
    return outcome(hour, speed)


def outcome(hour: Hour, speed: float | None) -> Outcome:
    """Return what an hour shows, at a speed or as fast as it was heard."""
    last = hour.moments[-1]
    speed = speed or last.minute * 60 / hour.took_s
    met = [at for at in hour.moments if at.sent_s < last.sent_s] or hour.moments
    lag = _growth([(at.minute, at.lag_s) for at in met], last.minute)
    memory = _growth([(at.minute, at.memory_mb) for at in met], last.minute)
    lags = quantiles([at.lag_s for at in met], of="final")
    rows = [
        ["audio, minutes", round(last.minute, 1)],
        ["speed, × real time", round(speed, 2)],
        ["took, minutes", round(hour.took_s / 60, 1)],
        ["lag, s of audio, p50 / p90 / p95", str(lags)],
        ["… its slope, s a minute of audio", lag.shown],
        ["memory at the end, MB", last.memory_mb],
        ["… its slope, MB a minute of audio", memory.shown],
        ["finals", len(hour.segments)],
        ["partials", hour.partials],
        ["earliest text, read from the file that was saved", hour.saved[0]],
        ["earliest text, asked of the server again", (hour.again or [""])[0]],
        ["finals that the server still had", len(hour.again)],
    ]
    problems = []
    if lag.over_half > LAG_GROWTH_S:
        problems.append(f"the lag grew by {lag.over_half:.1f} s over the second half")
    if memory.over_half > GROWTH_MB:
        problems.append(
            f"memory grew by {memory.over_half:.0f} MB over the second half"
        )
    if speed < LEAST_SPEED:
        problems.append(f"it was {speed:.2f} × real time; {LEAST_SPEED:g} is wanted")
    if hour.segments != [*range(1, len(hour.segments) + 1)]:
        problems.append("a segment has no final, or two")
    if _words(hour.saved) != _words(hour.told):
        problems.append("the file that was saved has other words than the finals")
    if hour.again != hour.told:
        problems.append("the server had other finals when it was asked again")
    return Outcome(["one session"], rows, problems)


async def _listen(
    server: Running, audio: bytes, seconds: float, speed: float | None
) -> Hour:
    source = unpaced(_repeated(audio, seconds))
    if speed is not None:
        a_second = round(BYTES_A_SECOND * speed)
        source = paced(_repeated(audio, seconds), bytes_per_second=a_second)
    held_s = UNPACED_HELD_S if speed is None else MAX_HELD_S
    process = psutil.Process()
    sent, partials, session = 0, 0, ""
    moments, segments, told = list[Moment](), list[int](), list[str]()

    async def counted() -> Any:
        nonlocal sent
        async for piece in source:
            sent += len(piece) // 2
            yield piece

    began = time.monotonic()
    with TemporaryDirectory() as folder:
        path = Path(folder, "hour.vtt")
        file = TranscriptFile(path)
        printer = TranscriptPrinter(file, tasks=("transcribe",), name=None)
        async with (
            connect(url_of(server), max_held_s=held_s) as client,
            say(client, counted()),
        ):
            async for arrival in client.arrivals():
                printer.show(arrival)
                event = arrival.event
                partials += event.type == "partial"
                if isinstance(event, Started):
                    session = event.session
                if isinstance(event, Final):
                    segments.append(event.segment)
                    told.append(event.text)
                    moments.append(
                        Moment(
                            event.end / SAMPLE_RATE / 60,
                            sent / SAMPLE_RATE,
                            (sent - event.settled) / SAMPLE_RATE,
                            round(process.memory_info().rss / 1e6, 1),
                        )
                    )
        printer.close()
        file.close()
        took_s = time.monotonic() - began
        cues = (await asyncio.to_thread(path.read_text, "utf-8")).split("\n\n")[1:]
    saved = [unescape(" ".join(cue.splitlines()[1:])) for cue in cues if cue]
    again = await _again(server, session)
    return Hour(took_s, moments, segments, partials, told, saved, again)


async def _again(server: Running, session: str) -> list[str]:
    """Return the finals that a server sends whoever has seen nothing of a session."""
    resume = Resume(session=session, seq=0, settled=0, segment=0)
    async with client_of(server) as client:
        if not (await client.start(resume=resume)).resumed:
            return []
        events, _ = await client.rest()
    return [final.text for final in finals(events)]


def _words(texts: list[str]) -> list[str]:
    return " ".join(texts).split()


def _repeated(audio: bytes, seconds: float) -> Iterator[bytes]:
    left = round(seconds * SAMPLE_RATE) * 2
    for piece in chain.from_iterable(map(pieces, repeat(audio))):
        yield piece[:left]
        left -= len(piece)
        if left <= 0:
            return


@dataclass(frozen=True)
class _Growth:
    shown: float | None
    """A minute of audio."""
    over_half: float


def _growth(points: list[tuple[float, float]], minutes: float) -> _Growth:
    """Return how a figure grows over the second half of so much audio."""
    end = points[-1][0]
    found = slope([point for point in points if point[0] >= end / 2])
    if found is None:
        return _Growth(None, 0.0)
    return _Growth(round(found, 3), found * minutes / 2)
