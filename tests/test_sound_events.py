"""How sounds and watches are measured: the scene, the scores, the command."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import soundfile

from engine.api import sound_name
from engine.data.manifest import read_manifest
from engine.evaluation.classes import called
from engine.sounds import classes_of
from stream.onsets import OnsetRules
from tests import sound_events
from tests.fakes.engine import ScriptedEngine, ScriptedUtterance
from tests.heard_sounds import Passage
from tests.sound_scenes import (
    MUSIC,
    RATE,
    RATIO_DB,
    Heard,
    heard_part,
    mix_scene,
)
from tests.sound_scores import (
    Counts,
    by_class,
    calibration,
    count,
    curve,
    pooled,
)

TONES = {"dog bark": 1_000, "rain": 2_000, "cello": 3_000, MUSIC: 400}
"""Frequencies by which sounds are told apart here."""
LENGTH_S = 60.0


def tone(label, seconds):
    times = np.arange(round(seconds * RATE)) / RATE
    return 0.1 * np.sin(2 * np.pi * TONES[label] * times)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    rng, lines = np.random.default_rng(0), []

    def add(name, samples, **facts):
        soundfile.write(folder / f"{name}.wav", samples, RATE)
        facts |= {"path": f"{name}.wav", "duration_s": len(samples) / RATE}
        lines.append(json.dumps(facts | {"split": "dev"}))

    for n in range(3):
        burst = rng.normal(0, 0.1, 2 * RATE)
        add(f"said{n}", burst, set="librispeech_devclean20", text=f"WORD {n}")
        add(f"music{n}", tone(MUSIC, 12), set="game_music", tags_estimated={})
        for label in ("dog bark", "rain"):
            padded = np.concatenate([tone(label, 2), np.zeros(3 * RATE)])
            add(f"{label}{n}", padded, set="esc10", label=label)
        add(f"cello{n}", tone("cello", 3), set="instruments", label="cello")
    (folder / "manifest.jsonl").write_text("\n".join(lines) + "\n")
    return folder / "manifest.jsonl"


@pytest.fixture
def clips(manifest):
    return read_manifest(manifest, split="dev")


def mixed(clips, seed=1, length_s=LENGTH_S):
    return mix_scene(clips, length_s=length_s, seed=seed)


def test_a_scene_follows_from_its_seed(clips):
    one, other, third = (mixed(clips, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.samples, other.samples)
    assert (one.speech, one.sounds) == (other.speech, other.sounds)
    assert one.sounds != third.sounds


def test_it_has_speech_music_and_sounds_one_at_a_time(clips):
    scene = mixed(clips, length_s=240.0)
    assert len(scene.samples) == 240 * RATE
    assert {heard.label for heard in scene.sounds} == set(TONES)
    assert {heard.label for heard in scene.speech} <= {f"WORD {n}" for n in range(3)}
    placed = [heard for heard in scene.sounds if heard.label != MUSIC]
    for heard, following in pairwise(placed):
        assert heard.start < heard.end < following.start
    for heard in scene.speech:
        assert heard.end - heard.start == 2 * RATE, "a sentence is whole"


def test_a_sound_is_as_much_louder_as_is_told(clips):
    scene = mixed(clips, length_s=240.0)
    low, high = RATIO_DB
    for heard in (one for one in scene.sounds if one.label != MUSIC):
        assert low <= heard.ratio_db <= high
        assert heard.end - heard.start <= 3 * RATE
        here = scene.samples[heard.start : heard.end]
        spectrum = np.abs(np.fft.rfft(here)) ** 2
        frequencies = np.fft.rfftfreq(len(here), 1 / RATE)
        near = np.abs(frequencies - TONES[heard.label]) < 20
        ratio = 10 * np.log10(spectrum[near].sum() / spectrum[~near].sum())
        # Beneath a silence that is all noise, the noise floor is what counts.
        assert ratio > heard.ratio_db - 1.5


def test_the_silence_about_a_sound_is_no_part_of_it():
    padded = np.concatenate([np.zeros(RATE), tone("rain", 1), np.zeros(2 * RATE)])
    assert len(heard_part(padded.astype(np.float32))) == RATE
    nothing = np.zeros(RATE, np.float32)
    assert len(heard_part(nothing)) == RATE


def test_a_scene_without_sentences_or_sounds_is_refused(clips):
    with pytest.raises(ValueError, match="sentences and sounds"):
        mixed([clip for clip in clips if clip.facts["set"] == "esc10"])


def span(start_s, end_s):
    return round(start_s * RATE), round(end_s * RATE)


def heard(label, start_s, end_s):
    return Heard(label, *span(start_s, end_s))


def test_each_truth_is_hit_once():
    truths = [heard("rain", 10, 12), heard("rain", 30, 32)]
    told = [span(9.5, 11), span(11.5, 12), span(20, 21), span(32.5, 33)]
    found = count(truths, told)
    assert (found.truths, found.told, found.hits) == (2, 4, 2)
    assert found.onsets_s == [-0.5, 2.5]
    assert (found.precision, found.recall) == (0.5, 1.0)
    assert found.onset_error_s(0.5) == 1.5


def test_where_there_is_nothing_no_share_is_told():
    assert (Counts().precision, Counts().recall) == (None, None)
    assert Counts().onset_error_s(0.5) is None
    assert count([], [span(0, 1)]).precision == 0.0


def test_of_music_nobody_said_which_instruments_play():
    truths = [heard(MUSIC, 0, 20), heard("cello", 40, 44)]
    told = [
        ("music", span(1, 19)),
        ("music: cello", span(5, 8)),
        ("music: cello", span(40, 45)),
        ("music: cello", span(60, 61)),
    ]
    found = by_class(truths, told, ["music", "music: cello"])
    assert (found["music"].told, found["music"].hits) == (1, 1)
    assert (found["music: cello"].told, found["music: cello"].hits) == (2, 1)


def test_a_curve_trades_misses_for_false_alarms():
    truths = [heard("rain", 4, 6), heard("rain", 24, 26)]
    scores = {3: 0.3, 6: 0.9, 13: 0.5, 26: 0.7}
    passages = [
        Passage(*span(end - 2, end), {"?": scores.get(end, 0.02)})
        for end in range(2, 40)
    ]
    rules = OnsetRules(threshold=0.7, release=0.5)
    points = curve(truths, passages, "?", rules, hours=0.5)
    by_threshold = {point.threshold: point for point in points}
    assert (by_threshold[0.95].missed, by_threshold[0.8].missed) == (1.0, 0.5)
    assert by_threshold[0.6].missed == 0.0
    assert by_threshold[0.6].false_alarms_per_hour == 0.0
    assert by_threshold[0.4].false_alarms_per_hour == 2.0
    missed = [point.missed for point in points]
    assert missed == sorted(missed)
    assert pooled({"a": points, "b": points}) == points


@pytest.mark.parametrize(("scale", "bias"), [(0.5, -1.0), (2.0, 0.5), (2.0, -14.0)])
def test_a_calibration_undoes_what_is_wrong_with_log_odds(scale, bias):
    rng = np.random.default_rng(0)
    told = rng.normal(0, 4, 8_000)
    # Each passage has a second of its own, and a sound as often as is right.
    chances = 1 / (1 + np.exp(-(scale * told + bias)))
    passages = [
        Passage(*span(n, n + 1), {"?": float(1 / (1 + np.exp(-odds)))})
        for n, odds in enumerate(told)
    ]
    truths = [
        heard("rain", n, n + 1) for n, p in enumerate(chances) if rng.random() < p
    ]
    found = calibration(truths, passages, {"rain": "?"})
    assert found == pytest.approx((scale, bias), rel=0.2, abs=0.15)


def test_where_all_is_the_same_there_is_nothing_to_calibrate():
    passages = [Passage(*span(n, n + 1), {"?": 0.5}) for n in range(4)]
    assert calibration([], passages, {"rain": "?"}) is None
    assert calibration([heard("rain", 0, 1)], passages, {"rain": "?"}) is None


class ToneUtterance(ScriptedUtterance):
    """Hears sounds by their frequencies, and no words."""

    def push(self, samples):
        self._samples = np.concatenate([getattr(self, "_samples", []), samples])

    def partial(self):
        return self._hypotheses(0, is_final=False)

    def final(self):
        return self._hypotheses(0, is_final=True)

    def weigh(self, names):
        self._engine.weighed.append(tuple(names))
        power = np.abs(np.fft.rfft(self._samples)) ** 2
        frequencies = np.fft.rfftfreq(len(self._samples), 1 / RATE)
        shares = {
            label: power[np.abs(frequencies - tone) < 20].sum() / power.sum()
            for label, tone in TONES.items()
        }
        return [
            max(
                8.0 if share > 0.1 else -8.0
                for label, share in shares.items()
                if label in name or sound_name(called(label)) in name
            )
            for name in names
        ]


class ToneEngine(ScriptedEngine):
    def __init__(self, *, sounds=("dog bark", "rain", "cello", "music")):
        super().__init__()
        self.info = replace(self.info, sounds=classes_of(sounds))

    def open(self, options):
        self.num_open += 1
        return ToneUtterance(self, options)


def run(monkeypatch, capsys, manifest, engine, *more):
    monkeypatch.setattr(sound_events, "load", lambda _: engine)
    arguments = ["--manifest", str(manifest), "--length-s", "90", "--cost-s", "6"]
    code = sound_events.main([*arguments, *more])
    return code, capsys.readouterr()


def test_the_command_tells_all_of_it(monkeypatch, capsys, manifest):
    engine = ToneEngine()
    code, told = run(monkeypatch, capsys, manifest, engine)
    assert code == 0
    facts = json.loads(told.out.splitlines()[-1])
    everything = facts["all_watches"]
    assert everything["truths"] > 3
    # It hears what is loud enough, where it is, and nothing else.
    assert everything["recall"] > 0.7
    assert everything["precision"] > 0.8
    assert everything["onset_s"] <= 2.0
    assert facts["all_sounds"]["recall"] > 0.5
    assert set(facts["det"]) == {*facts["watches"], "all"}
    assert len(facts["det"]["all"]) == 19
    # The captions are the same, whatever is listened for.
    assert facts["wer"]["alone"] == facts["wer"]["with_sounds"] == 100.0
    assert set(facts["cost"]) == {
        "0 watches",
        "1 watches",
        "4 watches",
        "16 watches",
    } | {"sounds"}
    assert facts["cost"]["0 watches"]["weighing"] == 0.0
    assert max(map(len, engine.weighed)) == 16
    assert engine.num_open == 0
    for word in ("precision", "false/h", "WER, %", "weighing, s/s", "dog barking"):
        assert word in told.out


def test_without_captions_sounds_and_watches_are_what_they_are(
    monkeypatch, capsys, manifest
):
    found = []
    for more in ((), ("--no-captions",)):
        arguments = (*more, "--cost-s", "0")
        _, told = run(monkeypatch, capsys, manifest, ToneEngine(), *arguments)
        found.append(json.loads(told.out.splitlines()[-1]))
    for what in ("all_watches", "all_sounds", "det", "calibration"):
        assert found[0][what] == found[1][what]
    assert found[1]["wer"] == {}


def test_a_model_that_answers_no_questions_is_refused(monkeypatch, capsys, manifest):
    engine = ToneEngine()
    engine.info = replace(engine.info, answers_questions=False)
    code, told = run(monkeypatch, capsys, manifest, engine)
    assert code == 1
    assert "answers no questions" in told.err


def test_what_is_not_there_is_told(monkeypatch, capsys, manifest):
    code, told = run(monkeypatch, capsys, manifest, ToneEngine(), "--split", "test")
    assert code == 1
    assert told.err.startswith("sound_events: ")
