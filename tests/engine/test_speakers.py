import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import speakers
from engine.speakers import MAX_RECENT, UNKNOWN, Clusters, Rules, runs

WIDTH = 64
RULES = Rules(new_below=0.7, change_costs=0.3, founding=3, same_from=0.9, slack=0.1)


def voice(number, rng):
    """Return a direction; directions of two numbers have a cosine of about 0."""
    base = np.random.default_rng(1_000 + number).normal(size=WIDTH)
    noise = rng.normal(size=WIDTH) * 0.35
    return ((base + noise) / np.linalg.norm(base + noise)).astype(np.float32)


def windows(*numbers, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([voice(number, rng) for number in numbers])


def heard(clusters, segment, *numbers, seed=0):
    clusters.add(segment, windows(*numbers, seed=seed))
    clusters.end(segment)
    return clusters.labels(segment).tolist()


def test_the_first_voice_is_speaker_1_and_the_next_is_2():
    clusters = Clusters(8, RULES)
    assert heard(clusters, 1, *[1] * 6) == [1] * 6
    assert heard(clusters, 2, *[2] * 6, seed=1) == [2] * 6
    assert heard(clusters, 3, *[1] * 6, seed=2) == [1] * 6
    assert clusters.speakers == [1, 2]


def test_a_segment_is_split_where_the_voice_changes():
    clusters = Clusters(8, RULES)
    assert (
        heard(clusters, 1, *[1] * 6, *[2] * 5, *[1] * 4) == [1] * 6 + [2] * 5 + [1] * 4
    )


def test_one_window_that_sounds_odd_does_not_cut_a_turn():
    clusters = Clusters(8, RULES)
    heard(clusters, 1, *[1] * 6, *[2] * 6)
    odd = windows(*[1] * 7, seed=3)
    odd[3] = odd[3] * 0.75 + windows(2)[0] * 0.66
    odd[3] /= np.linalg.norm(odd[3])
    clusters.add(2, odd)
    clusters.end(2)
    assert clusters.labels(2).tolist() == [1] * 7


def test_who_is_like_nobody_is_unknown_until_heard_for_long_enough():
    clusters = Clusters(8, RULES)
    heard(clusters, 1, *[1] * 6)
    new = windows(2, 2, 2, seed=4)
    assert clusters.add(2, new[:2]) == [2]
    assert clusters.labels(2).tolist() == [UNKNOWN, UNKNOWN]
    clusters.add(2, new[2:])
    assert clusters.labels(2).tolist() == [2, 2, 2]


def test_a_word_of_somebody_new_is_given_to_whom_it_is_most_like():
    clusters = Clusters(8, RULES)
    heard(clusters, 1, *[1] * 6)
    assert heard(clusters, 2, 2) == [1]


def test_before_anybody_is_known_a_word_is_nobody_s_and_corrected_later():
    clusters = Clusters(8, RULES)
    assert heard(clusters, 1, 1) == [UNKNOWN]
    clusters.add(2, windows(*[1] * 6, seed=5))
    assert clusters.end(2) == [1]
    assert clusters.labels(1).tolist() == [1]


def test_there_are_never_more_speakers_than_may_be():
    clusters = Clusters(2, RULES)
    for number in range(1, 6):
        heard(clusters, number, *[number] * 6, seed=number)
    assert clusters.speakers == [1, 2]
    assert all(label in (1, 2) for n in range(1, 6) for label in clusters.labels(n))


def test_speakers_that_turn_out_to_be_one_are_joined_and_told_again():
    # So strict that a voice with a cold is somebody new; heard on, it is the same.
    clusters = Clusters(8, Rules(new_below=0.9, founding=3, same_from=0.88, slack=0.0))
    plain = windows(*[1] * 4, seed=1).mean(0)
    cold = plain + 0.6 * windows(*[2] * 4, seed=2).mean(0)
    between = plain + cold
    plain, cold, between = (v / np.linalg.norm(v) for v in (plain, cold, between))
    for segment, one in ((1, plain), (2, cold)):
        clusters.add(segment, np.stack([one] * 4))
        clusters.end(segment)
    assert clusters.labels(2).tolist() == [2] * 4
    clusters.add(3, np.stack([between] * 12))
    changed = clusters.end(3)
    assert clusters.speakers == [1]
    assert clusters.joined() == [(2, 1)]
    assert clusters.joined() == []
    assert changed == [2, 3]
    assert clusters.labels(2).tolist() == [1] * 4


@settings(deadline=None, max_examples=30)
@given(
    numbers=st.lists(st.integers(1, 3), min_size=1, max_size=25),
    cuts=st.lists(st.integers(1, 24), max_size=5),
)
def test_windows_may_come_one_by_one_or_all_at_once(numbers, cuts):
    voices = windows(*sorted(numbers))
    whole, cut = Clusters(2, RULES), Clusters(2, RULES)
    whole.add(1, voices)
    for piece in np.split(voices, sorted(cuts)):
        if len(piece):
            cut.add(1, piece)
    assert whole.labels(1).tolist() == cut.labels(1).tolist()
    whole.end(1)
    cut.end(1)
    assert whole.labels(1).tolist() == cut.labels(1).tolist()


def test_only_so_many_windows_are_kept_and_speakers_are_known_on():
    clusters = Clusters(8, RULES)
    for number in range(1, 60):
        heard(clusters, number, *[1 + number % 2] * 50, seed=number)
    assert len(clusters.segments) == MAX_RECENT // 50
    assert max(clusters.segments) == 59
    assert heard(clusters, 60, *[2] * 5, seed=77) == heard(
        clusters, 61, *[2] * 5, seed=78
    )
    assert clusters.speakers == [1, 2]


def test_what_is_told_otherwise_can_still_be_told(monkeypatch):
    monkeypatch.setattr(speakers, "MAX_RECENT", 10)
    clusters = Clusters(8, RULES)
    assert heard(clusters, 1, 1) == [UNKNOWN]
    clusters.add(2, windows(*[1] * 9, seed=5))
    assert clusters.end(2) == [1]
    assert clusters.labels(1).tolist() == [1]
    clusters.add(3, windows(*[1] * 9, seed=6))
    assert set(clusters.end(3)) <= clusters.segments
    assert clusters.segments == {3}


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([], []),
        ([1], [(1, 0, 1)]),
        ([1, 1, 2, 1], [(1, 0, 2), (2, 2, 3), (1, 3, 4)]),
    ],
)
def test_runs_of_labels(labels, expected):
    assert runs(np.array(labels, np.intp)) == expected


