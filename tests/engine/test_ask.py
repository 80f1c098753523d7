"""`salmonn-ask` on a tiny SALMONN in official files, held to a plain computation."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import sentencepiece
import soundfile
import torch
from transformers import AutoTokenizer, LlamaForCausalLM, logging

from engine import ask
from engine.checkpoint import SUFFIX, read, write
from engine.prompt import halves
from engine.skills import Skills
from engine.tasks import TEST_PROMPTS
from tests.checkout import ROOT
from tests.engine.plain_salmonn import plain_embeddings
from tests.engine.tiny_checkpoint import PREFIX
from tests.engine.tiny_salmonn import write_salmonn
from tests.weights import require_weights

TOKENS = 12
PROCESS_S = 120
QUESTION = "What is that noise?"


@pytest.fixture(autouse=True)
def _quiet_library():
    logging.disable_progress_bar()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_salmonn(tmp_path_factory.mktemp("salmonn"))


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Two sound files: one as the model takes it, one that must be changed first."""
    folder = tmp_path_factory.mktemp("sounds")
    random = np.random.default_rng(0)
    one = random.normal(0, 0.1, 40_000)
    soundfile.write(folder / "one.wav", one, 16_000)
    both = random.normal(0, 0.1, (60_000, 2))
    soundfile.write(folder / "two.flac", both, 24_000)
    return folder / "one.wav", folder / "two.flac"


def plain_answer(files, samples, question, *, beams=4, tokens=TOKENS):
    """Return what the original answers: LoRA in the weights, all in one generation."""
    words = sentencepiece.SentencePieceProcessor(str(files.llm / "tokenizer.model"))
    llm = LlamaForCausalLM.from_pretrained(files.llm, dtype=torch.float32).eval()
    lora = read(files.ckpt).lora
    with torch.no_grad():
        for name, module in llm.named_modules():
            prefix = f"{PREFIX}.{name.removeprefix('model.layers.')}"
            if (a := lora.get(f"{prefix}.lora_A.default.weight")) is not None:
                b = lora[f"{prefix}.lora_B.default.weight"]
                module.weight += 32.0 / len(a) * b @ a
        before, after = halves(question)
        table = llm.get_input_embeddings()
        pieces = [
            table(torch.tensor([1, *words.encode(before)])),
            plain_embeddings(files, torch.from_numpy(samples)),
            table(torch.tensor(words.encode(after))),
        ]
        found = llm.generate(
            inputs_embeds=torch.cat(pieces)[None],
            max_new_tokens=tokens,
            num_beams=beams,
            do_sample=False,
        )[0].tolist()
    # Of bytes that are no text, SentencePiece shows other parts than transformers.
    tokenizer = AutoTokenizer.from_pretrained(files.llm)
    return tokenizer.decode(found, skip_special_tokens=True).strip()


def samples_of(path):
    samples, _ = soundfile.read(path, dtype="float32", always_2d=True)
    return np.ascontiguousarray(samples[:, 0])


def run(capsys, *arguments):
    """Return the exit code, stdout and stderr of the command in this process."""
    try:
        code = ask.main([str(a) for a in arguments])
    except SystemExit as exc:
        code = exc.code
    out, err = capsys.readouterr()
    return code, out, err


def tiny(files):
    return [*files.flags, "--dtype", "float32", "--max-tokens", TOKENS]


@pytest.mark.slow
def test_the_process_gives_the_answers_of_a_plain_computation(files, sounds):
    command = [
        sys.executable,
        "-m",
        "engine.ask",
        str(sounds[0]),
        *map(str, tiny(files)),
    ]
    command += ["--task", "describe", "--prompt", QUESTION, "--json", "-"]
    process = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=PROCESS_S
    )
    assert process.returncode == 0, process.stderr
    found = json.loads(process.stdout)
    samples = samples_of(sounds[0])
    expected = [
        plain_answer(files, samples, TEST_PROMPTS["audiocaption"]),
        plain_answer(files, samples, QUESTION),
    ]
    assert [answer["text"] for answer in found["answers"]] == expected
    assert all(expected)
    assert expected[0] != expected[1]
    assert found["preset"] == "custom"
    assert found["answers"][0] == {
        "file": str(sounds[0]),
        "task": "describe",
        "prompt": TEST_PROMPTS["audiocaption"],
        "start_s": 0.0,
        "end_s": 2.5,
        "text": expected[0],
        "finish": "length",
        "tokens": TOKENS,
        "basis": "undeclared",
    }


@pytest.mark.end_to_end
def test_mini_writes_down_what_is_said(capsys, tmp_path):
    require_weights()
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear reader, this is a letter.\n" * 9)
    asked = [ROOT / "demo" / "jfk.ogg", letter, "--task", "transcribe"]
    code, out, err = run(capsys, *asked)
    assert code == 1
    assert "ask not what your country can do for you" in out.lower().replace(",", "")
    assert f"{letter}: not audio" in err


