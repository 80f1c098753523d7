import io
import os
import threading

import pytest
from rich.console import Console

from engine.progress import Lines, report_on, watch


class Steps:
    """Keeps what it is told; says when there is something."""

    def __init__(self):
        self.told, self.some = [], threading.Event()

    def say(self, line):
        self.told.append(line)

    def progress(self, step, done, total):
        self.told.append((step, done, total))
        if done:
            self.some.set()


def test_a_pipe_gets_one_line_a_step():
    lines = []
    report = Lines(lines.append)
    for done in range(3):
        report.progress("fetching it", done, 2_500_000)
    report.say("converting it")
    assert lines == ["fetching it (2.5 MB)", "converting it"]


def test_a_terminal_gets_bars():
    screen = io.StringIO()
    with report_on(Console(file=screen, force_terminal=True, width=100)) as report:
        report.say("terms [of use]")
        report.progress("fetching it", 1_000_000, 2_000_000)
        report.progress("fetching it", 2_000_000, 2_000_000)
    assert "terms [of use]" in screen.getvalue()
    assert "2.0/2.0 MB" in screen.getvalue()


def test_what_is_no_terminal_gets_no_escapes():
    screen = io.StringIO()
    with report_on(Console(file=screen)) as report:
        report.progress("fetching [it]", 0, 1_000_000)
    assert screen.getvalue() == "fetching [it] (1.0 MB)\n"


def test_a_growing_file_is_seen_while_it_grows(tmp_path):
    steps = Steps()

    def work():
        (tmp_path / "half").write_bytes(b"12345")
        assert steps.some.wait(timeout=60)
        return "done"

    assert watch(work, tmp_path, "fetching", 10, steps) == "done"
    assert ("fetching", 5, 10) in steps.told
    assert steps.told[-1] == ("fetching", 10, 10)


def test_a_failure_of_the_work_is_passed_on(tmp_path):
    def work():
        raise TimeoutError("too slow")

    with pytest.raises(TimeoutError, match="too slow"):
        watch(work, tmp_path, "fetching", 10, Steps())


def test_a_folder_that_goes_while_it_is_looked_at_counts_nothing(tmp_path, monkeypatch):
    (tmp_path / "kept").write_bytes(b"12345")
    gone = tmp_path / "unpack"
    gone.mkdir()
    look, steps = os.scandir, Steps()

    def look_late(folder):
        if os.fspath(folder) == os.fspath(gone) and gone.exists():
            gone.rmdir()
        return look(folder)

    monkeypatch.setattr(os, "scandir", look_late)
    watch(lambda: steps.some.wait(timeout=60), tmp_path, "fetching", 10, steps)
    assert not gone.exists()
    assert ("fetching", 5, 10) in steps.told
