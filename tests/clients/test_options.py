import argparse
import io
import json
from pathlib import Path

import pytest

from clients import values
from clients.errors import OutputError
from clients.options import DEFAULT_URL, Options, Outputs, add_options, read_options
from stream.audio import PcmFormat
from stream.questions import MAX_TEMPERATURE
from stream.recent import MAX_SECONDS
from tests.clients.events import arrived, final


def read(*argv: str) -> Options:
    parser = argparse.ArgumentParser(prog="salmonn-x")
    add_options(parser)
    return read_options(parser, parser.parse_args(argv))


def test_without_flags_speech_is_transcribed_here():
    assert read() == Options(url=DEFAULT_URL + "/v1/stream")


def test_every_flag_is_read(monkeypatch):
    monkeypatch.setenv("SECRET", "s3")
    flags = "--url ws://a:1/other --task transcribe --task translate:de --language fr "
    flags += "--no-partials --words --token-env SECRET --json - --save a.srt -v "
    flags += "--ask who? --ask what? --about segment --last 5 --every 2.5 "
    flags += "--temperature 0.7 --opening-phrase hey --speakers --max-speakers 4"
    assert read(*flags.split()) == Options(
        asks=("who?", "what?"),
        about="segment",
        last_s=5.0,
        every_s=2.5,
        temperature=0.7,
        opening_phrase="hey",
        speakers=4,
        url="ws://a:1/other",
        tasks=("transcribe", "translate:de"),
        language="fr",
        partials=False,
        words=True,
        token="s3",
        json="-",
        save=Path("a.srt"),
        verbose=True,
    )


def test_the_bounds_are_those_of_the_protocol():
    assert (values.MAX_RECENT_S, values.MAX_TEMPERATURE) == (
        MAX_SECONDS,
        MAX_TEMPERATURE,
    )


def test_a_task_that_is_named_twice_is_asked_once():
    assert read("--task", "describe", "--task", "describe").tasks == ("describe",)


def test_a_bare_translation_is_into_english_and_is_asked_once():
    tasks = read("--task", "translate", "--task", "translate:en").tasks
    assert tasks == ("translate:en",)


def test_translations_stand_beside_what_else_is_asked():
    assert read("--translate", "en").tasks == ("transcribe", "translate:en")
    flags = "--task translate --translate en --translate zh"
    assert read(*flags.split()).tasks == ("translate:en", "translate:zh")


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--url", "http://a"], "expected ws://HOST:PORT"),
        (["--url", "ws://a:99999"], "'ws://a:99999' is no address"),
        (["--url", "ws://a:b"], "'ws://a:b' is no address"),
        (["--url", "ws://[::1"], "'ws://[::1' is no address"),
        (["--save", "a.txt"], "'a.txt' has no suffix of .srt, .vtt, .jsonl"),
        (["--token-env", "NOT_THERE"], "--token-env: NOT_THERE is not set"),
        (["--translate", "e-n"], "'e-n' is no code of a language"),
        (["--ask", " "], "--ask: a question is empty"),
        (["--every", "3"], "--every: there is nothing to --ask"),
        (["--last", "31"], "'31' is too long; at most 30 s are heard"),
        (["--last", "0"], "'0' is no time; expected seconds above 0"),
        (["--opening-phrase", "!"], "'!' has no letter"),
        (["--temperature", "2.1"], "'2.1' is no temperature; it is 0 to 2"),
        (["--temperature", "nan"], "'nan' is no temperature; it is 0 to 2"),
    ],
)
def test_wrong_usage_is_named_and_ends_with_2(flags, problem, capsys):
    with pytest.raises(SystemExit) as info:
        read(*flags)
    assert info.value.code == 2
    assert problem in capsys.readouterr().err


def show(options: Options) -> str:
    stdout = io.StringIO()
    with Outputs(options, stdout=stdout) as outputs:
        for printer in outputs.printers("a.wav"):
            printer.show(arrived(final("Hello.")))
            printer.close()
    return stdout.getvalue()


def test_text_goes_to_standard_output():
    assert show(Options()) == "[0.3–4.2] Hello.\n"


def test_json_on_standard_output_takes_the_place_of_text():
    assert json.loads(show(Options(json="-")))["text"] == "Hello."


def test_json_in_a_file_and_a_transcript_leave_text_where_it_was(tmp_path):
    record, transcript = tmp_path / "a.json", tmp_path / "a.vtt"
    assert show(Options(json=str(record), save=transcript)) == "[0.3–4.2] Hello.\n"
    assert json.loads(record.read_text())["file"] == "a.wav"
    assert transcript.read_text().endswith("Hello.\n\n")


@pytest.mark.parametrize("kind", ["json", "save"])
def test_an_output_that_cannot_be_written_is_named(tmp_path, kind):
    path = tmp_path / "none" / "a.jsonl"
    options = Options(**{kind: str(path) if kind == "json" else path})
    with pytest.raises(OutputError, match="cannot be written"), Outputs(options):
        pass


def test_the_options_and_the_format_reach_the_client():
    client = Options(
        url="ws://a/v1/stream", language="de", tasks=("describe",)
    ).connect(PcmFormat(rate=8000, encoding="alaw", channels=2))
    start = client.request
    assert (start.rate, start.encoding, start.channels) == (8000, "alaw", 2)
    assert (start.language, start.tasks) == ("de", ("describe",))
