from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.audio import FRAME_BYTES, FRAME_MS, FRAME_SAMPLES, Frame
from stream.segmenter import (
    CUT_FRAMES,
    SegmentAudio,
    SegmentEnded,
    Segmenter,
    SegmenterConfig,
    SegmentPaused,
    SegmentStarted,
)

PCM = {
    ".": bytes(FRAME_BYTES),  # unvoiced
    "#": b"\0\x40" * FRAME_SAMPLES,  # voiced
    "+": b"\0\1" * FRAME_SAMPLES,  # voiced, but quiet
}
DEFAULTS = SegmenterConfig()


def config(**frames):
    """Return a configuration from durations in frames."""
    return SegmenterConfig(**{f"{k}_ms": n * FRAME_MS for k, n in frames.items()})


SMALL = {
    "pre_roll": 2,
    "min_speech": 2,
    "start_window": 3,
    "tail": 2,
    "hangover": 4,
    "soft_limit": 12,
    "soft_hangover": 3,
    "max_segment": 20,
    "search": 6,
    "search_pause": 2,
}


def frames(drawing, start=0):
    for index, char in enumerate(drawing):
        yield Frame((start + index) * FRAME_SAMPLES, PCM[char]), char in "#+"


def run(segmenter, drawing, start=0):
    return [
        event
        for frame, voiced in frames(drawing, start)
        for event in segmenter.push(frame, voiced=voiced)
    ]


