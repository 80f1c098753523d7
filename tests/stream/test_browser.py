"""The page at `/` in Debian's Chromium: driven as a user would, its modules alone, too.

The scripted engine hears a file exactly as it is; the microphone has a test with
the real model at the end.
"""

import asyncio
import base64
import contextlib
import json
import math
import sys
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from playwright.async_api import expect

from stream.audio import SAMPLE_RATE, to_pcm
from stream.auth import NOBODY
from stream.config import AuthConfig
from stream.events import Final as FinalEvent
from stream.subtitles import cut, srt_cue, vtt_cue
from tests.checkout import ROOT
from tests.fakes.browser import (
    KEEP_SOCKETS,
    NEEDS_CHROMIUM,
    asked_nothing,
    browsing,
    captions,
    hear,
    over,
    saved,
    serving,
    url_of,
    wav,
)
from tests.fakes.engine import UNKNOWN, ScriptedEngine, speak
from tests.fakes.server import DEADLINE_S, TALK, running
from tests.weights import require_weights

pytestmark = NEEDS_CHROMIUM


async def test_a_file_is_captioned_translated_and_downloaded():
    async with serving() as server, browsing(url_of(server)) as page:
        await expect(page.locator("#model")).to_have_text("scripted")
        await page.get_by_label("Translation").select_option("translate:en")
        await hear(page, TALK)
        await over(page)
        assert await captions(page).all_inner_texts() == ["1 2", "3"]
        beside = page.locator("#captions p[data-task='translate:en']")
        assert await beside.all_inner_texts() == ["1 2", "3"]
        assert await page.locator(".unsettled").count() == 0
        spoken = page.get_by_role("log", name="Captions").locator("p")
        assert await spoken.all_inner_texts() == ["1 2", "1 2", "3", "3"]
        assert "s after the sound" in await page.locator("#latency").inner_text()
        srt = await saved(page, "SRT")
        assert srt.startswith("1\n00:00:00,000 --> 00:00:0")
        assert srt.count("1 2\n1 2\n") == 1
        assert (await saved(page, "VTT")).startswith("WEBVTT\n\n00:00:00.000 --> ")
        assert await saved(page, "TXT") == "1 2\n1 2\n\n3\n3\n"


async def test_who_speaks_stands_before_the_words_and_can_be_given_a_name():
    async with serving() as server, browsing(url_of(server)) as page:
        await page.get_by_label("Tell who speaks").check()
        await page.get_by_label("Translation").select_option("translate:en")
        server.engine.free.clear()
        await hear(page, speak(1, 2, 21, 0, 0, 3, 0, 0))
        server.engine.free.set()
        labels = page.locator("#captions .speaker")
        await expect(labels).to_have_text(["speaker 1", "speaker 2", "speaker 1"])
        await over(page)
        turns = await page.locator("#captions .turn").all_inner_texts()
        assert turns == ["speaker 1 1 2", "speaker 2 21", "speaker 1 3"]
        assert await saved(page, "TXT") == (
            "speaker 1: 1 2\n1 2 21\n\nspeaker 2: 21\n\nspeaker 1: 3\n3\n"
        )
        assert "\n<v speaker 2>21\n" in await saved(page, "VTT")
        assert "\nspeaker 2: 21\n" in await saved(page, "SRT")


async def test_a_name_that_is_given_is_everywhere():
    async with running() as server, browsing(url_of(server)) as page:
        await page.get_by_label("Tell who speaks").check()
        page.on("dialog", lambda dialog: asyncio.create_task(dialog.accept("Anna")))
        await hear(page, speak(1, 2, 0, 0, 21, 0, 0, 3))
        labels = page.locator("#captions .speaker")
        await expect(labels).to_have_text(["speaker 1", "speaker 2", "speaker 1"])
        await labels.first.click()
        await expect(labels).to_have_text(["Anna", "speaker 2", "Anna"])
        assert "<v Anna>3" in await saved(page, "VTT")
        await page.get_by_role("button", name="Stop").click()
        await over(page)


async def test_a_server_that_tells_no_speakers_has_no_box_for_it():
    engine = asked_nothing()
    engine.info = replace(engine.info, max_speakers=0)
    async with running(engine=engine) as server, browsing(url_of(server)) as page:
        await expect(page.locator("#model")).to_have_text("scripted")
        await expect(page.get_by_label("Tell who speaks")).to_be_hidden()


