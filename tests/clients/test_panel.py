import numpy as np
import pytest

from clients.marks import Mark
from clients.panel import Order, Panel, Question
from stream.audio import PcmFormat, to_pcm


def press(panel, keys):
    return [order for key in keys if (order := panel.press(key)) is not None]


def tone(level):
    return to_pcm(np.full(800, level, np.float32))


@pytest.mark.parametrize(
    ("keys", "orders"),
    [
        ("m", [Order.MARK]),
        ("p", [Order.PAUSE]),
        (" ", [Order.PAUSE]),
        ("q", [Order.QUIT]),
        ("\x04", [Order.QUIT]),
        ("x\x1b\n", []),
        ("aWho?\n", [Question("Who?")]),
        ("a Wh\x7f\x7fWho mp?\r", [Question("Who mp?")]),
        ("aOh\x15Who?\n", [Question("Who?")]),
        ("aWho\x1bm", [Order.MARK]),
        ("a\nm", [Order.MARK]),
        ("a  \nm", [Order.MARK]),
    ],
)
def test_what_keys_mean(keys, orders):
    assert press(Panel(PcmFormat()), keys) == orders


def test_a_pause_ends_with_the_key_that_began_it():
    panel = Panel(PcmFormat())
    assert "p pause" in panel.line()
    panel.is_paused = True
    assert press(panel, "p ") == [Order.RESUME, Order.RESUME]
    assert "paused" in panel.line()
    assert "p go on" in panel.line()


def test_behind_the_end_one_can_only_leave():
    panel = Panel(PcmFormat())
    assert press(panel, "aWho?") == []
    panel.is_ending = True
    assert press(panel, "\npamq") == [Order.QUIT]
    assert "waiting for the last words" in panel.line()


@pytest.mark.parametrize(
    ("level", "cells"), [(0.0, 0), (0.0005, 0), (0.1, 8), (0.99, 12)]
)
def test_the_meter_shows_decibels(level, cells):
    panel = Panel(PcmFormat())
    panel.hear(tone(level))
    assert panel.line().count("█") == cells


def test_a_peak_falls_slowly():
    panel = Panel(PcmFormat())
    panel.hear(tone(0.99))
    panel.hear(tone(0.0))
    assert 10 < panel.line().count("█") <= 12
    for _ in range(30):
        panel.hear(tone(0.0))
    assert panel.line().count("█") == 0


def test_time_and_marks_count_what_was_heard_whatever_its_format():
    panel = Panel(PcmFormat(rate=48_000, channels=2))
    panel.hear(bytes(65 * 48_000 * 4))
    assert " 1:05 " in panel.line()
    assert panel.mark() == Mark(1, 65 * 16_000, 65 * 48_000)
    assert panel.mark().number == 2


def test_what_is_typed_is_shown():
    panel = Panel(PcmFormat())
    press(panel, "aWer da")
    assert panel.line().startswith("ask: Wer da▏")
