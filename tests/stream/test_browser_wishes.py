"""Translation and standing prompts, switched while the page at `/` listens."""

import asyncio

from playwright.async_api import expect

from tests.fakes.browser import NEEDS_CHROMIUM, browsing, captions, hear, over, url_of
from tests.fakes.engine import speak
from tests.fakes.server import DEADLINE_S, running

pytestmark = NEEDS_CHROMIUM

WORDS = list(range(50, 98))
"""With a pause behind each they last 29 s: more than the page sends ahead."""


def paused(*words):
    return speak(*(word for said in words for word in (said, 0)))


async def begun(server, page, audio):
    """Hear a file, the engine standing still once it has begun."""
    server.engine.free.clear()
    await hear(page, audio)
    assert await asyncio.to_thread(server.engine.busy.wait, DEADLINE_S)


async def stop(page):
    await page.get_by_role("button", name="Stop").click()
    await over(page)


async def test_what_is_wanted_beside_the_captions_changes_while_it_listens():
    # There is one place, so that the first session has to leave before the next.
    async with running(max_sessions=1) as server, browsing(url_of(server)) as page:
        await begun(server, page, paused(*WORDS))
        await page.get_by_label("Translation").select_option("translate:en")
        await page.get_by_label("describe").focus()
        await page.keyboard.press("Space")
        assert await page.evaluate("() => document.activeElement.value") == "describe"
        await page.get_by_label("Question").fill("what now")
        await page.keyboard.press("Enter")
        server.engine.free.set()
        await expect(captions(page).last).to_have_text(str(WORDS[-1]))
        described = page.locator("#captions p[data-task=describe]")
        await expect(described.last).to_have_text(f"describe: describe {WORDS[-1]}")
        answer = page.get_by_role("log", name="Answers").locator(".settled")
        await expect(answer).to_contain_text("what now")
        heard = [int(text) for text in await captions(page).all_inner_texts()]
        assert heard == WORDS
        translated = page.locator("#captions p[data-task='translate:en']")
        later = [int(text) for text in await translated.all_inner_texts()]
        assert 0 < len(later) < len(WORDS)
        assert later == WORDS[-len(later) :]
        assert await described.count() == len(later)
        times = await page.locator("#captions li:visible time").all_inner_texts()
        assert times == sorted(times)
        assert times[-1] == "00:00:28"
        await page.get_by_label("Translation").select_option("")  # for the next time
        await stop(page)
        assert await captions(page).count() == len(WORDS)


async def test_voices_are_counted_on_after_a_change_and_keep_their_names():
    words = [1 if word % 2 else 21 for word in WORDS]
    async with running() as server, browsing(url_of(server)) as page:
        await page.get_by_label("Tell who speaks").check()
        page.on("dialog", lambda dialog: asyncio.create_task(dialog.accept("Anna")))
        await begun(server, page, paused(*words))
        await page.get_by_label("describe").check()
        server.engine.free.set()
        labels = page.locator("#captions .speaker")
        await expect(labels).to_have_count(len(words))
        shown = await labels.all_inner_texts()
        assert {*shown} == {f"speaker {number}" for number in (1, 2, 3, 4)}
        firsts = [shown.index(f"speaker {number}") for number in (1, 2, 3, 4)]
        assert firsts == sorted(firsts)
        await labels.first.click()
        await expect(labels.first).to_have_text("Anna")
        named = await labels.all_inner_texts()
        assert [name for name in named if name != "Anna"] == [
            name for name in shown if name != "speaker 1"
        ]
        await labels.last.click()
        await expect(labels.last).to_have_text("Anna")
        await stop(page)
