"""The file from which a run goes on."""

from dataclasses import replace

import pytest
import torch

from engine.training.state import (
    NAME,
    ResumeError,
    State,
    read_state,
    replace_file,
    write_state,
)

STATE = State(
    step=3,
    settings={"seed": "42", "steps": "9"},
    learned={"w": torch.tensor([1.0, 2.0])},
    optimiser={"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": []},
    best=0.5,
    skipped=1,
)


def test_what_is_written_is_read(tmp_path):
    write_state(STATE, tmp_path)
    found = read_state(tmp_path, STATE.settings)
    assert found is not None
    assert torch.equal(found.learned["w"], STATE.learned["w"])
    assert (found.step, found.best, found.skipped) == (3, 0.5, 1)


def test_a_folder_without_a_run_has_no_state(tmp_path):
    assert read_state(tmp_path, {}) is None


def test_a_run_with_other_settings_is_refused_by_name(tmp_path):
    write_state(STATE, tmp_path)
    with pytest.raises(ResumeError, match="of a run with seed 42; asked for is 43"):
        read_state(tmp_path, STATE.settings | {"seed": "43"})


@pytest.mark.parametrize("content", [b"", b"no pickle", b"PK\x03\x04cut"])
def test_a_damaged_file_is_told(tmp_path, content):
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(ResumeError, match=NAME):
        read_state(tmp_path, {})


def test_a_state_of_another_version_is_refused(tmp_path):
    torch.save({"version": 0, "step": 1}, tmp_path / NAME)
    with pytest.raises(ResumeError):
        read_state(tmp_path, {})


def test_a_writer_that_falls_leaves_the_old_file(tmp_path):
    write_state(STATE, tmp_path)

    def fall(path):
        path.write_bytes(b"half a file")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace_file(tmp_path / NAME, fall)
    assert read_state(tmp_path, STATE.settings) is not None


def test_the_next_state_takes_the_place_of_the_last(tmp_path):
    write_state(STATE, tmp_path)
    write_state(replace(STATE, step=4), tmp_path)
    found = read_state(tmp_path, STATE.settings)
    assert found is not None
    assert found.step == 4
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