async def test_what_may_change_is_faint_and_what_will_not_is_not():
    async with serving() as server, browsing(url_of(server)) as page:
        await page.evaluate(
            """async () => {
                const { Captions } = await import("/browser/captions.js");
                const { CaptionView } = await import("/browser/view.js");
                const list = document.getElementById("captions");
                const ears = document.getElementById("spoken");
                const view = new CaptionView(list, ears);
                view.clear();
                const event = {
                    type: "partial", segment: 1, task: "transcribe",
                    start: 0, end: 16000, text: "so 🐟 far", stable: 4,
                };
                view.show(new Captions().push(event));
            }"""
        )
        assert await page.locator(".settled").text_content() == "so 🐟"
        faint = page.locator(".unsettled")
        assert await faint.text_content() == " far"
        colours = [
            await one.evaluate("node => getComputedStyle(node).color")
            for one in (page.locator(".settled"), faint)
        ]
        assert colours[0] != colours[1]
        assert not await page.get_by_role("log", name="Captions").inner_text()


async def test_questions_are_asked_where_the_server_answers_them():
    async with running() as server, browsing(url_of(server)) as page:
        await hear(page, speak(7, samples=16_000))
        status = page.get_by_role("status").first
        await expect(status).to_have_text("The file was heard. Ask about it, or stop.")
        await expect(captions(page)).to_have_text(["7"])
        answers = page.get_by_role("log", name="Answers")
        for question in ("what was that", "and now"):
            await page.get_by_label("Question").fill(question)
            await page.keyboard.press("Enter")
            await expect(answers.locator(".settled").first).to_have_text(
                f"{question} 7"
            )
        assert await answers.locator("li").count() == 2
        await page.get_by_role("button", name="Stop").click()
        await over(page)


async def test_a_server_without_questions_shows_no_box():
    engine = asked_nothing()
    engine.info = replace(engine.info, model="deaf", tasks=("transcribe",))
    engine.info = replace(engine.info, prompted_tasks=())
    async with running(engine=engine) as server, browsing(url_of(server)) as page:
        await expect(page.locator("#model")).to_have_text("deaf")
        await expect(page.get_by_label("Question")).to_be_hidden()
        await expect(page.get_by_label("Translation")).to_be_hidden()


async def test_a_standing_prompt_is_answered_below_its_segment():
    async with serving() as server, browsing(url_of(server)) as page:
        await page.get_by_label("describe").check()
        await hear(page, speak(5))
        await over(page)
        below = page.locator("#captions p[data-task=describe]")
        assert await below.inner_text() == "describe: describe 5"


@pytest.mark.parametrize("is_forgotten", [False, True])
async def test_a_connection_that_breaks_is_made_again_and_no_word_is_lost(is_forgotten):
    words = list(range(20, 44))
    audio = speak(*(word for said in words for word in (said, 0)))
    async with serving() as server, browsing(url_of(server)) as page:
        await page.evaluate(KEEP_SOCKETS)
        server.engine.free.clear()
        await hear(page, audio)
        assert await asyncio.to_thread(server.engine.busy.wait, DEADLINE_S)
        (stream,) = server.hub.streams
        await page.evaluate("() => window.sockets.at(-1).close()")
        if is_forgotten:
            server.hub.forget(stream)
        server.engine.free.set()
        await over(page)
        assert await page.evaluate("() => window.sockets.length") == 2
        heard = [text.split() for text in await captions(page).all_inner_texts()]
    assert [int(word) for said in heard for word in said] == words


async def test_a_segment_that_fails_is_told_where_it_stands():
    async with serving() as server, browsing(url_of(server)) as page:
        await hear(page, speak(1, 0, UNKNOWN, 0, 2, 0))
        await over(page)
        assert await captions(page).all_inner_texts() == ["1", "2"]
        assert await page.locator("#captions .failed").inner_text() == "an unknown word"


async def test_what_is_no_sound_is_told_and_the_page_goes_on():
    async with serving() as server, browsing(url_of(server)) as page:
        await page.get_by_label("File", exact=True).check()
        await page.get_by_role("button", name="Start").click()
        status = page.get_by_role("status").first
        await expect(status).to_have_text("Choose a sound file first")
        file = {"name": "a.wav", "mimeType": "audio/wav", "buffer": b"no sound"}
        await page.get_by_label("Sound file").set_input_files(file)
        await page.get_by_role("button", name="Start").click()
        await expect(status).to_contain_text("That cannot be heard")
        await hear(page, speak(1))
        await over(page)
        assert await captions(page).all_inner_texts() == ["1"]


async def test_a_token_travels_as_a_subprotocol():
    auth = AuthConfig(tokens=("geheim ß/?",))
    async with serving(auth=auth) as server, browsing(url_of(server)) as page:
        await hear(page, speak(1))
        status = page.get_by_role("status").first
        await expect(status).to_contain_text("asks for a token")
        await page.get_by_role("button", name="Stop").click()
        await over(page)
        await page.get_by_label("Token").fill("geheim ß/?")
        await page.get_by_role("button", name="Start").click()
        await over(page)
        assert await captions(page).all_inner_texts() == ["1"]


