"""IEMOCAP: ten actors, five sessions, emotions.

    Session1/dialog/EmoEvaluation/Ses01F_impro01.txt
        [6.2901 - 8.2357]	Ses01F_impro01_F000	neu	[2.5000, 2.5000, 2.5000]
    Session1/dialog/transcriptions/Ses01F_impro01.txt
        Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.
    Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav

The four classes that the field measures are read, excitement being happiness; session 5
is the test, as in the paper.

Source:
    sail.usc.edu/iemocap; Busso et al. 2008.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from engine.data.manifest import ManifestError
from engine.data.reading import Broken, Found, Item, lines_of

TURN = re.compile(r"\[[\d.]+ - [\d.]+\]\s+(?P<name>\w+)\s+(?P<emotion>\w+)\s+\[")
SAID = re.compile(r"(?P<name>\w+) \[[\d.-]+\]:\s*(?P<text>.*)")
CLASSES = {
    "neu": "neutral",
    "hap": "happy",
    "exc": "happy",
    "sad": "sad",
    "ang": "angry",
}
TEST = 5


def read(folder: Path) -> Iterator[Item]:
    """Yield every turn that has one of the four classes."""
    sessions = [s for n in range(1, 6) if (s := folder / f"Session{n}").is_dir()]
    if not sessions:
        raise ManifestError(f"{folder} has no Session1 … Session5")
    for session in sessions:
        number = int(session.name.removeprefix("Session"))
        dialog = session / "dialog"
        texts = _texts(dialog / "transcriptions")
        for listing in sorted((dialog / "EmoEvaluation").glob("Ses*.txt")):
            for line in lines_of(listing):
                if turn := TURN.match(line):
                    yield _turn(session, number, turn, texts)


def _turn(
    session: Path, number: int, turn: re.Match[str], texts: dict[str, str]
) -> Item:
    name, emotion = turn["name"], turn["emotion"]
    if emotion not in CLASSES:
        return Broken(name, f"its emotion {emotion!r} is none of the four classes")
    gender = name.rsplit("_", 1)[1][0].lower()
    facts = {
        "set": "iemocap",
        "split": "test" if number == TEST else "train",
        "label": CLASSES[emotion],
        "task": "emotion,gender",
        "speaker": f"iemocap-{number}{gender}",
        "gender": gender,
        "lang": "en",
    }
    if name in texts:
        facts["text"] = texts[name]
    wav = session / "sentences" / "wav" / name.rsplit("_", 1)[0] / f"{name}.wav"
    return Found(wav, facts)


def _texts(folder: Path) -> dict[str, str]:
    found = {}
    for file in sorted(folder.glob("*.txt")):
        for line in lines_of(file):
            if (said := SAID.match(line)) and said["text"]:
                found[said["name"]] = said["text"].strip()
    return found
