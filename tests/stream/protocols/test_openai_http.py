"""OpenAI's HTTP interface with OpenAI's own client, against a process of its own."""

import asyncio
import contextlib
import io
import socket

import httpx2
import openai
import pytest
import soundfile
from openai import AsyncOpenAI
from openai.types.audio import TranscriptionDiarized

from stream.audio import SAMPLE_RATE, to_float
from tests.fakes.engine import UNKNOWN, speak
from tests.fakes.process import serving
from tests.fakes.server import DEADLINE_S, TALK, running


def wav(pcm, *, rate=SAMPLE_RATE, format="WAV"):
    """Return s16le audio as a file of the client's."""
    file = io.BytesIO()
    soundfile.write(file, to_float(pcm), rate, format=format)
    return f"talk.{format.lower()}", file.getvalue()


def client_of(address, key="any", **options):
    return AsyncOpenAI(
        base_url=f"http://{address}/v1", api_key=key, max_retries=0, **options
    )


@contextlib.asynccontextmanager
async def served(folder, more="", **options):
    async with serving(folder, more) as address, client_of(address, **options) as own:
        yield own


async def test_the_sdk_gets_transcripts_in_every_format(tmp_path):
    async with served(tmp_path) as client, asyncio.timeout(DEADLINE_S):
        create = client.audio.transcriptions.create
        found = await create(file=wav(TALK), model="scripted")
        assert found.text == "1 2 3"
        assert found.usage.type == "duration"
        assert found.usage.seconds == pytest.approx(len(TALK) / 2 / SAMPLE_RATE)
        text = await create(file=wav(TALK), model="x", response_format="text")
        assert text == "1 2 3\n"
        srt = await create(file=wav(TALK), model="x", response_format="srt")
        assert srt.startswith("1\n00:00:00,000 --> 00:00:00,660\n1 2\n\n2\n")
        vtt = await create(file=wav(TALK), model="x", response_format="vtt")
        assert vtt.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:00.660\n1 2\n\n")


async def test_the_sdk_gets_who_speaks(tmp_path):
    async with served(tmp_path) as client, asyncio.timeout(DEADLINE_S):
        found = await client.audio.transcriptions.create(
            file=wav(speak(1, 2, 21, 0, 0, 3, 0, 0)),
            model="scripted",
            response_format="diarized_json",
        )
        assert (found.task, found.text) == ("transcribe", "1 2 21 3")
        assert [(one.speaker, one.text) for one in found.segments] == [
            ("A", "1 2"),
            ("B", "21"),
            ("A", "3"),
        ]
        assert [one.id for one in found.segments] == ["seg_000", "seg_001", "seg_002"]
        assert found.segments[1].start == pytest.approx(0.6)
        assert isinstance(found, TranscriptionDiarized)
        TranscriptionDiarized.model_validate(found.model_dump(), strict=True)


async def test_the_sdk_gets_times_of_segments_and_of_words(tmp_path):
    async with served(tmp_path) as client, asyncio.timeout(DEADLINE_S):
        create = client.audio.transcriptions.create
        found = await create(
            file=wav(TALK),
            model="scripted",
            language="de",
            response_format="verbose_json",
            timestamp_granularities=["word", "segment"],
        )
        assert (found.text, found.language) == ("1 2 3", "de")
        assert found.duration == pytest.approx(len(TALK) / 2 / SAMPLE_RATE)
        assert [segment.text for segment in found.segments] == ["1 2", "3"]
        assert found.segments[1].start == pytest.approx(1.1)
        words = [(word.word, word.start, word.end) for word in found.words]
        assert words == [("1", 0.0, 0.3), ("2", 0.3, 0.6), ("3", 1.2, 1.5)]
        plain = await create(
            file=wav(TALK), model="scripted", response_format="verbose_json"
        )
        assert (len(plain.segments), plain.words) == (2, None)


async def test_the_sdk_gets_text_while_the_file_is_heard(tmp_path):
    async with served(tmp_path) as client, asyncio.timeout(DEADLINE_S):
        stream = await client.audio.transcriptions.create(
            file=wav(TALK), model="scripted", stream=True
        )
        events = [event async for event in stream]
        *deltas, done = events
        assert {event.type for event in deltas} == {"transcript.text.delta"}
        assert (done.type, done.text) == ("transcript.text.done", "1 2 3")
        assert "".join(event.delta for event in deltas) == "1 2 3"


