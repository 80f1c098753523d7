"""What is answered at which address, over loopback."""

import asyncio
import json

import pytest
from websockets.exceptions import InvalidStatus

from engine.replicas import ReplicaFigures
from stream.config import AuthConfig
from tests.fakes.engine import ScriptedEngine, speak
from tests.fakes.server import DEADLINE_S, TALK, client_of, running


async def test_the_index_says_where_things_are():
    async with running() as server:
        status, body = await server.get("/")
        assert status == 200
        assert json.loads(body)["stream"] == "/v1/stream"


async def test_health_is_503_until_the_model_is_warm_and_answers_under_load():
    engine = ScriptedEngine()
    engine.free.clear()
    async with running(engine=engine, warm=False) as server:
        status, body = await server.get("/health")
        assert (status, json.loads(body)["status"]) == (503, "warming up")
        with pytest.raises(InvalidStatus):
            await server.dial()
        engine.free.set()
        async with asyncio.timeout(DEADLINE_S):
            while (await server.get("/health"))[0] != 200:
                pass
        async with client_of(server) as client:
            await client.start()
            engine.free.clear()
            await client.socket.send(speak(1, 2))
            assert await asyncio.to_thread(engine.busy.wait, DEADLINE_S)
            status, body = await server.get("/health")
            assert status == 200
            assert json.loads(body)["sessions"] == 1
            engine.free.set()
            await client.finish()


async def test_metrics_tell_what_happened():
    async with running() as server:
        async with client_of(server) as client:
            await client.start()
            await client.finish(TALK)
        async with client_of(server) as client:
            await client.say("nonsense")
            await client.rest()
        status, body = await server.get("/metrics")
        figures = dict(
            line.rsplit(" ", 1) for line in body.splitlines() if line[0] != "#"
        )
        assert status == 200
        assert float(figures["salmonn_final_latency_seconds_count"]) == 2
        assert float(figures["salmonn_audio_seconds_total"]) > 0.9
        assert float(figures['salmonn_refused_total{code="protocol"}']) == 1
        assert float(figures["salmonn_sessions"]) == 1


async def test_metrics_tell_of_each_replica_and_of_all():
    engine = ScriptedEngine()
    async with running(engine=engine) as server:
        _, body = await server.get("/metrics")
        assert "replica" not in body
        engine.told_replicas = [
            ReplicaFigures(name="one", utterances=3, busy_s=2.5, audio_s=10.0),
            ReplicaFigures(name="two", utterances=1, busy_s=0.5, audio_s=2.0),
        ]
        _, body = await server.get("/metrics")
    for line in (
        'salmonn_replica_utterances{replica="one"} 3.0',
        'salmonn_replica_busy_seconds_total{replica="one"} 2.5',
        'salmonn_replica_audio_seconds_total{replica="two"} 2.0',
        "salmonn_replicas 2.0",
        "salmonn_replicas_utterances 4.0",
        "salmonn_replicas_busy_seconds 3.0",
        "salmonn_replicas_audio_seconds 12.0",
    ):
        assert line in body.splitlines()


async def test_a_full_server_refuses_before_the_handshake():
    async with running(max_sessions=1) as server, client_of(server) as client:
        await client.start()
        with pytest.raises(InvalidStatus) as caught:
            await server.dial()
        response = caught.value.response
        assert response.status_code == 503
        assert json.loads(response.body)["code"] == "overloaded"
        assert response.headers["Retry-After"]
        _, code = await client.finish(TALK)
        assert code == 1000


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "unauthorized"),
        ({"Authorization": "Bearer wrong"}, 401, "unauthorized"),
        (
            {"Authorization": "Bearer right", "Origin": "https://elsewhere"},
            403,
            "unauthorized",
        ),
    ],
)
async def test_strangers_are_refused_before_the_handshake(headers, status, code):
    async with running(auth=AuthConfig(tokens=("right",))) as server:
        with pytest.raises(InvalidStatus) as caught:
            await server.dial(additional_headers=headers)
        assert caught.value.response.status_code == status
        assert json.loads(caught.value.response.body)["code"] == code
