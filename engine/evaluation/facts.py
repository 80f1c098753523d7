"""What the facts of a clip (docs/data.md) say that could be asked for.

Each reader returns the right answers, or none where the facts do not tell.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from engine.data.examples import GENDERS
from engine.data.phones import phones_of
from engine.evaluation.classes import SLOT_NAMES

Facts = Mapping[str, Any]


def listed(*keys: str) -> Callable[[Facts], Sequence[str]]:
    """Return what reads the first key that is there, as a list."""

    def references(facts: Facts) -> Sequence[str]:
        value = next((facts[key] for key in keys if facts.get(key)), ())
        return (value,) if isinstance(value, str) else tuple(map(str, value))

    return references


def label_of(kind: str) -> Callable[[Facts], Sequence[str]]:
    """Return what reads the label of clips whose task is of this kind."""

    def references(facts: Facts) -> Sequence[str]:
        is_it = kind in str(facts.get("task", "")).split(",")
        label = facts.get("label")
        return (label,) if is_it and isinstance(label, str) else ()

    return references


def english_phones(facts: Facts) -> Sequence[str]:
    """Return the phones of English speech, if they are given or CMUdict knows them."""
    if "phones" in facts:
        return (str(facts["phones"]),)
    text = facts.get("text") if facts.get("lang") == "en" else None
    found = phones_of(str(text)) if text else None
    return (found,) if found else ()


def gender(facts: Facts) -> Sequence[str]:
    """Return the gender of who speaks, in a word."""
    known = GENDERS.get(str(facts.get("gender")))
    return (known,) if known else ()


def same_speaker(facts: Facts) -> Sequence[str]:
    """Return whether one person speaks, `yes` or `no`."""
    same = facts.get("same_speaker")
    return () if same is None else ("yes" if same else "no",)


def slots(facts: Facts) -> Iterator[tuple[str, str]]:
    """Yield the slots of an order, and what is in each."""
    label = facts.get("label")
    known = label.get("slots", {}) if isinstance(label, Mapping) else {}
    for name, value in known.items():
        yield str(name), str(value).strip()


def asked_slots(facts: Facts) -> Iterator[tuple[str, str]]:
    """Yield the slots of an order as one asks for them, and what is in each."""
    for name, value in slots(facts):
        yield SLOT_NAMES.get(name, said(name)), value


def said(slot: str) -> str:
    """Return the name of a slot as one would say it: `coffeeDrink` is coffee drink."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", slot).lower()
