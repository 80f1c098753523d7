"""When text came, told from the events of a file that was streamed as if spoken.

Pure.  All times are in seconds on the stream's clock: sample n is spoken, and sent, at
n / 16000.  An event's `latency_s` counts from when the audio it is about was sent.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.evaluation.live import Event, finals

PIECE_MS = 40  # of audio that `salmonn-file` sends at once, when its last sample is due


def arrival_s(event: Event) -> float:
    """Return when a partial or a final came."""
    end_ms = round(1000 * event["end_s"])
    sent_ms = -(-end_ms // PIECE_MS) * PIECE_MS
    return float(sent_ms / 1000 + event["latency_s"])


def words_of(text: str) -> list[str]:
    """Return the words of a text, without capitals and marks."""
    return re.findall(r"\w+", re.sub("['’]", "", text.lower()))


@dataclass(frozen=True, slots=True)
class FirstText:
    """The first text of a file that held."""

    arrival_s: float
    is_partial: bool
    """False where no partial of the segment began as its final does."""


def first_text(events: Sequence[Event]) -> FirstText | None:
    """Return when the first word of a file's first final was first shown.

    None if no final has a word.
    """
    spoken = [final for final in finals(events) if words_of(final["text"])]
    if not spoken:
        return None
    final = spoken[0]
    first = words_of(final["text"])[:1]
    for event in events:
        of_it = event["type"] == "partial" and event["segment"] == final["segment"]
        if of_it and words_of(event["text"])[:1] == first:
            return FirstText(arrival_s(event), is_partial=True)
    return FirstText(arrival_s(final), is_partial=False)


@dataclass(frozen=True, slots=True)
class FinalTime:
    """How late a final came."""

    after_speech_s: float
    """From the end of its last voiced frame."""
    late_s: float
    """From when the pause behind that frame had lasted long enough."""


def final_times(
    events: Sequence[Event], segmenter: Mapping[str, int]
) -> list[FinalTime]:
    """Return the times of a file's finals whose segments ended with a pause.

    A segment that was cut because it grew too long has no pause behind it: the next
    one begins where it ends.

    Args:
        events: Of the file.
        segmenter: Where segments end, in milliseconds: `/health` has it.
    """
    ended = finals(events)
    starts = {final["start_s"] for final in ended}
    cut_from_s = (segmenter["max_segment_ms"] - segmenter["search_ms"]) / 1000
    times = []
    for final in ended:
        length_s = final["end_s"] - final["start_s"]
        if final["end_s"] in starts and length_s > cut_from_s:
            continue
        speech_end_s = final["end_s"] - segmenter["tail_ms"] / 1000
        pause_s = _pause_s(speech_end_s - final["start_s"], segmenter)
        after_speech_s = arrival_s(final) - speech_end_s
        times.append(FinalTime(after_speech_s, after_speech_s - pause_s))
    return times


def _pause_s(speech_s: float, segmenter: Mapping[str, int]) -> float:
    """Return the pause that ends a segment with so much speech; long ones need less."""
    to_limit_s = segmenter["soft_limit_ms"] / 1000 - speech_s
    shortest_s = segmenter["soft_hangover_ms"] / 1000
    return min(segmenter["hangover_ms"] / 1000, max(shortest_s, to_limit_s))
