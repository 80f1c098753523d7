"""Clotho: sounds of Freesound, five captions each.

    clotho_captions_development.csv    file_name,caption_1,…,caption_5
    development/…wav

Lists may lie in `clotho_csv_files`, recordings in `clotho_audio_files`.

Source:
    zenodo.org/records/4783391; Drossos et al. 2020, arXiv:1910.09387.
"""

from collections.abc import Iterator
from pathlib import Path

from engine.data.manifest import ManifestError
from engine.data.reading import Broken, Found, Item, Sounds
from engine.data.tables import rows_of

SPLITS = {"development": "train", "validation": "dev", "evaluation": "test"}
CAPTIONS = tuple(f"caption_{i}" for i in range(1, 6))


def read(folder: Path) -> Iterator[Item]:
    """Yield the recordings of every list that is there."""
    listings = {
        part: found[0]
        for part in SPLITS
        if (found := sorted(folder.rglob(f"clotho_captions_{part}.csv")))
    }
    if not listings:
        raise ManifestError(f"{folder} has no clotho_captions_*.csv")
    sounds = Sounds(folder)
    for part, listing in listings.items():
        for number, row in rows_of(listing):
            captions = [c.strip() for name in CAPTIONS if (c := row.get(name, ""))]
            name = row.get("file_name", "")
            if not name or not captions:
                yield Broken(
                    f"{listing}:{number}", "its line lacks a file or a caption"
                )
                continue
            facts = {
                "set": f"clotho_{part}",
                "split": SPLITS[part],
                "captions": captions,
            }
            yield Found(sounds.find(name.removesuffix(".wav"), within=part), facts)