def test_who_was_enrolled_is_known_from_the_first_window_on():
    clusters = Clusters(8, RULES)
    assert clusters.enrol(windows(*[1] * 5)) == 1
    assert clusters.enrol(windows(*[2] * 5, seed=1)) == 2
    clusters.add(1, windows(2, seed=2))
    assert clusters.labels(1).tolist() == [2]
    assert heard(clusters, 2, *[3] * 6, seed=3) == [3] * 6


def test_somebody_who_was_heard_and_is_then_enrolled_is_one_speaker():
    clusters = Clusters(8, RULES)
    heard(clusters, 1, *[1] * 6)
    heard(clusters, 2, *[2] * 6, seed=1)
    assert clusters.enrol(windows(*[2] * 5, seed=2)) == 2
    assert clusters.speakers == [1, 2]


def test_where_there_is_no_room_the_most_alike_is_who_was_enrolled():
    clusters = Clusters(2, RULES)
    heard(clusters, 1, *[1] * 6)
    heard(clusters, 2, *[2] * 6, seed=1)
    assert clusters.enrol(windows(*[3] * 5, seed=2)) in (1, 2)
    assert clusters.speakers == [1, 2]


def test_two_who_were_enrolled_are_never_one_and_others_are_joined_to_them():
    rules = Rules(new_below=0.95, change_costs=0.1, founding=2, same_from=0.5, slack=0)
    clusters = Clusters(8, rules)
    same = [windows(*[1] * 4, seed=seed) for seed in range(3)]
    assert [clusters.enrol(voices) for voices in same[:2]] == [1, 2]
    clusters.add(1, same[2])
    clusters.end(1)
    assert clusters.speakers == [1, 2]
    assert all(kept in (1, 2) for _, kept in clusters.joined())
    assert set(clusters.labels(1).tolist()) <= {1, 2}
