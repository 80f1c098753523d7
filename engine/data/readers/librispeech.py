"""LibriSpeech: read English, 1000 hours.

    LibriSpeech/SPEAKERS.TXT
    LibriSpeech/test-clean/61/70968/61-70968.trans.txt    61-70968-0000 HE BEGAN …
    LibriSpeech/test-clean/61/70968/61-70968-0000.flac

Source:
    openslr.org/12; Panayotov et al. 2015.
"""

from collections.abc import Iterator
from pathlib import Path

from engine.data.manifest import ManifestError
from engine.data.reading import Broken, Found, Item, first, lines_of

SPLITS = {"train": "train", "dev": "dev", "test": "test"}
GENDERS = {"F": "f", "M": "m"}


def read(folder: Path) -> Iterator[Item]:
    """Yield every utterance of every part that is there."""
    root = first(folder / "LibriSpeech", folder)
    parts = [p for p in sorted(root.iterdir()) if _split(p) and p.is_dir()]
    if not parts:
        raise ManifestError(f"{root} has no train-*, dev-* or test-* of LibriSpeech")
    genders = _genders(root / "SPEAKERS.TXT")
    for part in parts:
        for listing in sorted(part.rglob("*.trans.txt")):
            yield from _chapter(part, listing, genders)


def texts(root: Path) -> dict[str, str]:
    """Return the text of each utterance of all parts, by its name."""
    found = {}
    for listing in sorted(root.rglob("*.trans.txt")):
        for line in lines_of(listing):
            name, _, text = line.partition(" ")
            found[name] = text.strip()
    return found


def _chapter(part: Path, listing: Path, genders: dict[str, str]) -> Iterator[Item]:
    for line in lines_of(listing):
        name, _, text = line.partition(" ")
        if not text.strip():
            yield Broken(f"{listing}: {name}", "no text")
            continue
        speaker = name.partition("-")[0]
        facts = {
            "set": f"librispeech_{part.name.replace('-', '_')}",
            "split": _split(part),
            "text": text.strip(),
            "lang": "en",
            "speaker": f"ls-{speaker}",
        }
        if speaker in genders:
            facts["gender"] = genders[speaker]
        yield Found(listing.parent / f"{name}.flac", facts)


def _split(part: Path) -> str | None:
    return SPLITS.get(part.name.partition("-")[0])


def _genders(table: Path) -> dict[str, str]:
    """Return who is a woman and who a man: ` 14 | F | train-clean-360 | 25.0 | Kr…`."""
    if not table.is_file():
        return {}
    rows = [line.split("|") for line in lines_of(table) if not line.startswith(";")]
    return {
        row[0].strip(): GENDERS[row[1].strip()]
        for row in rows
        if len(row) > 1 and row[1].strip() in GENDERS
    }
