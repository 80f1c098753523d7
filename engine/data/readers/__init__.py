"""Readers of published sets: a folder in the layout of its authors → items.

Each module knows one layout and yields `Found` or `Broken`; it opens no recording.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.data.readers import (
    audiocaps,
    clotho,
    covost2,
    gigaspeech,
    iemocap,
    librimix,
    librispeech,
    millionsong,
    musiccaps,
    musicnet,
    voxceleb1,
    wavcaps,
)
from engine.data.reading import Item

Read = Callable[[Path], Iterator[Item]]


@dataclass(frozen=True, slots=True)
class Reader:
    """How one set is read."""

    read: Read
    """From its folder.  Raises ManifestError where the layout is another one."""
    expects: str
    """What lies in that folder."""


READERS: Final = {
    "librispeech": Reader(librispeech.read, "train-*/, dev-*/, test-*/, SPEAKERS.TXT"),
    "gigaspeech": Reader(gigaspeech.read, "GigaSpeech.json, audio/"),
    "audiocaps": Reader(audiocaps.read, "train.csv, val.csv, test.csv, recordings"),
    "clotho": Reader(clotho.read, "clotho_captions_*.csv, recordings by split"),
    "wavcaps": Reader(wavcaps.read, "json_files/, recordings by source"),
    "covost2": Reader(covost2.read, "covost_v2.*.tsv, validated.tsv, clips/"),
    "iemocap": Reader(iemocap.read, "Session1/ to Session5/"),
    "musiccaps": Reader(musiccaps.read, "musiccaps-public.csv, recordings"),
    "librimix": Reader(librimix.read, "Libri2Mix/, and LibriSpeech/ for its texts"),
    "voxceleb1": Reader(voxceleb1.read, "wav/, vox1_meta.csv, veri_test*.txt"),
    "millionsong": Reader(millionsong.read, "lastfm_train/, lastfm_test/, recordings"),
    "musicnet": Reader(musicnet.read, "musicnet_metadata.csv, *_data/, *_labels/"),
}
