"""Clips changed a little: what changes, by how much, and what stays true of them."""

import itertools

import numpy as np
import pytest
import soundfile

from engine.data.__main__ import main
from engine.data.audio import faster, samples_of_clip
from engine.data.making.made import power
from engine.data.making.variants import cut, variants, varied
from engine.data.manifest import Clip, ManifestError, read_manifest, write_manifest
from tests.engine.data.layouts import RATE, record

FACTS = {"label": "rooster", "task": "sound-event", "set": "esc", "split": "train"}


def seeded(seed=0):
    return np.random.default_rng(seed)


def tone(pitch_hz, seconds=2.0):
    time_s = np.arange(round(seconds * RATE)) / RATE
    return (0.1 * np.sin(2 * np.pi * pitch_hz * time_s)).astype(np.float32)


def pitch_of(samples):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return spectrum.argmax() * RATE / len(samples)


@pytest.fixture
def clips(tmp_path):
    """Noise, of a different kind in each clip."""
    found = []
    for number in range(3):
        file = tmp_path / f"{number}.wav"
        samples = seeded(number).uniform(-0.2, 0.2, 2 * RATE)
        soundfile.write(file, samples, RATE)
        found.append(Clip(file.name, file, 2.0, dict(FACTS)))
    return found


def test_what_is_faster_is_shorter_and_higher():
    changed = faster(tone(1000), 1.1)
    assert len(changed) == pytest.approx(2 * RATE / 1.1, abs=2)
    assert pitch_of(changed) == pytest.approx(1100, abs=2)
    assert changed.dtype == np.float32


def test_a_cut_is_a_stretch_of_the_whole():
    ramp = np.linspace(0.5, 1.0, 2 * RATE, dtype=np.float32)
    part = cut(ramp, 0.7, seeded())
    assert len(part) == round(0.7 * len(ramp))
    (start,) = np.flatnonzero(ramp == part[0])
    assert np.array_equal(part, ramp[start : start + len(part)])


def test_nothing_is_cut_to_less_than_a_second_or_to_the_silence_beside_a_sound():
    short = tone(440, 1.2)
    assert cut(short, 0.6, seeded()) is short
    click = np.zeros(4 * RATE, np.float32)
    click[:100] = 0.5
    found = {len(cut(click, 0.6, seeded(seed))) for seed in range(20)}
    assert found <= {len(click), round(0.6 * len(click))}
    for seed in range(20):
        assert cut(click, 0.6, seeded(seed)).any()


def test_copies_differ_by_as_much_as_is_said():
    samples = tone(1000, 4.0)
    found = [varied(samples, seeded(seed)) for seed in range(200)]
    speeds = [how["speed"] for _, how in found]
    assert 0.86 < min(speeds) < 0.9 < 1.1 < max(speeds) < 1.151
    for changed, how in found:
        kept = len(changed) * how["speed"] / len(samples)
        assert 0.599 < kept < 1.001
        assert np.abs(changed).max() <= 0.99
        # A tilt of 9 dB is 4.5 dB at either end.
        level_db = 10 * np.log10(power(changed) / power(samples))
        assert -19 < level_db < 9
    noisy = [how["snr_db"] for _, how in found if "noise" in how]
    assert 100 < len(noisy) < 140
    assert 12 <= min(noisy) < 14
    assert 28 < max(noisy) <= 30
    assert {how.get("noise") for _, how in found} == {None, "white", "pink"}


def test_noise_is_as_loud_as_it_is_said_to_be():
    samples = tone(1000, 4.0)
    for seed in range(20):
        changed, how = varied(samples, seeded(seed))
        if "noise" not in how:
            continue
        spectrum = np.abs(np.fft.rfft(changed * np.hanning(len(changed)))) ** 2
        place = round(1000 * how["speed"] * len(changed) / RATE)
        signal = spectrum[place - 8 : place + 9].sum()
        found = 10 * np.log10(signal / (spectrum.sum() - signal))
        # Pink noise has much of its power in a few waves, which a window weighs.
        assert found == pytest.approx(how["snr_db"], abs=2.0)


def test_each_clip_has_so_many_copies_and_none_is_like_another(clips):
    made = list(variants(clips, 2, 0))
    assert len(made) == 6
    for one, other in itertools.combinations(made, 2):
        assert not np.array_equal(one.samples, other.samples)
    sources = [m.facts["source"] for m in made]
    assert sources == [f"made of {c.path}" for c in clips for _ in range(2)]


def test_a_copy_depends_on_its_clip_and_the_seed_and_on_nothing_else(clips):
    both = {m.facts["source"]: m.samples for m in variants(clips[:2], 1, 7)}
    alone, more = list(variants(clips[1:2], 2, 7))
    assert np.array_equal(alone.samples, both[alone.facts["source"]])
    assert not np.array_equal(alone.samples, more.samples)
    (other,) = variants(clips[1:2], 1, 8)
    assert not np.array_equal(alone.samples, other.samples)


