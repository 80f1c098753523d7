"""Events that wait for their reader."""

import asyncio

import pytest

from clients.arrivals import ArrivalQueue
from clients.errors import DroppedError
from clients.latency import Arrival
from stream.events import Progress


def arrival(seq):
    return Arrival(Progress(seq=seq, accepted=0, settled=0), None)


async def test_events_come_in_their_order_and_end():
    queue = ArrivalQueue(8)
    for seq in (1, 2):
        await queue.put(arrival(seq))
    await queue.end(None)
    assert [(await queue.next()).event.seq for _ in range(2)] == [1, 2]
    assert await queue.next() is None
    assert await queue.next() is None


async def test_what_ended_them_is_raised_behind_the_last_one():
    queue, failure = ArrivalQueue(8), DroppedError("u", "gone")
    await queue.put(arrival(1))
    await queue.end(failure)
    assert (await queue.next()).event.seq == 1
    for _ in range(2):
        with pytest.raises(DroppedError):
            await queue.next()


async def test_a_full_queue_takes_more_once_one_was_read():
    queue = ArrivalQueue(1)
    await queue.put(arrival(1))
    second = asyncio.create_task(queue.put(arrival(2)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not second.done()
    assert (await queue.next()).event.seq == 1
    await second
    assert (await queue.next()).event.seq == 2


async def test_a_reader_that_waits_is_woken_by_the_end():
    queue = ArrivalQueue(1)
    reading = asyncio.create_task(queue.next())
    await asyncio.sleep(0)
    await queue.end(None)
    assert await reading is None
