"""Twenty questions that no training has, each about one clip, drawn and not picked.

    questions, each with what its clip must be ─▶ clips, drawn ─▶ answers ─▶ a list

There is no score: whether an answer makes sense, whoever reads the list decides, and so
all of it is shown.  Which clip a question is about, the question's own words and a seed
decide.  A test holds the questions apart from all that training asks.  Knows no model.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from engine.data.manifest import Clip, ManifestError
from engine.evaluation import facts
from engine.evaluation.asked import code_of
from engine.evaluation.asking import answers_of
from engine.evaluation.facts import Facts
from engine.evaluation.questions import Question

SEED: Final = 14
"""Of which clips are asked about; once chosen, and kept."""

NOTHING: Final = "*nothing*"


def _sound(known: Facts) -> str:
    return ", ".join(facts.label_of("sound-event")(known))


def _instrument(known: Facts) -> str:
    return ", ".join(facts.label_of("instrument")(known))


def _feeling(known: Facts) -> str:
    feels = facts.label_of("emotion")(known)
    return ", ".join((*feels, *facts.gender(known))) if feels else ""


def _voice(known: Facts) -> str:
    """Return whose voice it is, of speech that no other rule is about."""
    if _feeling(known):
        return ""
    age = f", {known['age']} years" if "age" in known else ""
    return "".join(f"{gender}{age}" for gender in facts.gender(known))


def _words(known: Facts) -> str:
    is_english = code_of(known) == "en"
    return f"“{known['text']}”" if is_english and known.get("text") else ""


def _order(known: Facts) -> str:
    return ", ".join(value for _, value in facts.slots(known))


def _music(known: Facts) -> str:
    """Return the likeliest tags of each tagger; they are estimates."""
    taggers: Mapping[str, Mapping[str, float]] = known.get("tags_estimated", {})
    likely = [sorted(tags, key=lambda t: -tags[t])[:3] for tags in taggers.values()]
    return ", ".join(dict.fromkeys(tag for tags in likely for tag in tags))


@dataclass(frozen=True, slots=True)
class Untaught:
    """A question, and what is known of the clips that it may be about."""

    text: str
    known: Callable[[Facts], str]
    """What a clip is, for who reads the answer; empty where the question is not for
    it."""


QUESTIONS: Final = (
    Untaught("What happened just now?", _sound),
    Untaught("Where would one usually hear this?", _sound),
    Untaught("Is this made by something alive?", _sound),
    Untaught("Should I be worried about what I hear?", _sound),
    Untaught("Is this more likely indoors or outdoors?", _sound),
    Untaught("Describe this sound in one sentence.", _sound),
    Untaught("Is this instrument blown, bowed, plucked or struck?", _instrument),
    Untaught("Would a marching band use this instrument?", _instrument),
    Untaught("Is this a high or a low note?", _instrument),
    Untaught("How would you describe the tone of this instrument?", _instrument),
    Untaught("Does this person sound pleased or upset?", _feeling),
    Untaught("Is the speaker calm?", _feeling),
    Untaught("What might have happened to this person?", _feeling),
    Untaught("Should I say sir or madam to whoever is talking?", _voice),
    Untaught("What can you tell about the person behind this voice?", _voice),
    Untaught("What is this person talking about?", _words),
    Untaught("Is this a question or a statement?", _words),
    Untaught("What would you bring to this customer?", _order),
    Untaught("Could one dance to this?", _music),
    Untaught("For which scene of a film would you use this music?", _music),
)


def drawn(clips: Sequence[Clip]) -> list[Question]:
    """Return each question with a clip of its own; what it is stands as reference.

    The same clips in any order give the same questions.

    Raises:
        ManifestError: If a question has no clip left.
    """
    asked: list[Question] = []
    used: set[str] = set()
    ordered = sorted(clips, key=lambda clip: clip.path)
    for question in QUESTIONS:
        fit = [c for c in ordered if c.path not in used and question.known(c.facts)]
        if not fit:
            raise ManifestError(f"no clip that one could ask “{question.text}” about")
        sets = sorted({str(clip.facts.get("set", "")) for clip in fit})
        luck = random.Random(f"{SEED} {question.text}")
        # A set first: a large one is not asked about more often than a small one.
        chosen = luck.choice(sets)
        clip = luck.choice([c for c in fit if str(c.facts.get("set", "")) == chosen])
        used.add(clip.path)
        known = question.known(clip.facts)
        asked.append(Question(clip, question.text, None, (known,), is_new=True))
    return asked


def listed(lines: Sequence[Mapping[str, Any]]) -> str:
    """Return a list in Markdown: question, clip and what it is, what was answered.

    Args:
        lines: Of `asking.ask_each`.
    """
    shown = []
    for number, line in enumerate(lines, 1):
        told = {who: " ".join(text.split()) for who, text in answers_of(line).items()}
        said = [
            f"{who}: {text or NOTHING}" if len(told) > 1 else text or NOTHING
            for who, text in told.items()
        ]
        asked = f"{line['question']} (`{line['path']}`: {line['reference']})"
        shown.append(f"{number}. {asked} → {' · '.join(said)}")
    return "\n".join(shown)
