import io

import pytest
from rich.console import Console
from rich.style import Style

from clients.terminal import (
    LinePrinter,
    LivePrinter,
    make_printer,
    partial_text,
    plain,
)
from stream.events import Error
from tests.clients.events import (
    FAILED,
    PROGRESS,
    REFUSED,
    STARTED,
    TASK_FAILED,
    answer,
    answer_partial,
    answer_started,
    arrived,
    final,
    partial,
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(*events, named: bool = False, verbose: bool = False) -> str:
    stream = io.StringIO()
    printer = LinePrinter(stream, named=named, verbose=verbose)
    for event in events:
        printer.show(arrived(event, 0.41))
    printer.close()
    return stream.getvalue()


def test_the_printer_fits_the_stream():
    assert isinstance(make_printer(io.StringIO()), LinePrinter)
    printer = make_printer(Terminal())
    printer.close()
    assert isinstance(printer, LivePrinter)


def test_a_pipe_gets_a_line_for_each_final_and_nothing_else():
    assert lines(STARTED, partial("So"), PROGRESS, final("So far.")) == (
        "[0.3–4.2] So far.\n"
    )


def test_a_final_without_words_is_no_line():
    assert lines(final(" ")) == ""


def test_several_tasks_are_told_apart():
    text = lines(final("Hello."), final("Hallo.", task="translate:de"), named=True)
    assert text == "[0.3–4.2] transcribe: Hello.\n[0.3–4.2] translate:de: Hallo.\n"


def test_who_asks_gets_partials_and_latencies_on_a_pipe():
    assert lines(partial("So"), final("So far."), verbose=True) == (
        "[0.3–4.2] So …  (0.41 s)\n[0.3–4.2] So far.  (0.41 s)\n"
    )


def test_a_segment_without_an_answer_is_told_on_stderr(capsys):
    assert lines(FAILED) == ""
    assert capsys.readouterr().err == "segment 1: too long (engine)\n"


def test_an_answer_is_a_line_behind_its_question():
    events = answer_started(), answer_partial("It"), answer("It is I.")
    assert lines(*events) == "[0.3–4.2] Who is it? → It is I.\n"
    assert lines(*events, verbose=True).endswith("→ It is I.  (0.41 s)\n")


def test_an_answer_that_was_cut_says_so():
    assert lines(answer("It is", finish="length")) == "[0.3–4.2] → It is  [length]\n"


def test_what_is_not_answered_is_told_on_stderr(capsys):
    assert lines(REFUSED, TASK_FAILED) == ""
    assert capsys.readouterr().err == (
        "question 1: too many (limit)\nsegment 1, describe: no (engine)\n"
    )


def test_an_answer_grows_at_the_bottom_of_a_terminal_and_then_stays():
    stream = Terminal()
    console = Console(file=stream, width=60, force_terminal=True, color_system=None)
    printer = LivePrinter(console, named=False, verbose=True)
    shown = []
    refused = Error(seq=1, code="engine", message="no", question="2")
    for event in (
        answer_started(),
        answer_partial("It"),
        answer("It is I."),
        answer_started("2", "Why?"),
        refused,
    ):
        before = len(stream.getvalue())
        printer.show(arrived(event, 0.5))
        shown.append(stream.getvalue()[before:])
    printer.close()
    assert "Who is it?" in shown[0]
    assert "Who is it? It …" in shown[1]
    assert "Who is it? → It is I.  (0.50 s)" in shown[2]
    assert "question 2: no (engine)" in shown[4]
    assert "Why?" not in shown[4]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  two\n lines ", "two lines"),
        ("red \x1b[31m alert\x07", "red [31m alert"),
        ("naïve 漢字 …", "naïve 漢字 …"),
    ],
)
def test_text_cannot_steer_the_terminal(text, expected):
    assert plain(text) == expected


def test_the_stable_part_of_a_partial_is_solid_and_the_rest_dim():
    text = partial_text(partial("so far so good", stable=7), named=False)
    assert text.plain == "[0.3–4.2] so far so good"
    styles = {text.plain[span.start : span.end]: span.style for span in text.spans}
    assert not Style.parse(styles["so far"]).dim
    assert Style.parse(styles[" so good"]).dim


def screen(*events, height: int = 24) -> str:
    stream = Terminal()
    console = Console(file=stream, force_terminal=True, width=40, height=height)
    printer = LivePrinter(console, named=False, verbose=True)
    for event in events:
        printer.show(arrived(event, 0.41))
    printer.close()
    return stream.getvalue()


ERASE_LINE = "\x1b[2K"


def test_a_terminal_shows_partials_and_takes_them_back():
    drawn = screen(STARTED, partial("So"))
    assert "So" in drawn
    assert ERASE_LINE in drawn[drawn.index("So") :]


def test_a_final_stays_below_nothing_of_its_partial():
    drawn = screen(partial("So for"), final("So far."))
    after = drawn[drawn.index("So far.") :]
    assert "0.41 s" in after
    assert "So for" not in after
    assert drawn.count("So far.") == 1


def test_a_failed_segment_takes_its_partials_along():
    drawn = screen(STARTED, partial("So for"), FAILED)
    assert "So for" not in drawn[drawn.index("too long") :]


def test_of_a_long_partial_the_newest_lines_are_shown():
    text = " ".join(f"word{i}" for i in range(200))
    drawn = screen(partial(text), height=9)
    assert "word199" in drawn
    assert "word10 " not in drawn
