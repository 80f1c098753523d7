"""The weights in a folder as transformers writes it, whole or in shards.

    model.safetensors       or      model.safetensors.index.json  ─▶ model-00001-of-….
    pytorch_model.bin       or      pytorch_model.bin.index.json  ─▶ pytorch_model-….

Names and shapes are told without reading values; some tensors are read without the
others.  Knows no model.
"""

import json
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from engine.errors import WeightsError

T = TypeVar("T")

WHOLE: Final = ("model.safetensors", "pytorch_model.bin")
"""Looked for in this order, as transformers does, each also with an index."""


@dataclass(frozen=True, slots=True)
class Shards:
    """Files of weights that belong together."""

    files: tuple[Path, ...]

    @classmethod
    def of(cls, folder: Path) -> "Shards":
        """Return the weights of a folder.

        Raises:
            WeightsError: If it has none, or a file that its index names is missing.
        """
        for name in WHOLE:
            if (whole := folder / name).is_file():
                return cls((whole,))
            if (index := folder / f"{name}.index.json").is_file():
                return cls(_named_by(index))
        expected = " or ".join(WHOLE)
        raise WeightsError(f"{folder} holds no weights; expected {expected}")

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum(file.stat().st_size for file in self.files)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return names and shapes of all tensors; reads no values.

        Raises:
            WeightsError: If a file is damaged.
        """
        found: dict[str, tuple[int, ...]] = {}
        for file in self.files:
            found |= _guarded(file, _shapes)
        return found

    def load(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors whose names begin so, under the rest of their names.

        Raises:
            WeightsError: If a file is damaged.
        """
        found: dict[str, Tensor] = {}
        for file in self.files:
            tensors = _guarded(file, lambda path: dict(_tensors(path, prefix)))
            found |= {name.removeprefix(prefix): t for name, t in tensors.items()}
        return found


def _named_by(index: Path) -> tuple[Path, ...]:
    try:
        stated = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        files = tuple(sorted({index.parent / name for name in stated}))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as exc:
        raise WeightsError(f"{index} is no index of weights: {exc!r}") from exc
    missing = [file.name for file in files if not file.is_file()]
    if missing or not files:
        named = ", ".join(missing[:3]) or "no file"
        raise WeightsError(f"{index} names {named}, {len(missing)} missing beside it")
    return files


def _guarded(file: Path, read: Callable[[Path], T]) -> T:
    try:
        return read(file)
    except SafetensorError as exc:
        raise WeightsError(f"{file} is damaged: {exc}") from exc
    except pickle.UnpicklingError as exc:
        raise WeightsError(f"{file} is not opened: it holds more than tensors") from exc
    except (OSError, RuntimeError, EOFError, ValueError, AttributeError) as exc:
        raise WeightsError(f"{file} is damaged or cut short") from exc


def _shapes(file: Path) -> dict[str, tuple[int, ...]]:
    if file.suffix == ".safetensors":
        with safe_open(file, framework="pt") as tensors:
            names = list(tensors.keys())
            return {n: tuple(tensors.get_slice(n).get_shape()) for n in names}
    state = torch.load(file, map_location="meta", weights_only=True, mmap=True)
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def _tensors(file: Path, prefix: str) -> Iterator[tuple[str, Tensor]]:
    if file.suffix == ".safetensors":
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118
                if name.startswith(prefix):
                    yield name, tensors.get_tensor(name)
        return
    # Mapped: what is not asked for is never read.
    state = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    for name, tensor in state.items():
        if name.startswith(prefix):
            yield name, tensor.clone()
