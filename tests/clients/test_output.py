from pathlib import Path

import pytest

from clients.errors import OutputError
from clients.output import OutputFile

FULL = Path("/dev/full")


def test_what_was_written_can_be_read_at_once(tmp_path):
    output = OutputFile(tmp_path / "a.txt")
    output.write("one\n")
    assert (tmp_path / "a.txt").read_text() == "one\n"
    output.close()


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(OutputError, match=r"no/a\.txt: cannot be written: No such"):
        OutputFile(tmp_path / "no" / "a.txt")


@pytest.mark.skipif(not FULL.exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_is_told_whenever_it_is_noticed():
    output = OutputFile(FULL)
    for step in (lambda: output.write("one\n"), output.close):
        with pytest.raises(OutputError, match="/dev/full: cannot be written: No space"):
            step()
