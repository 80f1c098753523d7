import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.subtitles import (
    MAX_CUE_CHARACTERS,
    Cue,
    cut,
    split,
    srt_cue,
    srt_time,
    vtt_cue,
    vtt_time,
)
from tests.clients.events import final, word


def parse_ms(text: str) -> int:
    h, m, s, ms = map(int, re.split(r"[:.,]", text))
    return ((h * 60 + m) * 60 + s) * 1000 + ms


@pytest.mark.parametrize(
    ("time_ms", "expected"),
    [
        (0, "00:00:00,000"),
        (59_999, "00:00:59,999"),
        (3_723_004, "01:02:03,004"),
        (360_000_000, "100:00:00,000"),
    ],
)
def test_times_as_subrip_writes_them(time_ms, expected):
    assert srt_time(time_ms) == expected
    assert vtt_time(time_ms) == expected.replace(",", ".")


@given(time_ms=st.integers(0, 10**9))
def test_a_time_that_is_written_can_be_read_back(time_ms):
    assert parse_ms(srt_time(time_ms)) == parse_ms(vtt_time(time_ms)) == time_ms


def test_a_short_segment_is_one_cue():
    assert cut([final("Hello  there.\n")]) == [Cue(300, 4200, ("Hello there.",))]


def test_a_long_segment_is_cut_between_words_in_proportion_to_its_text():
    text = "one two three four " * 12  # 227 characters
    cues = cut([final(text.strip(), start_s=10, end_s=22)])
    assert len(cues) == 3
    assert " ".join(line for cue in cues for line in cue.lines) == text.strip()
    assert [cue.start_ms for cue in cues] == pytest.approx(
        [10_000, 14_000, 18_000], 0.1
    )
    assert cues[-1].end_ms == 22_000


def test_a_long_segment_is_cut_where_its_words_were_spoken():
    names = ["word"] * 30
    words = tuple(word("word", 1 + i * 0.1, 1 + i * 0.1 + 0.05) for i in range(20))
    words += tuple(word("word", 20 + i, 20.5 + i) for i in range(10))
    cues = cut([final(" ".join(names), start_s=1, end_s=30, words=words)])
    starts = {1000 * w.start // 16_000 for w in words}
    assert len(cues) == 2
    assert cues[1].start_ms in starts
    assert cues[1].start_ms == 2500  # the 16th of them


texts = st.text(st.sampled_from("abc äß漢 字  .<>&"), max_size=600)


@given(text=texts, num_parts=st.integers(1, 8))
def test_splitting_keeps_every_word_character_in_order(text, num_parts):
    parts = split(" ".join(text.split()), num_parts)
    assert len(parts) == num_parts
    assert "".join("".join(parts).split()) == "".join(text.split())


@given(texts=st.lists(texts, min_size=1, max_size=3), length_s=st.floats(0, 30))
def test_cues_follow_each_other_and_take_time(texts, length_s):
    finals = [final(text, start_s=2, end_s=2 + length_s) for text in texts]
    cues = cut([final for final in finals if final.text.strip()])
    for before, after in pairwise(cues):
        assert before.start_ms <= after.start_ms
    assert all(cue.start_ms < cue.end_ms for cue in cues)
    assert all(line for cue in cues for line in cue.lines)


@given(words=st.lists(st.text("abcdef", min_size=1, max_size=12), max_size=80))
def test_no_cue_is_much_longer_than_can_be_read(words):
    for cue in cut([final(" ".join(words))] if words else []):
        assert all(len(line) <= MAX_CUE_CHARACTERS * 1.5 for line in cue.lines)


def test_a_cue_of_each_format():
    cue = Cue(0, 1500, ("a < b & c --> d", "zwei"))
    assert srt_cue(7, cue) == (
        "7\n00:00:00,000 --> 00:00:01,500\na < b & c → d\nzwei\n\n"
    )
    assert vtt_cue(cue) == (
        "00:00:00.000 --> 00:00:01.500\na &lt; b &amp; c --&gt; d\nzwei\n\n"
    )
