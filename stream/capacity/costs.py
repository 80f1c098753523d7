"""What pieces of work cost on one machine: values, and the JSON file that keeps them.

They were measured there, or follow from assumptions; the file says which.  Nothing here
knows how.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from engine.config import build


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What a piece of work takes, in seconds, by the audio that it is about."""

    fixed_s: float = 0.0
    per_heard_s: float = 0.0
    """For each second of the utterance."""
    per_new_s: float = 0.0
    """For each second that nobody had read before."""
    spread: tuple[float, ...] = (1.0,)
    """By how much pieces differ from the line; one of these factors holds for each."""

    def __post_init__(self) -> None:
        if not self.spread or min(self.spread) < 0:
            raise ValueError("spread needs factors, none of them below 0")

    def seconds(self, heard_s: float, new_s: float) -> float:
        """Return what it takes on average, if the factors are so."""
        return self.fixed_s + self.per_heard_s * heard_s + self.per_new_s * new_s


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyCosts:
    """What the language model takes, in seconds."""

    read_s: float
    """To read a second of audio as it comes, where prompts are expected."""
    unread_s: float
    """A second of audio that was not read when it is asked about."""
    prompt_s: float
    """From a prompt to the first token, all audio read."""
    step_s: float
    """A step that adds a token to one reply."""
    step_each_s: float
    """What each further reply adds to a step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopCosts:
    """What the server's event loop takes, in seconds of processor time."""

    silent_s: float = 0.0
    """For a second of a session in which nobody speaks: messages, voice detector."""
    speech_s: float = 0.0
    """For one in which somebody does."""
    piece_s: float = 0.0
    """For a piece of work of the engine: to hand it out, to tell what came of it."""
    contention: float = 0.0
    """By what part a piece of work takes longer beside a loop that always computes: at
    each operation the engine's thread may find the interpreter's lock taken."""

    def __post_init__(self) -> None:
        if min(self.silent_s, self.speech_s, self.piece_s, self.contention) < 0:
            raise ValueError("the loop takes no time below 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a replica holds, in megabytes."""

    loaded_mb: float
    """Before the first session."""
    session_mb: float
    """For each session that is heard."""
    machine_mb: float
    """What there is."""

    @property
    def sessions(self) -> int | None:
        """How many fit; None if nothing was found to be held for one."""
        if self.session_mb <= 0:
            return None
        return max(0, int((self.machine_mb - self.loaded_mb) / self.session_mb))


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What one replica takes for everything."""

    source: Literal["measured", "assumed"]
    engine: str
    """What computes, in a line."""
    machine: str
    assumptions: tuple[str, ...] = ()
    """What was taken for granted, a sentence each."""
    turn_s: float = 0.0
    """Of any piece of work: to hand it out, and its result back."""
    hear: Line = field(default_factory=Line)
    """Audio that is taken in and not read yet; of this, only `per_new_s` and `fixed_s`
    matter."""
    partial: Line
    final: Line
    replies: ReplyCosts | None = None
    """None where no language model answers."""
    block_s: float | None = None
    """Encoder blocks for a second of audio; a part of partials, told for comparison."""
    loop: LoopCosts = field(default_factory=LoopCosts)
    """Of messages and voice detectors, on the same cores and behind the same lock."""
    first_text_s: tuple[float, ...] = (0.0,)
    """How much of a segment was heard when it first had text; one holds for each."""
    memory: Memory | None = None


def write_costs(path: Path, costs: Costs) -> None:
    """Write costs as JSON.

    Raises:
        OSError: If the file cannot be written.
    """
    text = json.dumps(asdict(costs), indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def read_costs(path: Path) -> Costs:
    """Read what `write_costs` wrote, or somebody by hand.

    Raises:
        ValueError: If it is no such file; the message names it and the key.
        OSError: If it cannot be read.
    """
    try:
        return build(Costs, json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, AttributeError) as exc:
        raise ValueError(f"{path} holds no costs: {exc}") from exc
