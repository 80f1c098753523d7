"""The choice of what the engine does next, where it is also asked."""

import itertools
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.api import Finish, Prompt, UtteranceOptions
from stream.book import JobBook
from stream.jobs import (
    Action,
    Answered,
    Asking,
    AskPrompt,
    CancelReply,
    Dropping,
    Failed,
    Generating,
    HearAudio,
    Hearing,
    MakeFinal,
    OpenUtterance,
    ReleaseKept,
    ReplyFailed,
)
from stream.replies import MOST_AT_ONCE, SHARE
from stream.utterances import BLOCK, SLICE

OPTIONS = UtteranceOptions()
PROMPT = Prompt(text="what?")


def audio(segment, samples):
    return HearAudio(segment, bytes(2 * samples))


def begin(segment, samples):
    return [OpenUtterance(segment, OPTIONS, True, keep=True), audio(segment, samples)]


def spoken(segment, samples=320):
    return [*begin(segment, samples), MakeFinal(segment)]


def about(reply, segment, *, standing=False):
    return AskPrompt(reply=reply, prompt=PROMPT, segment=segment, standing=standing)


def recent(reply, samples, *, standing=False):
    pcm = bytes(2 * samples)
    return AskPrompt(reply=reply, prompt=PROMPT, pcm=pcm, standing=standing)


def brief(work):
    match work:
        case Hearing():
            return work.action.name, work.session, work.segment
        case Asking():
            return "ASK" if work.is_last else "LISTEN", work.session, work.reply
        case Generating():
            return "STEP", *(f"{session}{reply}" for session, reply in work.replies)
        case Dropping():
            return "DROP", work.session, work.reply


def take(book, count):
    return [brief(work) for _ in range(count) if (work := book.take(0.0))]


def answer(book, session, reply):
    book.note(session, Answered(reply, "", 1, Finish.STOP))


def test_a_reply_of_a_final_is_begun_before_anything_but_finals():
    book = JobBook()
    book.add("live", begin(1, BLOCK), 0.0)
    book.add("a", [*spoken(1), about(1, 1, standing=True)], 0.0)
    assert take(book, 5) == [
        ("FINAL", "a", 1),
        ("ASK", "a", 1),
        ("STEP", "a1"),
        ("PARTIAL", "live", 1),
        ("STEP", "a1"),
    ]


def test_a_final_goes_before_all_replies():
    book = JobBook()
    book.add("a", [*spoken(1), about(1, 1, standing=True)], 0.0)
    take(book, 1)
    book.add("b", spoken(1), 0.0)
    assert take(book, 2) == [("FINAL", "b", 1), ("ASK", "a", 1)]


def test_questions_replies_and_hearing_take_turns():
    book = JobBook()
    book.add("live", begin(1, 3 * SLICE), 0.0)
    book.add("a", [recent(1, SLICE), recent(2, 3 * SLICE)], 0.0)
    assert take(book, 8) == [
        ("ASK", "a", 1),
        ("STEP", "a1"),
        ("HEAR", "live", 1),
        ("LISTEN", "a", 2),
        ("STEP", "a1"),
        ("HEAR", "live", 1),
        ("LISTEN", "a", 2),
        ("STEP", "a1"),
    ]


def test_all_replies_go_on_in_one_step():
    book = JobBook()
    book.add("a", [recent(1, 320), recent(2, 320)], 0.0)
    book.add("b", [recent(1, 320)], 0.0)
    steps = [work for work in take(book, 8) if work[0] == "STEP"]
    assert set(steps[-1]) == {"STEP", "a1", "a2", "b1"}


