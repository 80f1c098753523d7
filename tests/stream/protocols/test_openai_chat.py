"""Chat completions about audio, with OpenAI's own client."""

import asyncio
import base64
import io
from dataclasses import replace
from pathlib import Path

import httpx2
import openai
import pytest
import soundfile
from openai import AsyncOpenAI

from stream.audio import SAMPLE_RATE, to_float
from stream.auth import NOBODY
from stream.clips import MOST_KEPT, Clips
from stream.config import AuthConfig
from stream.errors import ShutdownError
from tests.fakes.engine import CRASH, UNKNOWN, ScriptedEngine, speak
from tests.fakes.process import serving
from tests.fakes.server import DEADLINE_S, running

CLIP = speak(1, 0, 2)
DOCUMENT = Path("docs/openai.md").read_text("utf-8")


def audio(pcm=CLIP, *, rate=SAMPLE_RATE, container="WAV", format="wav"):
    """Return a part of a message."""
    file = io.BytesIO()
    soundfile.write(file, to_float(pcm), rate, format=container)
    data = base64.b64encode(file.getvalue()).decode()
    return {"type": "input_audio", "input_audio": {"data": data, "format": format}}


def asked(*parts, text="what is it"):
    return [{"role": "user", "content": [*parts, {"type": "text", "text": text}]}]


def client_of(server, key="any"):
    return AsyncOpenAI(
        base_url=f"http://127.0.0.1:{server.port}/v1", api_key=key, max_retries=0
    )


def completions(client):
    return client.chat.completions


async def whole(client, messages, *, stream, **options):
    """Return the text of an answer and why it ended."""
    found = await completions(client).create(
        model="x", messages=messages, stream=stream, **options
    )
    if not stream:
        return found.choices[0].message.content, found.choices[0].finish_reason
    chunks = [chunk async for chunk in found]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    return text, chunks[-1].choices[0].finish_reason


async def test_nothing_is_asked_about_a_clip_that_is_kept_once_the_server_stops():
    async with running() as server:
        clips = Clips(server.hub)
        for _ in range(2):
            with clips.opened(CLIP, NOBODY):
                pass
        assert len(server.hub.streams) == 1
        await server.hub.stop()
        with pytest.raises(ShutdownError), clips.opened(CLIP, NOBODY):
            pass


async def test_the_sdk_asks_a_process_and_gets_an_answer_whole_and_in_chunks(tmp_path):
    async with (
        serving(tmp_path) as address,
        AsyncOpenAI(base_url=f"http://{address}/v1", api_key="any") as client,
        asyncio.timeout(DEADLINE_S),
    ):
        create = completions(client).create
        found = await create(model="scripted", messages=asked(audio()))
        assert found.model == "scripted"
        assert found.choices[0].message.content == "what is it 1 2"
        assert found.choices[0].finish_reason == "stop"
        assert (found.usage.prompt_tokens, found.usage.completion_tokens) == (5, 5)
        stream = await create(
            model="scripted",
            messages=asked(audio()),
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
        assert len({chunk.id for chunk in chunks}) == 1
        texts = [choice.delta.content for c in chunks for choice in c.choices]
        assert "".join(text or "" for text in texts) == "what is it 1 2"
        assert chunks[-2].choices[0].finish_reason == "stop"
        assert chunks[-1].usage.total_tokens == 10


async def test_the_document_s_example_gets_an_answer(capsys):
    _, _, rest = DOCUMENT.partition("## Chat")
    code = rest.split("```python\n")[1].split("```")[0]
    async with running() as server:
        code = code.replace(":8765/", f":{server.port}/")
        await asyncio.to_thread(exec, code, {})
    assert capsys.readouterr().out.startswith("Who speaks: a man, a woman or a child?")


async def test_what_is_asked_next_hears_nothing_again():
    async with running() as server, client_of(server) as client:
        create = completions(client).create
        turn = asked(audio())
        first = await create(model="x", messages=turn)
        pushed = server.engine.num_pushes
        assert pushed > 0
        turn += [
            {"role": "assistant", "content": first.choices[0].message.content},
            {"role": "user", "content": "how loud"},
        ]
        second = await create(model="x", messages=turn)
        assert second.choices[0].message.content == "how loud 1 2"
        assert server.engine.num_pushes == pushed
        other = await create(model="x", messages=asked(audio(speak(3))))
        assert other.choices[0].message.content == "what is it 3"
        assert server.engine.num_pushes > pushed
        assert server.hub.num_connections == 0


async def test_nobody_else_is_answered_from_the_same_session():
    auth = AuthConfig(tokens=("one", "two"))
    async with running(auth=auth) as server:
        for key, sessions in (("one", 1), ("two", 2), ("one", 2)):
            async with client_of(server, key) as client:
                await completions(client).create(model="x", messages=asked(audio()))
            assert len(server.hub.streams) == sessions


async def test_so_many_clips_are_kept_and_for_so_long():
    async with running(resume_s=1.0) as server, client_of(server) as client:
        for word in range(1, MOST_KEPT + 3):
            clip = audio(speak(word + 20))
            found = await completions(client).create(model="x", messages=asked(clip))
            assert found.choices[0].message.content == f"what is it {word + 20}"
        assert len(server.hub.streams) == MOST_KEPT
        await server.until(
            lambda: not server.hub.streams and not server.engine.num_open
        )
        found = await completions(client).create(model="x", messages=asked(clip))
        assert found.choices[0].message.content.startswith("what is it")


async def test_questions_about_one_clip_are_answered_side_by_side():
    async with running() as server, client_of(server) as client:
        texts = [f"q{n}" for n in range(6)]
        found = await asyncio.gather(
            *(
                completions(client).create(model="x", messages=asked(audio(), text=t))
                for t in texts
            )
        )
        answers = [one.choices[0].message.content for one in found]
        assert answers == [f"{text} 1 2" for text in texts]
        assert len(server.hub.streams) == 1


async def test_files_of_any_rate_are_heard_one_behind_the_other():
    async with running() as server, client_of(server) as client:
        rate = 48_000
        loud = speak(9_000, samples=rate // 2)
        parts = [audio(), audio(loud, rate=rate, container="FLAC", format="flac")]
        found = await completions(client).create(model="x", messages=asked(*parts))
        words = found.choices[0].message.content.split()
        assert words[:5] == ["what", "is", "it", "1", "2"]
        assert "9000" in words


async def test_the_answer_ends_at_a_stop_and_the_engine_does_not_go_on():
    async with running() as server, client_of(server) as client:
        text = " ".join(f"w{n}" for n in range(800))
        for stream in (False, True):
            messages = asked(audio(), text=text)
            limits = {"stop": "w5 ", "max_tokens": 1_000}
            found = await whole(client, messages, stream=stream, **limits)
            assert found == ("w0 w1 w2 w3 w4 ", "stop")
        await server.until(lambda: not server.engine.num_replies)
        assert len(server.engine.batches) < 700


async def test_the_longest_answer_is_told_to_be_cut():
    async with running() as server, client_of(server) as client:
        found = await completions(client).create(
            model="x", messages=asked(audio()), max_completion_tokens=2
        )
        assert found.choices[0].message.content == "what is"
        assert found.choices[0].finish_reason == "length"


async def test_a_clip_as_long_as_the_engine_hears_is_one_and_a_longer_is_refused():
    async with running() as server, client_of(server) as client:
        most = server.engine.info.max_samples
        create = completions(client).create
        found = await create(model="x", messages=asked(audio(speak(7, samples=most))))
        assert found.choices[0].message.content == "what is it 7"
        long = audio(speak(7, samples=most + 640))
        with pytest.raises(openai.APIStatusError, match="goes on after 29 s") as raised:
            await create(model="x", messages=asked(long))
        assert raised.value.status_code == 413


async def test_a_short_clip_is_heard():
    async with running() as server, client_of(server) as client:
        short = audio(speak(7, samples=160))
        found = await completions(client).create(model="x", messages=asked(short))
        assert found.choices[0].message.content == "what is it 7"


@pytest.mark.parametrize(
    ("part", "status", "message"),
    [
        (audio(container="FLAC"), 400, "'wav', but the file is FLAC"),
        (audio(speak(samples=0)), 400, "has no samples"),
        (
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            *(400, "no audio that can be read"),
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "?", "format": "wav"}},
            *(400, "is not base64"),
        ),
    ],
)
async def test_audio_that_cannot_be_heard_is_refused(part, status, message):
    async with running() as server, client_of(server) as client:
        with pytest.raises(openai.APIStatusError, match=message) as raised:
            await completions(client).create(model="x", messages=asked(part))
        assert raised.value.status_code == status
        assert (server.hub.streams, server.hub.num_connections) == ([], 0)


