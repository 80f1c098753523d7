"""CTranslate2's binary format, version 6: bytes to named arrays.

It knows the container, not what any model keeps in it.  All numbers are
little-endian; a text is a u16 length, its bytes and a closing zero, which counts.

    u32 version, text specification, u32 revision
    u32 n, n times: text name, u8 rank, u32 a dimension, u8 data type, u32 size, data
    u32 m, m times: text alias, text name

Source: OpenNMT/CTranslate2@04ebb5b, python/ctranslate2/specs/model_spec.py.
"""

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import WeightsError

VERSION = 6
DTYPES: dict[int, np.dtype[Any]] = {
    0: np.dtype("<f4"),
    1: np.dtype("<i1"),
    2: np.dtype("<i2"),
    3: np.dtype("<i4"),
    4: np.dtype("<f2"),
}
"""Data types by their number in the file; 5, bfloat16, has no type in NumPy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """What a file holds."""

    specification: str
    revision: int
    variables: dict[str, NDArray[Any]]
    """Read-only; a scalar has rank 0."""
    aliases: dict[str, str]
    """A second name for a variable, and the variable's own."""


def read(path: Path) -> Container:
    """Read a file of CTranslate2's.

    Raises:
        WeightsError: If it is of another version, cut short, too long, or has a
            data type that is not in `DTYPES`.
        OSError: If it cannot be read.
    """
    reader = _Reader(path, path.read_bytes())
    if (version := reader.integer("<I", "its version")) != VERSION:
        raise WeightsError(
            f"{path} has CTranslate2's format {version}; expected format {VERSION}"
        )
    specification = reader.text("its specification")
    revision = reader.integer("<I", "its revision")
    count = reader.integer("<I", "the number of variables")
    variables = dict(reader.variable() for _ in range(count))
    count = reader.integer("<I", "the number of aliases")
    aliases = {reader.text("an alias"): reader.text("an alias") for _ in range(count)}
    reader.expect_end()
    return Container(
        specification=specification,
        revision=revision,
        variables=variables,
        aliases=aliases,
    )


class _Reader:
    """Takes one field after the other; says which one does not fit."""

    def __init__(self, path: Path, content: bytes) -> None:
        self._path, self._content, self._at = path, content, 0

    def integer(self, layout: str, what: str) -> int:
        (value,) = struct.unpack(layout, self._take(struct.calcsize(layout), what))
        return int(value)

    def text(self, what: str) -> str:
        raw = self._take(self.integer("<H", what), what)
        if raw[-1:] != b"\0" or not raw.isascii():
            raise WeightsError(
                f"{self._path}: {what} at byte {self._at - len(raw)} is "
                f"{bytes(raw[:40])!r}; expected ASCII text that a zero ends"
            )
        return raw[:-1].decode("ascii")

    def variable(self) -> tuple[str, NDArray[Any]]:
        name = self.text("the name of a variable")
        rank = self.integer("<B", name)
        shape = tuple(self.integer("<I", name) for _ in range(rank))
        kind = self.integer("<B", name)
        if kind not in DTYPES:
            raise WeightsError(
                f"{self._path}: {name} has data type {kind}; "
                f"expected one of {', '.join(map(str, DTYPES))}"
            )
        size = self.integer("<I", name)
        if size != (fits := math.prod(shape) * DTYPES[kind].itemsize):
            raise WeightsError(
                f"{self._path}: {name} has {size} bytes; its shape {shape} needs {fits}"
            )
        data = self._take(size, name)
        return name, np.frombuffer(data, DTYPES[kind]).reshape(shape)

    def expect_end(self) -> None:
        if rest := len(self._content) - self._at:
            raise WeightsError(
                f"{self._path} has {rest} bytes after its last alias; expected none"
            )

    def _take(self, size: int, what: str) -> bytes:
        taken = self._content[self._at : self._at + size]
        if len(taken) < size:
            raise WeightsError(
                f"{self._path} ends at byte {len(self._content)}, inside {what}; "
                f"expected {size - len(taken)} bytes more"
            )
        self._at += size
        return taken
