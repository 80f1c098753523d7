"""Costs in a file."""

import json

import pytest

from stream.capacity.costs import (
    Costs,
    Line,
    LoopCosts,
    Memory,
    ReplyCosts,
    read_costs,
    write_costs,
)

COSTS = Costs(
    source="measured",
    engine="whisper",
    machine="two cores",
    assumptions=("all is linear",),
    turn_s=0.001,
    partial=Line(fixed_s=0.1, spread=(0.5, 1.5)),
    final=Line(fixed_s=0.2, per_heard_s=0.03),
    replies=ReplyCosts(
        read_s=0.1, unread_s=0.2, prompt_s=0.3, step_s=0.4, step_each_s=0.5
    ),
    loop=LoopCosts(silent_s=0.01, speech_s=0.02, piece_s=0.004, contention=0.3),
    first_text_s=(0.4, 0.6),
    memory=Memory(loaded_mb=800.0, session_mb=2.0, machine_mb=4000.0),
)


def test_costs_come_back_from_their_file(tmp_path):
    path = tmp_path / "costs.json"
    write_costs(path, COSTS)
    assert read_costs(path) == COSTS


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"partial": None}, "partial"),
        ({"turn": 1}, "unknown key turn"),
        ({"source": "guessed"}, "source"),
        ({"final": {"spread": []}}, "spread"),
    ],
)
def test_what_is_no_costs_is_told_with_the_file_and_the_key(tmp_path, change, told):
    path = tmp_path / "costs.json"
    write_costs(path, COSTS)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=told) as raised:
        read_costs(path)
    assert str(path) in str(raised.value)


def test_a_file_that_is_not_json_is_refused(tmp_path):
    path = tmp_path / "costs.json"
    path.write_text("[]")
    with pytest.raises(ValueError, match="holds no costs"):
        read_costs(path)


def test_memory_tells_how_many_sessions_fit():
    assert COSTS.memory.sessions == 1_600
    assert Memory(loaded_mb=9.0, session_mb=1.0, machine_mb=4.0).sessions == 0
    assert Memory(loaded_mb=9.0, session_mb=0.0, machine_mb=40.0).sessions is None
