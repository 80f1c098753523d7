import asyncio

from engine.door import Door
from engine.hosting import Call

FIRST, SECOND, THIRD = Call("partial"), Call("weigh"), Call("final")


async def test_calls_are_fetched_by_ticket_and_in_their_order_however_they_come():
    door = Door()
    for ticket, number, call in (
        ("a", 1, SECOND),
        ("b", 0, FIRST),
        ("a", 3, None),
        ("a", 0, FIRST),
    ):
        await door.post(ticket, number, call)
    assert await door.next("a", "r") == [FIRST, SECOND]
    assert await door.next("b", "r") == [FIRST]
    await door.post("a", 2, THIRD)
    assert await door.next("a", "r") == [THIRD, None]


async def test_who_comes_early_waits():
    door = Door()
    waiting = asyncio.create_task(door.next("a", "r"))
    await asyncio.sleep(0)
    assert not waiting.done()
    await door.post("a", 0, FIRST)
    assert await waiting == [FIRST]


async def test_a_second_replica_for_the_same_ticket_is_sent_away():
    door = Door()
    await door.post("a", 0, FIRST)
    await door.next("a", "r")
    await door.post("a", 1, SECOND)
    assert await door.next("a", "other") == [None]
    assert await door.next("a", "r") == [SECOND]


async def test_who_waits_for_a_ticket_that_is_forgotten_is_sent_away():
    door = Door()
    waiting = asyncio.create_task(door.next("a", "r"))
    await asyncio.sleep(0)
    await door.forget("a")
    assert await waiting == [None]
    await door.forget("a")
