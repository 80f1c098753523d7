"""Sentences to be spoken by synthetic voices: who says what, and how fast.

A sentence is said once before any is said again, each time by a voice drawn anew.  Only
sentences of the train split are said, and only by voices that are for training, so what
is measured is neither known by its words nor by its voice.  Makes no sound
(`engine.data.kokoro`).
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from engine.data.making.made import one_of
from engine.data.manifest import ManifestError

VOICES: Final = (
    "af_alloy",
    "af_aoede",
    "af_bella",
    "af_heart",
    "af_jessica",
    "af_kore",
    "af_nicole",
    "af_nova",
    "af_river",
    "af_sarah",
    "am_adam",
    "am_echo",
    "am_eric",
    "am_fenrir",
    "am_michael",
    "am_onyx",
    "am_santa",
    "bf_alice",
    "bf_isabella",
    "bm_daniel",
    "bm_fable",
    "bm_george",
)
"""Kokoro's English voices, without six.

`af_sky`, `am_liam`, `bf_emma` and `bm_lewis` speak clips that are measured on,
`am_puck` and `bf_lily` are kept for later ones.
"""
SPEEDS: Final = (0.85, 1.15)
SET: Final = "made_speech"
ACCENTS: Final = {"a": "American", "b": "British"}


@dataclass(frozen=True, slots=True)
class Line:
    """Something to be said."""

    text: str
    voice: str
    speed: float
    facts: dict[str, Any]
    """Of the clip that it becomes."""


def read_sentences(file: Path) -> list[dict[str, Any]]:
    """Return the sentences of the train split, one JSON object a line.

    Each has a `text`, or `en`; and where it is translated, `zh`, one or several.

    Raises:
        ManifestError: If the file cannot be read, a line is no sentence, or none is
            of the train split.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as exc:
        raise ManifestError(f"cannot read {file}: {exc.strerror}") from exc
    found = []
    for number, line in enumerate(lines, 1):
        try:
            known = json.loads(line)
            text, split = str(known.get("text") or known["en"]), known["split"]
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise ManifestError(f"{file}:{number} is no sentence: {exc!r}") from exc
        if split == "train" and text.strip():
            sentence: dict[str, Any] = {"text": text.strip()}
            if chinese := known.get("zh") or known.get("translation_zh"):
                sentence["translation_zh"] = chinese
            found.append(sentence)
    if not found:
        raise ManifestError(f"{file} has no sentence of the train split")
    return found


def lines(
    sentences: Sequence[dict[str, Any]], count: int, rng: np.random.Generator
) -> Iterator[Line]:
    """Yield what is said, by whom and how fast; the same seed gives the same."""
    order: list[int] = []
    for _ in range(count):
        if not order:
            order = rng.permutation(len(sentences)).tolist()
        sentence = sentences[order.pop()]
        voice = one_of(rng, VOICES)
        facts = {
            "set": SET,
            "split": "train",
            **sentence,
            "lang": "en",
            "task": "asr,s2tt" if "translation_zh" in sentence else "asr",
            "speaker": voice,
            "gender": voice[1],
            "accent": ACCENTS[voice[0]],
            "source": "synthetic: Kokoro-82M",
        }
        speed = round(float(rng.uniform(*SPEEDS)), 2)
        yield Line(sentence["text"], voice, speed, facts)
