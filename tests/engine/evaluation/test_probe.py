"""A linear probe: it learns what is linear, and says honestly what is not."""

from pathlib import Path

import numpy as np
import pytest

from engine.data.manifest import Clip
from engine.evaluation.probe import TASKS, Listener, learn, probe, sets_of, summary
from engine.training.features import FeatureSettings
from engine.training.frame_store import FrameReader, FrameWriter

SOUND = next(task for task in TASKS if task.row == "Sound")
KIND = next(task for task in TASKS if task.row == "Kind")


def clip(name, split="train", **facts):
    known = {"set": "x", "split": split, "task": "sound-event", **facts}
    return Clip(name, Path(name), 2.0, known)


def drawn(count, seed):
    """Return clips of three labels in 20 dimensions, of which one tells them apart."""
    rng = np.random.default_rng(seed)
    labels = [("dog", "rain", "sea")[number % 3] for number in range(count)]
    heard = rng.normal(size=(count, 20)) * 100 ** rng.random(20)
    heard[:, 7] = [("dog", "rain", "sea").index(label) for label in labels]
    heard[:, 8] = heard[:, 7] ** 2
    return heard, labels


def test_what_is_linear_is_learned():
    known, labels = drawn(60, seed=1)
    learned = learn(known, labels)
    others, truth = drawn(30, seed=2)
    assert learned.name(others) == truth


def test_leave_one_out_in_closed_form_is_leaving_one_out():
    heard, labels = drawn(24, seed=3)
    heard[:, 7:9] += np.random.default_rng(4).normal(scale=0.6, size=(24, 2))
    learned = learn(heard, labels)
    features = (heard - learned.mean) / learned.scale
    features = np.hstack([features, np.ones((24, 1))])
    targets = np.array([[one == name for name in learned.labels] for one in labels])

    def right(penalty):
        count = 0
        for left_out in range(24):
            rest = np.delete(np.arange(24), left_out)
            x, y = features[rest], targets[rest].astype(float)
            gram = x.T @ x + penalty * features.shape[1] * np.eye(features.shape[1])
            scores = features[left_out] @ np.linalg.solve(gram, x.T @ y)
            count += targets[left_out, scores.argmax()]
        return count

    assert right(learned.penalty) == max(right(10.0**power) for power in range(-4, 7))


def test_labels_that_nothing_tells_are_not_learned():
    rng = np.random.default_rng(0)
    labels = [str(n % 4) for n in range(80)]
    learned = learn(rng.normal(size=(80, 500)), labels)
    truth = [str(n % 4) for n in range(400)]
    told = learned.name(rng.normal(size=(400, 500)))
    assert sum(map(str.__eq__, told, truth)) < 0.35 * 400


def test_a_set_is_probed_where_it_has_both_splits():
    clips = [
        clip("a", label="rain"),
        clip("b", "dev", label="rain"),
        clip("c", label="rain", set="y"),
        clip("d", "dev", label={"no": "label"}),
        clip("e", "dev", task="asr", text="go"),
    ]
    ((name, each),) = sets_of(SOUND, clips)
    assert name == "x"
    assert [(c.path, label) for c, label in each] == [("a", "rain"), ("b", "rain")]
    ((name, each),) = sets_of(KIND, clips)
    assert name == "all sets"
    assert [label for _, label in each] == ["noise", "noise", "noise", "speech"]


def test_it_learns_from_one_split_and_is_measured_on_the_other():
    heard, labels = drawn(90, seed=5)
    vectors = {str(n): vector for n, vector in enumerate(heard)}
    each = [
        (clip(str(n), "dev" if n >= 60 else "train", label=label), label)
        for n, label in enumerate(labels)
    ]
    found = probe(SOUND, "x", each, lambda c: vectors[c.path])
    assert (found.accuracy, found.n, found.train, found.labels) == (1.0, 30, 60, 3)
    # Labels of dev clips are not looked at.
    wrong = [(c, "dog" if c.facts["split"] == "dev" else label) for c, label in each]
    assert probe(SOUND, "x", wrong, lambda c: vectors[c.path]).accuracy == 1 / 3


def test_silence_behind_kept_frames_is_not_heard(tmp_path):
    settings = FeatureSettings(encoder_sha256="", layers=(6,), layer_width=2)
    frames = np.ones((150, 2), np.float16)
    frames[:50, 0] = 3.0
    frames[100:] = 99.0  # behind two seconds of sound
    with FrameWriter(tmp_path, width=2, settings={}, max_bytes=10_000) as writer:
        writer.append("a", frames, {})
    listener = Listener(settings, FrameReader(tmp_path, width=2))
    assert listener.hear(clip("a")) == pytest.approx([2.0, 1.0, 1.0, 0.0])


def test_mean_and_deviation_are_exact_for_large_values():
    frames = np.full((1000, 1), 540.0, np.float16)
    frames[::2] = 541.0
    assert summary(frames) == pytest.approx([540.5, 0.5])