def test_files_and_prompts_are_answered_each_with_each(files, sounds, capsys):
    code, out, err = run(
        capsys, *sounds, *tiny(files), "--task", "describe", "--prompt", QUESTION
    )
    assert code == 0, err
    lines = out.splitlines()
    assert len(lines) == 4
    heads = [f"{file} {what}: " for file in sounds for what in ("describe", QUESTION)]
    for line, head in zip(lines, heads, strict=True):
        assert line.startswith(head)
        assert len(line) > len(head)
    assert f"{sounds[1]}: 2 channels, only the first heard; resampled from 24000" in err
    assert "nobody has said what this checkpoint was trained for" in err


def test_one_file_and_one_prompt_print_the_answer_alone(files, sounds, capsys):
    code, out, _ = run(
        capsys, sounds[0], *tiny(files), "--prompt", QUESTION, "--beams", 1
    )
    assert code == 0
    assert out == plain_answer(files, samples_of(sounds[0]), QUESTION, beams=1) + "\n"


def test_our_own_format_gives_the_same_answer(files, sounds, capsys, tmp_path):
    ours = tmp_path / "ours.safetensors"
    write(read(files.ckpt), ours)
    asked = [sounds[0], *tiny(files), "--prompt", QUESTION]
    _, official, _ = run(capsys, *asked)
    code, out, _ = run(capsys, *asked, "--ckpt", ours)
    assert code == 0
    assert out == official


def test_a_weaker_lora_answers_otherwise(files, sounds, capsys):
    asked = [sounds[0], *tiny(files), "--prompt", QUESTION]
    _, usual, _ = run(capsys, *asked)
    _, same, _ = run(capsys, *asked, "--alpha", 32)
    _, weaker, _ = run(capsys, *asked, "--alpha", 0)
    assert same == usual
    assert weaker != usual


@pytest.fixture(scope="module")
def mini(files):
    """Return flags of a mini of the same parts, which say what they were taught."""
    ours = files.ckpt.with_suffix(SUFFIX)
    skills = Skills(tasks=("describe",), questions=True)
    write(replace(read(files.ckpt), skills=skills), ours)
    named = ["--preset", "mini", *files.flags, "--ckpt", ours, "--max-tokens", TOKENS]
    return [*named, "--dtype", "float32"]


def test_the_mini_heeds_the_strength_of_its_adapter_and_beams(mini, sounds, capsys):
    asked = [sounds[0], *mini, "--prompt", QUESTION]

    def said(*more):
        code, out, err = run(capsys, *asked, *more)
        assert code == 0, err
        return out

    usual = said()
    assert said("--alpha", 32, "--beams", 1) == usual
    assert said("--alpha", 0) != usual
    assert said("--beams", 4) != usual


def test_the_dry_run_of_a_mini_counts_a_cache_for_each_beam(mini, capsys):
    def size(*more):
        code, out, err = run(capsys, "--dry-run", *mini, "--json", "-", *more)
        assert code == 0, err
        rows = json.loads(out)["memory"]["parts"]
        (found,) = (r for r in rows if r["part"].startswith("KV cache"))
        return found["size_bytes"]

    assert size("--beams", 3) == 3 * size()


def test_a_long_file_is_answered_in_parts(files, tmp_path, capsys):
    path = tmp_path / "long.wav"
    samples = np.random.default_rng(0).normal(0, 0.1, 33 * 16_000)
    samples[28 * 16_000 :][:8_000] = 0.0
    soundfile.write(path, samples, 16_000)
    asked = [path, *tiny(files), "--prompt", QUESTION, "--beams", 1]
    code, out, _ = run(capsys, *asked, "--json", tmp_path / "found.json")
    assert code == 0
    found = json.loads((tmp_path / "found.json").read_text())
    one, other = found["answers"]
    assert (one["start_s"], other["end_s"]) == (0.0, 33.0)
    assert 28.0 < one["end_s"] == other["start_s"] < 28.5
    assert [line.partition(": ")[0] for line in out.splitlines()] == [
        f"[0.0–{one['end_s']:.1f}]",
        f"[{one['end_s']:.1f}–33.0]",
    ]
    (about,) = found["files"]
    assert about["duration_s"] == 33.0


