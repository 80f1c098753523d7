"""What the weights of each preset were trained for, and who can do what they cannot.

A model answers whatever it is asked; whether it ever learnt to is another matter.  What
no one trained or measured is refused here, in a sentence that names the preset which
can.  Knows requests and presets, no weights.

Source:
    arXiv:2310.13289, table 1 and section 4; bytedance/SALMONN@a58bba7, prompts/.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from engine.api import Prompt
from engine.errors import UntrainedError
from engine.tasks import TEST_PROMPTS, TRAINED, UNTRAINED, Task, find

ENGLISH: Final = frozenset({"en"})
CAPTIONS: Final = frozenset({"transcribe", "translate", "translate:en"})


class Basis(StrEnum):
    """What an answer rests on."""

    TRAINED = "trained"
    """The weights were trained for it."""
    MEASURED = "measured"
    """Not trained for it; its authors measured how well they do it all the same."""
    PROMPTED = "prompted"
    """The original has a prompt for it, and no figures."""
    QUESTION = "question"
    """A free question, which nobody can have measured."""
    UNDECLARED = "undeclared"
    """Nobody has said what the weights were trained for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What one preset can do."""

    follows_prompts: bool
    """Whether a language model answers; else Whisper's decoder does."""
    speech: frozenset[str] | None
    """Languages in which it was trained to understand speech; None is all that its
    vocabulary names."""
    why_not: str = ""
    """Why it does no more, where there is more to say than that it was not trained."""


ABILITIES: Final = {
    "mini": Abilities(
        follows_prompts=False,
        speech=None,
        why_not="its weights for questions do not exist yet",
    ),
    "salmonn-13b": Abilities(follows_prompts=True, speech=ENGLISH),
    "salmonn-7b": Abilities(follows_prompts=True, speech=ENGLISH),
}
"""What nobody declared (a checkpoint of another size) is not listed, nor refused."""


def basis(preset: str, prompt: Prompt) -> Basis:
    """Return what a preset's answer to a prompt rests on.

    Raises:
        UntrainedError: If the preset was not trained for it, or not for speech in its
            language.
        UnsupportedError: If there is no task of its name.
    """
    # First: a name that no preset knows is another mistake.
    task = find(prompt.task, prompt.language) if prompt.task is not None else None
    found = _basis(preset, prompt, task)
    if found is None:
        able = [name for name in ABILITIES if _basis(name, prompt, task) is not None]
        raise UntrainedError(
            preset, _describe(prompt), ABILITIES[preset].why_not, able=able
        )
    return found


def _basis(preset: str, prompt: Prompt, task: Task | None) -> Basis | None:
    if preset not in ABILITIES:
        return Basis.UNDECLARED
    abilities = ABILITIES[preset]
    if not abilities.follows_prompts:
        return Basis.TRAINED if prompt.task in CAPTIONS else None
    understood = abilities.speech is None or prompt.language in {
        None,
        *abilities.speech,
    }
    if task is None:
        return Basis.QUESTION if understood else None
    if task.group is None:
        return None
    if not understood:
        # Its prompts to transcribe Chinese and German ask in these languages.
        is_own = task.group == f"asr_{prompt.language}"
        return Basis.PROMPTED if is_own else None
    if task.group in TRAINED.values():
        return Basis.TRAINED
    if task.group in UNTRAINED.values():
        return Basis.MEASURED
    return Basis.PROMPTED if task.group in TEST_PROMPTS else None


def _describe(prompt: Prompt) -> str:
    what = f"for task {prompt.task!r}" if prompt.task else "to answer questions"
    return f"{what} on speech in {prompt.language!r}" if prompt.language else what
