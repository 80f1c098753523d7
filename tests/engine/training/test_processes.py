"""Runs as processes: two that share the work, one that is told to stop."""

import json
import signal
import subprocess
import sys

import pytest
import torch

from engine import checkpoint
from tests.checkout import ROOT
from tests.engine.training.tiny import write_clips

RUN_S = 120
MODULE = "tests.engine.training.run_tiny"
LAUNCH = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]

pytestmark = pytest.mark.slow


def command(processes, out, clips, *, accumulation, steps):
    launch = LAUNCH if processes == 2 else []
    arguments = [str(out), str(clips), str(accumulation), str(steps)]
    return [sys.executable, *launch, "-m", MODULE, *arguments]


def losses(folder):
    text = (folder / "log.jsonl").read_text("utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    return [
        (line["train"]["loss"], line["train"]["tokens"])
        for line in lines
        if "train" in line
    ]


def test_two_processes_learn_what_one_learns(tmp_path):
    """Dropout included: chance belongs to a batch, not to a process."""
    clips = write_clips(tmp_path, 10, broken=1)
    one, two = tmp_path / "one", tmp_path / "two"
    for processes, out, accumulation in ((1, one, 2), (2, two, 1)):
        subprocess.run(
            command(processes, out, clips, accumulation=accumulation, steps=6),
            cwd=ROOT,
            check=True,
            capture_output=True,
            timeout=RUN_S,
        )
    alone, together = losses(one), losses(two)
    assert len(alone) == 6
    assert len({tokens for _, tokens in alone}) > 1, "batches differ in their tokens"
    assert [tokens for _, tokens in together] == [tokens for _, tokens in alone]
    assert [loss for loss, _ in together] == pytest.approx(
        [loss for loss, _ in alone], rel=1e-5
    )
    ours, theirs = (
        checkpoint.read(out / "last.safetensors").tensors for out in (one, two)
    )
    for name in ours:
        assert torch.allclose(ours[name], theirs[name], atol=1e-4), name


def test_a_run_that_is_told_to_stop_saves_and_goes_on_later(tmp_path):
    clips = write_clips(tmp_path, 8)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    steps = 40
    whole_run, cut_run = (
        command(1, out, clips, accumulation=1, steps=steps) for out in (whole, cut)
    )
    process = subprocess.Popen(cut_run, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:  # until it is at work
        if line.startswith("step 3/"):
            break
    process.send_signal(signal.SIGTERM)
    rest = process.communicate(timeout=RUN_S)[1]
    assert process.returncode == 128 + signal.SIGTERM
    assert "stopped and saved" in rest
    assert 3 <= len(losses(cut)) < steps
    for run in (cut_run, whole_run):
        subprocess.run(run, cwd=ROOT, check=True, capture_output=True, timeout=RUN_S)
    assert losses(cut) == losses(whole)
    one, other = (
        checkpoint.read(out / "last.safetensors").tensors for out in (cut, whole)
    )
    assert all(torch.equal(one[name], other[name]) for name in one)
