"""GigaSpeech: English of books, podcasts and videos; long files, cut by their list.

    GigaSpeech.json    {"audios": [{"path": "audio/podcast/P0000/POD….opus",
                       "segments": [{"sid", "begin_time", "end_time", "text_tn",
                       "subsets": ["{M}", …]}]}]}

Every segment is a clip with `start_s`.  The whole list is held in memory.

Source:
    SpeechColab/GigaSpeech, README; Chen et al. 2021, arXiv:2106.06909.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.data.manifest import ManifestError
from engine.data.reading import Broken, Found, Item, first

PUNCTUATION = {
    " <COMMA>": ",",
    " <PERIOD>": ".",
    " <QUESTIONMARK>": "?",
    " <EXCLAMATIONPOINT>": "!",
}
GARBAGE = {"<SIL>", "<MUSIC>", "<NOISE>", "<OTHER>"}
SIZES = ("XS", "S", "M", "L", "XL")  # each holds the ones before it


def read(folder: Path) -> Iterator[Item]:
    """Yield every segment that has speech."""
    listing = first(folder / "GigaSpeech.json", folder / "GigaSpeech/GigaSpeech.json")
    try:
        audios = json.loads(listing.read_text(encoding="utf-8"))["audios"]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise ManifestError(f"{listing} is not GigaSpeech's list: {exc!r}") from exc
    for audio in audios:
        for segment in audio.get("segments", []):
            yield _segment(listing.parent, audio, segment)


def _segment(root: Path, audio: dict[str, Any], segment: dict[str, Any]) -> Item:
    name = str(segment.get("sid", audio.get("aid", "?")))
    try:
        text = str(segment["text_tn"])
        start_s, end_s = float(segment["begin_time"]), float(segment["end_time"])
        subsets = {s.strip("{}") for s in segment.get("subsets", audio["subsets"])}
        file = root / audio["path"]
    except (KeyError, TypeError, ValueError):
        return Broken(name, "its line lacks a text, a time or a path")
    if text.strip() in GARBAGE:
        return Broken(name, "no speech, says its annotation")
    split, part = _part(subsets)
    facts = {
        "set": f"gigaspeech_{part}",
        "split": split,
        "text": plain(text),
        "lang": "en",
        "start_s": start_s,
    }
    return Found(file, facts, round(end_s - start_s, 4))


def plain(text: str) -> str:
    """Return a text with marks in place of their names."""
    for name, mark in PUNCTUATION.items():
        text = text.replace(name, mark)
    return text.strip()


def _part(subsets: set[str]) -> tuple[str, str]:
    """Return the split, and the smallest part that has it: the paper trains on M."""
    for name, split in (("DEV", "dev"), ("TEST", "test")):
        if name in subsets:
            return split, split
    return "train", next((s for s in SIZES if s in subsets), "XL").lower()
