import threading
import time

import psutil
import pytest

from engine.benchmarks.server import main_thread_s, read_metric
from engine.evaluation.live import LiveError

METRICS = """\
# HELP salmonn_audio_seconds_total Speech that the engine has heard
# TYPE salmonn_audio_seconds_total counter
salmonn_audio_seconds_total 11.42
salmonn_audio_seconds_created 1.795e+09
"""


def test_a_figure_is_read_by_its_whole_name():
    assert read_metric(METRICS, "salmonn_audio_seconds_total") == 11.42


def test_a_figure_that_is_not_there_is_an_error_that_names_it():
    with pytest.raises(LiveError, match="/metrics has no salmonn_audio_seconds"):
        read_metric(METRICS, "salmonn_audio_seconds")


def compute(seconds):
    until_s = time.thread_time() + seconds
    while time.thread_time() < until_s:
        pass


def test_of_a_process_only_the_main_thread_is_counted():
    process = psutil.Process()
    begun_s = main_thread_s(process)
    other = threading.Thread(target=compute, args=(0.3,))
    other.start()
    other.join()
    assert main_thread_s(process) - begun_s < 0.2
    compute(0.3)
    assert main_thread_s(process) - begun_s > 0.2
