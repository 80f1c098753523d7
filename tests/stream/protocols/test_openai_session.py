import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.protocols.openai_errors import FieldError
from stream.protocols.openai_session import (
    TYPES,
    begun_with,
    is_manual,
    is_transcribed,
    new_session,
    segmenter_of,
    start_of,
    updated,
)
from stream.segmenter import SegmenterConfig
from tests.checkout import ROOT

EXAMPLES = json.loads((ROOT / "tests/data/openai_realtime_examples.json").read_text())
BASE = SegmenterConfig()


def fresh(kind="transcription"):
    return new_session(kind, model="m", lasts_s=3600.0, segmenter=BASE)


def update(change, session=None):
    return updated(session or fresh(), change, model="m")


def audio(**fields):
    return {"audio": {"input": fields}}


@pytest.mark.parametrize(("kind", "example"), [("transcription", 0), ("realtime", 10)])
def test_a_new_session_has_the_fields_of_the_example(kind, example):
    shown = EXAMPLES[example]["session"]
    own = fresh(kind)
    assert own.keys() == shown.keys()
    assert (own["type"], own["object"]) == (shown["type"], shown["object"])
    for part in ("input", "output"):
        if part in shown["audio"]:
            assert own["audio"][part].keys() == shown["audio"][part].keys()
    turns = "turn_detection"
    assert own["audio"]["input"][turns].keys() == shown["audio"]["input"][turns].keys()


def test_settings_may_serve_several_sessions():
    settings = update(audio(transcription={"language": "de"}))
    first, second = (begun_with(settings, lasts_s=60.0) for _ in range(2))
    assert len({settings["id"], first["id"], second["id"]}) == 3
    assert first["audio"] == second["audio"] == settings["audio"]
    assert first["expires_at"] < settings["expires_at"]


def test_an_update_changes_what_it_names_and_nothing_else():
    before = fresh()
    kept = copy.deepcopy(before)
    after = update(audio(transcription={"model": "gpt-x", "language": "de"}), before)
    assert before == kept
    wanted = {"model": "m", "language": "de"}  # what is served, and what is wanted
    assert after["audio"]["input"].pop("transcription") == wanted
    before["audio"]["input"].pop("transcription")
    assert after == before


def test_values_are_merged_and_null_clears():
    first = update(audio(turn_detection={"silence_duration_ms": 700}))
    turns = first["audio"]["input"]["turn_detection"]
    assert (turns["silence_duration_ms"], turns["prefix_padding_ms"]) == (700, 300)
    second = update(audio(turn_detection=None, transcription=None), first)
    assert is_manual(second)
    assert not is_transcribed(second)


@pytest.mark.parametrize(
    ("wanted", "rate", "encoding"),
    [
        ({"type": "audio/pcm"}, 24_000, "s16le"),
        ({"type": "audio/pcm", "rate": 16_000}, 16_000, "s16le"),
        ({"type": "audio/pcm", "rate": 48_000}, 48_000, "s16le"),
        ({"type": "audio/pcmu"}, 8_000, "mulaw"),
        ({"type": "audio/pcma"}, 8_000, "alaw"),
    ],
)
def test_formats_are_those_of_the_wire(wanted, rate, encoding):
    start = start_of(update(audio(format=wanted)))
    assert (start.rate, start.encoding, start.channels) == (rate, encoding, 1)


def test_a_semantic_detector_acts_as_the_servers_own():
    session = update(audio(turn_detection={"type": "semantic_vad", "eagerness": "low"}))
    turns = session["audio"]["input"]["turn_detection"]
    assert turns == {"type": "semantic_vad", "eagerness": "low"}
    assert segmenter_of(session, BASE) == BASE
    assert not is_manual(session)


def test_a_voice_is_not_refused_and_not_promised():
    session = update({"output_modalities": ["audio"]}, fresh("realtime"))
    assert session["output_modalities"] == ["text"]


def test_what_is_not_known_is_left_out():
    session = fresh()
    change = {"speed": 3, "audio": {"input": {"echo": 1}, "x": 2}}
    assert update(change, session) == session


def test_tools_are_kept_and_never_called():
    tools = [{"type": "function", "name": "call"}]
    assert update({"tools": tools}, fresh("realtime"))["tools"] == tools


@pytest.mark.parametrize(
    ("change", "param", "problem"),
    [
        (3, "session", "is 3; expected an object"),
        (None, "session", "is None; expected an object"),
        ({"type": "realtime"}, "session.type", "this session is 'transcription'"),
        ({"audio": 1}, "session.audio", "expected an object"),
        ({"include": "x"}, "session.include", "expected a list of texts"),
        (audio(format={"type": "mp3"}), "format.type", "'mp3'; expected audio/pcm"),
        (audio(format={"type": ["x"]}), "format.type", "expected audio/pcm"),
        (audio(format={"rate": 22_050}), "format.rate", "is 22050; expected one of"),
        (audio(format={"rate": "x"}), "format.rate", "is 'x'; expected one of"),
        (audio(transcription=[]), "transcription", "is []; expected an object"),
        (
            audio(transcription={"language": 1}),
            "transcription.language",
            "is 1; expected a text or null",
        ),
        (
            audio(transcription={"delay": "soon"}),
            "transcription.delay",
            "expected one of minimal, low",
        ),
        (audio(noise_reduction="x"), "noise_reduction", "expected an object"),
        (audio(turn_detection={"type": "x"}), "turn_detection.type", "'x'; expected"),
        (
            audio(turn_detection={"threshold": 1.5}),
            "turn_detection.threshold",
            "is 1.5; expected a number 0 to 1",
        ),
        (
            audio(turn_detection={"silence_duration_ms": 0}),
            "turn_detection.silence_duration_ms",
            "is 0; expected a whole number 20 to 10000",
        ),
        (
            audio(turn_detection={"type": "semantic_vad", "eagerness": "x"}),
            "turn_detection.eagerness",
            "expected one of low, medium, high, auto",
        ),
        (
            audio(turn_detection={"create_response": 1}),
            "turn_detection.create_response",
            "expected true or false",
        ),
    ],
)
def test_each_wrong_value_is_named(change, param, problem):
    with pytest.raises(FieldError) as error:
        update(change)
    assert error.value.param.endswith(param)
    assert problem in str(error.value)


@given(silence=st.integers(20, 10_000), padding=st.integers(0, 5_000))
def test_any_silence_and_padding_make_a_segmenter(silence, padding):
    turns = {"silence_duration_ms": silence, "prefix_padding_ms": padding}
    made = segmenter_of(update(audio(turn_detection=turns)), BASE)
    assert 0 <= made.hangover_ms - silence < 20
    assert 0 <= made.pre_roll_ms - padding < 20


KEYS = """
type audio input output format rate transcription model language delay tools include
turn_detection threshold silence_duration_ms prefix_padding_ms idle_timeout_ms eagerness
output_modalities noise_reduction
"""
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS.split()), inner, max_size=5)
    ),
    max_leaves=12,
)


@given(kind=st.sampled_from(TYPES), change=json_values)
def test_any_update_is_taken_or_refused(kind, change):
    try:
        session = update(change, fresh(kind))
    except FieldError:
        return
    start_of(session)
    segmenter_of(session, BASE)
    assert fresh(kind).keys() == session.keys()
