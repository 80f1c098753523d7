"""The choice of what the engine does next."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.api import UtteranceOptions
from stream.book import JobBook
from stream.jobs import (
    Action,
    Failed,
    HearAudio,
    Hearing,
    Job,
    MakeFinal,
    OpenUtterance,
    TryFinal,
)
from stream.utterances import BLOCK, EARLY, EARLY_STEP, SLICE

OPTIONS = UtteranceOptions()


def audio(segment, samples):
    return HearAudio(segment, bytes(2 * samples))


def begin(segment, samples, *, partials=True):
    return [OpenUtterance(segment, OPTIONS, partials), audio(segment, samples)]


def brief(work):
    return (work.session, work.segment, work.action, len(work.pcm) // 2)


def drain(book):
    done = []
    while (work := book.take(0.0)) is not None:
        done.append(brief(work))
    return done


def test_less_than_an_early_step_is_not_worth_a_turn():
    book = JobBook()
    book.add("a", begin(1, EARLY_STEP - 1), 0.0)
    assert book.take(0.0) is None
    book.add("a", [audio(1, 1)], 0.0)
    assert drain(book) == [("a", 1, Action.PARTIAL, EARLY_STEP)]


def test_the_first_partials_come_in_shorter_steps_than_the_later_ones():
    book, heard, steps = JobBook(), 0, []
    book.add("a", [OpenUtterance(1, OPTIONS, True)], 0.0)
    for _ in range(100):  # frames of 20 ms
        book.add("a", [audio(1, 320)], 0.0)
        if work := book.take(0.0):
            steps.append(work.heard - heard)
            heard = work.heard
    assert steps[: EARLY // EARLY_STEP] == [EARLY_STEP] * (EARLY // EARLY_STEP)
    assert steps[-1] == BLOCK


def test_an_early_step_waits_until_nobody_else_wants_the_engine():
    book = JobBook()
    book.add("early", begin(1, EARLY_STEP), 0.0)
    book.add("block", begin(1, 2 * SLICE), 0.0)
    assert [session for session, *_ in drain(book)] == ["block", "block", "early"]


def test_an_early_step_is_no_work_that_waits():
    book = JobBook()
    book.add("a", begin(1, EARLY_STEP), 0.0)
    assert book.longest_wait(9.0) == 0.0


def test_no_early_step_is_made_for_a_client_that_wants_no_partials():
    book = JobBook()
    book.add("a", begin(1, EARLY_STEP, partials=False), 0.0)
    assert book.take(0.0) is None


def test_later_blocks_are_counted_from_the_start_of_the_segment():
    book = JobBook()
    book.add("a", begin(1, 4 * BLOCK + 100), 0.0)
    assert sum(samples for *_, samples in drain(book)) == 4 * BLOCK + 100
    book.add("a", [audio(1, BLOCK - 101)], 0.0)
    assert book.take(0.0) is None
    book.add("a", [audio(1, 1)], 0.0)
    assert drain(book) == [("a", 1, Action.PARTIAL, BLOCK - 100)]


def test_a_newer_partial_replaces_an_older_one():
    book = JobBook()
    book.add("a", begin(1, BLOCK), 0.0)
    book.add("a", [audio(1, BLOCK)], 0.0)
    assert drain(book) == [("a", 1, Action.PARTIAL, 2 * BLOCK)]


def test_a_client_that_wants_no_partials_gets_none():
    book = JobBook()
    book.add("a", begin(1, BLOCK, partials=False), 0.0)
    assert drain(book) == [("a", 1, Action.HEAR, BLOCK)]


def test_finals_go_before_early_finals_and_those_before_audio():
    book = JobBook()
    book.add("audio", begin(1, BLOCK), 0.0)
    book.add("pause", [*begin(1, 320), TryFinal(1)], 0.0)
    book.add("end", [*begin(1, 320), MakeFinal(1)], 0.0)
    assert drain(book) == [
        ("end", 1, Action.FINAL, 320),
        ("pause", 1, Action.EARLY_FINAL, 320),
        ("audio", 1, Action.PARTIAL, BLOCK),
    ]


def test_an_early_final_is_not_made_when_speech_has_gone_on():
    book = JobBook()
    book.add("a", [*begin(1, 320), TryFinal(1), audio(1, 320)], 0.0)
    assert drain(book) == []


def test_a_pause_that_became_an_end_makes_one_final():
    book = JobBook()
    book.add("a", [*begin(1, 320), TryFinal(1), MakeFinal(1)], 0.0)
    assert drain(book) == [("a", 1, Action.FINAL, 320)]


def test_a_final_after_an_early_final_has_nothing_more_to_hear():
    book = JobBook()
    book.add("a", [*begin(1, 320), TryFinal(1)], 0.0)
    assert drain(book) == [("a", 1, Action.EARLY_FINAL, 320)]
    book.add("a", [MakeFinal(1)], 0.0)
    assert drain(book) == [("a", 1, Action.FINAL, 0)]


def test_sessions_take_turns():
    book = JobBook()
    for name in "abc":
        book.add(name, begin(1, 2 * SLICE), 0.0)
    assert [session for session, *_ in drain(book)] == list("abcabc")


def test_a_session_that_lags_gets_no_partials_until_it_has_caught_up():
    book = JobBook()
    book.add("a", begin(1, 2 * SLICE + BLOCK), 0.0)
    works = [book.take(0.0) for _ in range(3)]
    assert [work.action for work in works] == [
        Action.HEAR,
        Action.HEAR,
        Action.PARTIAL,
    ]
    assert [work.shed for work in works] == [True, True, False]


def test_the_finals_of_a_flood_do_not_go_before_the_audio_of_others():
    book = JobBook()
    for segment in range(1, 9):
        book.add("flood", [*begin(segment, SLICE // 2), MakeFinal(segment)], 0.0)
    book.add("live", begin(1, BLOCK), 0.0)
    assert ("live", 1, Action.PARTIAL, BLOCK) in drain(book)[:2]


def test_the_wait_is_that_of_the_most_neglected_and_ends_with_its_turn():
    book = JobBook()
    book.add("a", begin(1, BLOCK), 1.0)
    book.add("b", begin(1, BLOCK), 3.0)
    assert book.longest_wait(4.0) == 3.0
    assert book.take(4.0).waited_s == 3.0
    assert book.longest_wait(4.0) == 1.0
    book.take(4.0)
    assert book.longest_wait(9.0) == 0.0


def test_a_backlog_of_one_session_does_not_count_as_a_wait():
    book = JobBook()
    book.add("fast", begin(1, 30 * SLICE), 0.0)
    for second in range(1, 10):
        book.take(float(second))
    assert book.longest_wait(9.0) == 0.0


def test_a_session_that_left_is_closed_and_forgotten():
    book = JobBook()
    book.add("a", [*begin(1, BLOCK), *begin(2, BLOCK)], 0.0)
    book.take(0.0)
    book.cancel("a")
    assert drain(book) == [("a", 1, Action.CLOSE, 0)]
    assert book.backlog("a") == 0


def test_a_segment_that_failed_is_closed_and_the_session_goes_on():
    book = JobBook()
    book.add("a", [*begin(1, BLOCK), TryFinal(1)], 0.0)
    book.take(0.0)
    book.note("a", Failed(1, "engine", "no"))
    book.add("a", begin(2, BLOCK), 0.0)
    assert drain(book) == [("a", 1, Action.CLOSE, 0), ("a", 2, Action.PARTIAL, BLOCK)]


def test_cancelling_a_session_nobody_knows_does_nothing():
    book = JobBook()
    book.cancel("a")
    book.note("a", Failed(1, "engine", "no"))
    assert book.take(0.0) is None


sizes = st.integers(1, 3 * SLICE)
pieces = st.lists(st.tuples(sizes, st.booleans()), min_size=1, max_size=4)
conversations = st.dictionaries(
    st.sampled_from("abcd"), st.lists(pieces, min_size=1, max_size=3), min_size=1
)


@given(conversations=conversations, data=st.data())
def test_every_sample_is_handed_out_once_and_every_final_is_made(conversations, data):
    scripts: dict[str, list[Job]] = {}
    expected: dict[tuple[str, int], int] = {}
    for session, segments in conversations.items():
        script: list[Job] = []
        for number, parts in enumerate(segments, start=1):
            script.append(OpenUtterance(number, OPTIONS, True))
            for samples, pauses in parts:
                script.append(audio(number, samples))
                if pauses:
                    script.append(TryFinal(number))
            script.append(MakeFinal(number))
            expected[session, number] = sum(samples for samples, _ in parts)
        scripts[session] = script
    book, done = JobBook(), []
    while any(scripts.values()):
        session = data.draw(st.sampled_from([s for s in scripts if scripts[s]]))
        book.add(session, [scripts[session].pop(0)], 0.0)
        if data.draw(st.booleans()) and (work := book.take(0.0)):
            done.append(work)
    while work := book.take(0.0):
        done.append(work)
    heard: dict[tuple[str, int], int] = defaultdict(int)
    finals: list[Hearing] = []
    for work in done:
        assert (work.session, work.segment) not in {
            (final.session, final.segment) for final in finals
        }, "work for a segment whose final was made"
        heard[work.session, work.segment] += len(work.pcm) // 2
        finals += [work] if work.action is Action.FINAL else []
    assert heard == expected
    assert len(finals) == len(expected)
    assert all(book.backlog(session) == 0 for session in scripts)


@pytest.mark.parametrize("loud", [1, 5])
def test_the_work_of_one_session_is_a_bounded_wait_for_another(loud):
    book = JobBook()
    for number in range(loud):
        book.add(f"loud{number}", begin(1, 60 * SLICE), 0.0)
    book.add("quiet", begin(1, BLOCK), 0.0)
    turns = [book.take(0.0).session for _ in range(loud + 1)]
    assert "quiet" in turns
