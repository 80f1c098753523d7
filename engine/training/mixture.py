"""How often what is heard: shares of sets in the lists that a mini is taught from.

    lessons of each clip ─▶ shares ─▶ a few lessons for each visit ─▶ lines of one list

A set's clips are visited as often as its share says; of one below 1, so many of its
clips once.  A visit has the lesson that names what is heard, if there is one, and
others drawn, most often a yes and a no about the same clip; so a clip that can be asked
seven things is not heard seven times as often as one that can be asked one.  Knows no
files.
"""

import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, TypeVar

T = TypeVar("T")

LESSONS: Final = 3
"""Of a visit: what is learned together about one clip (`data.together`)."""
PAIRED: Final = 2 / 3
"""Of the visits to clips that have pairs: what comes behind the name is one of them."""


def visits(
    clips: Sequence[T], share: float, rng: random.Random
) -> Iterator[tuple[T, int]]:
    """Yield each clip as often as a share says, with how often it came before.

    Args:
        clips: Of one set.
        share: 2.5 is twice all of them, and half of them a third time.
        rng: Draws which.
    """
    whole, part = divmod(share, 1)
    for number in range(int(whole)):
        yield from ((clip, number) for clip in clips)
    for clip in rng.sample(list(clips), round(part * len(clips))):
        yield clip, int(whole)


def of_visit(
    found: Sequence[T],
    naming: Sequence[T],
    pairs: Sequence[Sequence[T]],
    rng: random.Random,
) -> list[T]:
    """Return the lessons of one visit.

    Args:
        found: All that the clip teaches.
        naming: Those of them that name what is heard.
        pairs: Those of them that are asked together, or not at all.
        rng: Draws among them.
    """
    first = rng.sample(list(naming), min(1, len(naming)))
    if pairs and rng.random() < PAIRED:
        return [*first, *rng.choice(pairs)]
    others = [
        lesson
        for lesson in found
        if lesson not in first and not any(lesson in pair for pair in pairs)
    ]
    more = min(len(others), LESSONS - len(first))
    return first + rng.sample(others, more)


def check(shares: Mapping[str, float], sets: Collection[str]) -> None:
    """Do nothing if shares can be followed.

    Raises:
        ValueError: If one is no share, or of a set that there is not.
    """
    for name, share in shares.items():
        if not 0 < share <= 100:
            raise ValueError(f"share of {name} is {share}; expected 0 to 100")
        if name not in sets:
            known = ", ".join(sorted(sets))
            raise ValueError(f"no clips of set {name}; there are those of {known}")
