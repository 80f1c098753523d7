"""Debian's Chromium with the page at `/` in it, driven as a user would."""

import asyncio
import contextlib
import io
import shutil
import wave
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.async_api import async_playwright, expect

from stream.audio import SAMPLE_RATE
from tests.conftest import NEEDS_PACKAGE
from tests.fakes.engine import ScriptedEngine
from tests.fakes.server import DEADLINE_S, running

CHROMIUM = shutil.which("chromium")
WAIT_MS = DEADLINE_S * 1_000
expect.set_options(timeout=WAIT_MS)

KEEP_SOCKETS = """() => {
    window.sockets = [];
    window.WebSocket = class extends WebSocket {
        constructor(...all) {
            super(...all);
            window.sockets.push(this);
        }
    };
}"""

NEEDS_CHROMIUM = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason=f"{NEEDS_PACKAGE}chromium"),
]


def wav(pcm, rate=SAMPLE_RATE):
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, rate, 0, "NONE", ""))
        out.writeframes(pcm)
    return file.getvalue()


@contextlib.asynccontextmanager
async def browsing(url, *flags, muted=True, **settings):
    """Open the page; whatever it writes as an error, or cannot load, fails the test."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", *flags],
            ignore_default_args=[] if muted else ["--mute-audio"],
        )
        context = await browser.new_context(**settings)
        context.set_default_timeout(WAIT_MS)
        page = await context.new_page()
        errors = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("requestfailed", lambda request: errors.append(request.url))
        await page.goto(url)
        yield page
        await browser.close()
    assert not errors


def url_of(server):
    return f"http://127.0.0.1:{server.port}/"


def captions(page):
    return page.locator("#captions li:visible p[data-task=transcribe]")


async def hear(page, pcm, name="talk.wav"):
    """Choose a file, and start."""
    await page.get_by_label("File", exact=True).check()
    file = {"name": name, "mimeType": "audio/wav", "buffer": wav(pcm)}
    await page.get_by_label("Sound file").set_input_files(file)
    await page.get_by_role("button", name="Start").click()


def asked_nothing():
    """Return an engine that takes no questions: with it, a file ends its session."""
    engine = ScriptedEngine()
    engine.info = replace(engine.info, answers_questions=False)
    return engine


def serving(**settings):
    return running(engine=asked_nothing(), **settings)


async def over(page):
    await expect(page.get_by_role("status").first).to_have_text("Ready")
    await expect(page.get_by_role("button", name="Start")).to_be_enabled()


async def saved(page, kind):
    async with page.expect_download() as waiting:
        await page.get_by_role("button", name=f"Download {kind}").click()
    download = await waiting.value
    return await asyncio.to_thread(Path(await download.path()).read_text)
