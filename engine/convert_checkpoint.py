"""One SALMONN checkpoint into the other layout: `salmonn-weights --convert`.

    official .pth  ◀──▶  our .safetensors, which also says what was trained

Every tensor goes through unchanged.  Where it is read and written, `engine.checkpoint`
knows.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from engine import checkpoint
from engine.errors import UnsupportedError, WeightsError
from engine.skills import Skills


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What a user says of weights that do not say it themselves."""

    tasks: tuple[str, ...] = ()
    questions: bool = False
    languages: tuple[str, ...] = ()
    """Codes of the spoken languages; none means all."""
    from_transcript: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self != Trained()

    def skills(self) -> Skills:
        """Return the same as weights have it.

        Raises:
            WeightsError: If there is no such task, or not of texts.
        """
        try:
            return Skills(
                tasks=self.tasks,
                questions=self.questions,
                languages=self.languages or None,
                from_transcript=self.from_transcript,
            )
        except (UnsupportedError, ValueError) as exc:
            raise WeightsError(str(exc)) from exc


def convert(source: Path, target: Path, trained: Trained) -> str:
    """Write a checkpoint in the layout that the target's suffix names.

    Returns:
        A sentence on what was written.

    Raises:
        WeightsError: If it cannot be read, has no official layout, or the layout
            cannot say what was trained; if the target exists.
    """
    found = checkpoint.read(source)
    if trained:
        found = replace(found, skills=trained.skills())
    is_ours = target.suffix == checkpoint.SUFFIX
    if trained and not is_ours:
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


def _said(skills: Skills | None) -> str:
    if skills is None:
        return "it does not say what it was trained for"
    known = [*skills.names, *(["free questions"] if skills.questions else [])]
    return f"trained for {', '.join(known) or 'nothing'}"