@pytest.mark.parametrize(
    ("word", "message"), [(UNKNOWN, "an unknown word"), (CRASH, "the engine failed")]
)
async def test_a_clip_that_the_engine_fails_on_is_told_and_not_kept(word, message):
    async with running() as server, client_of(server) as client:
        for stream in (False, True):
            with pytest.raises(openai.APIError, match=message):
                await whole(client, asked(audio(speak(word))), stream=stream)
        await server.until(lambda: not server.hub.streams)
        await server.until(lambda: not server.engine.num_open)


async def test_a_question_that_fails_leaves_its_clip():
    engine = ScriptedEngine()
    engine.refuses = "bad"
    async with running(engine=engine) as server, client_of(server) as client:
        create = completions(client).create
        with pytest.raises(openai.APIError, match="cannot go on with 'bad'"):
            await create(model="x", messages=asked(audio(), text="bad"))
        found = await create(model="x", messages=asked(audio()))
        assert found.choices[0].message.content == "what is it 1 2"


async def test_a_model_that_answers_nothing_says_so():
    engine = ScriptedEngine()
    engine.info = replace(engine.info, answers_questions=False)
    async with running(engine=engine) as server, client_of(server) as client:
        with pytest.raises(openai.BadRequestError, match="what is it"):
            await completions(client).create(model="x", messages=asked(audio()))


async def test_what_nobody_waits_for_is_not_answered():
    async with running() as server:
        text = " ".join(["w"] * 900)
        for stream in (False, True):
            server.engine.free.clear()
            server.engine.busy.clear()
            async with client_of(server) as client:
                asking = asyncio.create_task(
                    completions(client).create(
                        model="x",
                        messages=asked(audio(), text=text),
                        stream=stream,
                        max_tokens=1_000,
                    )
                )
                await asyncio.to_thread(server.engine.busy.wait, DEADLINE_S)
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
            server.engine.free.set()
            await server.until(lambda: not server.hub.num_connections)
            await server.until(lambda: not server.engine.num_replies)
        assert len(server.engine.batches) < 900


async def test_a_body_that_is_too_large_is_refused():
    async with (
        running(max_upload_bytes=1_000) as server,
        httpx2.AsyncClient(trust_env=False, timeout=DEADLINE_S) as client,
    ):
        url = f"http://127.0.0.1:{server.port}/v1/chat/completions"
        found = await client.post(url, content=b"[" * (2 << 20))
        assert found.status_code == 413
        found = await client.post(url, content=b"[" * (1 << 20))
        assert (found.status_code, found.json()["error"]["message"]) == (
            400,
            "the body is not JSON",
        )
