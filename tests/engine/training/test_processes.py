"""Runs as processes: two that share work, or the model; one that is told to stop."""

import json
import re
import signal
import subprocess
import sys

import pytest
import torch

from engine import checkpoint
from tests.checkout import ROOT
from tests.engine.training.tiny import write_clips

RUN_S = 240
STEPS = 6
MODULE = "tests.engine.training.run_tiny"
LAUNCH = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3 * RUN_S)]


def command(processes, out, clips, *options, steps=STEPS):
    """Return what starts a run: two processes with a batch each, or one with both."""
    launch = LAUNCH if processes == 2 else []
    arguments = [str(out), str(clips), str(2 // processes), str(steps), *options]
    return [sys.executable, *launch, "-m", MODULE, *arguments]


def run(*args, **settings):
    """Run to the end, or to where it was told to stop; return what it told."""
    done = subprocess.run(
        command(*args, **settings),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=RUN_S,
    )
    stopped = "stopped and saved" in done.stderr
    assert (done.returncode != 0) == stopped, done.stderr
    return done.stderr


def losses(folder):
    text = (folder / "log.jsonl").read_text("utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    return [
        (line["train"]["loss"], line["train"]["tokens"])
        for line in lines
        if "train" in line
    ]


def score(folder):
    last = (folder / "log.jsonl").read_text("utf-8").splitlines()[-1]
    return json.loads(last)["dev"]


def tensors(folder):
    return checkpoint.read(folder / "last.safetensors").tensors


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Return a list half of which is broken: some batches have nothing to learn."""
    return write_clips(tmp_path_factory.mktemp("clips"), 10, broken=5)


@pytest.fixture(scope="module")
def one(clips, tmp_path_factory):
    """Return the folder of a run of one process."""
    folder = tmp_path_factory.mktemp("one")
    run(1, folder, clips)
    return folder


@pytest.fixture(scope="module")
def two(clips, tmp_path_factory):
    """Return the folder of a run of two processes."""
    folder = tmp_path_factory.mktemp("two")
    run(2, folder, clips)
    return folder


def agree(folder, other):
    """Assert that two runs learned the same, but for the order of sums."""
    alone, together = losses(folder), losses(other)
    assert len(alone) == STEPS
    assert len({tokens for _, tokens in alone}) > 1, "batches differ in their tokens"
    assert [tokens for _, tokens in together] == [tokens for _, tokens in alone]
    assert [loss for loss, _ in together] == pytest.approx(
        [loss for loss, _ in alone], rel=1e-5
    )
    assert score(other) == pytest.approx(score(folder), rel=1e-5)
    ours, theirs = tensors(folder), tensors(other)
    for name in ours:
        assert torch.allclose(ours[name], theirs[name], atol=1e-4), name


def test_two_processes_learn_what_one_learns(one, two):
    """Dropout included: chance belongs to a batch, not to a process."""
    agree(one, two)


def test_two_processes_that_stopped_go_on_to_the_bit(clips, two, tmp_path):
    """One of them is told to stop, and both do."""
    assert "stopped and saved" in run(2, tmp_path, clips, "--stop-after", "3")
    assert len(losses(tmp_path)) == 3
    run(2, tmp_path, clips)
    assert losses(tmp_path) == losses(two)
    cut, whole = tensors(tmp_path), tensors(two)
    assert all(torch.equal(cut[name], whole[name]) for name in whole)


def test_two_processes_learn_the_same_where_each_has_half_of_the_language_model(
    clips, one, tmp_path
):
    """Also where one has nothing to learn in a step, or fewer dev examples."""
    told = run(2, tmp_path, clips, "--sharded", "--stop-after", "3")
    shares, wholes = zip(*re.findall(r"here: (\d+) of (\d+)", told), strict=True)
    assert len(shares) == 2
    assert sum(map(int, shares)) == int(wholes[0]) > 0
    assert int(shares[0]) == int(shares[1])
    told += run(2, tmp_path, clips, "--sharded")
    empty = [int(n) for n in re.findall(r"batches of nothing: (\d+)", told)]
    assert sum(empty) == 3, "two to learn from, one behind the dev examples"
    agree(one, tmp_path)


def test_a_run_that_is_told_to_stop_saves_and_goes_on_later(tmp_path):
    clips = write_clips(tmp_path, 8)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    steps = 40
    whole_run, cut_run = (command(1, out, clips, steps=steps) for out in (whole, cut))
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
    for again in (cut_run, whole_run):
        subprocess.run(again, cwd=ROOT, check=True, capture_output=True, timeout=RUN_S)
    assert losses(cut) == losses(whole)
    one, other = (
        checkpoint.read(out / "last.safetensors").tensors for out in (cut, whole)
    )
    assert all(torch.equal(one[name], other[name]) for name in one)
