"""Costs of a replica that is not here: `engine.benchmarks.roofline`, as costs."""

from dataclasses import asdict

from engine.benchmarks.roofline import (
    GPUS,
    Assumptions,
    Roofline,
    hearing,
    memory_mb,
    replies,
)
from engine.config import EncodingConfig
from stream.capacity.costs import Costs, Line, Memory, ReplyCosts


def assume(preset: str, gpu: str, assumed: Assumptions) -> Costs:
    """Return what a released SALMONN would cost on a GPU, by the assumptions.

    Args:
        preset: `salmonn-7b` or `salmonn-13b`.
        gpu: A key of `GPUS`.
        assumed: What is taken for granted.
    """
    accelerator = GPUS[gpu]
    line = Roofline(gpu=accelerator, assumed=assumed)
    heard = hearing(line, EncodingConfig())
    loaded_mb, session_mb = memory_mb(preset)
    return Costs(
        source="assumed",
        engine=f"{preset} with captions of Whisper large-v2, 16 bits",
        machine=accelerator.name,
        assumptions=assumed.sentences(accelerator),
        partial=_line(heard.partial),
        final=_line(heard.final),
        replies=ReplyCosts(**asdict(replies(line, preset))),
        block_s=heard.block_s,
        first_text_s=(assumed.first_text_s,),
        memory=Memory(
            loaded_mb=round(loaded_mb, 1),
            session_mb=round(session_mb, 2),
            machine_mb=1000.0 * accelerator.memory_gb,
        ),
    )


def _line(terms: tuple[float, float, float]) -> Line:
    fixed_s, per_heard_s, per_new_s = terms
    return Line(fixed_s=fixed_s, per_heard_s=per_heard_s, per_new_s=per_new_s)
