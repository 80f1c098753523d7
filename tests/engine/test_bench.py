import json
import subprocess
import sys

import pytest

from engine.bench import main


def run(*flags, timeout_s=200):
    return subprocess.run(
        [sys.executable, "-m", "engine.bench", *flags],
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )


def test_help_does_not_wait_for_torch():
    code = "import sys, engine.bench; print('torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert told.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ([], "benchmark"),
        (["speed"], "speed"),
        (["latency", "--limit", "0"], "must be 1 or more"),
        (["all", "--set", "mine"], "no --set"),
        (["latency", "--device", "cuda"], "--preset and --device are for shapes"),
        (["shapes", "--preset", "mini"], "invalid choice: 'mini'"),
    ],
)
def test_wrong_usage_ends_with_code_2(flags, reason, capsys):
    with pytest.raises(SystemExit) as ended:
        main(flags)
    assert ended.value.code == 2
    assert reason in capsys.readouterr().err


def test_a_manifest_that_is_not_there_ends_with_code_1_and_its_name(capsys):
    assert main(["latency", "--manifest", "none.jsonl"]) == 1
    assert "cannot read none.jsonl" in capsys.readouterr().err


@pytest.mark.end_to_end
def test_latency_of_the_demo_is_measured_beside_an_offline_run(tmp_path):
    file = tmp_path / "all.json"
    ended = run("latency", "--json", str(file))
    assert ended.returncode == 0, ended.stderr
    *table, last = ended.stdout.splitlines()
    assert any("first text after the onset" in line for line in table)
    told, written = json.loads(last), json.loads(file.read_text())
    assert told["machine"]["cores"] >= 1
    found = told["latency"]
    assert "whisper-base" in found["engine"]
    assert 0 < found["first_text_s"]["p50"] < 12
    assert found["final_s"]["count"] >= 1
    # The recording is known by heart; a word of 22 may be misheard.
    assert found["wer"] < 10
    assert found["offline_wer"] < 10
    assert "details" not in found
    assert "ask not" in written["latency"]["details"][0]["hypothesis"].lower()
