from dataclasses import replace

import pytest
import torch

from engine import checkpoint, weights
from engine.skills import Skills
from tests.engine.tiny_checkpoint import model_state, official_file


@pytest.fixture
def official(tmp_path):
    return official_file(tmp_path / "official.pth", model_state())


def converted(capsys, *arguments):
    code = weights.main(["--convert", *map(str, arguments)])
    return code, capsys.readouterr()


def test_there_and_back_nothing_is_lost(official, tmp_path, capsys):
    ours, back = tmp_path / "ours.safetensors", tmp_path / "back.pth"
    code, told = converted(capsys, official, ours)
    assert code == 0
    assert "it does not say what it was trained for" in told.out
    assert converted(capsys, ours, back)[0] == 0
    first, second = checkpoint.read(official), checkpoint.read(back)
    assert first.sizes == second.sizes
    assert first.tensors.keys() == second.tensors.keys()
    for name, tensor in first.tensors.items():
        assert torch.equal(tensor, second.tensors[name]), name


def test_a_checkpoint_can_take_half_the_room(official, tmp_path, capsys):
    ours, half = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    assert converted(capsys, official, ours)[0] == 0
    assert converted(capsys, ours, half, "--half")[0] == 0
    whole, halved = checkpoint.read(ours), checkpoint.read(half)
    assert halved.sizes == whole.sizes
    for name, tensor in whole.tensors.items():
        assert torch.equal(halved.tensors[name], tensor.half()), name
    assert half.stat().st_size < 0.6 * ours.stat().st_size


def test_what_float16_cannot_hold_is_refused(official, tmp_path, capsys):
    ours = tmp_path / "a.safetensors"
    found = checkpoint.read(official)
    name, tensor = next(iter(found.bridge.items()))
    loud = replace(found, bridge=found.bridge | {name: tensor + 1e6})
    checkpoint.write(loud, ours)
    code, told = converted(capsys, ours, tmp_path / "b.safetensors", "--half")
    assert code == 1
    assert f"{name} has values that float16 cannot hold" in told.err


def test_what_it_was_trained_for_is_written_into_ours(official, tmp_path, capsys):
    ours, again = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    flags = ["--task", "describe", "--task", "translate:zh", "--questions"]
    flags += ["--from-transcript", "translate:zh", "--speech", "en"]
    flags += ["--sound", "dog bark", "--calibration", "0.5", "-3"]
    code, told = converted(capsys, official, ours, *flags)
    assert code == 0
    assert (
        "trained for describe, translate:zh (of the transcript), free questions; "
        "speech in en; sounds by name: dog bark"
    ) in told.out
    expected = Skills(
        tasks=("describe", "translate:zh"),
        questions=True,
        from_transcript=("translate:zh",),
        languages=("en",),
        sounds=("dog bark",),
        calibration=(0.5, -3.0),
    )
    assert checkpoint.read(ours).skills == expected
    assert converted(capsys, ours, again)[0] == 0
    assert checkpoint.read(again).skills == expected
    measured = tmp_path / "c.safetensors"
    flags = ["--task", "translate:zh", "--no-questions", "--told-words"]
    assert converted(capsys, ours, measured, *flags)[0] == 0
    fewer = replace(expected, tasks=("translate:zh",), questions=False, told_words=True)
    assert checkpoint.read(measured).skills == fewer
    silent = tmp_path / "d.safetensors"
    assert converted(capsys, measured, silent, "--no-sounds")[0] == 0
    assert checkpoint.read(silent).skills == replace(fewer, sounds=())


@pytest.mark.parametrize(
    ("target", "flags", "reason"),
    [
        ("new.pth", ["--questions"], "the official layout does not say what was tr"),
        ("new.safetensors", ["--task", "sing"], "no task 'sing'"),
        ("new.safetensors", ["--sound", "a dog"], "no sound 'a dog'; there are baby"),
        ("official.pth", [], "is there already; expected a new file"),
    ],
)
def test_what_cannot_be_written_is_told(
    official, tmp_path, capsys, target, flags, reason
):
    before = sorted(tmp_path.iterdir())
    code, told = converted(capsys, official, tmp_path / target, *flags)
    assert (code, told.out) == (1, "")
    assert reason in told.err
    assert sorted(tmp_path.iterdir()) == before