def boundaries(events):
    """Return what happened and where, in frames; a pause is where audio stopped."""
    found, position = [], 0
    for event in events:
        match event:
            case SegmentStarted(start=start):
                found.append(("start", start // FRAME_SAMPLES))
            case SegmentAudio(frame=frame):
                position = frame.end // FRAME_SAMPLES
            case SegmentPaused():
                found.append(("pause", position))
            case SegmentEnded(end=end):
                found.append(("end", end // FRAME_SAMPLES))
    return found


@dataclass
class Segment:
    number: int
    start: int
    frames: list[Frame] = field(default_factory=list)
    end: int | None = None


def segments(events):
    """Return the segments; refuse events that are out of order."""
    found: list[Segment] = []
    for event in events:
        if isinstance(event, SegmentStarted):
            assert not found or found[-1].end is not None, "started within another"
            found.append(Segment(event.segment, event.start))
        assert found, "nothing has started"
        segment = found[-1]
        assert (event.segment, segment.end) == (segment.number, None)
        match event:
            case SegmentAudio(frame=frame):
                segment.frames.append(frame)
            case SegmentEnded(end=end):
                segment.end = end
    return found


# Drawings: pre-roll 2, start 2 of 3, tail 2, hangover 4.


@pytest.mark.parametrize(
    ("drawing", "expected"),
    [
        ("..........", []),
        (".....#....", []),  # too short
        (".....#..#....", []),  # too sparse
        (".....##....", [("start", 3), ("pause", 9), ("end", 9)]),
        (".....#.#...", [("start", 3), ("pause", 10)]),
        ("##.......", [("start", 0), ("pause", 4), ("end", 4)]),  # no time for pre-roll
        ("....##.##", [("start", 2)]),  # shorter than the tail: nobody is told
        # Shorter than the hangover: the segment goes on.
        ("....##...##..", [("start", 2), ("pause", 8), ("pause", 13)]),
        # The hangover: another segment, its pre-roll what was held back of this pause.
        (
            "....##....##..",
            [("start", 2), ("pause", 8), ("end", 8), ("start", 8), ("pause", 14)],
        ),
        (
            "....##......##",
            [("start", 2), ("pause", 8), ("end", 8), ("start", 10)],
        ),
    ],
)
def test_boundaries(drawing, expected):
    assert boundaries(run(Segmenter(config(**SMALL)), drawing)) == expected


# From 12 on a pause of 3 ends a segment; from 14 on a place to cut is searched.


@pytest.mark.parametrize(
    ("drawing", "expected"),
    [
        ("#" * 10 + "...", [("start", 0), ("pause", 12), ("end", 12)]),
        ("#" * 9 + "...", [("start", 0), ("pause", 11), ("end", 11)]),
        ("#" * 8 + "...", [("start", 0), ("pause", 10)]),  # not long yet
        # In the search a pause of 2 is cut in its middle, once speech resumes ...
        ("#" * 15 + "..#", [("start", 0), ("end", 16), ("start", 16)]),
        # ... and if it does not, the segment has its tail.
        ("#" * 15 + "...", [("start", 0), ("end", 17)]),
        ("#" * 15 + ".####", [("start", 0), ("end", 17), ("start", 17)]),
        # No pause at all: where it is quietest.
        ("#" * 15 + "++++#", [("start", 0), ("end", 17), ("start", 17)]),
        ("#" * 14 + "++####", [("start", 0), ("end", 16), ("start", 16)]),
        # A pause that has just begun when the segment is full.
        ("#" * 18 + "..", [("start", 0), ("end", 20)]),
        ("#" * 19 + ".", [("start", 0), ("end", 18), ("start", 18)]),
        (
            "#" * 40,
            [("start", 0), ("end", 18), ("start", 18), ("end", 36), ("start", 36)],
        ),
    ],
)
def test_boundaries_of_long_segments(drawing, expected):
    assert boundaries(run(Segmenter(config(**SMALL)), drawing)) == expected


def test_a_single_voiced_frame_after_a_shortened_pause_is_not_lost():
    drawing = "#" * 13 + "...#" + "...."
    assert boundaries(run(Segmenter(config(**SMALL)), drawing)) == [
        ("start", 0),
        ("end", 15),
        ("start", 15),
        ("pause", 19),
        ("end", 19),
    ]


def test_once_the_hangover_is_over_a_single_voiced_frame_starts_nothing():
    drawing = "#" * 13 + "....#" + "...."
    assert boundaries(run(Segmenter(config(**SMALL)), drawing)) == [
        ("start", 0),
        ("end", 15),
    ]


def test_the_audio_of_a_pause_is_held_back_until_speech_resumes():
    segmenter = Segmenter(config(**SMALL))
    run(segmenter, "##")
    assert run(segmenter, "...", start=2)[2:] == [SegmentPaused(1)]
    events = run(segmenter, "#", start=5)
    assert [event.frame.start // FRAME_SAMPLES for event in events] == [4, 5]


# Flushing.


def test_flush_in_silence_does_nothing():
    segmenter = Segmenter(config(**SMALL))
    run(segmenter, "...#")
    assert segmenter.flush() == []


def test_flush_ends_a_segment_at_once():
    segmenter = Segmenter(config(**SMALL))
    events = run(segmenter, "...##") + segmenter.flush()
    assert boundaries(events) == [("start", 1), ("end", 5)]
    assert segmenter.flush() == []


def test_flush_in_a_pause_ends_the_segment_after_its_tail():
    segmenter = Segmenter(config(**SMALL))
    events = run(segmenter, "##...") + segmenter.flush()
    assert boundaries(events) == [("start", 0), ("pause", 4), ("end", 4)]


def test_flush_in_the_search_gives_out_what_was_held():
    segmenter = Segmenter(config(**SMALL))
    events = run(segmenter, "#" * 17) + segmenter.flush()
    assert boundaries(events) == [("start", 0), ("end", 17)]
    assert len(segments(events)[0].frames) == 17


def test_speech_that_was_flushed_in_its_middle_goes_on_in_the_next_segment():
    segmenter = Segmenter(config(**SMALL))
    run(segmenter, "##")
    segmenter.flush()
    assert boundaries(run(segmenter, "#", start=2)) == [("start", 2)]


# Settled.


def test_nothing_is_settled_before_the_first_frame():
    assert Segmenter(DEFAULTS).settled_until == 0


@pytest.mark.parametrize(
    ("drawing", "settled"),
    [
        ("...", 0),
        ("." * 20, 15),  # a segment may start in the last frames that are kept
        ("." * 20 + "##", 18),  # where it did
        ("." * 20 + "##" + "...", 18),
        ("." * 20 + "##" + "....", 24),  # its end
    ],
)
def test_settled_until(drawing, settled):
    segmenter = Segmenter(config(**SMALL))
    run(segmenter, drawing)
    assert segmenter.settled_until == settled * FRAME_SAMPLES


# Properties.


@st.composite
def configs(draw):
    """Draw durations in frames that do not contradict each other."""
    few = st.integers(0, 4)
    start_window = draw(st.integers(1, 5))
    search_pause = draw(st.integers(1, 4))
    tail = search_pause + draw(few)
    soft_hangover = tail + draw(few)
    pre_roll = draw(few)
    search = search_pause + CUT_FRAMES + draw(few)
    soft_limit = max(search, pre_roll + start_window) + draw(few)
    return {
        "pre_roll": pre_roll,
        "min_speech": draw(st.integers(1, start_window)),
        "start_window": start_window,
        "tail": tail,
        "hangover": soft_hangover + draw(few),
        "soft_limit": soft_limit,
        "soft_hangover": soft_hangover,
        "max_segment": soft_limit + search + draw(few),
        "search": search,
        "search_pause": search_pause,
    }


drawings = st.lists(
    st.tuples(st.sampled_from(".#+"), st.integers(1, 12)), max_size=25
).map(lambda runs: "".join(char * count for char, count in runs))
flushes = st.sets(st.integers(0, 100), max_size=3)


def run_with_flushes(segmenter, drawing, flushes):
    events = []
    for index, (frame, voiced) in enumerate(frames(drawing)):
        events += segmenter.push(frame, voiced=voiced)
        if index in flushes:
            events += segmenter.flush()
    return events + segmenter.flush()


@given(configs(), drawings, flushes)
def test_the_audio_of_a_segment_is_exactly_its_frames(settings, drawing, flushes):
    given_in = {frame.start: frame for frame, _ in frames(drawing)}
    for segment in segments(
        run_with_flushes(Segmenter(config(**settings)), drawing, flushes)
    ):
        expected = range(segment.start, segment.end, FRAME_SAMPLES)
        assert segment.frames == [given_in[start] for start in expected]


@given(configs(), drawings, flushes)
def test_segments_are_in_order_apart_not_empty_and_not_too_long(
    settings, drawing, flushes
):
    end = 0
    events = run_with_flushes(Segmenter(config(**settings)), drawing, flushes)
    for number, segment in enumerate(segments(events), start=1):
        assert segment.number == number
        assert end <= segment.start < segment.end
        assert len(segment.frames) <= settings["max_segment"]
        end = segment.end


@given(configs(), drawings, flushes)
def test_every_segment_holds_speech(settings, drawing, flushes):
    voiced = {frame.start for frame, voiced in frames(drawing) if voiced}
    events = run_with_flushes(Segmenter(config(**settings)), drawing, flushes)
    for segment in segments(events):
        assert voiced & {frame.start for frame in segment.frames}


@given(configs(), drawings, flushes)
def test_speech_that_is_long_enough_lies_in_segments(settings, drawing, flushes):
    events = run_with_flushes(Segmenter(config(**settings)), drawing, flushes)
    heard = {f.start // FRAME_SAMPLES for s in segments(events) for f in s.frames}
    least, first = settings["min_speech"], 0
    for last in range(len(drawing) + 1):
        if last < len(drawing) and drawing[last] != ".":
            continue
        if last - first >= least and not flushes & set(range(first, last)):
            assert heard >= set(range(first, last))
        first = last + 1


@given(configs(), drawings)
def test_all_voiced_frames_within_a_hangover_of_a_segment_lie_in_segments(
    settings, drawing
):
    """However it was cut: a cut loses nothing that no cut would have kept."""
    uncut = {**settings, "soft_limit": 1_000, "max_segment": 2_000}
    expected, actual = (
        {
            frame.start
            for segment in segments(
                run_with_flushes(Segmenter(config(**each)), drawing, set())
            )
            for frame in segment.frames
        }
        for each in (uncut, settings)
    )
    voiced = {frame.start for frame, voiced in frames(drawing) if voiced}
    assert expected & voiced <= actual


@given(configs(), drawings)
def test_a_segment_that_ends_by_itself_has_its_tail_and_its_pre_roll(settings, drawing):
    settings = {**settings, "soft_limit": 1_000, "max_segment": 2_000}
    padded = "." * 12 + drawing + "." * 30
    end = 0
    for segment in segments(run(Segmenter(config(**settings)), padded)):
        audio = "".join(
            padded[frame.start // FRAME_SAMPLES] for frame in segment.frames
        ).replace("+", "#")
        assert len(audio) - len(audio.rstrip(".")) == settings["tail"]
        pre_roll = audio[: settings["pre_roll"]]
        is_free = segment.start > end
        # A voiced frame in it was not speech yet: too far from the others.
        assert not is_free or len(pre_roll) == settings["pre_roll"]
        assert "#" in audio[: settings["pre_roll"] + 1]
        end = segment.end


@given(configs(), drawings, flushes)
def test_nothing_starts_before_what_was_settled(settings, drawing, flushes):
    segmenter, settled = Segmenter(config(**settings)), 0
    for index, (frame, voiced) in enumerate(frames(drawing)):
        events = segmenter.push(frame, voiced=voiced)
        if index in flushes:
            events += segmenter.flush()
        starts = [e.start for e in events if isinstance(e, SegmentStarted)]
        assert all(start >= settled for start in starts)
        assert settled <= segmenter.settled_until <= frame.end
        settled = segmenter.settled_until


@given(configs(), drawings)
def test_it_holds_a_bounded_number_of_frames(settings, drawing):
    segmenter = Segmenter(config(**settings))
    in_segment = settings["search"] + settings["hangover"]
    in_silence = settings["pre_roll"] + settings["start_window"]
    pushed, given_out = 0, 0
    for frame, voiced in frames(drawing):
        events = segmenter.push(frame, voiced=voiced)
        pushed = frame.end
        for event in events:
            if isinstance(event, SegmentAudio):
                given_out = event.frame.end
        held = pushed - max(given_out, segmenter.settled_until)
        assert held // FRAME_SAMPLES <= max(in_segment, in_silence)


# Configuration.


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"tail_ms": 210},
            "segmenter.tail_ms is 210; it must be a multiple of 20, at least 20",
        ),
        (
            {"pre_roll_ms": -20},
            "segmenter.pre_roll_ms is -20; it must be a multiple of 20, at least 0",
        ),
        (
            {"min_speech_ms": 0},
            "segmenter.min_speech_ms is 0; it must be a multiple of 20, at least 20",
        ),
        (
            {"min_speech_ms": 220},
            "segmenter.start_window_ms is 200; it must be at least 220 (min_speech_ms)",
        ),
        (
            {"hangover_ms": 180},
            "segmenter.hangover_ms is 180; it must be at least 200 (soft_hangover_ms)",
        ),
        (
            {"tail_ms": 300},
            "segmenter.soft_hangover_ms is 200; it must be at least 300 (tail_ms)",
        ),
        (
            {"search_pause_ms": 220},
            "segmenter.tail_ms is 200; it must be at least 220 (search_pause_ms)",
        ),
        (
            {"search_ms": 120},
            "segmenter.search_ms is 120; "
            "it must be at least 140 (search_pause_ms + 80)",
        ),
        (
            {"soft_limit_ms": 2_000},
            "segmenter.soft_limit_ms is 2000; it must be at least 3000 (search_ms)",
        ),
        (
            {"pre_roll_ms": 20_000},
            "segmenter.soft_limit_ms is 20000; "
            "it must be at least 20200 (pre_roll_ms + 200)",
        ),
        (
            {"max_segment_ms": 22_000},
            "segmenter.max_segment_ms is 22000; "
            "it must be at least 23000 (soft_limit_ms + 3000)",
        ),
    ],
)
def test_durations_that_contradict_each_other_are_refused(changed, message):
    with pytest.raises(ValueError, match="segmenter") as error:
        SegmenterConfig(**changed)
    assert str(error.value) == message


def test_pre_roll_may_be_none():
    segmenter = Segmenter(config(**{**SMALL, "pre_roll": 0}))
    assert boundaries(run(segmenter, "....##")) == [("start", 4)]


def test_a_gap_between_frames_is_a_mistake_of_the_caller():
    segmenter = Segmenter(DEFAULTS)
    run(segmenter, "..")
    with pytest.raises(AssertionError, match="contiguous"):
        run(segmenter, ".", start=3)
