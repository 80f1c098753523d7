"""MusicNet: classical music, every note labelled.

    musicnet_metadata.csv    id,composer,composition,movement,ensemble,…,seconds
    train_data/1727.wav      test_data/…
    train_labels/1727.csv    start_time,end_time,instrument,note,…

A piece is minutes long: each becomes clips of 30 s.  Instruments are those that play in
the clip.  Questions and answers are made of them (`salmonn-data make questions`).

Source:
    zenodo.org/records/5120004; Thickstun et al. 2017, arXiv:1611.09827.
"""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

from engine.data.reading import Broken, Found, Item, first
from engine.data.tables import Row, rows_of

CLIP_S = 30.0
LAST_S = 5.0  # a shorter rest is left out
LABEL_RATE = 44_100  # label times are samples at this rate
SPLITS = ("train", "test")
INSTRUMENTS = {  # General MIDI programs, from 1: the eleven that the set has
    1: "piano",
    7: "harpsichord",
    41: "violin",
    42: "viola",
    43: "cello",
    44: "double bass",
    61: "french horn",
    69: "oboe",
    71: "bassoon",
    72: "clarinet",
    74: "flute",
}


def read(folder: Path) -> Iterator[Item]:
    """Yield the pieces in clips."""
    table = first(
        folder / "musicnet_metadata.csv", folder.parent / "musicnet_metadata.csv"
    )
    root = first(folder / "musicnet", folder)
    pieces = {row.get("id", ""): row for _, row in rows_of(table)}
    for split in SPLITS:
        for file in sorted((root / f"{split}_data").glob("*.wav")):
            labels = root / f"{split}_labels" / f"{file.stem}.csv"
            yield from _piece(file, split, pieces.get(file.stem), labels)


def _piece(file: Path, split: str, row: Row | None, labels: Path) -> Iterator[Item]:
    if row is None or not labels.is_file():
        yield Broken(str(file), "the piece has no line or no labels")
        return
    try:
        seconds = float(row["seconds"])
        notes = [_note(label) for _, label in rows_of(labels)]
    except (KeyError, ValueError):
        yield Broken(str(file), "its line or its labels cannot be read")
        return
    for start_s in (number * CLIP_S for number in count()):
        length_s = min(CLIP_S, seconds - start_s)
        if length_s < LAST_S:
            return
        playing = {n for s, e, n in notes if s < start_s + length_s and e > start_s}
        facts = {
            "set": f"musicnet_{split}",
            "split": split,
            "start_s": start_s,
            "instruments": sorted(playing),
            "composer": row.get("composer", ""),
            "ensemble": row.get("ensemble", ""),
        }
        yield Found(file, facts, length_s)


def _note(label: Row) -> tuple[float, float, str]:
    return (
        int(label["start_time"]) / LABEL_RATE,
        int(label["end_time"]) / LABEL_RATE,
        INSTRUMENTS[int(label["instrument"])],
    )
