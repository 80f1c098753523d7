"""A linear probe: it learns what is linear, and says honestly what is not."""

from pathlib import Path

import numpy as np

from engine.data.manifest import Clip
from engine.evaluation.probe import (
    TASKS,
    Ear,
    learn,
    not_taught,
    probe,
    probe_each,
    sets_of,
    shown,
)

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
    ear = Ear("whisper", (lambda c: vectors[c.path],))
    found = probe(SOUND, "x", each, ear)
    assert (found.accuracy, found.n, found.train, found.labels) == (1.0, 30, 60, 3)
    # Labels of dev clips are not looked at.
    wrong = [(c, "dog" if c.facts["split"] == "dev" else label) for c, label in each]
    assert probe(SOUND, "x", wrong, ear).accuracy == 1 / 3


def test_what_two_hear_together_is_set_beside_the_first():
    heard, labels = drawn(90, seed=6)
    vectors = {str(n): vector for n, vector in enumerate(heard)}
    each = [
        (clip(str(n), "dev" if n >= 60 else "train", label=label), label)
        for n, label in enumerate(labels)
    ]

    def deaf(c):
        return vectors[c.path][10:]

    def hears(c):
        return vectors[c.path][7:9]

    ears = [Ear("whisper", (deaf,)), Ear("beats", (hears,)), Ear("both", (deaf, hears))]
    whisper, beats, both = probe_each(SOUND, "x", each, ears)
    assert whisper.beside_whisper is None
    assert whisper.accuracy < 0.7
    assert beats.accuracy == both.accuracy == 1.0
    beside = both.beside_whisper
    assert beside.only_second == 30 - sum(whisper.right)
    assert beside.only_first == 0
    assert beside.low > 0
    assert "whisper  accuracy" in shown(whisper)
    assert f"alone right {beside.only_second}, alone wrong 0" in shown(both)


def test_how_much_the_second_counts_is_chosen_without_the_clip():
    rng = np.random.default_rng(0)
    labels = [str(n % 3) for n in range(60)]
    told = np.array([[float(label == name) for name in "012"] for label in labels])
    told += rng.normal(scale=0.3, size=told.shape)
    heard = np.hstack([rng.normal(size=(60, 400)), told])
    ear = Ear("both", (lambda c: np.zeros(400), lambda c: np.zeros(3)))
    little, much = ear.emphases(clip("a"))
    assert set(little) == {1.0}
    assert list(much[398:]) == [1.0, 1.0, 4.0, 4.0, 4.0]
    assert learn(heard, labels, much).left_out > learn(heard, labels, little).left_out
    assert len(Ear("whisper", ear.parts[:1]).emphases(clip("a"))) == 1


def test_an_emphasis_changes_the_penalty_and_not_what_is_heard():
    known, labels = drawn(60, seed=7)
    learned = learn(known, labels, np.linspace(0.5, 2.0, 20))
    others, truth = drawn(30, seed=8)
    assert learned.name(others) == truth


def test_what_an_encoder_was_taught_is_not_learned_from_again():
    clips = [clip("a"), clip("b"), clip("c", "dev")]
    assert [c.path for c in not_taught(clips, frozenset("ac"))] == ["b", "c"]
