"""A small BEATs that learns what sounds are called."""

import json

import numpy as np
import pytest
import soundfile
import torch

from engine.beats import BeatsConfig
from engine.checkpoint import read_beats
from engine.data.manifest import read_manifest
from engine.fbank import fbank
from engine.training import run_beats
from engine.training.config import OptimiserConfig
from engine.training.run_beats import (
    Course,
    Lesson,
    School,
    is_in,
    lesson_of,
    main,
    new_beats,
    train,
    words_of,
)

RATE = 16_000
TINY = BeatsConfig(
    embed_dim=8,
    encoder_layers=2,
    encoder_embed_dim=16,
    encoder_ffn_embed_dim=16,
    encoder_attention_heads=2,
    conv_pos=4,
    conv_pos_groups=2,
    num_buckets=8,
    predictor_class=4,
    block_columns=2,
)
FAST = OptimiserConfig(peak_rate=1e-2, warm_up_steps=5, max_gradient_norm=1.0)
CALLED = {"rain": ("noise", "rain"), "rooster": ("animal", "rooster")}


def sound(label, seed):
    """Return a second of hiss, or of a high tone with a little of it."""
    hiss = np.random.default_rng(seed).normal(size=RATE)
    if label == "rain":
        return (0.1 * hiss).astype(np.float32)
    tone = np.sin(2 * np.pi * 3000 * np.arange(RATE) / RATE)
    return (0.1 * tone + 1e-3 * hiss).astype(np.float32)


def lessons(count=12):
    """Return lessons of two sounds, in turn."""
    return [
        Lesson(
            f"{seed}.wav",
            "x",
            fbank(torch.from_numpy(sound(label, seed))),
            CALLED[label],
        )
        for seed, label in zip(range(count), ["rain", "rooster"] * count, strict=False)
    ]


@pytest.fixture
def manifest(tmp_path):
    lines = []
    for number in range(8):
        label = ["rain", "rooster"][number % 2]
        name = f"{number}.wav"
        soundfile.write(tmp_path / name, sound(label, number), RATE)
        split = "dev" if number >= 6 else "train"
        facts = {"set": "esc10", "split": split, "label": label}
        lines.append({"path": name, "duration_s": 1.0} | facts)
    soundfile.write(tmp_path / "short.wav", np.zeros(800), RATE)
    short = {"path": "short.wav", "duration_s": 0.05, "label": "rain"}
    lines.append(short | {"set": "esc10", "split": "train"})
    said = {"path": "0.wav", "duration_s": 1.0, "set": "orders", "split": "train"}
    lines.append(said | {"label": {"size": "large"}})
    path = tmp_path / "manifest.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def test_words_are_learned_and_told_of_sounds_never_heard():
    known = lessons()
    words = words_of(known)
    assert words == ("animal", "noise", "rain", "rooster")
    beats = new_beats(TINY, 0)
    course = Course(steps=40, batch=8, frames=48, beside=0.25, optimiser=FAST)
    losses = []
    train(beats, School(known, words, course), lambda _, loss: losses.append(loss))
    assert np.mean(losses[-5:]) < 0.6 * losses[0]
    assert not beats.training
    for label, called in CALLED.items():
        spectrum = fbank(torch.from_numpy(sound(label, seed=99)))
        told = beats.classify(spectrum[None])[0]
        assert {words[place] for place in told.topk(2).indices} == set(called)


def test_a_batch_depends_on_seed_and_step_alone():
    known = lessons()
    school = School(known, words_of(known), Course(steps=1, batch=4, frames=32))
    spectra, told = school.batch(3)
    assert spectra.shape == (4, 32, 128)
    assert told.shape == (4, 4)
    again, _ = school.batch(3)
    assert torch.equal(spectra, again)
    assert not torch.equal(spectra, school.batch(4)[0])


def test_two_sounds_at_once_are_called_by_the_words_of_both():
    known = lessons()
    words = words_of(known)
    course = Course(steps=1, batch=64, frames=32, beside=1.0)
    _, told = School(known, words, course).batch(0)
    assert set(told.sum(1).tolist()) == {2.0, 4.0}
    alone = Course(steps=1, batch=64, frames=32, beside=0.0)
    assert set(School(known, words, alone).batch(0)[1].sum(1).tolist()) == {2.0}


def test_a_large_set_counts_by_the_root_of_its_size():
    one, other = lessons(2)
    many = [Lesson(str(n), "many", one.spectrum, ("rain",)) for n in range(90)]
    few = [Lesson(str(n), "few", other.spectrum, ("rooster",)) for n in range(10)]
    course = Course(steps=1, batch=200, frames=16, beside=0.0)
    _, told = School([*many, *few], ("rain", "rooster"), course).batch(0)
    assert told[:, 0].mean() == pytest.approx(0.75, abs=0.08)  # √90 to √10


def test_parts_have_each_clip_once():
    paths = [f"esc10/{n:05}.ogg" for n in range(300)]
    first = {path for path in paths if is_in(path, (1, 2))}
    second = {path for path in paths if is_in(path, (2, 2))}
    assert first | second == set(paths)
    assert not first & second
    assert 100 < len(first) < 200
    assert all(is_in(path, (1, 1)) for path in paths)


def test_a_clip_without_words_or_too_short_teaches_nothing(manifest):
    clips = read_manifest(manifest)
    found = [lesson_of(clip, least_frames=16) for clip in clips]
    assert [one.words if one else None for one in found[-3:]] == [
        CALLED["rooster"],
        None,
        None,
    ]


def test_the_command_writes_what_it_learned_and_from_which_clips(
    manifest, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(run_beats, "SHAPE", TINY)
    out = tmp_path / "beats.pt"
    given = ["--manifest", str(manifest), "--steps", "2", "--out", str(out)]
    assert main(given) == 0
    found = read_beats(out)
    assert found.taught == {f"{number}.wav" for number in range(6)}
    assert found.labels == dict(enumerate(["animal", "noise", "rain", "rooster"]))
    assert found.model.config.block_columns == 2
    assert "step 2: loss " in capsys.readouterr().err
    assert main([*given, "--part", "1/2"]) == 0
    assert read_beats(out).taught == {
        path for path in found.taught if is_in(path, (1, 2))
    }


@pytest.mark.parametrize("part", ["0/2", "3/2", "1", "half"])
def test_a_part_that_is_none_is_refused(part, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--manifest", "m", "--steps", "1", "--out", "o", "--part", part])
    assert stopped.value.code == 2
    assert "--part" in capsys.readouterr().err


def test_without_a_sound_the_command_says_so(tmp_path, capsys):
    path = tmp_path / "manifest.jsonl"
    line = {"path": "a.wav", "duration_s": 1.0, "split": "dev", "label": "rain"}
    path.write_text(json.dumps(line))
    given = ["--manifest", str(path), "--steps", "1", "--out", str(tmp_path / "b.pt")]
    assert main(given) == 1
    assert "no clip of set any, split train" in capsys.readouterr().err
    assert not (tmp_path / "b.pt").exists()


def test_what_cannot_be_written_is_told(manifest, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(run_beats, "SHAPE", TINY)
    out = tmp_path / "none" / "beats.pt"
    given = ["--manifest", str(manifest), "--steps", "0", "--out", str(out)]
    assert main(given) == 1
    assert "cannot be written" in " ".join(capsys.readouterr().err.split())