async def test_a_full_server_is_tried_again():
    async with serving(max_sessions=1) as server, browsing(url_of(server)) as page:
        server.hub.admit(NOBODY)
        await hear(page, speak(1))
        status = page.get_by_role("status").first
        await expect(status).to_contain_text("trying again")
        server.hub.leave(NOBODY)
        await over(page)
        assert await captions(page).all_inner_texts() == ["1"]


async def test_it_works_by_keyboard_and_everything_has_a_name():
    async with serving() as server, browsing(url_of(server)) as page:
        await expect(page.get_by_role("button", name="Start")).to_be_enabled()
        seen = []
        for _ in range(12):
            await page.keyboard.press("Tab")
            seen.append(await page.evaluate("() => document.activeElement.id"))
        choices = ["language", "token", "translation"]
        assert [name for name in dict.fromkeys(seen) if name in choices] == choices
        assert {"start", "captions"} <= set(seen)
        nameless = await page.evaluate(
            """() => [...document.querySelectorAll("button, input, select, meter")]
                .filter((one) => !one.labels?.length && !one.textContent.trim())
                .map((one) => one.outerHTML)"""
        )
        assert nameless == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_all_text_can_be_read_by_light_and_by_dark(scheme):
    async with (
        serving() as server,
        browsing(url_of(server), color_scheme=scheme) as page,
    ):
        await hear(page, TALK)
        await over(page)
        colours = await page.evaluate(
            """() => {
                const style = getComputedStyle(document.documentElement);
                return ["--ink", "--faint", "--wrong", "--accent", "--paper"]
                    .map((name) => style.getPropertyValue(name));
            }"""
        )
    *inks, paper = map(luminance, colours)
    for ink in inks:
        low, high = sorted((ink, paper))
        assert (high + 0.05) / (low + 0.05) >= 4.5  # WCAG 2.2, 1.4.3


def luminance(colour):
    """Return the relative luminance of `#rgb` or `#rrggbb`, as WCAG defines it."""
    digits = colour.strip().lstrip("#")
    digits = "".join(2 * d for d in digits) if len(digits) == 3 else digits
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts
    ]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000, 8_000])
async def test_a_tone_is_resampled_alike_however_it_is_cut_and_hiss_is_taken_out(rate):
    async with serving() as server, browsing(url_of(server)) as page:
        whole, cut_up, hiss = await page.evaluate(
            """async (rate) => {
                const { Resampler } = await import("/browser/resampler.js");
                const tone = (hertz) => Float32Array.from({ length: rate },
                    (_, i) => Math.sin((2 * Math.PI * hertz * i) / rate));
                const whole = new Resampler(rate).push(tone(1000));
                const resampler = new Resampler(rate), parts = [];
                for (let at = 0, size = 1; at < rate; at += size, size = 1 + at % 300)
                    parts.push(...resampler.push(tone(1000).slice(at, at + size)));
                const hiss = new Resampler(rate).push(tone(11000));
                return [[...whole], parts, [...hiss]];
            }""",
            rate,
        )
    assert whole == cut_up
    assert len(whole) == pytest.approx(SAMPLE_RATE, abs=40)
    times = np.arange(len(whole)) / SAMPLE_RATE
    expected = np.sin(2 * math.pi * 1_000 * times)
    settled = slice(200, len(whole) - 200)
    assert np.abs(np.array(whole) - expected)[settled].max() < 2e-3
    if rate > 2 * 11_000:
        assert np.abs(hiss[200:]).max() < 2e-3


async def test_subtitles_are_those_of_the_command():
    long = " ".join(f"word{i}" for i in range(40))
    finals = [
        FinalEvent(
            seq=i, segment=i, task="transcribe", text=text, settled=0,
            start=start, end=end, language="en", mode="exact",
        )
        for i, (text, start, end) in enumerate(
            [("a <b> & --> c", 800, 16_000), (long, 3_700_000, 3_900_007)], 1
        )
    ]  # fmt: skip
    cues = [cue for final in finals for cue in cut([final])]
    async with serving() as server, browsing(url_of(server)) as page:
        srt, vtt = await page.evaluate(
            """async (finals) => {
                const { toSrt, toVtt } = await import("/browser/subtitles.js");
                return [toSrt(finals), toVtt(finals)];
            }""",
            [{"start": f.start, "end": f.end, "lines": [f.text]} for f in finals],
        )
    assert srt == "".join(srt_cue(number, cue) for number, cue in enumerate(cues, 1))
    assert vtt == "WEBVTT\n\n" + "".join(map(vtt_cue, cues))