def test_a_copy_keeps_its_label_and_not_what_is_said_or_when(tmp_path):
    facts = FACTS | {"label": "sad", "task": "emotion", "gender": "f", "text": "NO"}
    facts |= {"start_s": 0.5, "qa": [["What is said?", "No."]], "phones": "sil N OW1"}
    clip = Clip("a.wav", record(tmp_path / "a.wav", 3.0), 2.0, facts)
    (made,) = variants([clip], 1, 0)
    names = {"set", "split", "label", "task", "gender", "speed", "source"}
    assert names <= set(made.facts) <= names | {"noise", "snr_db"}
    assert made.facts["label"] == "sad"


def test_copies_in_rooms_are_the_same_stretches_and_sound_different(clips):
    near = list(variants(clips, 2, 0))
    far = list(variants(clips, 2, 0, rooms=True))
    for one, other in zip(near, far, strict=True):
        assert other.facts["speed"] == one.facts["speed"]
        assert len(other.samples) == len(one.samples)
        assert not np.array_equal(other.samples, one.samples)
    (again, _) = variants(clips[1:2], 2, 0, rooms=True)
    assert np.array_equal(again.samples, far[2].samples)
    assert again.facts == far[2].facts


def test_a_copy_in_a_room_keeps_its_label_and_says_how_it_was_made(clips):
    clips[0].facts.update(text="NO", start_s=0.0, gender="f", licence="CC0")
    kept = FACTS | {"gender": "f", "licence": "CC0", "source": "made of 0.wav"}
    made = list(variants(clips[:1], 30, 0, rooms=True))
    for copy in made:
        assert copy.facts.items() >= kept.items()
    how = {"speed", "reverberation_s", "band_hz", "noise", "snr_db"}
    assert set().union(*(copy.facts for copy in made)) == kept.keys() | how


@pytest.mark.parametrize(
    ("task", "expected"), [("instrument,pitch", True), ("sound-event", False)]
)
def test_of_what_is_far_instruments_alone_are_overdriven(clips, task, expected):
    clips[0].facts["task"] = task
    made = list(variants(clips[:1], 30, 0, rooms=True))
    assert any("drive_db" in copy.facts for copy in made) == expected
    assert not any("drive_db" in m.facts for m in variants(clips[:1], 30, 0))


def test_silence_is_heard_in_no_room_which_would_make_it_loud(clips):
    clips[0].facts["label"] = "silence"
    (near,) = variants(clips[:1], 1, 0)
    (far,) = variants(clips[:1], 1, 0, rooms=True)
    assert np.array_equal(near.samples, far.samples)


def test_what_is_measured_on_is_never_varied(clips):
    clips[0].facts["split"] = "dev"
    with pytest.raises(ManifestError, match="dev and train must not be mixed"):
        list(variants(clips, 1, 0))
    with pytest.raises(ManifestError, match="clips of dev are for measuring"):
        list(variants(clips[:1], 1, 0))


def test_orders_and_transcripts_are_no_labels(clips):
    for clip in clips:
        clip.facts["label"] = {"intent": "order"}
    with pytest.raises(ManifestError, match="no clip with a label"):
        list(variants(clips, 1, 0))


def test_the_command_writes_copies_of_the_sets_that_are_named(clips, tmp_path, capsys):
    clips[0].facts["set"] = "others"
    clips[1].facts["split"] = "dev"
    write_manifest(tmp_path / "in.jsonl", clips)
    out = tmp_path / "made/varied.jsonl"
    command = ["make", "variants", str(tmp_path / "in.jsonl"), "--out", str(out)]
    flags = ["--copies", "2", "--seed", "3"]
    assert main([*command, *flags]) == 0
    assert "4 clips" in capsys.readouterr().out
    assert main([*command, "--set", "esc", *flags]) == 0
    made = read_manifest(out)
    assert [clip.path for clip in made] == [f"varied/{n:07}.flac" for n in range(2)]
    assert {clip.facts["source"] for clip in made} == {"made of 2.wav"}
    for clip in made:
        assert len(samples_of_clip(clip)) == pytest.approx(
            RATE * clip.duration_s, abs=8
        )
    assert main([*command, "--set", "esc", "--copies", "20", "--rooms"]) == 0
    assert any("reverberation_s" in clip.facts for clip in read_manifest(out))
    assert main([*command, "--split", "dev", *flags]) == 1
    assert "clips of dev are for measuring" in capsys.readouterr().err


def test_no_copies_are_a_wrong_command_line(tmp_path, capsys):
    command = ["make", "variants", "in.jsonl", "--out", str(tmp_path / "out.jsonl")]
    with pytest.raises(SystemExit) as left:
        main([*command, "--copies", "0"])
    assert left.value.code == 2
    assert "expected 1 or more" in capsys.readouterr().err