async def test_the_sdk_gets_the_models(tmp_path):
    async with served(tmp_path) as client, asyncio.timeout(DEADLINE_S):
        models = await client.models.list()
        assert [model.id for model in models.data] == ["scripted"]
        assert (await client.models.retrieve("scripted")).object == "model"
        with pytest.raises(openai.NotFoundError, match="no model 'gpt'; there is"):
            await client.models.retrieve("gpt")


@pytest.mark.parametrize(
    ("rate", "format"), [(8_000, "WAV"), (44_100, "FLAC"), (48_000, "AIFF")]
)
async def test_a_file_of_any_rate_and_format_is_heard(rate, format):
    async with running() as server, client_of(f"127.0.0.1:{server.port}") as client:
        loud = speak(9_000, 0, 0, 9_000, samples=rate * 3 // 10)
        found = await client.audio.transcriptions.create(
            file=wav(loud, rate=rate, format=format),
            model="scripted",
            response_format="verbose_json",
        )
        assert found.duration == pytest.approx(1.2, abs=0.02)
        starts = [segment.start for segment in found.segments]
        assert starts == pytest.approx([0.0, 0.8], abs=0.05)


async def post(server, *, what="transcriptions", files=None, **options):
    async with httpx2.AsyncClient(trust_env=False, timeout=DEADLINE_S) as client:
        return await client.post(
            f"http://127.0.0.1:{server.port}/v1/audio/{what}",
            files={"file": wav(TALK)} if files is None else files,
            **options,
        )


@pytest.mark.parametrize(
    ("sent", "status", "code", "param", "message"),
    [
        ({"content": b"hello", "files": {}}, 400, "invalid_request", None, "multipart"),
        ({"files": {"other": b"x"}}, 400, "invalid_request", "file", "file is missing"),
        (
            {"files": {"file": b"no audio"}},
            *(400, "invalid_audio", None, "no audio that can be read"),
        ),
        (
            {"data": {"response_format": "xml"}},
            *(400, "invalid_request", "response_format", "'xml'; expected one of json"),
        ),
        (
            {"data": {"stream": "perhaps"}},
            *(400, "invalid_request", "stream", "'perhaps'; expected true or false"),
        ),
        (
            {"data": {"stream": "true", "response_format": "srt"}},
            *(400, "invalid_request", "stream", "not with srt"),
        ),
        (
            {"data": {"stream": "true", "response_format": "diarized_json"}},
            *(400, "invalid_request", "stream", "not with diarized_json"),
        ),
        (
            {"data": {"timestamp_granularities[]": "word"}},
            *(400, "invalid_request", "timestamp_granularities", "verbose_json"),
        ),
        (
            {
                "data": {
                    "timestamp_granularities[]": "letter",
                    "response_format": "verbose_json",
                }
            },
            *(400, "invalid_request", "timestamp_granularities", "has 'letter'"),
        ),
        (
            {"data": {"language": "xx"}},
            *(400, "unsupported_value", None, "no language 'xx'; there are en, de"),
        ),
        (
            {"data": {f"x{i}": "1" for i in range(70)}},
            *(400, "invalid_request", None, "Too many fields"),
        ),
        (
            {"files": {"file": wav(speak(UNKNOWN))}},
            *(500, "engine_error", None, "an unknown word"),
        ),
        ({"files": {"file": bytes(2 << 20)}}, 413, "too_large", None, "file may have"),
        (
            {"files": {"file": wav(speak(1, samples=56_000))}},
            *(413, "too_large", None, "at most 3 s are heard"),
        ),
    ],
)
async def test_each_wrong_request_is_one_clear_error_and_leaves_nothing(
    sent, status, code, param, message
):
    async with running(max_upload_bytes=200_000, max_session_s=3.0) as server:
        answer = await post(server, **sent)
        assert answer.status_code == status, answer.text
        error = answer.json()["error"]
        assert (error["code"], error["param"]) == (code, param)
        assert message in error["message"]
        await server.until(lambda: not server.hub.num_connections)
        assert not server.hub.streams
        good = await post(server)
        assert good.json()["text"] == "1 2 3"
    assert server.engine.num_open == 0


async def test_an_error_while_text_is_streamed_is_told_to_the_sdk():
    async with running() as server, client_of(f"127.0.0.1:{server.port}") as client:
        stream = await client.audio.transcriptions.create(
            file=wav(speak(1, 0, UNKNOWN)), model="scripted", stream=True
        )
        with pytest.raises(openai.APIError, match="an unknown word"):
            async for _ in stream:
                pass
        await server.until(lambda: not server.hub.num_connections)


async def test_a_bad_key_is_refused_and_a_good_one_is_not(tmp_path):
    async with (
        serving(tmp_path, '[auth]\ntokens = ["secret"]') as address,
        client_of(address, key="guess") as stranger,
        client_of(address, key="secret") as friend,
    ):
        with pytest.raises(openai.AuthenticationError, match="not known here"):
            await stranger.audio.transcriptions.create(file=wav(TALK), model="x")
        with pytest.raises(openai.AuthenticationError):
            await stranger.models.list()
        found = await friend.audio.transcriptions.create(file=wav(TALK), model="x")
        assert found.text == "1 2 3"


async def test_a_full_server_is_told_as_one_to_be_asked_again():
    async with running(max_sessions=1) as server:
        server.hub.admit("")
        answer = await post(server)
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "5"
        assert answer.json()["error"]["code"] == "overloaded"
        server.hub.leave("")


async def test_a_client_that_goes_frees_its_place():
    async with running() as server:
        server.engine.free.clear()
        waiting = asyncio.create_task(post(server))
        await server.until(server.engine.busy.is_set)
        waiting.cancel()
        await server.until(lambda: not server.hub.num_connections)
        assert not server.hub.streams
        server.engine.free.set()
    assert server.engine.num_open == 0


async def test_a_client_that_does_not_read_its_transcript_is_let_go():
    async with running(send_timeout_s=0.1) as server:
        words = speak(*range(20, 420), samples=320)
        _, content = wav(words * 12)
        boundary = b"--b\r\nContent-Disposition: form-data; "
        body = (
            *(boundary, b'name="stream"\r\n\r\ntrue\r\n', boundary),
            b'name="file"; filename="a.wav"\r\n\r\n' + content + b"\r\n--b--\r\n",
        )
        head = (
            "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\n"
            "Content-Type: multipart/form-data; boundary=b\r\n"
            f"Content-Length: {len(b''.join(body))}\r\n\r\n"
        )
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        with deaf:
            deaf.connect(("127.0.0.1", server.port))
            await asyncio.to_thread(deaf.sendall, head.encode() + b"".join(body))
            await server.until(server.engine.busy.is_set)
            await server.until(lambda: not server.hub.num_connections)
        assert not server.hub.streams


async def test_a_file_is_translated():
    async with running() as server:
        answer = await post(
            server, what="translations", data={"response_format": "verbose_json"}
        )
        assert (answer.json()["task"], answer.json()["text"]) == ("translate", "1 2 3")


# The SDK calls it deprecated: OpenAI's newer models do not translate.
@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
async def test_the_sdk_gets_a_translation(tmp_path):
    async with served(tmp_path) as client, asyncio.timeout(DEADLINE_S):
        create = client.audio.translations.create
        assert (await create(file=wav(TALK), model="x")).text == "1 2 3"
        told = await create(file=wav(TALK), model="x", response_format="verbose_json")
        assert (told.text, told.language) == ("1 2 3", "en")
        assert [segment.text for segment in told.segments] == ["1 2", "3"]
        with pytest.raises(openai.BadRequestError, match="response_format is 'pdf'"):
            await create(file=wav(TALK), model="x", response_format="pdf")


async def test_a_file_that_says_it_is_too_long_is_refused_before_it_is_heard():
    async with running(max_session_s=2.0) as server:
        answer = await post(server, files={"file": wav(speak(1, 0, samples=32_000))})
        assert answer.status_code == 413
        message = answer.json()["error"]["message"]
        assert message == "a file of 4 s; at most 2 s are heard"
        assert server.engine.num_pushes == 0


async def test_a_server_that_stops_tells_a_client_whose_file_it_is_hearing():
    async with running(max_backlog_s=0.5) as server:
        server.engine.free.clear()
        waiting = asyncio.create_task(post(server))
        await server.until(server.engine.busy.is_set)
        server.server.stop()
        server.engine.free.set()
        answer = await waiting
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "shutting_down"
