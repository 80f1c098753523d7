import asyncio
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.errors import AudioSourceError
from clients.inlet import Inlet


async def collect(inlet: Inlet) -> list[bytes]:
    return [chunk async for chunk in inlet.chunks()]


def start(target, *args) -> threading.Thread:
    thread = threading.Thread(target=target, args=args)
    thread.start()
    return thread


@settings(max_examples=30, deadline=None)
@given(chunks=st.lists(st.binary(min_size=1, max_size=3), max_size=40))
def test_chunks_arrive_in_order_through_a_narrow_queue(chunks):
    async def run() -> list[bytes]:
        inlet = Inlet(max_chunks=2)

        def write() -> None:
            for chunk in chunks:
                assert inlet.put(chunk)
            inlet.finish()

        thread = start(write)
        received = await collect(inlet)
        thread.join()
        return received

    assert asyncio.run(run()) == chunks


async def test_what_finds_no_room_is_counted():
    inlet = Inlet(max_chunks=2)
    for chunk in (b"aa", b"bb", b"cc", b"ddd"):
        inlet.offer(chunk)
    assert inlet.refused_bytes == 5
    inlet.finish()
    assert await collect(inlet) == [b"aa", b"bb"]


async def test_nothing_is_taken_and_nothing_counted_after_the_end():
    inlet = Inlet(max_chunks=1)
    inlet.finish()
    inlet.offer(b"late")
    assert not inlet.put(b"late")
    assert await collect(inlet) == []
    assert inlet.refused_bytes == 0


async def test_the_reader_gets_the_error_after_the_last_chunk():
    inlet = Inlet(max_chunks=9)
    inlet.offer(b"a")
    inlet.finish(AudioSourceError("a pipe", "broke"))
    chunks = inlet.chunks()
    assert await anext(chunks) == b"a"
    with pytest.raises(AudioSourceError, match="a pipe: broke"):
        await anext(chunks)


@pytest.mark.parametrize("end", [Inlet.close, Inlet.finish])
async def test_ending_lets_a_waiting_writer_go(end):
    inlet = Inlet(max_chunks=1)
    answers = []
    inlet.offer(b"a")
    thread = start(lambda: answers.append(inlet.put(b"b")))
    end(inlet)
    await asyncio.to_thread(thread.join)
    assert answers == [False]


async def test_a_closed_inlet_yields_nothing_more():
    inlet = Inlet(max_chunks=3)
    inlet.offer(b"a")
    inlet.close()
    assert await collect(inlet) == []
