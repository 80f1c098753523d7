"""What is measured of a server, beside what its worker notes."""

from pathlib import Path

import pytest
from rich.console import Console

from engine.benchmarks.clips import SPEECH, choose_clips
from engine.benchmarks.report import Setup
from stream.capacity.checking import check
from stream.capacity.costs import read_costs, write_costs
from stream.capacity.measuring import company, first_texts_s, measure, padded
from stream.capacity.recording import recorded
from stream.config import LimitsConfig
from tests.stream.capacity.speaking import FREE
from tests.weights import require_weights


def partial(segment, start_s, end_s):
    return {"type": "partial", "segment": segment, "start_s": start_s, "end_s": end_s}


def test_the_first_partial_of_each_segment_says_when_text_came():
    told = [
        [partial(1, 1.0, 1.5), partial(1, 1.0, 1.8), {"type": "final", "segment": 1}],
        [partial(1, 2.0, 2.4), partial(2, 5.0, 6.0)],
    ]
    # Half a step of 0.2 s is taken off.
    assert first_texts_s(told) == (0.3, 0.4, 0.9)


def test_without_partials_nothing_is_known():
    with pytest.raises(ValueError, match="no segment had a partial"):
        first_texts_s([[{"type": "final", "segment": 1}]])


def test_a_clip_has_the_segments_that_the_servers_own_detector_finds():
    (clip,) = choose_clips(SPEECH, None)
    (turn,) = recorded([padded(clip)], None, FREE)
    assert turn.length_s == pytest.approx(clip.duration_s + 2.5, abs=0.05)
    assert len(turn.segments) == 3  # as the README's run of the demo has it
    assert all(segment.ends_in_a_pause for segment in turn.segments)


def test_company_is_who_is_there_beside_a_second_of_what_is_said():
    assert company([[3.0], [9.0]]) == 1.0
    assert company([[3.0] * 4]) == 4.0
    # Three seconds of each have the other there, and six are alone.
    assert company([[3.0, 9.0]]) == pytest.approx((6 * 2 + 6 * 1) / 12)


@pytest.mark.slow
@pytest.mark.end_to_end
def test_costs_are_measured_on_a_real_server_and_foretell_it(tmp_path):
    require_weights()
    config = tmp_path / "server.toml"
    config.write_text('[engine]\ncaptions_only = true\ndtype = "float32"\n')
    clips = choose_clips(SPEECH, None)
    setup = Setup(clips, config, None, Console(stderr=True))
    costs = measure(setup, silent=1, crowd=2, with_replies=False)
    assert costs.partial.seconds(2.0, 0.34) > 0.01
    assert costs.final.seconds(3.0, 0.3) > 0.01
    assert costs.loop.speech_s > 0
    assert costs.memory.loaded_mb > 100
    path = Path(tmp_path, "costs.json")
    write_costs(path, costs)
    (level,) = check(setup, read_costs(path), [1], LimitsConfig()).levels
    assert level.failed == 0
    assert level.finals == 3 * 8
    # The machine of a test is not quiet: only that it is about the same thing.
    assert level.final_p50_s.predicted < 10 * level.final_p50_s.measured + 1.0
