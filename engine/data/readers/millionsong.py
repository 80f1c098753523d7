"""Million Song: tracks and what their listeners call them.

    lastfm_train/A/A/A/TRAAAAW128F429D538.json    {"track_id": …, "tags":
        [["classic pop rock", "100"], …]}

The set has no recordings; they are found by the track's id, in any folder.  Questions
and answers are made of the tags (`salmonn-data make questions`).

Source:
    millionsongdataset.com/lastfm; Bertin-Mahieux et al. 2011.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from engine.data.manifest import ManifestError
from engine.data.reading import Broken, Found, Item, Sounds

SPLITS = {"lastfm_train": "train", "lastfm_test": "test"}
LEAST = 50  # of 100: how much of the tag's use a tag must have to be believed


def read(folder: Path) -> Iterator[Item]:
    """Yield every track that has a tag."""
    roots = [root for name in SPLITS if (root := folder / name).is_dir()]
    if not roots:
        raise ManifestError(f"{folder} has neither lastfm_train nor lastfm_test")
    sounds = Sounds(folder)
    for root in roots:
        for file in sorted(root.rglob("*.json")):
            yield _track(file, SPLITS[root.name], sounds)


def _track(file: Path, split: str, sounds: Sounds) -> Item:
    try:
        track = json.loads(file.read_text(encoding="utf-8"))
        tags = [str(tag) for tag, weight in track["tags"] if int(weight) >= LEAST]
        name = str(track["track_id"])
    except (OSError, ValueError, KeyError, TypeError):
        return Broken(str(file), "not a track of Last.fm")
    if not tags:
        return Broken(str(file), f"no tag that {LEAST} % of its listeners use")
    facts = {"set": f"millionsong_{split}", "split": split, "tags": tags}
    return Found(sounds.find(name), facts)
