import asyncio

import pytest

from clients.paced import Gate, paced, unpaced


class FakeTime:
    """A clock that only sleeping and working move."""

    def __init__(self) -> None:
        self.now_s = 50.0

    def clock(self) -> float:
        return self.now_s

    async def sleep(self, delay_s: float) -> None:
        assert delay_s > 0
        self.now_s += delay_s


async def test_a_piece_comes_when_its_last_sample_would_have_been_spoken():
    time = FakeTime()
    pieces = paced(
        [bytes(10), bytes(30)], bytes_per_second=10, clock=time.clock, sleep=time.sleep
    )
    assert [time.now_s - 50 async for _ in pieces] == [1.0, 4.0]


async def test_lateness_is_made_up_for():
    time = FakeTime()
    released_s = []
    async for _ in paced(
        [bytes(10)] * 5, bytes_per_second=10, clock=time.clock, sleep=time.sleep
    ):
        released_s.append(time.now_s - 50)
        if len(released_s) == 2:
            time.now_s += 2.5
    assert released_s == [1.0, 2.0, 4.5, 4.5, 5.0]


async def test_an_hour_of_odd_pieces_does_not_drift():
    time = FakeTime()
    num = 3600 * 44_100 // 1323
    last_s = 0.0
    async for _ in paced(
        [bytes(1323)] * num, bytes_per_second=44_100, clock=time.clock, sleep=time.sleep
    ):
        last_s = time.now_s
    assert last_s - 50 == pytest.approx(3600, abs=1e-3)


async def test_unpaced_pieces_come_unchanged():
    assert [piece async for piece in unpaced([b"a", b"b"])] == [b"a", b"b"]


async def test_the_clock_of_a_gate_stands_still_while_it_is_shut():
    time = FakeTime()
    gate = Gate(time.clock)
    time.now_s += 1
    gate.shut()
    gate.shut()
    time.now_s += 5
    assert gate.now() == 51
    waiting = asyncio.create_task(gate.passed())
    await asyncio.sleep(0)
    assert not waiting.done()
    gate.open()
    await waiting
    time.now_s += 1
    gate.open()
    assert gate.now() == 52
