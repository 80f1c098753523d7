"""What a run tells."""

import io
import json

from rich.console import Console

from engine.training.journal import LOG, Journal


def lines(folder):
    text = (folder / LOG).read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def quiet():
    return Console(file=io.StringIO(), width=200)


def test_numbers_go_to_the_log_and_to_tensorboard(tmp_path):
    with Journal(tmp_path, steps=9, done=0, console=quiet()) as journal:
        journal.record(2, "train", {"loss": 1.5})
        journal.record(2, "dev", {"accuracy": 0.5})
    assert lines(tmp_path) == [
        {"step": 2, "train": {"loss": 1.5}},
        {"step": 2, "dev": {"accuracy": 0.5}},
    ]
    (events,) = (tmp_path / "tensorboard").iterdir()
    written = events.read_bytes()
    assert b"train/loss" in written
    assert b"dev/accuracy" in written


def test_a_run_that_goes_on_takes_back_what_it_will_do_again(tmp_path):
    with Journal(tmp_path, steps=9, done=0, console=quiet()) as journal:
        for step in (1, 2, 3):
            journal.record(step, "train", {"loss": float(step)})
    with (tmp_path / LOG).open("a", encoding="utf-8") as file:
        file.write('{"step": 4, "tr')
    with Journal(tmp_path, steps=9, done=2, console=quiet()) as journal:
        journal.record(3, "train", {"loss": 30.0})
    assert [(line["step"], line["train"]["loss"]) for line in lines(tmp_path)] == [
        (1, 1.0),
        (2, 2.0),
        (3, 30.0),
    ]


def test_without_a_terminal_each_record_is_a_line():
    console = quiet()
    with Journal(None, steps=9, done=0, console=console) as journal:
        journal.advance(2)
        journal.record(2, "train", {"loss": 1.5, "steps_per_s": 3.0})
    assert console.file.getvalue() == "step 2/9  train: loss 1.5  steps_per_s 3\n"


def test_on_a_terminal_a_bar_shows_loss_speed_and_what_is_left():
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120)
    with Journal(None, steps=9, done=0, console=console) as journal:
        journal.advance(2)
        journal.record(2, "train", {"loss": 1.5, "steps_per_s": 3.0})
    shown = screen.getvalue()
    assert "2/9" in shown
    assert "loss 1.5  steps_per_s 3" in shown
    assert "left" in shown
