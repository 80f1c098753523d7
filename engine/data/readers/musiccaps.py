"""MusicCaps: ten seconds of music, described by musicians.

    musiccaps-public.csv    ytid,start_s,end_s,…,caption,…,is_audioset_eval

The list names videos; whoever uses the set fetches them.  Recordings are found by name,
in any folder: `YTID_START`, `[YTID]-[START-END]` or `YTID`.  What AudioSet evaluates on
is the test.

Source:
    google/MusicCaps; Agostinelli et al. 2023, arXiv:2301.11325.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from engine.data.reading import Broken, Found, Item, Sounds, need
from engine.data.tables import rows_of


def read(folder: Path) -> Iterator[Item]:
    """Yield every piece of the list."""
    listing = need(folder / "musiccaps-public.csv")
    sounds = Sounds(folder)
    for number, row in rows_of(listing):
        video, caption = row.get("ytid", ""), row.get("caption", "").strip()
        start, end = row.get("start_s", ""), row.get("end_s", "")
        if not video or not caption:
            yield Broken(f"{listing}:{number}", "its line lacks a video or a caption")
            continue
        is_test = row.get("is_audioset_eval", "").lower() == "true"
        split = "test" if is_test else "train"
        facts = {
            "set": f"musiccaps_{split}",
            "split": split,
            "music_captions": [caption],
            "tags": _tags(row.get("aspect_list", "")),
        }
        stems = f"{video}_{start}", f"[{video}]-[{start}-{end}]", video
        yield Found(sounds.find(*stems), facts)


def _tags(aspects: str) -> list[str]:
    """Return the aspects, which are written as a Python list."""
    try:
        found = ast.literal_eval(aspects)
    except (ValueError, SyntaxError):
        return []
    return [str(tag) for tag in found] if isinstance(found, list) else []
