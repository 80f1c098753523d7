"""Keys for a short time, with OpenAI's own client."""

import json
from dataclasses import replace

import httpx2
import pytest
from openai import AsyncOpenAI
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from stream.config import AuthConfig
from tests.fakes.server import DEADLINE_S, running

LOCKED = AuthConfig(tokens=("secret",))


def client_of(server, key):
    url = f"http://127.0.0.1:{server.port}/v1"
    return AsyncOpenAI(base_url=url, api_key=key, max_retries=0)


def dial(server, *subprotocols, **options):
    url = f"ws://127.0.0.1:{server.port}/v1/realtime"
    return connect(url, proxy=None, subprotocols=subprotocols or None, **options)


async def post(server, *, key="secret", **body):
    async with httpx2.AsyncClient(trust_env=False, timeout=DEADLINE_S) as client:
        return await client.post(
            f"http://127.0.0.1:{server.port}/v1/realtime/client_secrets",
            headers={"Authorization": f"Bearer {key}"},
            **body,
        )


async def test_a_secret_of_the_sdks_opens_sessions_with_its_settings():
    german = {"input": {"transcription": {"language": "de"}}}
    async with running(auth=LOCKED) as server, client_of(server, "secret") as client:
        secret = await client.realtime.client_secrets.create(
            expires_after={"anchor": "created_at", "seconds": 60},
            session={"type": "transcription", "audio": german},
        )
        assert secret.value.startswith("ek_")
        assert secret.session.audio.input.transcription.language == "de"
        async with (
            client_of(server, secret.value) as page,
            page.realtime.connect() as connection,
        ):
            created = json.loads(await connection.recv_bytes())["session"]
        assert created["audio"]["input"]["transcription"]["language"] == "de"
        assert created["id"] != secret.session.id


async def test_settings_that_are_no_valid_unicode_are_answered_as_they_came():
    heard = {"input": {"transcription": {"prompt": "\ud800"}}}
    wanted = {"session": {"type": "transcription", "audio": heard}}
    async with running(auth=LOCKED) as server:
        answer = await post(server, content=json.dumps(wanted))
    told = json.loads(answer.text)["session"]["audio"]
    assert told["input"]["transcription"]["prompt"] == "\ud800"


async def test_a_page_sends_a_secret_as_a_subprotocol():
    async with running(auth=LOCKED) as server:
        answer = await post(server, json={"session": {"type": "transcription"}})
        value = answer.json()["value"]
        offered = "realtime", f"openai-insecure-api-key.{value}"
        async with dial(server, *offered) as socket:
            assert json.loads(await socket.recv())["type"] == "session.created"
        foreign = dial(server, *offered, origin="https://other.example")
        with pytest.raises(InvalidStatus) as refused:
            async with foreign:
                pass
        assert refused.value.response.status_code == 403


async def test_a_secret_counts_for_the_one_who_asked_for_it():
    async with running(auth=LOCKED, max_sessions_per_token=1) as server:
        values = [
            (await post(server, json={"session": {"type": "transcription"}})).json()
            for _ in range(2)
        ]
        first, second = (f"openai-insecure-api-key.{v['value']}" for v in values)
        async with dial(server, "realtime", first):
            with pytest.raises(InvalidStatus) as refused:
                async with dial(server, "realtime", second):
                    pass
        assert refused.value.response.status_code == 503


async def test_a_secret_makes_no_other_secrets():
    async with running(auth=LOCKED) as server:
        wanted = {"session": {"type": "transcription"}}
        value = (await post(server, json=wanted)).json()["value"]
        assert (await post(server, key=value, json=wanted)).status_code == 401


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"content": b"{"}, 400, "not JSON"),
        ({"content": b"[" * 50_000}, 400, "not JSON"),
        ({"json": [1]}, 400, "expected an object"),
        ({"json": {}}, 400, "type None; expected transcription"),
        ({"json": {"session": 3}}, 400, "type None"),
        (
            {"json": {"session": {"type": "chat"}}},
            400,
            "expected transcription or realtime",
        ),
        ({"json": {"expires_after": 1}}, 400, "expires_after is 1"),
        ({"json": {"expires_after": {"seconds": 9}}}, 400, "is 9; expected a whole"),
        ({"json": {"expires_after": {"anchor": "x"}}}, 400, "expected created_at"),
        ({"content": bytes(1 << 19)}, 413, "at most 262144 are taken"),
        (
            {"json": {"session": {"type": "transcription", "audio": 1}}},
            400,
            "session.audio is 1; expected an object",
        ),
    ],
)
async def test_each_wrong_request_is_told(body, status, message):
    async with running(auth=LOCKED) as server:
        answer = await post(server, **body)
        assert answer.status_code == status
        assert message in answer.json()["error"]["message"]


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
async def test_a_number_that_no_answer_could_repeat_is_refused(number):
    body = f'{{"session": {{"type": "transcription", "include": [{number}]}}}}'
    async with running(auth=LOCKED) as server:
        answer = await post(server, content=body)
    assert answer.status_code == 400
    assert "not JSON" in answer.text


async def test_a_secret_of_a_token_that_was_removed_opens_nothing():
    async with running(auth=LOCKED) as server:
        wanted = {"session": {"type": "transcription"}}
        secret = (await post(server, json=wanted)).json()["value"]
        headers = {"Authorization": f"Bearer {secret}"}
        async with dial(server, additional_headers=headers):
            pass
        config = server.hub.config
        server.server.reload(replace(config, auth=AuthConfig(tokens=("other",))))
        with pytest.raises(InvalidStatus) as caught:
            await dial(server, additional_headers=headers)
        assert caught.value.response.status_code == 401
