"""The files that come with this package: stages, and how many processes share them."""

from pathlib import Path
from typing import Final

STAGES: Final = Path(__file__).parent / "stages"
LAUNCHES: Final = Path(__file__).parent / "accelerate"
"""Configurations for `accelerate launch`."""


def shipped() -> tuple[str, ...]:
    """Return the names of the stages that come with this package, in their order."""
    return tuple(sorted(path.stem for path in STAGES.glob("*.toml")))


def find_stage(name: str) -> Path:
    """Return the file of a stage: a path, or the name of a shipped one.

    Raises:
        ValueError: If it is neither.
    """
    path = Path(name)
    if path.exists():
        return path
    if name in shipped():
        return STAGES / f"{name}.toml"
    raise ValueError(
        f"no stage {name[:80]!r}: neither a file nor one of {', '.join(shipped())}"
    )


def launches() -> dict[str, Path]:
    """Return the configurations of `accelerate launch` that come along, by name."""
    return {path.stem: path for path in sorted(LAUNCHES.glob("*.yaml"))}