def test_a_question_about_a_segment_hears_what_there_is_of_it():
    book = JobBook()
    book.add("a", [*begin(1, 400), about(1, 1), audio(1, 300)], 0.0)
    work = book.take(0.0)
    assert brief(work) == ("ASK", "a", 1)
    assert (work.segment, work.heard, len(work.pcm) // 2) == (1, 700, 700)
    assert book.backlog("a") == 0


def test_a_question_about_a_segment_that_lags_waits_until_it_has_caught_up():
    book = JobBook()
    book.add("a", [*begin(1, 2 * SLICE), about(1, 1)], 0.0)
    assert take(book, 3) == [("HEAR", "a", 1), ("ASK", "a", 1), ("STEP", "a1")]


def test_a_question_about_a_segment_that_has_ended_waits_for_its_final():
    book = JobBook()
    book.add("a", [*begin(1, 320), about(1, 1), MakeFinal(1)], 0.0)
    assert take(book, 2) == [("FINAL", "a", 1), ("ASK", "a", 1)]


def test_the_last_segment_is_kept_until_the_next_has_its_final():
    book = JobBook()
    book.add("a", [*spoken(1), *spoken(2)], 0.0)
    assert take(book, 3) == [("FINAL", "a", 1), ("FINAL", "a", 2), ("CLOSE", "a", 1)]
    book.add("a", [about(1, 2)], 0.0)
    assert take(book, 1) == [("ASK", "a", 1)]


def test_it_is_kept_longer_if_a_question_about_it_waits():
    book = JobBook()
    book.add("a", [*spoken(1), about(1, 1), *spoken(2)], 0.0)
    assert take(book, 4) == [
        ("FINAL", "a", 1),
        ("FINAL", "a", 2),
        ("ASK", "a", 1),
        ("CLOSE", "a", 1),
    ]


def test_a_question_that_is_cancelled_lets_it_go():
    book = JobBook()
    book.add("a", [*spoken(1), about(1, 1), *spoken(2)], 0.0)
    take(book, 2)
    book.add("a", [CancelReply(1)], 0.0)
    assert take(book, 9) == [("CLOSE", "a", 1)]


@pytest.mark.parametrize("leave", ["end", "cancel"])
def test_nothing_is_kept_of_a_session_that_has_ended(leave):
    book = JobBook()
    book.add("a", spoken(1), 0.0)
    take(book, 1)
    book.cancel("a") if leave == "cancel" else book.add("a", [ReleaseKept()], 0.0)
    assert take(book, 9) == [("CLOSE", "a", 1)]


def test_an_utterance_that_is_not_to_be_kept_is_not_closed_again():
    book = JobBook()
    opened = OpenUtterance(1, OPTIONS, True)
    book.add("a", [opened, audio(1, 320), MakeFinal(1)], 0.0)
    assert take(book, 9) == [("FINAL", "a", 1)]


def test_a_cancelled_reply_is_in_no_further_step():
    book = JobBook()
    book.add("a", [recent(1, 320), recent(2, 320)], 0.0)
    take(book, 4)
    book.add("a", [CancelReply(1)], 0.0)
    assert take(book, 2) == [("DROP", "a", 1), ("STEP", "a2")]


def test_one_that_was_not_begun_needs_no_dropping():
    book = JobBook()
    book.add("a", [recent(1, 320), CancelReply(1)], 0.0)
    assert take(book, 9) == []


def test_one_that_still_listens_is_dropped():
    book = JobBook()
    book.add("a", [recent(1, 3 * SLICE)], 0.0)
    take(book, 1)
    book.add("a", [CancelReply(1)], 0.0)
    assert take(book, 9) == [("DROP", "a", 1)]


@pytest.mark.parametrize("result", [Answered(1, "", 1, Finish.STOP), ReplyFailed])
def test_a_reply_that_has_ended_is_in_no_further_step(result):
    book = JobBook()
    book.add("a", [recent(1, 320)], 0.0)
    take(book, 2)
    book.note("a", result(1, "engine", "no") if result is ReplyFailed else result)
    assert take(book, 9) == []


def test_prompts_about_a_segment_that_failed_are_forgotten():
    book = JobBook()
    book.add("a", [*begin(1, 2 * SLICE + 1), about(1, 1)], 0.0)
    take(book, 1)
    book.note("a", Failed(1, "engine", "no"))
    assert take(book, 9) == [("CLOSE", "a", 1)]


def test_only_so_many_replies_hold_memory_and_the_others_wait():
    book = JobBook()
    book.add("a", [recent(n, 320) for n in range(MOST_AT_ONCE)], 0.0)
    done = take(book, 100)
    assert sum(work[0] == "ASK" for work in done) == SHARE
    assert book.num_waiting == MOST_AT_ONCE - SHARE
    answer(book, "a", 0)
    assert ("ASK", "a", SHARE) in take(book, 3)


def test_questions_and_replies_of_finals_do_not_keep_each_other_out():
    book = JobBook()
    many = range(2 * MOST_AT_ONCE)
    for segment in many:
        book.add(f"s{segment}", [*spoken(1), about(1, 1, standing=True)], 0.0)
    book.add("q", [recent(n, 320) for n in many], 0.0)
    kinds = Counter(work[1][0] for work in take(book, 200) if work[0] == "ASK")
    assert kinds == {"s": SHARE, "q": MOST_AT_ONCE - SHARE}


def test_a_session_with_many_questions_does_not_go_before_others():
    book = JobBook()
    book.add("many", [recent(n, 2 * SLICE) for n in range(8)], 0.0)
    book.add("one", [recent(1, SLICE)], 0.0)
    assert ("ASK", "one", 1) in take(book, 3)


def test_replies_that_belong_to_finals_are_counted_until_they_end():
    book = JobBook()
    book.add("a", [*spoken(1), about(1, 1, standing=True)], 0.0)
    book.add("a", [recent(2, 3 * SLICE, standing=True), recent(3, 320)], 0.0)
    assert book.num_standing("a") == 2
    take(book, 20)
    assert book.num_standing("a") == 2
    answer(book, "a", 1)
    assert (book.num_standing("a"), book.num_standing("b")) == (1, 0)


def test_questions_do_not_count_as_hearing_that_waits():
    book = JobBook()
    book.add("a", [recent(1, 320)], 0.0)
    assert book.longest_wait(9.0) == 0.0


class Memory:
    """What the engine holds after some work, and whether the work made sense."""

    def __init__(self):
        self.utterances, self.listening, self.replies = set(), set(), set()
        self.ended = set()
        self.heard = Counter()
        self.finals, self.asked = [], []

    def do(self, work):
        match work:
            case Hearing(session=session, segment=segment, action=action):
                key = session, segment
                self.heard[key] += len(work.pcm) // 2
                assert key not in self.finals or action is Action.CLOSE
                self.utterances.add(key)
                if action is Action.CLOSE:
                    self.utterances.discard(key)
                elif action is Action.FINAL:
                    self.finals.append(key)
            case Asking(session=session, reply=reply):
                key = session, reply
                assert key not in self.ended
                if work.segment is None:
                    self.listening.add(key)
                else:
                    about = session, work.segment
                    self.heard[about] += len(work.pcm) // 2
                    assert about in self.utterances or about not in self.finals
                    self.utterances.add(about)
                if work.is_last:
                    self.asked.append(key)
                    self.listening.discard(key)
                    self.replies.add(key)
            case Generating(replies=replies):
                assert set(replies) == self.replies
            case Dropping(session=session, reply=reply):
                self.replies.discard((session, reply))
                self.listening.discard((session, reply))
        assert len(self.replies | self.listening) <= MOST_AT_ONCE


steps = st.lists(
    st.one_of(
        st.tuples(st.just("hear"), st.integers(1, 2 * SLICE)),
        st.tuples(st.just("end"), st.booleans()),
        st.tuples(st.just("ask"), st.sampled_from(["current", "last", "recent"])),
        st.tuples(st.just("cancel"), st.integers(0, 40)),
        st.tuples(st.just("answer"), st.integers(0, 40)),
        st.tuples(st.just("fail"), st.none()),
        st.tuples(st.just("work"), st.integers(1, 4)),
        st.tuples(st.just("leave"), st.none()),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(script=st.lists(st.tuples(st.sampled_from("abc"), steps), max_size=4))
def test_whatever_sessions_do_all_is_answered_and_nothing_stays_behind(script):
    """Random sessions, one after the other and mixed by what the book leaves over."""
    book, memory = JobBook(), Memory()
    samples, numbers = Counter(), Counter()
    wanted, finals = set(), set()
    for session, moves in script:
        current, last = None, None
        for move, value in moves:
            match move:
                case "hear":
                    if current is None:
                        numbers[session] += 1
                        current = numbers[session]
                        opening = OpenUtterance(current, OPTIONS, True, keep=True)
                        book.add(session, [opening], 0.0)
                    book.add(session, [audio(current, value)], 0.0)
                    samples[session, current] += value
                case "end" if current is not None:
                    book.add(session, [MakeFinal(current)], 0.0)
                    finals.add((session, current))
                    if value:
                        numbers[session] += 1
                        reply = numbers[session]
                        book.add(session, [about(reply, current, standing=True)], 0.0)
                        wanted.add((session, reply))
                    current, last = None, current
                case "ask":
                    segment = {"current": current, "last": last}.get(value)
                    if segment is None and value != "recent":
                        continue
                    numbers[session] += 1
                    reply = numbers[session]
                    job = recent(reply, 3 * SLICE) if segment is None else None
                    book.add(session, [job or about(reply, segment)], 0.0)
                    wanted.add((session, reply))
                case "cancel" if (session, value) in wanted:
                    book.add(session, [CancelReply(value)], 0.0)
                    wanted.discard((session, value))
                case "answer" if (session, value) in memory.replies:
                    answer(book, session, value)
                    memory.replies.discard((session, value))
                    memory.ended.add((session, value))
                case "fail" if current is not None:
                    book.note(session, Failed(current, "engine", "no"))
                    wanted -= {
                        key for key in wanted - set(memory.asked) if key[0] == session
                    }
                    del samples[session, current]
                    memory.heard.pop((session, current), None)
                    current = None
                case "work":
                    for _ in range(value):
                        if work := book.take(0.0):
                            memory.do(work)
                case "leave":
                    book.cancel(session)
                    wanted = {key for key in wanted if key[0] != session}
                    finals = {key for key in finals if key[0] != session}
                    samples = Counter(
                        {k: n for k, n in samples.items() if k[0] != session}
                    )
                    memory.heard = Counter(
                        {k: n for k, n in memory.heard.items() if k[0] != session}
                    )
                    current = last = None
        if current is not None:
            book.add(session, [MakeFinal(current)], 0.0)
            finals.add((session, current))
    for _ in range(5_000):
        work = book.take(0.0)
        if work is None:
            break
        memory.do(work)
        if isinstance(work, Generating):
            session, reply = work.replies[0]
            answer(book, session, reply)
            memory.replies.discard((session, reply))
            memory.ended.add((session, reply))
    else:
        pytest.fail("it never comes to an end")
    assert finals <= set(memory.finals)
    assert wanted <= set(memory.asked)
    for key in finals:
        assert memory.heard[key] == samples[key]
    for session in "abc":
        book.add(session, [ReleaseKept()], 0.0)
    while work := book.take(0.0):
        memory.do(work)
    assert not memory.utterances | memory.replies | memory.listening


@settings(max_examples=100, deadline=None)
@given(
    speakers=st.integers(1, 6),
    askers=st.integers(1, 4),
    questions=st.integers(1, 8),
)
def test_everybody_s_wait_is_bounded(speakers, askers, questions):
    """Answers without end, audio without end, questions without end."""
    book = JobBook()
    for speaker in range(speakers):
        book.add(f"s{speaker}", begin(1, 100 * SLICE), 0.0)
    for asker in range(askers):
        jobs = [recent(n, 30 * SLICE) for n in range(1, questions + 1)]
        book.add(f"q{asker}", [recent(0, 320), *jobs], 0.0)
    kinds, sessions = [], []
    for _ in range(200):
        work = book.take(0.0)
        kinds.append(type(work))
        sessions.append(getattr(work, "session", None))
    begun = kinds.index(Generating)
    assert begun <= 3 * askers * (questions + 1)
    for kind in (Hearing, Generating):
        places = [i for i, k in enumerate(kinds) if k is kind]
        assert max(b - a for a, b in itertools.pairwise(places)) <= 3
    for speaker in range(speakers):
        turns = [i for i, s in enumerate(sessions) if s == f"s{speaker}"]
        gaps = [b - a for a, b in itertools.pairwise(turns)]
        assert max(gaps) <= 3 * speakers
