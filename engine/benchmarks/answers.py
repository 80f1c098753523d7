"""When the first word of an answer comes, by how long the audio is.

In this process, with nothing else to do; computing time alone:

    standing prompt   a segment is pushed 0.34 s at a time, as while it is spoken; from
                      when it is asked about, its last sample there, to the first token;
                      lengths in turns, so that none is always the first
    officially        the same question, everything encoded and read at the end
    ad-hoc question   10 s of sound that nobody asked about, pushed at once, then asked

Without a trained adapter the bridge has random weights: answers are nonsense, and take
as long as any others.
"""

import time
from dataclasses import dataclass, replace
from statistics import median

import psutil
import torch

from engine.api import Prompt, Samples, UtteranceOptions
from engine.benchmarks.report import Advance, Row, Setup
from engine.benchmarks.server import MB
from engine.benchmarks.sounds import endless
from engine.benchmarks.statistics import Quantiles, quantiles
from engine.evaluation import live
from engine.geometry import WINDOW_SAMPLES, samples_of
from engine.heads import load_language_model, shrink
from engine.listening import Head
from engine.llm import LanguageModel
from engine.local import LocalEngine
from engine.qformer import MINI_BRIDGE, Bridge
from engine.skills import Skills
from engine.weights import resolve

LENGTHS_S = (3.0, 10.0, 28.0)
SOUND_S = 10.0
LANGUAGES = ("de", "en", "ja", "zh")  # in which it may answer
REPETITIONS = 5
SHORTER_S = 0.14  # a repetition than the one before: blocks end elsewhere in each
MAX_GROWTH = 1.25
MAX_SOUND_S = 1.5
TASK = "describe"
MS = 1000.0


@dataclass(frozen=True, slots=True)
class FirstToken:
    """How long one waits for it, in seconds: medians over repetitions."""

    segment_s: float
    live_s: float
    official_s: float

    @property
    def gain(self) -> float:
        """How many times as long the official way takes."""
        return self.official_s / self.live_s


@dataclass(frozen=True, slots=True)
class AnswerFigures:
    """What was found."""

    engine: str
    language_model: str
    bridge: str
    """`trained`, or `random` where there are no trained weights."""
    first_tokens: list[FirstToken]
    growth: float
    """What the longest segment takes, in proportion to the shortest."""
    sound: Quantiles
    """A question about 10 s of sound, in seconds."""
    memory_mb: float
    """Of the process with all of it, after the last answer."""

    def rows(self) -> list[Row]:
        """Return what people want to know of it."""
        rows = [Row("bridge", self.bridge), Row("language model", self.language_model)]
        for found in self.first_tokens:
            rows += [
                Row(f"first token after {found.segment_s:g} s", _ms(found.live_s)),
                Row("  computed officially", _ms(found.official_s)),
                Row("  officially : live", f"{found.gain:.1f}"),
            ]
        longest, shortest = self.first_tokens[-1], self.first_tokens[0]
        return [
            *rows,
            Row(
                f"{longest.segment_s:g} s : {shortest.segment_s:g} s",
                f"{self.growth:.2f}",
                f"≤ {MAX_GROWTH}",
            ),
            Row(
                f"first token about {SOUND_S:g} s of sound, p50 / p90 / p95",
                f"{self.sound} s",
                f"p50 ≤ {MAX_SOUND_S} s",
            ),
            Row("memory of the process", f"{self.memory_mb:,.0f} MB"),
        ]


def run(setup: Setup) -> AnswerFigures:
    """Ask about segments of some lengths.

    Raises:
        EngineError: If a weight is missing, or a clip is no audio.
    """
    config = live.engine_config(setup.config)
    engine = LocalEngine.load(config)
    bridge, language_model = "trained", "of the preset"
    if TASK not in engine.info.prompted_tasks:
        head = random_head(load_language_model(resolve("gemma", config), config))
        shrink(head.llm, head.skills, config)
        language_model = head.description
        engine, bridge = engine.with_head(head), "random"
    streamed = engine.with_encoding(replace(config.encoding, replies="streaming"))
    official = engine.with_encoding(replace(config.encoding, replies="exact"))
    for one in (streamed, official):
        one.warm_up()
    samples = endless(setup.clips, max(LENGTHS_S))
    sounds = list[float]()
    with setup.steps("answers", REPETITIONS * (len(LENGTHS_S) + 1)) as advance:
        first_tokens = compare(streamed, official, samples, advance)
        for clip in cut(samples, SOUND_S):
            sounds.append(ask_about_sound(streamed, clip))
            advance()
    return AnswerFigures(
        engine=engine.info.description,
        language_model=language_model,
        bridge=bridge,
        first_tokens=first_tokens,
        growth=first_tokens[-1].live_s / first_tokens[0].live_s,
        sound=quantiles(sounds, of="first token"),
        memory_mb=psutil.Process().memory_info().rss / MB,
    )


def cut(samples: Samples, length_s: float) -> list[Samples]:
    """Return beginnings of samples, each a little shorter than the one before."""
    return [
        samples[: samples_of(length_s - number * SHORTER_S)]
        for number in range(REPETITIONS)
    ]


def ask_about_speech(engine: LocalEngine, samples: Samples) -> float:
    """Push a segment as it is spoken; return the seconds from asking to a token."""
    prompt = Prompt(task=TASK)
    utterance = engine.open(UtteranceOptions(prompted=(TASK,)))
    for start in range(0, len(samples), WINDOW_SAMPLES):
        utterance.push(samples[start : start + WINDOW_SAMPLES])
    begin = time.perf_counter()
    reply = utterance.ask(prompt)
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
    reply = utterance.ask(Prompt(text="What was that noise?"))
    engine.generate([reply])
    taken_s = time.perf_counter() - begin
    reply.close()
    utterance.close()
    return taken_s


def random_head(llm: LanguageModel) -> Head:
    """Return a language model behind a bridge of mini's shape that learned nothing."""
    torch.manual_seed(0)
    bridge = (
        Bridge(replace(MINI_BRIDGE, llm_width=llm.width)).eval().requires_grad_(False)
    )
    skills = Skills(tasks=(TASK,), questions=True, languages=LANGUAGES)
    return Head(bridge, None, llm, skills)


def compare(
    streamed: LocalEngine, official: LocalEngine, samples: Samples, advance: Advance
) -> list[FirstToken]:
    """Ask both ways about all lengths, turn by turn.

    Whatever else the machine does meets both ways; and each length comes first, in the
    middle and last: what comes first is slower.
    """
    taken: dict[float, list[tuple[float, float]]] = {n: [] for n in LENGTHS_S}
    for number in range(REPETITIONS):
        first = number % len(LENGTHS_S)
        for length_s in (*LENGTHS_S[first:], *LENGTHS_S[:first]):
            clip = cut(samples, length_s)[number]
            pair = ask_about_speech(streamed, clip), ask_about_speech(official, clip)
            taken[length_s].append(pair)
            advance()
    return [
        FirstToken(length_s, *(median(times) for times in zip(*pairs, strict=True)))
        for length_s, pairs in taken.items()
    ]


def _ms(seconds: float) -> str:
    return f"{seconds * MS:.0f} ms"
