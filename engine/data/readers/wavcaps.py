"""WavCaps: sounds of four sources, described by a language model.

    json_files/BBC_Sound_Effects/bbc_final.json    {"data": [{"id", "caption", …}]}
    …/BBC_Sound_Effects…/NHU05093027.flac

The paper leaves out clips of more than 180 s, as far as we know: `--max-s 180`.

Source:
    cvssp/WavCaps; Mei et al. 2023, arXiv:2303.17395.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from engine.data.manifest import ManifestError
from engine.data.reading import Broken, Found, Item, Sounds, first

LISTS = {
    "AudioSet_SL": "as_final.json",
    "BBC_Sound_Effects": "bbc_final.json",
    "FreeSound": "fsd_final.json",
    "SoundBible": "sb_final.json",
}


def read(folder: Path) -> Iterator[Item]:
    """Yield the recordings of every source that is there; all are for training."""
    root = first(folder / "json_files", folder)
    listings = {
        source: listing
        for source, name in LISTS.items()
        if (listing := root / source / name).exists()
    }
    if not listings:
        raise ManifestError(f"{root} has no list of WavCaps: {root / 'SOURCE'}/*.json")
    sounds = Sounds(folder)
    for source, listing in listings.items():
        try:
            entries = json.loads(listing.read_text(encoding="utf-8"))["data"]
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise ManifestError(f"{listing} is not a list of WavCaps: {exc!r}") from exc
        for number, entry in enumerate(entries):
            name, caption = str(entry.get("id", "")), entry.get("caption", "")
            if not name or not caption:
                yield Broken(
                    f"{listing}[{number}]", "its entry lacks an id or a caption"
                )
                continue
            facts = {
                "set": f"wavcaps_{source.lower()}",
                "split": "train",
                "captions": [caption],
            }
            yield Found(sounds.find(name.removesuffix(".wav"), within=source), facts)