def test_a_file_that_is_no_audio_does_not_stop_the_others(
    files, sounds, tmp_path, capsys
):
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear reader, this is a letter.\n" * 9)
    asked = [letter, sounds[0], *tiny(files), "--prompt", QUESTION, "--json", "-"]
    code, out, err = run(capsys, *asked)
    assert code == 1
    assert f"salmonn-ask: {letter}: not audio: " in err
    found = json.loads(out)
    assert [error["file"] for error in found["errors"]] == [str(letter)]
    assert [answer["file"] for answer in found["answers"]] == [str(sounds[0])]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "expected a FILE, and a --prompt or a --task"),
        (["a.wav"], "expected a FILE, and a --prompt or a --task"),
        (["--prompt", "Who?"], "expected a FILE"),
        (["a.wav", "--prompt", " "], "a prompt has either a task or a text"),
        (["a.wav", "--task", "describe", "--beams", "0"], "it must be 1 or more"),
        (["a.wav", "--task", "dance", "--preset", "salmonn-7b"], "no task 'dance'"),
        (
            ["a.wav", "--task", "describe", "--preset", "mini"],
            "mini was not trained for task 'describe'; salmonn-13b and salmonn-7b can "
            "be asked",
        ),
        (
            ["a.wav", "--task", "transcribe", "--preset", "mini", "--dtype", "4bit"],
            "no data type of mini '4bit'",
        ),
        (
            ["a.wav", "--task", "transcribe", "--preset", "mini", "--beams", "9"],
            "no beams of mini '9'; there are 1 to 8",
        ),
        (
            ["a.wav", "--task", "describe", "--alpha", "-1"],
            "-1; it must not be below 0",
        ),
    ],
)
def test_wrong_usage_is_told_before_anything_is_loaded(capsys, arguments, reason):
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert reason in err


def test_a_salmonn_without_its_parts_is_not_served(capsys, files, sounds):
    asked = [sounds[0], "--preset", "salmonn-7b", "--task", "describe"]
    code, out, err = run(capsys, *asked)
    assert (code, out) == (1, "")
    assert "preset salmonn-7b needs four parts, and none is named for whisper" in err
    code, out, err = run(capsys, *asked, *files.flags)
    assert (code, out) == (1, "")
    assert "preset salmonn-7b has Vicuna 7B v1.5" in err


def test_a_device_that_is_not_there_is_wrong_usage(files, sounds, capsys):
    asked = [sounds[0], *tiny(files), "--task", "describe", "--device", "abacus"]
    code, out, err = run(capsys, *asked)
    assert (code, out) == (2, "")
    assert "no device 'abacus' (torch does not compute there); there are cpu" in err


def test_few_bits_need_a_package_and_say_which(files, sounds, capsys, monkeypatch):
    monkeypatch.setattr("engine.few_bits.PACKAGE", "no_such_package")
    asked = [sounds[0], *tiny(files), "--task", "describe", "--dtype", "4bit"]
    code, out, err = run(capsys, *asked)
    assert (code, out) == (1, "")
    assert "four bits on cpu: no_such_package is not installed (pip install " in err


def test_a_file_is_answered_in_four_bits(files, sounds, capsys):
    asked = [sounds[0], *tiny(files), "--task", "describe", "--dtype", "4bit"]
    code, out, err = run(capsys, *asked)
    assert code == 0
    assert out
    assert "in 4bit on cpu" in err


def test_json_that_cannot_be_written_is_told(files, sounds, capsys, tmp_path):
    asked = [sounds[0], *tiny(files), "--task", "describe"]
    code, out, err = run(capsys, *asked, "--json", tmp_path / "nowhere" / "a.json")
    assert code == 1
    assert out
    assert "No such file or directory" in err


def test_a_dry_run_tells_parts_and_memory_and_loads_nothing(
    files, capsys, tmp_path, monkeypatch
):
    monkeypatch.setattr("engine.salmonn.load", None)
    target = tmp_path / "found.json"
    code, out, err = run(capsys, "--dry-run", *files.flags, "--json", target)
    assert (code, err) == (0, "")
    assert "memory, computed from shapes" in out
    found = json.loads(target.read_text())
    assert found["problems"] == []
    assert found["memory"]["source"] == "computed"
    rows = found["memory"]["parts"]
    assert found["memory"]["size_bytes"] == sum(row["size_bytes"] for row in rows)
    assert [row["dtype"] for row in rows if row["part"] == "language model"] == [
        "bfloat16"
    ]


def test_a_dry_run_without_files_names_them_and_computes_all_the_same(capsys):
    code, out, err = run(
        capsys, "--dry-run", "--preset", "salmonn-13b", "--dtype", "8bit"
    )
    assert code == 1
    assert "18.70" in out
    assert "no ckpt is named; expected salmonn_v1.pth" in err


def test_a_dry_run_says_what_a_server_would_need(capsys):
    asked = ["--dry-run", "--live", "--preset", "salmonn-7b", "--dtype", "float16"]
    code, out, _ = run(capsys, *asked, "--device", "cuda")
    assert code == 1
    assert "17.22" in out
    code, _, err = run(capsys, "a.wav", "--task", "describe", "--live")
    assert code == 2
    assert "--live goes with --dry-run" in err


def test_a_dry_run_for_a_gpu_computes_what_lies_there(capsys):
    asked = ["--dry-run", "--preset", "salmonn-13b", "--dtype", "8bit"]
    code, out, _ = run(capsys, *asked, "--device", "cuda")
    assert code == 1
    assert "17.46" in out
