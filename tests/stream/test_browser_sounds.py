"""Sounds and watches on the page at `/`, in Debian's Chromium."""

from dataclasses import replace

import pytest
from playwright.async_api import expect

from engine.errors import EngineError
from tests.fakes.browser import (
    KEEP_SOCKETS,
    NEEDS_CHROMIUM,
    asked_nothing,
    browsing,
    hear,
    over,
    saved,
    url_of,
)
from tests.fakes.engine import ScriptedEngine, speak
from tests.fakes.server import running

pytestmark = NEEDS_CHROMIUM

TALK = speak(1, 2, 0, 0, 30, 30, 30, 30)
"""The segments "1 2" and "30"; what is last is a sound, too."""
KEEP_NOTIFICATIONS = """() => {
    window.notified = [];
    window.numAsked = 0;
    window.Notification = class extends Notification {
        constructor(title, options) {
            super(title, options);
            window.notified.push(title);
        }
        static requestPermission() {
            window.numAsked += 1;
            return super.requestPermission();
        }
    };
}"""


def lines(page):
    """Return what stands between the captions, and them, in their order."""
    return page.locator("#captions li:visible p")


def watches(page):
    return page.get_by_role("list", name="What is waited for").locator("li")


async def watch(page, text):
    await page.get_by_label("What to wait for").fill(text)
    await page.get_by_role("button", name="Add").click()


async def stop(page):
    await page.get_by_role("button", name="Stop").click()
    await over(page)


async def test_sounds_stand_between_the_captions_are_said_and_are_in_the_files():
    async with running() as server, browsing(url_of(server)) as page:
        await page.get_by_label("Name sounds").check()
        await hear(page, TALK)
        await expect(lines(page)).to_have_count(3)
        await stop(page)
        assert sorted(await lines(page).all_inner_texts()) == ["1 2", "30", "[thirty]"]
        said = page.get_by_role("log", name="Captions").locator("p")
        assert sorted(await said.all_inner_texts()) == ["1 2", "30", "[thirty]"]
        assert "\n[thirty]\n" in await saved(page, "SRT")
        assert "\n[thirty]\n" in await saved(page, "VTT")
        assert "[thirty]\n" in await saved(page, "TXT")


async def test_sounds_are_not_named_unless_it_is_wanted():
    async with running() as server, browsing(url_of(server)) as page:
        await hear(page, TALK)
        await expect(lines(page)).to_have_text(["1 2", "30"])
        await stop(page)
        assert server.engine.weighed == []
        assert await saved(page, "TXT") == "1 2\n\n30\n"


async def test_a_sound_without_words_can_be_saved():
    async with running() as server, browsing(url_of(server)) as page:
        await page.evaluate(
            """async () => {
                const { Captions } = await import("/browser/captions.js");
                const { toSrt } = await import("/browser/subtitles.js");
                const captions = new Captions(), text = "a  dog\\nbarking";
                const sound = { type: "sound", label: "dog bark", text, start: 16000 };
                const final = { type: "final", segment: 1, task: "transcribe",
                    start: 24000, end: 32000, text: "Hello." };
                captions.push(final);
                captions.push({ ...sound, end: 40000, complete: false });
                window.before = toSrt(captions.finals());
                captions.push({ ...sound, end: 48000, complete: true });
                window.after = toSrt(captions.finals());
            }"""
        )
        assert await page.evaluate("before") == (
            "1\n00:00:01,500 --> 00:00:02,000\nHello.\n\n"
        )
        assert await page.evaluate("after") == (
            "1\n00:00:01,000 --> 00:00:03,000\n[a dog barking]\n\n"
            "2\n00:00:01,500 --> 00:00:02,000\nHello.\n\n"
        )


async def test_a_sound_that_is_told_late_stands_where_it_began():
    async with running() as server, browsing(url_of(server)) as page:
        await page.evaluate(
            """async () => {
                const { Captions } = await import("/browser/captions.js");
                const { CaptionView } = await import("/browser/view.js");
                const list = document.getElementById("captions");
                const ears = document.getElementById("spoken");
                const captions = new Captions(), view = new CaptionView(list, ears);
                for (const [segment, start] of [[1, 0], [2, 32000]])
                    view.show(captions.push({ type: "final", segment, start, end: start,
                        task: "transcribe", text: `said ${segment}` }));
                for (const [text, start] of [["dog", 16000], ["cat", 48000]])
                    view.showSound(captions.push({ type: "sound", label: text, text,
                        start, end: start + 1, complete: false }));
            }"""
        )
        await expect(lines(page)).to_have_text(["said 1", "[dog]", "said 2", "[cat]"])
        times = await page.locator("#captions time").all_inner_texts()
        assert times == ["00:00:00", "00:00:01", "00:00:02", "00:00:03"]


async def test_what_is_told_twice_is_shown_once():
    async with running() as server, browsing(url_of(server)) as page:
        told = await page.evaluate(
            """async () => {
                const { SoundReceipts } = await import("/browser/sounds.js");
                const receipts = new SoundReceipts();
                const events = [[100, false], [120, false], [150, true], [150, true],
                    [130, false], [300, false], [310, true]];
                return events.map(([end, complete]) =>
                    receipts.isNew({ type: "sound", label: "x", end, complete }));
            }"""
        )
    assert told == [True, False, True, False, False, True, True]


