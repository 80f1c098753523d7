"""The command line of `salmonn-mcp`; nothing is started."""

import sys

import pytest

from clients.mcp.__main__ import Http, main, make_parser, read_options
from clients.mcp.inputs import DeviceInput, FileInput
from tests.clients.mcp.test_inputs import write_wav


def options(*arguments: str):
    parser = make_parser()
    return read_options(parser, parser.parse_args(arguments))


def test_by_default_it_is_the_microphone_and_a_server_on_this_machine_over_stdio():
    asked = options()
    assert isinstance(asked.source, DeviceInput)
    assert asked.url == "ws://127.0.0.1:8765/v1/stream"
    assert (asked.serve, asked.http, asked.token, asked.language) == (None,) * 4
    assert asked.speakers == 0
    assert options("--speakers", "--max-speakers", "3").speakers == 3


def test_what_stands_behind_two_dashes_is_for_a_server_of_its_own():
    asked = options("--serve", "--", "--preset", "mini", "--ckpt", "f")
    assert asked.serve == ("--preset", "mini", "--ckpt", "f")
    assert options("--serve").serve == ()


def test_a_file_takes_the_place_of_the_microphone(tmp_path):
    path = write_wav(tmp_path / "a.wav", bytes(640))
    assert isinstance(options("--input", str(path)).source, FileInput)


def test_tokens_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("EARS", "secret")
    assert options("--token-env", "EARS").token == "secret"
    asked = options("--http", "1", "--host", "192.0.2.1", "--http-token-env", "EARS")
    assert asked.http == Http(host="192.0.2.1", port=1, token="secret")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--url", "http://a"], "is no address"),
        (["--serve", "--url", "ws://a"], "not allowed with"),
        (["--input", "a", "--device", "b"], "not allowed with"),
        (["more"], "arguments of a server, but no --serve"),
        (["--token-env", "NOT_SET"], "NOT_SET is not set"),
        (["--serve", "--token-env", "HOME"], "has a token of its own"),
        (["--input", "not/there.wav"], "not/there.wav: No such file"),
        (["--speakers", "--max-speakers", "17"], "invalid choice: 17"),
        (["--http", "0"], "is no port"),
        (["--http", "many"], "invalid literal"),
        (["--host", "0.0.0.0"], "is every address"),
        (["--host", "::"], "is every address"),
        (["--host", "a.example"], "does not appear to be"),
        (["--host", "192.0.2.1"], "there is no --http"),
        (["--http-token-env", "HOME"], "there is no --http"),
        (["--http", "1", "--host", "192.0.2.1"], "set --http-token-env"),
    ],
)
def test_wrong_usage_is_told(arguments, problem, capsys, monkeypatch):
    monkeypatch.setenv("HOME", "set")
    with pytest.raises(SystemExit) as info:
        main(arguments)
    assert info.value.code == 2
    assert problem in capsys.readouterr().err


def test_without_the_extra_it_says_what_to_install(monkeypatch, capsys):
    for name in ["mcp", *(n for n in sys.modules if n.startswith("mcp."))]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "clients.mcp.tools", raising=False)
    assert main([]) == 1
    said = capsys.readouterr().err
    assert said == (
        "salmonn-mcp: its library is missing: pip install 'salmonn-live[mcp]'\n"
    )
