"""Many sessions from one process, at a real server."""

import asyncio

import pytest

from engine.evaluation.live import finals
from stream.audio import SAMPLE_RATE
from stream.capacity.crowd import Crowd, add_latency, as_seconds
from tests.fakes.engine import speak
from tests.fakes.server import running


def clip(*words):
    return speak(0) + speak(*words) + speak(0)


async def speaking(server, clips, **options):
    crowd = Crowd(f"ws://127.0.0.1:{server.port}")
    told = await asyncio.to_thread(crowd.speak, clips, **options)
    return crowd, told


async def test_all_of_a_crowd_are_heard_and_told_how_late():
    looks = []
    async with running() as server:
        crowd, told = await speaking(
            server,
            [clip(7, 8), clip(9)],
            meanwhile=lambda: looks.append(1),
            every_s=0.1,
        )
    texts = [[event["text"] for event in finals(events)] for events in told]
    assert texts == [["7 8"], ["9"]]
    for events in told:
        (final,) = finals(events)
        assert final["end_s"] > final["start_s"]
        assert final["latency_s"] > 0
    assert len(looks) > 2
    assert crowd.most_late_s > 0
    assert 0 < crowd.taken_s <= crowd.span_s


async def test_one_that_is_refused_is_none_and_nobody_waits_for_it():
    async with running(max_sessions=1) as server:
        _, told = await speaking(server, [clip(7), clip(8)])
    assert None in told


def test_positions_become_seconds():
    event = as_seconds({"type": "final", "start": SAMPLE_RATE, "end": 2 * SAMPLE_RATE})
    assert event == {"type": "final", "start_s": 1.0, "end_s": 2.0}


def test_latency_counts_from_the_piece_that_brought_the_end():
    event = {"type": "final", "end_s": 0.1}
    add_latency(event, [10.04, 10.08, 10.12, 10.16], 11.0)
    assert event["latency_s"] == pytest.approx(11.0 - 10.12)
    behind = {"type": "final", "end_s": 9.0}
    add_latency(behind, [10.04, 10.08], 11.0)
    assert behind["latency_s"] == pytest.approx(11.0 - 10.08)
