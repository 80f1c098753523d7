"""One SALMONN checkpoint into the other layout: `salmonn-weights --convert`.

    official .pth  ◀──▶  our .safetensors, which also says what was trained

Every tensor goes through unchanged, unless it is to take half the room.  Where it is
read and written, `engine.checkpoint` knows.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from engine import checkpoint
from engine.checkpoint import Checkpoint
from engine.errors import UnsupportedError, WeightsError
from engine.skills import Skills
from engine.sounds import SOUNDS


def convert(
    source: Path, target: Path, told: Mapping[str, Any], *, half: bool = False
) -> str:
    """Write a checkpoint in the layout that the target's suffix names.

    Args:
        source: A checkpoint.
        target: A file that is not there yet.
        told: Fields of `Skills` that a user says; others stay what the source says.
        half: Whether tensors are written in float16.

    Returns:
        A sentence on what was written.

    Raises:
        WeightsError: If it cannot be read, has no official layout, or the layout
            cannot say what was trained; if there is no such task, or not of texts;
            if the target exists; if a value is too large for float16.
    """
    found = checkpoint.read(source)
    if told:
        found = replace(found, skills=_told(found.skills or Skills(), told))
    if half:
        found = _halved(found, source)
    is_ours = target.suffix == checkpoint.SUFFIX
    if told and not is_ours:
        raise WeightsError(
            f"{target}: the official layout does not say what was trained; expected "
            f"a file named {checkpoint.SUFFIX}"
        )
    if target.exists():
        raise WeightsError(f"{target} is there already; expected a new file")
    checkpoint.write(found, target)
    said = _said(found.skills) if is_ours else "the official layout, without its tasks"
    size = target.stat().st_size / 1e6
    return f"{target}: {len(found.tensors)} tensors, {size:.1f} MB; {said}"


def _halved(found: Checkpoint, source: Path) -> Checkpoint:
    largest = torch.finfo(torch.float16).max
    for name, tensor in found.tensors.items():
        if tensor.numel() and not tensor.abs().max() <= largest:
            raise WeightsError(f"{source}: {name} has values that float16 cannot hold")
    return replace(
        found,
        bridge=_half(found.bridge),
        lora=_half(found.lora),
        extras=_half(found.extras),
    )


def _half(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.half() for name, tensor in state.items()}


def _told(known: Skills, told: Mapping[str, Any]) -> Skills:
    for label in told.get("sounds", ()):
        if label not in SOUNDS:
            raise WeightsError(f"no sound {label!r}; there are {', '.join(SOUNDS)}")
    try:
        return replace(known, **told)
    except (UnsupportedError, ValueError) as exc:
        raise WeightsError(str(exc)) from exc


def _said(skills: Skills | None) -> str:
    if skills is None:
        return "it does not say what it was trained for"
    return f"trained for {skills.description}"
