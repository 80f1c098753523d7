"""Where the engine computes, and in what.

    cpu     whatever was measured to be fastest, int8 among it
    cuda:N  16 bits for the big parts; float32 for what the original keeps in it

Samples and features stay on the CPU, whose memory they come from: they are small, and
their loudest moment is asked for.  A block of features goes to the device, ids of
tokens do, and what comes back are chosen tokens and their probabilities.  Only what
comes back is waited for (docs/adr/0039).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Literal

import torch
from torch import Tensor

from engine.errors import DeviceError, NoRoomError, UnsupportedError

CPU: Final = torch.device("cpu")
BFLOAT16_SINCE: Final = 8  # major compute capability: Ampere
ON_CPU: Final = ("float32", "bfloat16", "int8")
ON_GPU: Final = ("float32", "bfloat16", "float16")
TYPES: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "dtype": (ON_CPU, ON_GPU),
    "llm_dtype": ((*ON_CPU, "float16", "4bit"), (*ON_GPU, "8bit", "4bit")),
}
"""In what a part can be computed, by its setting: on the CPU, on a GPU."""


def choose(name: str) -> torch.device:
    """Return the device of a name, and let this thread use it.

    Args:
        name: As torch names it; `auto` is CUDA where torch has it, else the CPU.

    Raises:
        DeviceError: If torch cannot compute there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.empty(0, device=name).device  # `cuda` has a number from here on
    except (RuntimeError, AssertionError, NotImplementedError) as exc:
        raise DeviceError(name, _found(), _reason(name)) from exc
    if device.type == "cuda" and torch.cuda.is_available():
        torch.cuda.set_device(device)  # kernels of libraries ask for no other
    return device


def check_dtype(kind: str, dtype: str, device: torch.device) -> None:
    """Do nothing if a part can be computed in a data type on a device.

    Args:
        kind: Of data type: the setting's name.
        dtype: `auto` can be, everywhere.
        device: Where.

    Raises:
        UnsupportedError: If not.
    """
    on_cpu, on_gpu = TYPES[kind]
    known = on_cpu if device.type == "cpu" else on_gpu
    if dtype not in ("auto", *known):
        raise UnsupportedError(f"{kind} on {device}", dtype, ("auto", *known))


def sixteen_bits(device: torch.device) -> Literal["bfloat16", "float16"]:
    """Return the type of 16 bits in which a GPU computes."""
    major, _ = torch.cuda.get_device_capability(device)
    return "bfloat16" if major >= BFLOAT16_SINCE else "float16"


def describe(device: torch.device) -> str:
    """Return a device's name, with its maker's name for it where torch knows one."""
    if device.type == "cuda" and torch.cuda.is_available():
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return str(device)


def send(
    tensor: Tensor, device: torch.device, dtype: torch.dtype | None = None
) -> Tensor:
    """Return a tensor on a device, without waiting for what the device is doing.

    It is for the way there.  From memory that is not pinned, a copy is on its way, or
    staged, once the call returns, so the tensor may go at once.
    """
    return tensor.to(device, dtype or tensor.dtype, non_blocking=True)


@contextmanager
def room_on(device: torch.device) -> Iterator[None]:
    """Say in a sentence that what is loaded inside does not fit.

    Raises:
        NoRoomError: If so.
    """
    try:
        yield
    except torch.OutOfMemoryError as exc:
        raise NoRoomError(str(device), str(exc).partition("\n")[0]) from exc


def _found() -> list[str]:
    return ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]


def _reason(name: str) -> str:
    if not name.startswith("cuda"):
        return "torch does not compute there"
    if torch.version.cuda is None and torch.version.hip is None:
        return "this PyTorch was built without CUDA"
    return "this PyTorch sees no such device"
