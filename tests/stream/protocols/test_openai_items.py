from dataclasses import replace

from stream.events import Error, Progress, SpeechEnded, SpeechStarted
from stream.protocols.openai_items import Items
from stream.protocols.openai_turns import Turns
from tests.clients.events import final, partial

SECOND = 16_000


def begun(segment, start_s):
    return SpeechStarted(seq=0, segment=segment, start=round(start_s * SECOND))


def ended(segment, end_s):
    return SpeechEnded(seq=0, segment=segment, end=round(end_s * SECOND))


def heard(segment, text, stable):
    return replace(partial(text, stable), segment=segment)


def told(items, *events, offset=0):
    return [out for event in events for out in items.push(event, offset=offset)]


def short(events):
    return [event["type"].rpartition(".")[2] for event in events]


SERVER = {"manual": False, "transcribed": True}
CLIENT = {"manual": True, "transcribed": True}


def test_a_segment_is_an_item_from_its_start_to_its_transcript():
    turns = Turns()
    items = Items(**SERVER, turns=turns)
    events = told(
        items,
        begun(1, 1.0),
        heard(1, "Hello wor", 5),
        ended(1, 3.5),
        final("Hello world"),
    )
    assert short(events) == [
        "speech_started",
        "delta",
        "speech_stopped",
        "committed",
        "added",
        "done",
        "delta",
        "completed",
    ]
    name = turns.history.last
    assert {e.get("item_id", name) for e in events} == {name}
    assert (events[0]["audio_start_ms"], events[2]["audio_end_ms"]) == (1000, 3500)
    assert events[-1]["transcript"] == "Hello world"
    assert "".join(e["delta"] for e in events if "delta" in e) == "Hello world"
    assert events[-1]["usage"] == {"type": "duration", "seconds": 2.5}


def test_items_follow_each_other():
    items = Items(**SERVER, turns=Turns(last="item_0"))
    first = told(items, begun(1, 0), ended(1, 1))
    second = told(items, begun(2, 2), ended(2, 3))
    assert first[2]["previous_item_id"] == "item_0"
    assert second[2]["previous_item_id"] == first[2]["item_id"]
    assert second[3]["previous_item_id"] == first[2]["item_id"]


def test_a_session_that_began_later_is_told_at_its_place():
    (started,) = told(Items(**SERVER), begun(1, 1.0), offset=5 * SECOND)
    assert started["audio_start_ms"] == 6000


def test_a_segment_that_failed_is_told_on_its_item():
    items = Items(**SERVER)
    events = told(
        items,
        begun(1, 0),
        ended(1, 1),
        Error(seq=0, code="engine", message="too long", segment=1),
    )
    assert events[-1]["type"].endswith("input_audio_transcription.failed")
    assert events[-1]["error"]["message"] == "too long"
    assert events[-1]["error"]["code"] == "engine_error"


def test_segments_between_two_commits_are_one_item():
    items = Items(**CLIENT)
    events = told(
        items,
        begun(1, 0),
        ended(1, 1),
        final("One."),
        begun(2, 2),
        ended(2, 3),
        final("Two.", segment=2),
    )
    assert short(events) == ["delta", "delta"]
    events += items.commit(4 * SECOND)
    assert short(events[2:]) == ["committed", "added", "done", "completed"]
    assert events[-1]["transcript"] == "One. Two."
    assert events[0]["delta"] + events[1]["delta"] == "One. Two."
    assert events[-1]["usage"]["seconds"] == 4.0
    assert len({e["item_id"] for e in events if "item_id" in e}) == 1


def test_a_transcript_waits_for_all_segments_of_its_item():
    items = Items(**CLIENT)
    told(items, begun(1, 0), ended(1, 1), begun(2, 1), ended(2, 2))
    assert short(items.commit(SECOND)) == ["committed", "added", "done"]
    assert short(told(items, final("One."))) == ["delta"]
    assert short(told(items, final("Two.", segment=2))) == ["delta", "completed"]


def test_what_follows_a_commit_is_another_item():
    items = Items(**CLIENT)
    told(items, begun(1, 0), ended(1, 1))
    first = items.commit(SECOND)[0]["item_id"]
    told(items, begun(2, 2))
    late = told(items, final("One."))
    assert {event["item_id"] for event in late} == {first}
    told(items, ended(2, 3))
    assert items.commit(SECOND)[0]["previous_item_id"] == first


def test_a_commit_without_speech_has_an_empty_transcript():
    events = Items(**CLIENT).commit(SECOND)
    assert short(events) == ["committed", "added", "done", "completed"]
    assert events[-1]["transcript"] == ""


def test_nothing_more_is_told_of_what_was_cleared():
    for manner in (SERVER, CLIENT):
        items = Items(**manner)
        told(items, begun(1, 0), heard(1, "Hel", 3))
        items.clear()
        assert not items.is_speaking
        assert told(items, ended(1, 1), final("Hello")) == []
    assert items.commit(SECOND)[-1]["transcript"] == ""


def test_a_transcript_that_nobody_wants_is_not_told():
    items = Items(manual=False, transcribed=False)
    events = told(items, begun(1, 0), heard(1, "Hel", 3), ended(1, 1), final("Hello"))
    assert short(events) == [
        "speech_started",
        "speech_stopped",
        "committed",
        "added",
        "done",
    ]


def test_progress_is_not_told():
    assert Items(**SERVER).push(Progress(seq=0, accepted=1, settled=0)) == []
