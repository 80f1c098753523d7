"""The fuzzing command, on some hundreds of inputs."""

import gc

import pytest

from stream.protocols.openai_errors import FieldError
from tests import fuzz

FEW = 500


@pytest.mark.parametrize("name", fuzz.PARSERS)
def test_a_parser_takes_an_input_or_says_what_is_wrong_with_it(name):
    ends = fuzz.fuzz(*fuzz.PARSERS[name], FEW)
    assert ends.total() >= FEW
    assert len(ends) > 1, "nothing but one end is reached"


def test_an_error_that_is_none_of_ours_is_told_with_its_input(monkeypatch):
    def fail(*values):
        raise ZeroDivisionError("a bug")

    broken = {"pcm": (fail, fuzz.PARSERS["pcm"][1])}
    monkeypatch.setattr(fuzz, "PARSERS", broken)
    with pytest.raises(ZeroDivisionError) as raised:
        fuzz.main(["--inputs", "5"])
    assert "the input: " in "".join(raised.value.__notes__)


def test_what_became_of_the_inputs_is_counted(capsys):
    fuzz.main(["--only", "pcm", "--inputs", "300"])
    shown = capsys.readouterr().out
    assert shown.startswith("pcm")
    assert "AudioFormatError" in shown


def test_a_file_that_has_no_end_is_not_left_open():
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    with pytest.raises(FieldError, match="file is missing"):
        fuzz.form("multipart/form-data; boundary=b", body, 100)
    gc.collect()  # would warn of an open file, and warnings are errors