async def test_programs_are_told_as_before_and_only_its_files_are_served():
    async with serving() as server, browsing(url_of(server)) as page:
        assert json.loads((await server.get("/"))[1])["stream"] == "/v1/stream"
        answer = await page.request.get(f"{url_of(server)}browser/main.js")
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        for name in ("none.js", "..%2froutes.py", "../routes.py"):
            answer = await page.request.get(f"{url_of(server)}browser/{name}")
            assert answer.status == 404


TONE_HZ, TONE_LEVEL = 440, 0.5
MEETING = """([title, source]) => {
    document.title = title;
    const sound = new Audio(source);
    sound.loop = true;
    return sound.play();
}"""


class KeepingEngine(ScriptedEngine):
    """Keeps all samples that it hears."""

    def __init__(self):
        super().__init__()
        self.heard = []

    def open(self, options):
        utterance = super().open(options)
        push = utterance.push

        def keep(samples):
            self.heard.append(samples)
            push(samples)

        utterance.push = keep
        return utterance


async def test_the_sound_of_another_tab_is_heard_as_it_is_until_it_is_closed():
    engine, title = KeepingEngine(), "The meeting"
    times = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    tone = TONE_LEVEL * np.sin(2 * math.pi * TONE_HZ * times)
    source = base64.b64encode(wav(to_pcm(tone.astype(np.float32)))).decode()
    flags = [
        f"--auto-select-tab-capture-source-by-title={title}",
        "--autoplay-policy=no-user-gesture-required",
    ]
    async with (
        running(engine=engine) as server,
        # What is muted is silent for who shares it, too.
        browsing(url_of(server), *flags, muted=False) as page,
    ):
        tab = await page.context.new_page()
        await tab.goto("about:blank")
        await tab.evaluate(MEETING, [title, f"data:audio/wav;base64,{source}"])
        await page.bring_to_front()
        await page.get_by_label("Tab or system sound").check()
        await page.get_by_role("button", name="Start").click()
        await page.wait_for_function(
            "() => document.getElementById('level').value > -10"
        )
        await server.until(lambda: sum(map(len, engine.heard)) > 4 * SAMPLE_RATE)
        await tab.close()
        await over(page)
    heard = np.concatenate(engine.heard)[SAMPLE_RATE // 2 :]
    starts = range(0, len(heard) - SAMPLE_RATE + 1, SAMPLE_RATE // 4)
    seconds = [heard[start : start + SAMPLE_RATE] for start in starts]
    spectra = [np.abs(np.fft.rfft(second)) ** 2 for second in seconds]
    # A busy machine leaves out moments: the second in which it left out least counts.
    best = int(np.argmax([spectrum[TONE_HZ] for spectrum in spectra]))
    heard, spectrum = seconds[best], spectra[best]
    assert np.argmax(spectrum) == pytest.approx(TONE_HZ, abs=1)
    # The browser makes it neither louder nor cleaner, as it would in a call.
    assert np.abs(heard).max() == pytest.approx(TONE_LEVEL, rel=0.05)
    assert spectrum[TONE_HZ - 5 : TONE_HZ + 6].sum() > 0.9 * spectrum.sum()


@pytest.mark.end_to_end
async def test_the_microphone_is_captioned_while_it_is_spoken(tmp_path):
    require_weights()
    samples, rate = soundfile.read(ROOT / "demo" / "jfk.ogg", dtype="float32")
    microphone = tmp_path / "microphone.wav"
    microphone.write_bytes(wav(to_pcm(samples), rate))
    flags = [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={microphone}%noloop",
    ]
    async with real_server() as url, browsing(url, *flags) as page:
        await page.get_by_role("button", name="Start").click()
        await expect(page.locator(".unsettled").first).to_be_visible()
        level = page.locator("#level")
        await page.wait_for_function(
            "() => document.getElementById('level').value > -40"
        )
        said = page.locator("#captions")
        await expect(said).to_contain_text("for your country.", timeout=120_000)
        await page.get_by_role("button", name="Stop").click()
        await over(page)
        text = " ".join(await captions(page).all_inner_texts()).lower()
        assert "what your country can do for you" in text
        assert await level.evaluate("node => node.value") == -60


@contextlib.asynccontextmanager
async def real_server():
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "stream", "--port", "0", "--log-level", "warning"),
        "--captions-only",
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(180):
            line = (await process.stdout.readline()).decode()
        yield line.split()[-1].replace("ws://", "http://") + "/"
    finally:
        process.terminate()
        await process.communicate()
