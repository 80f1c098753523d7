"""What is listened for from a command line, and over a connection."""

import argparse
import json
import sys
from dataclasses import replace

import pytest

from clients.client import connect
from clients.options import Options, Outputs, add_options, read_options
from clients.run import caption
from clients.watching import Watching
from clients.webhook import Webhook
from stream.audio import PcmFormat
from stream.events import Error, Final
from stream.sound_events import Noticed, Sound, Watch
from tests.clients.cutting_proxy import Cut, CuttingProxy
from tests.fakes.engine import ScriptedEngine, speak
from tests.fakes.server import pieces, running

SEVEN = Watch(id="w", text="7")
QUIET = bytes(64_000)
HOP_BYTES = 6_400


def options_of(*arguments):
    parser = argparse.ArgumentParser()
    add_options(parser)
    return read_options(parser, parser.parse_args(arguments))


def test_nothing_is_listened_for_by_default():
    assert options_of().watching == Watching()
    assert list(Watching().actions) == []


def test_what_is_listened_for_and_who_is_told(monkeypatch):
    monkeypatch.setenv("SECRET", "s")
    flags = ["--sounds", "--watch", "a crying baby", "--watch", "rain"]
    flags += ["--threshold", "0.8", "--watch-audio", "--run", "notify-send 'a baby'"]
    flags += ["--webhook", "http://127.0.0.1:1/x", "--webhook-secret-env", "SECRET"]
    found = options_of(*flags).watching
    assert found.sounds
    assert found.watches == (
        Watch(id="1", text="a crying baby", threshold=0.8, audio=True),
        Watch(id="2", text="rain", threshold=0.8, audio=True),
    )
    assert found.command == ("notify-send", "a baby")
    assert isinstance(found.webhook, Webhook)
    assert len(found.actions) == 2


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--watch", " "], "--watch: a text is empty"),
        (["--run", "true"], "--run: there is nothing to --watch"),
        (["--watch-audio"], "--watch-audio: there is nothing to --watch"),
        (["--watch", "x", "--threshold", "1"], "--threshold: 1 is not between 0 and 1"),
        (["--watch", "x", "--run", ""], "--run: there is no command"),
        (
            ["--watch", "x", "--webhook", "https://a.b/"],
            "--webhook: --webhook-secret-env must name its secret",
        ),
        (
            ["--watch", "x", "--webhook", "https://a.b/", "--webhook-secret-env", "NO"],
            "--webhook-secret-env: NO is not set",
        ),
        (
            ["--watch", "x", "--webhook", "http://a.b/", "--webhook-secret-env", "YES"],
            "would send what was heard unencrypted",
        ),
    ],
    ids=str,
)
def test_wrong_usage_is_told(flags, reason, monkeypatch, capsys):
    monkeypatch.delenv("NO", raising=False)
    monkeypatch.setenv("YES", "s")
    with pytest.raises(SystemExit) as left:
        options_of(*flags)
    assert left.value.code == 2
    assert reason in capsys.readouterr().err


async def weighed(audio, *servers):
    """Yield pieces of audio, each once the one before was weighed."""

    def count():
        return sum(len(server.engine.weighed) for server in servers)

    for piece in pieces(audio, HOP_BYTES):
        before = count()
        yield piece
        await servers[0].until(lambda before=before: count() > before)


class Talk:
    """Says 7, and sounds of 30."""

    name, format, is_live, max_held_s = "talk", PcmFormat(), True, 60.0

    def __init__(self, server):
        self._server = server

    async def pieces(self):
        async for piece in weighed(
            speak(0, 7, 0, 0, 0, 0, 30, 0, 0, 0, 0, 0), self._server
        ):
            yield piece

    def stop(self):
        """It ends by itself."""


async def test_a_watch_is_shown_kept_and_handed_to_a_program(tmp_path, capsys):
    engine, out = ScriptedEngine(), tmp_path / "seen.jsonl"
    source = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read())"
    watching = Watching(
        sounds=True,
        watches=(SEVEN,),
        command=(sys.executable, "-c", source, str(out)),
    )
    async with running(engine=engine) as server:
        options = Options(
            url=f"ws://127.0.0.1:{server.port}",
            watching=watching,
            json=str(tmp_path / "events.jsonl"),
            save=tmp_path / "talk.srt",
        )
        with Outputs(options) as outputs:
            assert await caption(Talk(server), options, outputs)
    shown = capsys.readouterr().out
    assert "[7] (0.98)" in shown
    assert "[thirty]" in shown
    (seen,) = map(json.loads, out.read_text().splitlines())
    assert (seen["type"], seen["text"], seen["file"]) == ("noticed", "7", "talk")
    assert not seen["complete"]
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    kinds = [json.loads(line)["type"] for line in lines]
    assert kinds.count("noticed") == kinds.count("sound") == 2
    cues = (tmp_path / "talk.srt").read_text().split("\n")
    assert {"[7]", "[thirty]", "7"} <= set(cues)


async def test_watches_come_and_go_over_a_connection():
    async with (
        running() as server,
        connect(f"ws://127.0.0.1:{server.port}") as client,
    ):
        await client.watch(SEVEN)
        await client.send(speak(7))
        async for event in client:
            if isinstance(event, Noticed):
                break
        assert (event.id, event.complete) == ("w", False)
        await client.unwatch("w")
        await client.watch(Watch(id="bad", text=""))
        await client.send(QUIET + speak(7) + QUIET)
        await client.end()
        rest = [event async for event in client]
    assert not [event for event in rest if isinstance(event, Noticed)]
    assert [event.watch for event in rest if isinstance(event, Error)] == ["bad"]
    assert [event.text for event in rest if isinstance(event, Final)][-1] == "7"


@pytest.mark.parametrize("is_same", [True, False], ids=["same", "another"])
async def test_what_was_noticed_comes_once_over_a_connection_that_is_cut(is_same):
    async with running() as server, running() as another:
        ports = [server.port, server.port if is_same else another.port]
        proxy = CuttingProxy(ports, [Cut(12_000, upwards=True)])
        async with (
            proxy,
            connect(proxy.url, watches=[SEVEN], sounds=True) as client,
        ):
            await client.send(speak(7))
            async for event in client:
                if isinstance(event, Noticed):
                    break
            await client.watch(replace(SEVEN, id="e", text="8"))
            async for piece in weighed(speak(0, 0, 0, 8, 30), server, another):
                await client.send(piece)
            await client.end()
            rest = [event async for event in client]
    assert proxy.num_connections == 2
    kinds = [
        (event.id if isinstance(event, Noticed) else event.text, event.complete)
        for event in rest
        if isinstance(event, Noticed | Sound)
    ]
    assert sorted(kinds) == [
        *[("e", False), ("e", True)],
        *[("thirty", False), ("thirty", True)],
        ("w", True),
    ]
