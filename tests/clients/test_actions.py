import asyncio

from clients.actions import MOST_AT_ONCE, MOST_WAITING, Actions


async def test_each_event_is_handed_to_each_action():
    done, told = [], []

    async def first(record):
        done.append(("first", record["n"]))
        return ""

    async def second(record):
        done.append(("second", record["n"]))
        return "it failed"

    async with Actions([first, second], tell=told.append) as actions:
        for n in range(3):
            actions.offer({"n": n})
    assert sorted(done) == [(name, n) for name in ("first", "second") for n in range(3)]
    assert told == ["it failed"] * 3


async def test_few_run_at_once_and_what_finds_no_place_is_left_out_and_told():
    running, most, told = 0, 0, []
    free, full = asyncio.Event(), asyncio.Event()

    async def slow(record):
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == MOST_AT_ONCE:
            full.set()
        await free.wait()
        running -= 1
        return ""

    async with Actions([slow], tell=told.append) as actions:
        for n in range(MOST_AT_ONCE):
            actions.offer({"text": f"begins {n}"})
        await full.wait()
        for n in range(MOST_WAITING):
            actions.offer({"text": f"waits {n}"})
        assert told == []
        actions.offer({"text": "no place"})
        assert told == [f"{MOST_WAITING} actions wait already; none for 'no place'"]
        free.set()
    assert (running, most) == (0, MOST_AT_ONCE)


async def test_one_that_fails_unforeseen_keeps_none_from_being_done(caplog):
    done = []

    async def broken(record):
        done.append(record)
        raise ZeroDivisionError("by nothing")

    async with Actions([broken], tell=print) as actions:
        for n in range(2 * MOST_AT_ONCE):
            actions.offer({"n": n})
    assert len(done) == 2 * MOST_AT_ONCE
    assert [r.message for r in caplog.records] == ["an action failed"] * len(done)


async def test_nothing_is_begun_any_more_where_the_session_fails():
    done, full = [], asyncio.Event()

    async def act(record):
        done.append(record)
        if len(done) == MOST_AT_ONCE:
            full.set()
        await asyncio.Event().wait()
        return ""

    try:
        async with Actions([act], tell=done.append) as actions:
            for n in range(2 * MOST_AT_ONCE):
                actions.offer({"n": n})
            await full.wait()
            raise ValueError
    except ValueError:
        assert len(done) == MOST_AT_ONCE
    assert len(asyncio.all_tasks()) == 1


async def test_without_actions_there_is_nothing_to_do():
    async with Actions([], tell=print) as actions:
        actions.offer({"n": 1})
    assert len(asyncio.all_tasks()) == 1
