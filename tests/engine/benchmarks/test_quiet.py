from engine.benchmarks.quiet import MUSIC, figures, invented


def event(kind, text="", segment=1):
    return {"type": kind, "segment": segment, "text": text}


HEARD = [
    event("speech_started"),
    event("partial", "the"),
    event("partial", "the the"),
    event("partial", "♪"),
    event("final", ""),
    event("speech_started", segment=2),
    event("final", "Thank you.", segment=2),
]


def test_of_a_segments_partials_the_longest_counts():
    found = invented("a.ogg", MUSIC, HEARD)
    assert found.partials == ["the the"]
    assert (found.partial_words, found.final_words, found.segments) == (2, 2, 2)


def test_notes_are_not_words():
    found = invented("a.ogg", MUSIC, [event("final", "♪ … ♪")])
    assert (found.final_words, found.finals) == (0, [])


def test_recordings_are_counted_by_kind_and_listed_if_anything_was_heard():
    quiet = [invented(f"{n}.ogg", MUSIC, []) for n in range(3)]
    silent = invented("silence", "silence", [])
    found = figures("tiny", [silent, *quiet, invented("a.ogg", MUSIC, HEARD)])
    assert found.kinds["silence"]["final_words"] == 0
    assert found.kinds[MUSIC]["recordings"] == 4
    assert found.kinds[MUSIC]["with_final_words"] == 25.0
    assert found.kinds[MUSIC]["with_partial_words"] == 25.0
    assert [one.name for one in found.details] == ["a.ogg"]
    shown = {row.what.strip(): row.figure for row in found.rows()}
    assert shown["a.ogg"] == "“Thank you.”, “the the” (partial)"
