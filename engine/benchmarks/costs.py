"""What the language model's pieces of work take, and the encoder's blocks.

    read along     a segment that will be asked about is pushed; less its encoder blocks
    unread         sound that nobody read is asked about
    prompt         from asking to the first token, all audio read
    step           a token for one reply, for several

In this process, nothing else to do: medians, in seconds.  For planning
(`salmonn-capacity`); what is waited for live, `salmonn-bench answers` says.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from engine.api import Prompt, Reply, Samples, Utterance, UtteranceOptions
from engine.benchmarks.cost import time_blocks
from engine.benchmarks.sounds import endless
from engine.data.manifest import Clip
from engine.evaluation import live
from engine.geometry import SAMPLE_RATE, WINDOW_SAMPLES
from engine.local import LocalEngine

AUDIO_S = 10.0
ROUNDS = 4
BATCH = 4
"""Replies that share a step, to tell what each adds."""
QUESTION = Prompt(text="What is heard, and what is it like?", max_tokens=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplySeconds:
    """What the language model takes."""

    read_s: float
    """A second of audio, read as it comes."""
    unread_s: float
    """A second of audio that was not read when it is asked about."""
    prompt_s: float
    step_s: float
    step_each_s: float
    """What each further reply adds to a step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSeconds:
    """What the engine takes beside what a server's own log tells."""

    block_s: float
    """Encoder blocks for a second of audio."""
    replies: ReplySeconds | None
    """None where no questions are answered."""


def engine_seconds(config: Path | None, clips: Sequence[Clip]) -> EngineSeconds:
    """Load an engine and time its pieces.

    Args:
        config: The server's TOML file.
        clips: Speech.

    Raises:
        EngineError: If a weight is missing, or a clip is no audio.
    """
    engine = LocalEngine.load(live.engine_config(config))
    engine.warm_up()
    samples = endless(clips, AUDIO_S)
    block_s = median(_block_s(engine, samples) for _ in range(ROUNDS))
    replies = reply_seconds(engine, samples, block_s)
    return EngineSeconds(block_s=block_s, replies=replies)


def reply_seconds(
    engine: LocalEngine, samples: Samples, block_s: float
) -> ReplySeconds | None:
    """Return what the language model takes; None if it answers no questions."""
    if not engine.info.answers_questions:
        return None
    length_s = len(samples) / SAMPLE_RATE
    along, unread, prompts = list[float](), list[float](), list[float]()
    steps: dict[int, list[float]] = {1: [], BATCH: []}
    for _ in range(ROUNDS):
        for batch, taken in steps.items():
            utterance = engine.open(UtteranceOptions(questions=True))
            along.append(_push(utterance, samples) / length_s)
            begin = time.perf_counter()
            replies = [utterance.ask(QUESTION) for _ in range(batch)]
            engine.generate(replies)
            prompts.append((time.perf_counter() - begin) / batch)
            taken += _steps(engine, replies)
            utterance.close()
        sound = engine.open(UtteranceOptions(tasks=()))
        begin = time.perf_counter()
        sound.push(samples)
        reply = sound.ask(QUESTION)
        engine.generate([reply])
        unread.append(time.perf_counter() - begin)
        reply.close()
        sound.close()
    prompt_s, step_s = median(prompts), _median(steps[1])
    return ReplySeconds(
        read_s=max(0.0, median(along) - block_s),
        unread_s=max(0.0, median(unread) - prompt_s) / length_s,
        prompt_s=prompt_s,
        step_s=step_s,
        step_each_s=max(0.0, _median(steps[BATCH]) - step_s) / (BATCH - 1),
    )


def _median(taken: Sequence[float]) -> float:
    if not taken:
        raise ValueError("no answer was longer than a word: a step cannot be timed")
    return median(taken)


def _steps(engine: LocalEngine, replies: Sequence[Reply]) -> list[float]:
    """Return the seconds of steps in which all go on; close the replies."""
    taken = []
    while all(reply.finish is None for reply in replies):
        begin = time.perf_counter()
        engine.generate(replies)
        taken.append(time.perf_counter() - begin)
    for reply in replies:
        reply.close()
    return taken


def _push(utterance: Utterance, samples: Samples) -> float:
    begin = time.perf_counter()
    for start in range(0, len(samples), WINDOW_SAMPLES):
        utterance.push(samples[start : start + WINDOW_SAMPLES])
    return time.perf_counter() - begin


def _block_s(engine: LocalEngine, samples: Samples) -> float:
    blocks = time_blocks(engine.new_encoding(), samples)
    return sum(block.taken_s for block in blocks) / blocks[-1].stop_s
