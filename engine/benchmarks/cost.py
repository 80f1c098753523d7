"""Whether a second of audio costs the same however long the segment is.

The encoder alone, in this process, on a segment as long as the server allows:

    pushed    0.34 s at a time
    settled   block by block; a block's time is spread evenly over the audio it settles

A bounded left context is what keeps the cost constant, so the word error rate of long
segments is shown with and without the bound.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

import torch

from engine.api import Samples
from engine.benchmarks.floor import EncoderShape, multiply_add_rate
from engine.benchmarks.long_segments import LongSegments, encodings, hear_long
from engine.benchmarks.report import Row, Setup
from engine.benchmarks.sounds import endless
from engine.encoding import StreamingEncoder
from engine.evaluation import live
from engine.geometry import ENCODER_RATE, WINDOW_SAMPLES
from engine.local import LocalEngine
from engine.weights import resolve

SEGMENT_S = 28.0  # the server's longest
REPETITIONS = 7
UNBOUNDED_S = 30.0  # all that Whisper has positions for
MS = 1000.0


@dataclass(frozen=True, slots=True)
class Block:
    """Audio that settled at once, and the computing time that led to it."""

    start_s: float
    stop_s: float
    taken_s: float


@dataclass(frozen=True, slots=True)
class EncoderCost:
    """What the encoder takes for a second of audio: medians, in seconds."""

    left_context_s: float
    second_s: list[float]
    """Of each second that settles in the segment, the first one first."""
    last_s: float
    """Of the last second that settles; it need not begin at a whole one."""
    floor_s: float
    """What the multiplications of the last second take at the machine's best rate."""

    growth: float
    """What the last second takes, in proportion to the second one."""


@dataclass(frozen=True, slots=True)
class CostFigures:
    """What was found."""

    engine: str
    dtype: str
    """Of the encoder's frames, and of the product that the floor is taken from."""
    multiply_add_rate: float
    """Of a large product, a second."""
    costs: list[EncoderCost]
    long_segments: LongSegments | None
    """None where no clips could be joined to long segments."""

    def rows(self) -> list[Row]:
        """Return what people want to know of it."""
        rows = [
            Row(
                "floor: a large product",
                f"{self.multiply_add_rate / 1e9:.0f}·10⁹ multiply-adds/s, {self.dtype}",
            )
        ]
        for cost in self.costs:
            bound = 1.6 if cost.left_context_s >= UNBOUNDED_S else 1.3
            rows += [
                Row(f"encoder, {cost.left_context_s:g} s of left context", ""),
                Row("  2nd second", f"{cost.second_s[1] * MS:.1f} ms"),
                Row(f"  last second of {SEGMENT_S:g} s", f"{cost.last_s * MS:.1f} ms"),
                Row("  last : 2nd", f"{cost.growth:.2f}", f"≤ {bound}"),
                Row("  last : floor", f"{cost.last_s / cost.floor_s:.1f}"),
            ]
        return rows + self._rows_of_long_segments()

    def _rows_of_long_segments(self) -> list[Row]:
        long = self.long_segments
        if long is None:
            return [Row("word error rate", "no clips make a segment of 25 to 27 s")]
        return [
            Row(f"word error rate, {long.segments} segments", ""),
            *(Row(f"  {name}", f"{wer:.2f} %") for name, wer in long.wer.items()),
        ]


def run(setup: Setup) -> CostFigures:
    """Time the encoder with both left contexts; hear long segments with both.

    Raises:
        EngineError: If a weight is missing, or a clip is no audio.
    """
    config = live.engine_config(setup.config)
    engine = LocalEngine.load(config)
    engine.warm_up()
    samples = endless(setup.clips, SEGMENT_S)
    lefts_s = sorted({config.encoding.left_context_s, UNBOUNDED_S})
    bounds = {s: replace(config.encoding, left_context_s=s) for s in lefts_s}
    engines = {s: engine.with_encoding(how) for s, how in bounds.items()}
    blocks: dict[float, list[list[Block]]] = {left_s: [] for left_s in lefts_s}
    with setup.steps("cost: segments", REPETITIONS * len(engines)) as advance:
        # Turn by turn, so that whatever else the machine does meets both.
        for _ in range(REPETITIONS):
            for left_s, other in engines.items():
                blocks[left_s].append(time_blocks(other.new_encoding(), samples))
                advance()
    dtype = engine.new_encoding().rest(1.0).dtype
    rate = multiply_add_rate(dtype)
    shape = EncoderShape.read(resolve("whisper", config))
    costs = [
        cost_of(
            blocks[left_s],
            left_context_s=left_s,
            floor_s=shape.multiply_adds(how, at_s=SEGMENT_S) / rate,
        )
        for left_s, how in bounds.items()
    ]
    long = hear_long(engine, setup, encodings(config.encoding, lefts_s))
    return CostFigures(
        engine=engine.info.description,
        dtype=str(dtype).removeprefix("torch."),
        multiply_add_rate=rate,
        costs=costs,
        long_segments=long,
    )


def time_blocks(encoding: StreamingEncoder, samples: Samples) -> list[Block]:
    """Push a segment 0.34 s at a time; return the blocks that settled."""
    blocks = []
    taken_s = 0.0
    for start in range(0, len(samples), WINDOW_SAMPLES):
        piece = torch.from_numpy(samples[start : start + WINDOW_SAMPLES])
        settled = encoding.num_settled
        begin = time.perf_counter()
        encoding.push(piece)
        taken_s += time.perf_counter() - begin
        if encoding.num_settled > settled:
            span = (settled / ENCODER_RATE, encoding.num_settled / ENCODER_RATE)
            blocks.append(Block(*span, taken_s))
            taken_s = 0.0
    return blocks


def cost_between(blocks: Sequence[Block], start_s: float, stop_s: float) -> float:
    """Return what audio cost, in seconds: its share of the blocks that settled it."""
    return sum(
        block.taken_s
        * max(0.0, min(stop_s, block.stop_s) - max(start_s, block.start_s))
        / (block.stop_s - block.start_s)
        for block in blocks
    )


def cost_of(
    repetitions: Sequence[Sequence[Block]], *, left_context_s: float, floor_s: float
) -> EncoderCost:
    """Return the medians over repetitions of one segment."""
    end_s = repetitions[0][-1].stop_s
    last_s = median(cost_between(blocks, end_s - 1, end_s) for blocks in repetitions)
    second_s = [
        median(cost_between(blocks, s, s + 1) for blocks in repetitions)
        for s in range(int(end_s))
    ]
    return EncoderCost(
        left_context_s=left_context_s,
        second_s=second_s,
        last_s=last_s,
        floor_s=floor_s,
        growth=last_s / second_s[1],
    )
