"""CoVoST2: Common Voice, translated.

    covost_v2.en_zh-CN.tsv         path, translation, split (as published), or
    covost_v2.en_zh-CN.test.tsv    path, sentence, translation, client_id (as split)
    validated.tsv                  Common Voice's: path, sentence, client_id, …
    clips/common_voice_en_….mp3

Every pair of languages that is there is read; a recording of several pairs is one clip.

Source:
    facebookresearch/covost, get_covost_splits.py; Wang et al. 2020, arXiv:2007.10310.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.data.manifest import ManifestError
from engine.data.reading import Broken, Found, Item
from engine.data.tables import Row, rows_of

NAME = re.compile(
    r"covost_v2\.(?P<source>[\w-]+?)_(?P<target>[\w-]+)(?:\.(?P<part>\w+))?"
)
SPLITS = {"train": "train", "train_covost": "train", "dev": "dev", "test": "test"}
SIMPLE = {"zh-CN": "zh", "sv-SE": "sv"}


def read(folder: Path) -> Iterator[Item]:
    """Yield the recordings of every pair of languages that is there."""
    listings = sorted(folder.glob("covost_v2.*.tsv"))
    if not listings:
        raise ManifestError(f"{folder} has no covost_v2.*.tsv")
    sentences = _sentences(folder / "validated.tsv")
    clips: dict[str, dict[str, Any]] = {}
    for listing in listings:
        if not (name := NAME.fullmatch(listing.stem)):
            yield Broken(str(listing), "its name has no pair of languages")
            continue
        for number, row in rows_of(listing, tabs=True):
            if reason := _add(clips, row, name, sentences):
                yield Broken(f"{listing}:{number}", reason)
    for path, facts in clips.items():
        yield Found(folder / "clips" / path, facts)


def _add(
    clips: dict[str, dict[str, Any]],
    row: Row,
    name: re.Match[str],
    sentences: dict[str, Row],
) -> str:
    """Add a line to its clip; return what was wrong, if anything was."""
    path, translation = row.get("path", ""), row.get("translation", "").strip()
    split = SPLITS.get(row.get("split", name["part"] or ""))
    known = row if row.get("sentence") else sentences.get(path, {})
    text = known.get("sentence", "").strip()
    if not path or not translation:
        return "its line lacks a path or a translation"
    if split is None:
        return "its line belongs to no split"
    if not text:
        return "its sentence is unknown; validated.tsv has it"
    source, target = (SIMPLE.get(name[k], name[k]) for k in ("source", "target"))
    facts = clips.setdefault(
        path,
        {"set": f"covost2_{split}", "split": split, "text": text, "lang": source},
    )
    if speaker := known.get("client_id"):
        facts["speaker"] = speaker[:16]
    facts[f"translation_{target}"] = [translation]
    return ""


def _sentences(table: Path) -> dict[str, Row]:
    if not table.is_file():
        return {}
    return {row.get("path", ""): row for _, row in rows_of(table, tabs=True)}
