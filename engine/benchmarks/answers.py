"""When the first word of an answer comes, by how long the audio is.

In this process, with nothing else to do; computing time alone:

    standing prompt   a segment is pushed 0.34 s at a time, as while it is spoken; from
                      when it is asked about, its last sample there and the words of its
                      last partial known, to the first token; lengths in turns, so
                      that none is always the first
    ad-hoc question   10 s of sound that nobody asked about, pushed at once, then asked,
                      with as many words of a session's as are told at most
    further question  another about the same sound, as the second turn of a chat, in
                      which the first has the words found, if the model is told them
    officially        the same question, everything encoded and read at the end
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import psutil

from engine.api import Prompt, Samples, UtteranceOptions, by_task
from engine.benchmarks.report import Advance, Row, Setup
from engine.benchmarks.server import MB
from engine.benchmarks.sounds import endless
from engine.benchmarks.statistics import Quantiles, quantiles
from engine.evaluation import live
from engine.geometry import WINDOW_SAMPLES, samples_of
from engine.local import LocalEngine
from engine.whisper import TRANSCRIBE

LENGTHS_S = (3.0, 10.0, 28.0)
SOUND_S = 10.0
ROUNDS = 8
PARTIAL_WINDOWS = 3  # about a second; words come from the partials
LENGTHS_CUT, SHORTER_S = 5, 0.14  # each shorter, so that blocks end elsewhere
MAX_GROWTH = 1.25
MAX_SOUND_S = 1.5
MAX_FURTHER = 0.5
SAID = "And so the winter went, and nobody in the valley spoke of it again. " * 3
QUESTIONS = "What was that noise?", "How loud was it?"

Ask = Callable[[LocalEngine, Samples], float]
"""Asks about audio; returns the seconds to the first token."""


@dataclass(frozen=True, slots=True)
class FirstToken:
    """How long one waits for it, in seconds."""

    audio_s: float
    live_s: Quantiles
    official_s: Quantiles

    @property
    def gain(self) -> float:
        """How many times as long the official way takes, by their medians."""
        return self.official_s.p50 / self.live_s.p50


@dataclass(frozen=True, slots=True)
class AnswerFigures:
    """What was found."""

    engine: str
    first_tokens: list[FirstToken]
    growth: float
    """What the longest segment takes, in proportion to the shortest, by medians."""
    sound: FirstToken
    """A question about sound."""
    further_s: Quantiles
    """Another question about it."""
    further: float
    """What that takes, in proportion to the first, by medians."""
    memory_mb: float
    """Of the process with all of it, after the last answer."""

    def rows(self) -> list[Row]:
        """Return what people want to know of it."""
        rows = [Row("first token, p50 / p90 / p95", "")]
        for found in self.first_tokens:
            rows += _pair(f"after {found.audio_s:g} s of speech", found)
        longest, shortest = self.first_tokens[-1], self.first_tokens[0]
        growth = f"{longest.audio_s:g} s : {shortest.audio_s:g} s"
        about = f"about {self.sound.audio_s:g} s of sound"
        return [
            *rows,
            Row(growth, f"{self.growth:.2f}", f"≤ {MAX_GROWTH}"),
            *_pair(about, self.sound, f"p50 ≤ {MAX_SOUND_S} s"),
            Row("  a further question about it", self.further_s.told("s")),
            Row("    further : first", f"{self.further:.2f}", f"≤ {MAX_FURTHER}"),
            Row("memory of the process", f"{self.memory_mb:,.0f} MB"),
        ]


def run(setup: Setup) -> AnswerFigures:
    """Ask about segments of some lengths.

    Raises:
        EngineError: If a weight is missing, a clip is no audio, or nothing is there
            that answers questions.
    """
    config = live.engine_config(setup.config)
    engine = LocalEngine.load(config)
    engine.check_prompt(Prompt(text=QUESTIONS[0]))
    streamed = engine.with_encoding(replace(config.encoding, replies="streaming"))
    official = engine.with_encoding(replace(config.encoding, replies="exact"))
    for one in (streamed, official):
        one.warm_up()
    samples = endless(setup.clips, max(LENGTHS_S))
    rounds = setup.rounds or ROUNDS
    with setup.steps("answers", rounds * (len(LENGTHS_S) + 1)) as advance:
        *first_tokens, sound = compare(streamed, official, samples, rounds, advance)
        turns = [
            ask_twice(streamed, cut(samples, SOUND_S, number))
            for number in range(rounds)
        ]
    firsts, furthers = zip(*turns, strict=True)
    further_s = quantiles(furthers, of="first token")
    return AnswerFigures(
        engine=engine.info.description,
        first_tokens=first_tokens,
        growth=first_tokens[-1].live_s.p50 / first_tokens[0].live_s.p50,
        sound=sound,
        further_s=further_s,
        further=further_s.p50 / quantiles(firsts, of="first token").p50,
        memory_mb=psutil.Process().memory_info().rss / MB,
    )


def cut(samples: Samples, length_s: float, number: int) -> Samples:
    """Return the beginning of samples, in each round of another length, or nearly."""
    return samples[: samples_of(length_s - number % LENGTHS_CUT * SHORTER_S)]


def ask_about_speech(engine: LocalEngine, samples: Samples) -> float:
    """Push a segment as it is spoken; return the seconds from asking to a token."""
    utterance = engine.open(UtteranceOptions(questions=True))
    said = ""
    for number, start in enumerate(range(0, len(samples), WINDOW_SAMPLES), start=1):
        utterance.push(samples[start : start + WINDOW_SAMPLES])
        if number % PARTIAL_WINDOWS == 0:
            said = by_task(utterance.partial())[TRANSCRIBE].text
    begin = time.perf_counter()
    reply = utterance.ask(Prompt(text=QUESTIONS[0], said=said))
    engine.generate([reply])
    taken_s = time.perf_counter() - begin
    reply.close()
    utterance.close()
    return taken_s


def ask_about_sound(engine: LocalEngine, samples: Samples) -> float:
    """Push and ask at once; return the seconds that both take until a token."""
    begin = time.perf_counter()
    utterance = engine.open(UtteranceOptions(tasks=()))
    utterance.push(samples)
    reply = utterance.ask(Prompt(text=QUESTIONS[0], said=SAID))
    engine.generate([reply])
    taken_s = time.perf_counter() - begin
    reply.close()
    utterance.close()
    return taken_s


def ask_twice(engine: LocalEngine, samples: Samples) -> tuple[float, float]:
    """Ask two questions about a clip; return the seconds to the first token of each."""
    utterance = engine.open(UtteranceOptions(tasks=()))
    taken_s = []
    begin = time.perf_counter()
    utterance.push(samples)
    for text in QUESTIONS:
        reply = utterance.ask(Prompt(text=text))
        engine.generate([reply])
        taken_s.append(time.perf_counter() - begin)
        reply.close()
        begin = time.perf_counter()
    utterance.close()
    first_s, further_s = taken_s
    return first_s, further_s


def compare(
    streamed: LocalEngine,
    official: LocalEngine,
    samples: Samples,
    rounds: int,
    advance: Advance,
) -> list[FirstToken]:
    """Ask both ways about speech of all lengths, and about sound, turn by turn.

    Whatever else the machine does meets both ways; and each length comes first, in the
    middle and last: what comes first is slower.

    Returns:
        What was found of each length of speech, and then of sound.
    """
    asked: list[tuple[Ask, float]] = [(ask_about_speech, n) for n in LENGTHS_S]
    asked.append((ask_about_sound, SOUND_S))
    taken: list[list[tuple[float, float]]] = [[] for _ in asked]
    for number in range(rounds):
        for turn in range(len(asked)):
            index = (number + turn) % len(asked)
            ask, length_s = asked[index]
            clip = cut(samples, length_s, number)
            taken[index].append((ask(streamed, clip), ask(official, clip)))
            advance()
    return [
        _first_token(length_s, pairs)
        for (_, length_s), pairs in zip(asked, taken, strict=True)
    ]


def _first_token(length_s: float, pairs: Sequence[tuple[float, float]]) -> FirstToken:
    live_s, official_s = zip(*pairs, strict=True)
    of = "first token"
    return FirstToken(length_s, quantiles(live_s, of=of), quantiles(official_s, of=of))


def _pair(what: str, found: FirstToken, promised: str = "") -> list[Row]:
    """Return what people want to know of one length."""
    return [
        Row(f"  {what}", found.live_s.told("s"), promised),
        Row("    computed officially", found.official_s.told("s")),
        Row("    officially : live", f"{found.gain:.1f}"),
    ]
