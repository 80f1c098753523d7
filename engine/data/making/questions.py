"""Questions and answers, from what is known of clips.

    text           which words are said, which is first or last, how many there are
    label          which sound, instrument or emotion it is, and whether it is another
    gender         who is speaking
    tags           what kind of music it is, and which of two
    instruments    which play, and whether one does

The original had its pairs written by a language model; these are templates, so they are
right by construction and teach fewer ways of asking.  No samples are made: the clips
stay as they are, and their facts grow.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from engine.data.examples import GENDERS, sentence
from engine.data.making.made import one_of
from engine.data.making.stories import name_of, with_article
from engine.data.manifest import Clip, ManifestError
from engine.data.phones import words_of

Pair = tuple[str, str]
MOST: Final = 4  # pairs of a clip
LEAST_WORDS: Final = 3  # of a text about whose words something is asked
KINDS: Final = {
    "sound-event": ("What is this sound?", "Can you hear {}?"),
    "instrument": ("Which instrument is it?", "Is this {}?"),
    "emotion": ("How does the speaker feel?", "Does the speaker feel {}?"),
}


def with_questions(clips: Sequence[Clip], rng: np.random.Generator) -> list[Clip]:
    """Return the clips about which something can be asked, with `qa` among their facts.

    Args:
        clips: Their labels, by set, are what questions confuse them with.
        rng: Draws which questions, and the wrong names in them.

    Raises:
        ManifestError: If nothing can be asked.
    """
    labels = _labels(clips)
    found = []
    for clip in clips:
        pairs = list(_pairs(clip, labels, rng))
        if not pairs:
            continue
        order = rng.permutation(len(pairs))[:MOST]
        asked = [list(pairs[int(i)]) for i in order]
        facts = dict(clip.facts) | {"qa": [*clip.facts.get("qa", ()), *asked]}
        new = Clip(clip.path, clip.file, clip.duration_s, facts, clip.expand)
        found.append(new)
    if not found:
        raise ManifestError("no clip has a text, a label or a gender to ask about")
    return found


def _labels(clips: Sequence[Clip]) -> dict[tuple[str, str], list[str]]:
    """Return the labels of each set and kind."""
    found: dict[tuple[str, str], set[str]] = {}
    for clip in clips:
        for kind in _kinds(clip.facts):
            key = str(clip.facts.get("set")), kind
            found.setdefault(key, set()).add(name_of(clip))
    return {key: sorted(names) for key, names in found.items()}


def _kinds(facts: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(facts.get("label"), str):
        yield from (k for k in str(facts.get("task", "")).split(",") if k in KINDS)


def _pairs(
    clip: Clip, labels: Mapping[tuple[str, str], list[str]], rng: np.random.Generator
) -> Iterator[Pair]:
    facts = clip.facts
    if facts.get("text") and facts.get("lang", "en") == "en":
        yield from _of_text(str(facts["text"]), rng)
    if gender := GENDERS.get(str(facts.get("gender"))):
        yield "Is the speaker a man or a woman?", _PERSON[gender]
        yield "Is a woman speaking?", "Yes" if gender == "female" else "No"
    for kind in _kinds(facts):
        key = str(facts.get("set")), kind
        yield from _of_label(name_of(clip), kind, labels[key], rng)
    if tags := facts.get("tags"):
        yield "What kind of music is this?", ", ".join(tags)
    if playing := facts.get("instruments"):
        yield "Which instruments are playing?", ", ".join(playing)
        yield "How many different instruments are playing?", str(len(playing))
        yield f"Is there {with_article(playing[0])}?", "Yes"


_PERSON: Final = {"female": "A woman", "male": "A man"}


def _of_text(text: str, rng: np.random.Generator) -> Iterator[Pair]:
    said = words_of(text)
    yield "What does the speaker say?", sentence(text)
    if len(said) < LEAST_WORDS:
        return
    yield "What is the first word?", said[0]
    yield "What is the last word?", said[-1]
    yield "How many words are spoken?", str(len(said))
    number = int(rng.integers(len(said) - 1))
    if said.count(said[number]) == 1:
        yield f'Which word follows "{said[number]}"?', said[number + 1]


def _of_label(
    name: str, kind: str, others: Sequence[str], rng: np.random.Generator
) -> Iterator[Pair]:
    question, guess = KINDS[kind]

    def shown(label: str) -> str:
        return label if kind == "emotion" else with_article(label)

    yield question, name
    yield guess.format(shown(name)), "Yes"
    wrong = [label for label in others if label != name]
    if not wrong:
        return
    other = one_of(rng, wrong)
    yield guess.format(shown(other)), "No"
    either = [name, other] if rng.integers(2) else [other, name]
    yield f"Is it {shown(either[0])} or {shown(either[1])}?", name
