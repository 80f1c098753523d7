"""docs/protocol.md names everything that the code knows, so neither can drift alone."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from stream.audio import ENCODINGS
from stream.config import LimitsConfig, WatchesConfig
from stream.errors import StreamError
from stream.events import CLIENT_EVENTS, SERVER_EVENTS, Resume
from stream.hub import MOST_STANDING, MOST_UNTOLD_S, MOST_WAITING
from stream.questions import MAX_ID, MAX_TEXT, MAX_TOKENS
from stream.recent import MAX_SECONDS
from stream.resume import MOST_EVENTS
from stream.watches import MAX_PAUSE_S, MAX_WATCH
from stream.websocket import READ_AHEAD_BYTES

TEXT = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text("utf-8")
EVENTS = [*CLIENT_EVENTS.values(), *SERVER_EVENTS.values()]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_every_event_and_field_is_documented(event):
    assert f"| `{event.type}` |" in TEXT
    for field in fields(event):
        assert f"`{field.name}`" in TEXT


@pytest.mark.parametrize(
    ("side", "events"), [("client", CLIENT_EVENTS), ("server", SERVER_EVENTS)]
)
def test_the_tables_have_no_other_events(side, events):
    _, _, section = TEXT.partition(f"### From the {side}\n")
    section = re.split(r"^##", section, maxsplit=1, flags=re.MULTILINE)[0]
    named = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert sorted(named) == sorted(events)


@pytest.mark.parametrize("field", fields(Resume), ids=lambda field: field.name)
def test_every_field_of_resume_is_documented(field):
    assert f"| `{field.name}` |" in TEXT


@pytest.mark.parametrize("error", StreamError.__subclasses__(), ids=lambda e: e.code)
def test_every_error_is_documented_with_its_close_code(error):
    assert f"| `{error.code}` | {error.close_code} |" in TEXT


@pytest.mark.parametrize("name", ENCODINGS)
def test_every_encoding_is_documented(name):
    assert f"`{name}`" in TEXT


def test_the_limits_are_those_of_the_code():
    limits, watches = LimitsConfig(), WatchesConfig()
    for line in (
        f"| a message | {limits.max_message_bytes:,} bytes |".replace(",", " "),
        f"| from the handshake to `start` | {limits.start_timeout_s:g} s |",
        f"| audio in a session | {limits.max_session_s / 3600:g} h |",
        f"not heard | {limits.max_backlog_s:g} s | reading waits; "
        f"at {2 * limits.max_backlog_s:g} s",
        f"as the longest message and at most {READ_AHEAD_BYTES:,} b".replace(",", " "),
        f"| {MOST_STANDING} | reading waits; at {2 * MOST_STANDING} `overloaded` |",
        f"not told yet | {MOST_UNTOLD_S:g} s | reading waits; "
        f"at {2 * MOST_UNTOLD_S:g} s `overloaded` |",
        f"| watches of a session | {watches.max_per_session} ",
        f"Each hop ({watches.hop_s:g} s) the last seconds ({watches.window_s:g} s) are",
        f"score of {watches.threshold:g} on it counts as heard, below "
        f"{watches.threshold - watches.hysteresis:g} as over "
        f"(by {watches.hysteresis:g} less than",
        f"up to {MAX_WATCH} characters; or a question that yes answers",
        f"it must be heard before it is told: 0 to {MAX_PAUSE_S:,.0f} |".replace(
            ",", " "
        ),
        f"| open questions of a session | {limits.max_questions} |",
        f"that the model has not begun with | {MOST_WAITING} |",
        f"up to {MAX_TEXT:,} characters".replace(",", " "),
        f"| 1 to {MAX_TOKENS:,} |".replace(",", " "),
        f"1 to {MAX_ID} characters",
        f"above 0, at most {MAX_SECONDS}, and no more",
        f"| {MOST_EVENTS:,} after partials".replace(",", " "),
        f"| {limits.max_texts_bytes:,} bytes as JSON |".replace(",", " "),
        f"Of events before the last {MOST_EVENTS:,} only".replace(",", " "),
        f"| a client that reads nothing | {limits.send_timeout_s:g} s |",
        f"| a session without a connection | {limits.resume_s:g} s |",
        f"| connections | {limits.max_sessions}; ",
        f"; {limits.max_sessions_per_token} a token | 503 |",
        f"every {limits.ping_interval_s:g} s, {limits.ping_timeout_s:g} s to answer",
    ):
        assert line in TEXT


def test_the_diagrams_tell_of_events_and_of_parties_that_there_are():
    diagrams = re.findall(r"^```mermaid\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    assert len(diagrams) >= 3
    sent = {"C->>S": {*CLIENT_EVENTS, "audio"}, "C-xS": {"audio"}}
    told = {"S-->>C": {*SERVER_EVENTS, "close", "what"}}
    for diagram in diagrams:
        kind, *lines = diagram.splitlines()
        assert kind == "sequenceDiagram"
        for line in lines:
            arrow, _, text = line.strip().partition(": ")
            if text and not arrow.startswith("Note"):
                (name,) = re.findall(r"^\w+", text)
                assert name in (sent | told)[arrow], line
        opened = [line.split()[0] for line in lines]
        assert opened.count("alt") == opened.count("end"), diagram
