import asyncio
import threading
from concurrent.futures import CancelledError

import pytest

from engine.coroutines import CoroutineThread


async def name():
    return threading.current_thread().name


async def forever(events):
    try:
        events.append("began")
        await asyncio.Event().wait()
    finally:
        events.append("ended")


def test_coroutines_run_in_the_thread():
    thread = CoroutineThread("apart")
    assert thread.start(name()).result() == "apart"
    thread.close()


def test_what_still_runs_is_cancelled_at_the_end():
    thread, events = CoroutineThread("apart"), []
    running = thread.start(forever(events))
    thread.start(name()).result()
    thread.close()
    assert events == ["began", "ended"]
    with pytest.raises(CancelledError):
        running.result()
    assert "apart" not in {one.name for one in threading.enumerate()}
