"""What can go wrong in the engine.

EngineError
├── ContextFullError   more positions than the language model has
├── UnsupportedError   a task or language that this model does not serve
│   ├── DeviceError        a device that torch cannot compute on here
│   └── UnansweredError    … with the weights that there are:
│       ├── UntrainedError     they were not trained for it
│       └── UnloadedError      those for it are not there
├── PackageError       a package that only some need, and that is not installed
├── NoRoomError        weights that do not fit into a device's memory
├── ClusterError       a Ray cluster that cannot be had
├── FullError          an utterance that no replica of a cluster has a place for
├── TooLongError       an utterance longer than the model's positions
├── RecordingError     a sound file that cannot be heard
└── WeightsError       a weight that is missing, damaged or does not fit
"""

from collections.abc import Sequence
from pathlib import Path


class EngineError(Exception):
    """Base of all errors that the engine raises."""


class ContextFullError(EngineError):
    """Raised when a prompt with its answer outgrows the language model's positions."""

    def __init__(self, positions: int, max_positions: int) -> None:
        self.positions, self.max_positions = positions, max_positions

    def __str__(self) -> str:
        return (
            f"{self.positions} positions of a language model; "
            f"at most {self.max_positions} fit"
        )


class UnsupportedError(EngineError):
    """Raised when a task or a language is asked for that the model does not serve."""

    def __init__(self, kind: str, value: str, supported: Sequence[str]) -> None:
        self.kind, self.value, self.supported = kind, value, tuple(supported)

    def __str__(self) -> str:
        if not self.supported:
            return f"no {self.kind} {self.value[:80]!r}; this model knows none"
        shown = ", ".join(self.supported[:8])
        more = ", …" if len(self.supported) > 8 else ""
        return f"no {self.kind} {self.value[:80]!r}; there are {shown}{more}"


class DeviceError(UnsupportedError):
    """Raised when a device is named that torch cannot compute on here."""

    def __init__(self, name: str, found: Sequence[str], reason: str) -> None:
        super().__init__("device", name, found)
        self.reason = reason

    def __str__(self) -> str:
        found = ", ".join(self.supported)
        return f"no device {self.value[:80]!r} ({self.reason}); there are {found}"


class UnansweredError(UnsupportedError):
    """Raised when a preset's weights are asked what they are not to answer."""

    def __init__(self, preset: str, request: str, *, able: Sequence[str]) -> None:
        super().__init__("request", request, able)
        self.preset, self.request = preset, request


class UntrainedError(UnansweredError):
    """Raised when weights are asked for what they were not trained for."""

    def __str__(self) -> str:
        able = (
            f"{_all(self.supported)} can be asked"
            if self.supported
            else "no preset was"
        )
        return f"{self.preset} was not trained for {self.request}; {able}"


class UnloadedError(UnansweredError):
    """Raised when weights are asked that were not loaded."""

    def __str__(self) -> str:
        able = f"those of {_all(self.supported)} do" if self.supported else "none do"
        return (
            f"{self.preset} has no trained weights here that answer {self.request} "
            f"(engine.parts.ckpt names them); {able}"
        )


def _all(names: Sequence[str]) -> str:
    return " and ".join(names)


class PackageError(EngineError):
    """Raised when something needs a package of an extra that is not installed."""

    def __init__(self, what: str, package: str, extra: str) -> None:
        self.what, self.package, self.extra = what, package, extra

    def __str__(self) -> str:
        return (
            f"{self.what}: {self.package} is not installed "
            f"(pip install 'salmonn-live[{self.extra}]')"
        )


class NoRoomError(EngineError):
    """Raised when weights do not fit into the memory of a device."""

    def __init__(self, device: str, reason: str) -> None:
        self.device, self.reason = device, reason

    def __str__(self) -> str:
        return (
            f"the weights do not fit on {self.device} (salmonn-ask --dry-run says what "
            f"they need): {self.reason}"
        )


class ClusterError(EngineError):
    """Raised when a Ray cluster, or the engine on it, cannot be had."""

    def __init__(self, address: str, reason: str) -> None:
        self.address, self.reason = address, reason

    def __str__(self) -> str:
        return f"no engine on the Ray cluster {self.address[:80]!r}: {self.reason}"


class FullError(EngineError):
    """Raised when no replica has a place for an utterance in time."""

    def __init__(self, waited_s: float) -> None:
        self.waited_s = waited_s

    def __str__(self) -> str:
        return f"no replica of the engine had a place within {self.waited_s:g} s"


class TooLongError(EngineError):
    """Raised when an utterance outgrows the model's positions."""

    def __init__(self, samples: int, max_samples: int) -> None:
        self.samples, self.max_samples = samples, max_samples

    def __str__(self) -> str:
        return f"an utterance of {self.samples} samples; at most {self.max_samples} fit"


class RecordingError(EngineError):
    """Raised when a sound file cannot be heard."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class WeightsError(EngineError):
    """Raised when a weight is missing, damaged or does not fit the model."""