async def test_what_is_watched_for_is_told_and_can_be_taken_away():
    async with running() as server, browsing(url_of(server)) as page:
        await page.evaluate(KEEP_NOTIFICATIONS)
        await watch(page, "word 30")
        await watch(page, "word 9")
        await expect(watches(page)).to_have_count(2)
        await page.get_by_role("button", name="Remove: word 9").click()
        await expect(watches(page)).to_have_count(1)
        await hear(page, TALK)
        await expect(lines(page).filter(has_text="[word 30]")).to_have_count(1)
        await expect(watches(page)).to_contain_text("Hears it since 00:00:0")
        await watch(page, "word 9")
        await server.until(
            lambda: len(next(iter(server.hub.streams)).session.watches._kept) == 2
        )
        await stop(page)
        await expect(watches(page).first).to_contain_text("Heard at 00:00:0")
        weighed = {what for asked in server.engine.weighed for what in asked}
        assert weighed == {"word 30", "word 9"}
        assert await page.evaluate("[numAsked, notified.length]") == [0, 0]


async def test_a_connection_that_is_made_again_says_what_is_watched_for_now():
    async with running() as server, browsing(url_of(server)) as page:
        await page.evaluate(KEEP_SOCKETS)
        await watch(page, "word 8")
        await hear(page, speak(1, 0, 0))
        await expect(lines(page)).to_have_text(["1"])
        await page.get_by_role("button", name="Remove: word 8").click()
        await watch(page, "word 30")
        await page.evaluate("() => window.sockets.at(-1).close()")
        await page.wait_for_function("() => window.sockets.length === 2")
        await expect(page.get_by_role("status").first).to_contain_text("was heard")
        (stream,) = server.hub.streams
        texts = [one.watch.text for one in stream.session.watches._kept.values()]
        assert texts == ["word 30"]
        await stop(page)


async def test_notifications_are_shown_with_consent_and_asked_for_by_the_switch_alone():
    async with running() as server, browsing(url_of(server)) as page:
        await page.context.grant_permissions(["notifications"])
        await page.evaluate(KEEP_NOTIFICATIONS)
        await watch(page, "word 30")
        assert await page.evaluate("numAsked") == 0
        await page.get_by_label("Show a notification").check()
        assert await page.evaluate("numAsked") == 1
        await hear(page, TALK)
        await expect(watches(page)).to_contain_text("Hears it")
        await stop(page)
        assert await page.evaluate("notified") == ["word 30"]


async def test_without_consent_the_switch_goes_back_and_says_why():
    async with running() as server, browsing(url_of(server)) as page:
        await page.evaluate(KEEP_NOTIFICATIONS)
        await watch(page, "word 30")
        await page.get_by_label("Show a notification").click()
        problem = page.locator("#watch-problem")
        await expect(problem).to_have_text(
            "The browser lets this page show no notifications."
        )
        await expect(page.get_by_label("Show a notification")).not_to_be_checked()
        await hear(page, TALK)
        await expect(watches(page)).to_contain_text("Hears it")
        assert await page.evaluate("[numAsked, notified.length]") == [1, 0]
        await stop(page)


async def test_a_watch_that_is_refused_says_why_and_captions_go_on():
    engine = ScriptedEngine()
    engine.check_prompt = _refuse
    async with running(engine=engine) as server, browsing(url_of(server)) as page:
        await hear(page, speak(1, 0, 0))
        await expect(lines(page)).to_have_text(["1"])
        await watch(page, "word 7")
        await expect(watches(page).locator(".failed")).to_have_text(
            "mini was not taught it"
        )
        await expect(page.get_by_role("status").first).to_contain_text("was heard")
        await stop(page)
        await hear(page, speak(2, 0, 0))  # what was refused is not asked for again
        await expect(lines(page)).to_have_text(["2"])
        await stop(page)


def _refuse(prompt):
    raise EngineError("mini was not taught it")


async def test_no_more_is_watched_for_than_the_server_takes():
    async with running() as server, browsing(url_of(server)) as page:
        for number in range(16):
            await watch(page, f"word {number}")
        add = page.get_by_role("button", name="Add")
        await expect(add).to_be_disabled()
        await expect(page.locator("#watch-problem")).to_contain_text("16 things")
        await page.get_by_role("button", name="Remove: word 0").click()
        await expect(add).to_be_enabled()


@pytest.mark.parametrize("label", ["Name sounds", "What to wait for"])
async def test_a_server_that_cannot_listen_for_sounds_shows_no_switch(label):
    engine = asked_nothing()
    engine.info = replace(engine.info, sounds=())
    async with running(engine=engine) as server, browsing(url_of(server)) as page:
        await expect(page.locator("#model")).to_have_text("scripted")
        await expect(page.get_by_label(label)).to_be_hidden()
