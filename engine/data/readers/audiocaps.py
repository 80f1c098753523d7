"""AudioCaps: ten seconds of AudioSet, described by people.

    train.csv, val.csv, test.csv    audiocap_id,youtube_id,start_time,caption

The lists name videos; whoever uses the set fetches them.  Recordings are found by
name, in any folder: `YOUTUBE-ID_START`, `YYOUTUBE-ID`, `YOUTUBE-ID` or `AUDIOCAP-ID`.
The captions of one recording become one clip.

Source:
    cdjkim/audiocaps, dataset/; Kim et al. 2019.
"""

from collections.abc import Iterator
from pathlib import Path

from engine.data.reading import Broken, Found, Item, Sounds, first
from engine.data.tables import rows_of

SPLITS = {"train": "train", "val": "dev", "test": "test"}


def read(folder: Path) -> Iterator[Item]:
    """Yield the recordings of every list that is there."""
    listings = [
        listing
        for root in (folder, folder / "dataset")
        for name in SPLITS
        if (listing := root / f"{name}.csv").exists()
    ]
    if not listings:
        first(folder / "train.csv")
    sounds = Sounds(folder)
    for listing in listings:
        yield from _listing(sounds, listing)


def _listing(sounds: Sounds, listing: Path) -> Iterator[Item]:
    captions: dict[tuple[str, str], list[str]] = {}
    ids: dict[tuple[str, str], str] = {}
    for number, row in rows_of(listing):
        key = row.get("youtube_id", ""), row.get("start_time", "")
        caption = row.get("caption", "").strip()
        if not all((*key, caption)):
            yield Broken(f"{listing}:{number}", "its line lacks a video or a caption")
            continue
        captions.setdefault(key, []).append(caption)
        ids.setdefault(key, row.get("audiocap_id", ""))
    for (video, start), texts in captions.items():
        file = sounds.find(f"{video}_{start}", f"Y{video}", video, ids[video, start])
        facts = {
            "set": f"audiocaps_{listing.stem}",
            "split": SPLITS[listing.stem],
            "captions": texts,
        }
        yield Found(file, facts)
