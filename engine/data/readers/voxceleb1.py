"""VoxCeleb1: interviews of 1251 people.

    vox1_meta.csv     VoxCeleb1 ID, VGGFace1 ID, Gender, Nationality, Set (tabs)
    wav/id10001/1zcIwhmdeo4/00001.wav
    veri_test2.txt    1 id10270/x6uYqmx31kE/00001.wav id10270/8jEAjG6SegY/00008.wav

Utterances become clips; the pairs of the test become clips with a second recording,
`expand_wav`, which is heard after the first and a tenth of a second of silence.

Source:
    robots.ox.ac.uk/~vgg/data/voxceleb; Nagrani et al. 2017, arXiv:1706.08612.
"""

from collections.abc import Iterator
from pathlib import Path

from engine.data.reading import SOUNDS, Broken, Found, Item, lines_of, need
from engine.data.tables import Row, rows_of

TRIALS = ("veri_test2.txt", "veri_test.txt")  # cleaned, as first published
SPLITS = {"dev": "train", "test": "test"}


def read(folder: Path) -> Iterator[Item]:
    """Yield every utterance, then the pairs of the test."""
    wav = need(folder / "wav")
    table = rows_of(need(folder / "vox1_meta.csv"), tabs=True)
    people = {row.get("VoxCeleb1 ID", ""): row for _, row in table}
    for speaker in sorted(wav.iterdir()):
        for file in sorted(speaker.rglob("*")):
            if file.suffix in SOUNDS:
                yield _utterance(file, people.get(speaker.name))
    listing = next((t for n in TRIALS if (t := folder / n).exists()), None)
    for line in lines_of(listing) if listing else ():
        yield _pair(wav, line)


def _utterance(file: Path, person: Row | None) -> Item:
    if person is None or person.get("Set") not in SPLITS:
        return Broken(str(file), "its speaker is not in vox1_meta.csv")
    split = SPLITS[person["Set"]]
    facts = {
        "set": f"voxceleb1_{split}",
        "split": split,
        "speaker": person["VoxCeleb1 ID"],
        "gender": person.get("Gender", "").lower(),
    }
    return Found(file, facts)


def _pair(wav: Path, line: str) -> Item:
    fields = line.split()
    if len(fields) != 3 or fields[0] not in {"0", "1"}:
        return Broken(line[:80], "a pair that is not `0|1 FILE FILE`")
    facts = {
        "set": "voxceleb1_pairs",
        "split": "test",
        "same_speaker": fields[0] == "1",
    }
    return Found(wav / fields[1], facts, expand=(wav / fields[2],))
