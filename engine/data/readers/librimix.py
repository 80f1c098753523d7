"""LibriMix: two speakers of LibriSpeech at once.

    Libri2Mix/wav16k/max/test/mix_clean/4077-13754-0001_5142-33396-0065.wav
    LibriSpeech/test-clean/…/4077-13754.trans.txt

A mixture's name is the names of its utterances; their texts are LibriSpeech's, which
must lie beside or inside.  Noisy mixtures (`mix_both`) are read if there are no clean.

Source:
    JorisCos/LibriMix; Cosentino et al. 2020, arXiv:2005.11262.
"""

from collections.abc import Iterator
from pathlib import Path

from engine.data.manifest import ManifestError
from engine.data.readers import librispeech
from engine.data.reading import SOUNDS, Broken, Found, Item, first

MIXTURES = ("mix_clean", "mix_both")
LENGTHS = ("max", "min")  # whole utterances first: of `min`, the longer one is cut


def read(folder: Path) -> Iterator[Item]:
    """Yield the mixtures at 16 kHz."""
    root = first(folder / "Libri2Mix", folder)
    speech = first(folder / "LibriSpeech", root.parent / "LibriSpeech")
    texts = librispeech.texts(speech)
    for part in _parts(root):
        kind = next((part / k for k in MIXTURES if (part / k).is_dir()), None)
        if kind is None:
            yield Broken(str(part), "a part without mixtures")
            continue
        for file in sorted(kind.iterdir()):
            if file.suffix in SOUNDS:
                yield _mixture(file, part.name, texts)


def _parts(root: Path) -> list[Path]:
    for length in LENGTHS:
        if (found := root / "wav16k" / length).is_dir():
            return [part for part in sorted(found.iterdir()) if part.is_dir()]
    raise ManifestError(f"{root} has neither wav16k/max nor wav16k/min")


def _mixture(file: Path, part: str, texts: dict[str, str]) -> Item:
    names = file.stem.split("_")
    if len(names) < 2 or not all(name in texts for name in names):
        return Broken(str(file), "LibriSpeech has no text for its utterances")
    split = part.partition("-")[0]
    facts = {
        "set": f"librimix_{part.replace('-', '_')}",
        "split": split,
        "texts": [texts[name] for name in names],
        "speakers": [f"ls-{name.partition('-')[0]}" for name in names],
        "lang": "en",
    }
    return Found(file, facts)
