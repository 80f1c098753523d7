import numpy as np
import pytest
import torch

from engine.api import SegmentSpeakers, Turn
from engine.speaker_turns import HOP_SAMPLES, WINDOW_SAMPLES, LocalSpeakers
from engine.speakers import Rules
from engine.voices import WIDTH

RATE = 16_000
RULES = Rules(new_below=0.7, change_costs=0.3, founding=3, same_from=0.9, slack=0.0)


class ByValue(torch.nn.Module):
    """Hears a voice a value: how much of the window each value fills."""

    def embed(self, windows):
        voices = torch.zeros(len(windows), WIDTH)
        for row, window in zip(voices, windows, strict=True):
            for value in window.unique():
                row[int(value * 100)] = (window == value).float().mean()
        return torch.nn.functional.normalize(voices, dim=1)


def said(*parts):
    """Return audio of voices, each for so many seconds."""
    return np.concatenate(
        [np.full(round(s * RATE), v / 100, np.float32) for v, s in parts]
    )


def heard(speakers, segment, samples, size=5_000):
    for start in range(0, len(samples), size):
        speakers.push(segment, samples[start : start + size])
    return speakers.end(segment)


@pytest.fixture
def speakers():
    return LocalSpeakers(ByValue(), 4, RULES)


def test_turns_lie_where_the_voices_do(speakers):
    samples = said((1, 5.0), (2, 4.0), (1, 5.0))
    (told,) = heard(speakers, 7, samples).segments
    assert told.segment == 7
    assert [turn.speaker for turn in told.turns] == [1, 2, 1]
    assert told.turns[0].start == 0
    assert told.turns[-1].end == len(samples)
    for turn, following in zip(told.turns, told.turns[1:], strict=False):
        assert turn.end == following.start
    assert abs(told.turns[0].end - 5 * RATE) <= HOP_SAMPLES
    assert abs(told.turns[1].end - 9 * RATE) <= HOP_SAMPLES


@pytest.mark.parametrize("size", [320, 4_999, 30_000])
def test_heard_in_pieces_is_as_heard_at_once(size):
    samples = said((1, 4.0), (2, 4.1))
    one, other = LocalSpeakers(ByValue(), 4, RULES), LocalSpeakers(ByValue(), 4, RULES)
    for segment in (1, 2):
        assert heard(one, segment, samples, size) == heard(
            other, segment, samples, len(samples)
        )


def test_a_segment_shorter_than_a_window_is_heard_as_it_is(speakers):
    heard(speakers, 1, said((1, 4.0)))
    (told,) = heard(speakers, 2, said((1, 0.5))).segments
    assert told.turns == (Turn(speaker=1, start=0, end=8_000),)


def test_of_a_breath_nothing_is_known(speakers):
    (told,) = heard(speakers, 1, said((1, 0.2))).segments
    assert told.turns == (Turn(speaker=0, start=0, end=3_200),)


def test_what_an_earlier_segment_was_told_to_be_is_corrected(speakers):
    (told,) = heard(speakers, 1, said((1, 0.8))).segments
    assert told.turns[0].speaker == 0
    news = heard(speakers, 2, said((1, 4.0)))
    assert [told.segment for told in news.segments] == [1, 2]
    assert news.segments[0] == SegmentSpeakers(
        segment=1, turns=(Turn(speaker=1, start=0, end=12_800),)
    )


def test_while_a_segment_goes_on_only_news_is_told(speakers):
    assert speakers.push(1, said((1, 1.0))).segments == ()
    assert speakers.push(1, said((1, 2.0))).segments[0].turns[0].speaker == 1
    assert speakers.end(2).segments == ()


def test_the_last_window_ends_where_the_segment_does(speakers):
    samples = said((1, 3.0))[: WINDOW_SAMPLES + 2 * HOP_SAMPLES + 100]
    told = heard(speakers, 1, samples).segments[0]
    assert told.turns[-1].end == len(samples)
