import json
import sys

import pytest

from clients.commands import Command, arguments_of

RECORD = {"type": "noticed", "text": "$(touch pwned); `rm -rf .`", "score": 0.9}


def python(source, *arguments):
    return (sys.executable, "-c", source, *arguments)


async def test_a_program_gets_one_object_on_standard_input(tmp_path):
    out = tmp_path / "out.json"
    source = "import sys; open(sys.argv[1], 'w').write(sys.stdin.read())"
    assert await Command(python(source, str(out)))(RECORD) == ""
    assert json.loads(out.read_text()) == RECORD
    assert out.read_text().count("\n") == 1


async def test_no_shell_reads_its_arguments_or_what_was_heard(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = "import sys; open('args', 'w').write(repr(sys.argv[1:]))"
    words = ("$HOME", "; touch pwned", "*")
    assert await Command(python(source, *words))(RECORD) == ""
    assert (tmp_path / "args").read_text() == repr(list(words))
    assert [path.name for path in tmp_path.iterdir()] == ["args"]


async def test_its_exit_code_is_told():
    told = await Command(python("raise SystemExit(3)"))(RECORD)
    assert told == f"{sys.executable}: exit code 3"


async def test_one_that_does_not_read_is_no_error():
    assert await Command(python("pass"))({"text": "x" * 1_000_000}) == ""


async def test_one_that_is_not_there_is_told():
    told = await Command(("/nowhere/at all",))(RECORD)
    assert told == "/nowhere/at all did not start: No such file or directory"


async def test_one_that_does_not_end_is_killed():
    command = Command(python("import time; time.sleep(600)"), limit_s=0.2)
    assert await command(RECORD) == f"{sys.executable} was killed after 0.2 s"


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("notify-send 'a baby'", ("notify-send", "a baby")),
        ("a \\$b", ("a", "$b")),
        ("run $(date)", ("run", "$(date)")),
    ],
)
def test_a_command_is_split_as_a_shell_would_and_nothing_else(text, arguments):
    assert arguments_of(text) == arguments


@pytest.mark.parametrize(
    ("text", "reason"), [("", "no command"), ("say 'it", "No closing quotation")]
)
def test_what_is_no_command_is_refused(text, reason):
    with pytest.raises(ValueError, match=reason):
        arguments_of(text)
