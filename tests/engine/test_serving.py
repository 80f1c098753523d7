"""`salmonn-serve` as a process with a SALMONN in files: questions over the wire.

Its weights are random, so what it says is nonsense; that it is asked about what was
heard, answers token by token under the right names, and refuses the rest, is not.
"""

import asyncio
import contextlib
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from websockets.asyncio.client import connect

from engine import checkpoint
from engine.skills import Skills
from stream.events import (
    Answer,
    AnswerPartial,
    AnswerStarted,
    Ended,
    Error,
    Final,
    SpeechStarted,
    Start,
)
from stream.messages import decode_server, encode
from stream.sound_events import Noticed, Sound, Watch
from tests.checkout import ROOT
from tests.engine.tiny_salmonn import write_salmonn

READY_S, DEADLINE_S = 120.0, 60.0
SKILLS = Skills(
    tasks=("describe", "translate:zh"),
    questions=True,
    from_transcript=("translate:zh",),
    sounds=("dog bark",),
    languages=("en",),
)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    found = write_salmonn(tmp_path_factory.mktemp("salmonn"))
    ours = found.ckpt.with_suffix(checkpoint.SUFFIX)
    checkpoint.write(replace(checkpoint.read(found.ckpt), skills=SKILLS), ours)
    return replace(found, ckpt=ours)


@pytest.fixture(scope="module")
def speech():
    """Return bytes of some seconds of a voice, then silence."""
    samples, _ = soundfile.read(ROOT / "demo" / "jfk.ogg", frames=60_000, dtype="int16")
    return np.concatenate([samples, np.zeros(24_000, "<i2")]).tobytes()


@contextlib.asynccontextmanager
async def serving(folder, flags, more=""):
    """Run the server; yield its address and the lines of its log."""
    config = folder / "server.toml"
    config.write_text(f'port = 0\n[engine]\ndtype = "float32"\nthreads = 1\n{more}')
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "stream", "--config", str(config), *flags),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    log = []

    async def follow():
        async for line in process.stderr:
            log.append(line.decode())

    following = asyncio.create_task(follow())
    try:
        async with asyncio.timeout(READY_S):
            line = (await process.stdout.readline()).decode()
        assert line.startswith("listening on "), "".join(log)
        yield line.split()[-1], log
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await asyncio.gather(following, process.stdout.read())
        await process.wait()
    assert process.returncode == 0, "".join(log)


class Talk:
    """A connection that remembers what it was told."""

    def __init__(self, socket):
        self.socket, self.events = socket, []

    async def say(self, **fields):
        await self.socket.send(json.dumps(fields))

    async def until(self, wanted):
        async with asyncio.timeout(DEADLINE_S):
            while True:
                event = decode_server(await self.socket.recv())
                self.events.append(event)
                if wanted(event):
                    return event

    def of(self, kind, name=None):
        found = [event for event in self.events if isinstance(event, kind)]
        return [e for e in found if name is None or e.id == name]


@contextlib.asynccontextmanager
async def talking(url, **wishes):
    async with connect(f"{url}/v1/stream", proxy=None, max_size=None) as socket:
        await socket.send(encode(Start(**wishes)))
        yield Talk(socket)


def answers(name):
    return lambda event: isinstance(event, Answer) and event.id == name


@pytest.mark.parametrize("mode", ["streaming", "exact"])
async def test_questions_are_answered_live_from_files(tmp_path, files, speech, mode):
    more = f'[engine.encoding]\nreplies = "{mode}"\n'
    flags = ["--preset", "custom", *files.flags]
    tasks = ("transcribe", "describe", "translate:zh")
    async with serving(tmp_path, flags, more) as (url, log):
        async with talking(url, tasks=tasks) as talk:
            await talk.socket.send(speech[: len(speech) // 2])
            await talk.until(lambda event: isinstance(event, SpeechStarted))
            for name, text in (("a", "What do you hear?"), ("b", "Who speaks?")):
                await talk.say(type="ask", id=name, text=text, max_tokens=8)
            await talk.socket.send(speech[len(speech) // 2 :])
            await talk.until(answers("b"))
            if not talk.of(Answer, "a"):
                await talk.until(answers("a"))
            await talk.say(type="ask", id="c", text="And now?", about="recent")
            await talk.until(answers("c"))
            await talk.say(type="ask", id="d", task="keywords")
            refused = await talk.until(lambda event: isinstance(event, Error))
            await talk.say(type="end")
            await talk.until(lambda event: isinstance(event, Ended))
        assert any("questions answered by llama" in line for line in log)
    assert (refused.code, refused.question) == ("unsupported", "d")
    assert refused.message == (
        "custom was not trained for task 'keywords'; salmonn-13b and salmonn-7b "
        "can be asked"
    )
    for name in "abc":
        (begun,), (answer,) = talk.of(AnswerStarted, name), talk.of(Answer, name)
        grown = [event.text for event in talk.of(AnswerPartial, name)]
        assert grown, "the answer came in one piece"
        assert all(map(str.startswith, [*grown[1:], answer.text], grown))
        assert answer.text
        # Nobody read along with what was heard lately: it is encoded in one pass.
        assert (answer.source, answer.mode) == ("audio", "exact")
        assert begun.start < begun.end
    assert talk.of(Answer, "a")[0].finish in ("length", "stop", "loop")
    finals = {event.task: event for event in talk.of(Final)}
    assert finals.keys() == set(tasks)
    assert (finals["describe"].source, finals["describe"].mode) == ("audio", mode)
    assert finals["describe"].text
    assert finals["translate:zh"].source == "transcript"


async def test_watches_and_sounds_are_weighed_live_from_files(tmp_path, files, speech):
    more = "[watches]\nhop_s = 1.0\nthreshold = 0.05\nhysteresis = 0.05\n"
    flags = ["--preset", "custom", *files.flags]
    watch = Watch(id="w", text="a voice", audio=True)
    async with (
        serving(tmp_path, flags, more) as (url, _),
        talking(url, watches=(watch,), sounds=True) as talk,
    ):
        await talk.socket.send(speech)
        await talk.say(type="watch", id="v", text="a loud noise", threshold=0.001)
        await talk.say(type="end")
        await talk.until(lambda event: isinstance(event, Ended))
    # Random weights know no name better with audio than without: all counts as heard.
    for begun, over in (talk.of(Noticed, "w"), talk.of(Noticed, "v"), talk.of(Sound)):
        assert (begun.complete, over.complete) == (False, True)
        assert 0 < begun.score <= over.score < 1
        assert begun.start == over.start < over.end
    assert talk.of(Noticed, "w")[0].audio
    assert talk.of(Sound)[0].text == "dog barking"
    assert talk.of(Final)


async def test_without_a_checkpoint_captions_are_served_and_questions_refused(
    tmp_path, files, speech
):
    flags = ["--preset", "salmonn-13b", "--whisper", str(files.whisper)]
    async with serving(tmp_path, flags) as (url, log):
        told = "no questions answered: engine.parts.ckpt names no trained weights"
        assert any(told in line for line in log)
        async with talking(url, tasks=("transcribe",)) as talk:
            await talk.socket.send(speech)
            await talk.say(type="ask", id="a", text="Who?", about="recent")
            refused = await talk.until(lambda event: isinstance(event, Error))
            await talk.say(type="end")
            await talk.until(lambda event: isinstance(event, Ended))
            assert talk.of(Final)
    assert refused.message == (
        "salmonn-13b has no trained weights here that answer questions "
        "(engine.parts.ckpt names them); those of salmonn-13b and salmonn-7b do"
    )
