"""Finals as subtitles: cues, and how SubRip and WebVTT write them.

A cue shows a segment, its tasks line by line; what is too long to read at once is cut
into several, at the times of its words where they are known, else in proportion to
its characters.  Pure: knows no file and no connection.

Source: W3C, WebVTT (2019), for the times, the escapes and what ends a cue.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from stream.audio import SAMPLE_RATE
from stream.events import Final

MAX_CUE_CHARACTERS = 84  # two lines of 42, as subtitles have them


@dataclass(frozen=True, slots=True)
class Cue:
    """Text on the screen from one moment to another."""

    start_ms: int
    end_ms: int
    """After the start, always."""
    lines: tuple[str, ...]
    speaker: str = ""
    """What to call who speaks; empty if it is not told."""


def cut(finals: Sequence[Final], *, speaker: str = "") -> list[Cue]:
    """Return the cues of a segment, or of a turn in it, given finals that have text."""
    if not finals:
        return []
    texts = [" ".join(final.text.split()) for final in finals]
    num_cues = max(-(-len(text) // MAX_CUE_CHARACTERS) for text in texts)
    parts = [split(text, num_cues) for text in texts]
    times_ms = _times_ms(finals[0], parts[0])
    return [
        Cue(
            start_ms,
            max(end_ms, start_ms + 1),
            tuple(line for line in lines if line),
            speaker,
        )
        for start_ms, end_ms, lines in zip(
            times_ms, times_ms[1:], zip(*parts, strict=True), strict=False
        )
        if any(lines)
    ]


def split(text: str, num_parts: int) -> list[str]:
    """Return a text in parts of about the same length, between words if it has any.

    Parts may be empty, where there are fewer words than parts.
    """
    parts, first = [], 0
    for i in range(1, num_parts):
        target = round(len(text) * i / num_parts)
        before, after = text.rfind(" ", first, target + 1), text.find(" ", target)
        spaces = [space for space in (before, after) if space >= first]
        near = min(spaces, key=lambda space: abs(space - target), default=target)
        # A space far off is none: languages that write without them have one a line.
        if abs(near - target) > MAX_CUE_CHARACTERS // 2:
            near = target
        near = max(near, first)
        parts.append(text[first:near].strip())
        first = near
    return [*parts, text[first:].strip()]


def _times_ms(final: Final, parts: Sequence[str]) -> list[int]:
    """Return where each part begins, and where the last one ends."""
    start_ms, end_ms = _ms(final.start), _ms(final.end)
    total = sum(map(len, parts)) or 1
    times_ms, num_characters, num_words = [start_ms], 0, 0
    for part in parts[:-1]:
        num_characters += len(part)
        num_words += len(part.split())
        if num_words < len(final.words):
            times_ms.append(_ms(final.words[num_words].start))
        else:
            length_ms = end_ms - start_ms
            times_ms.append(start_ms + length_ms * num_characters // total)
    return [*times_ms, end_ms]


def _ms(samples: int) -> int:
    return samples * 1000 // SAMPLE_RATE


def bracketed(text: str) -> str:
    """Return what people read of a sound: `[dog barking]`."""
    return f"[{' '.join(text.split())}]"


def srt_time(time_ms: int) -> str:
    """Return a time as SubRip writes it: `01:02:03,004`."""
    return _clock(time_ms, ",")


def vtt_time(time_ms: int) -> str:
    """Return a time as WebVTT writes it: `01:02:03.004`."""
    return _clock(time_ms, ".")


def _clock(time_ms: int, point: str) -> str:
    whole_s, ms = divmod(time_ms, 1000)
    minutes, s = divmod(whole_s, 60)
    h, m = divmod(minutes, 60)
    return f"{h:02}:{m:02}:{s:02}{point}{ms:03}"


def srt_cue(number: int, cue: Cue) -> str:
    """Return a cue of a SubRip file, the blank line after it included.

    Who speaks stands before the text: SubRip has no place for it.
    """
    times = f"{srt_time(cue.start_ms)} --> {srt_time(cue.end_ms)}"
    # SubRip has no escapes: an arrow in the text would look like times.
    text = "\n".join(line.replace("-->", "→") for line in _labelled(cue))
    return f"{number}\n{times}\n{text}\n\n"


def vtt_cue(cue: Cue) -> str:
    """Return a cue of a WebVTT file, the blank line after it included."""
    times = f"{vtt_time(cue.start_ms)} --> {vtt_time(cue.end_ms)}"
    text = "\n".join(_escape(line) for line in cue.lines)
    voice = f"<v {_escape(cue.speaker)}>" if cue.speaker else ""
    return f"{times}\n{voice}{text}\n\n"


def _labelled(cue: Cue) -> list[str]:
    first, *others = cue.lines
    return [f"{cue.speaker}: {first}" if cue.speaker else first, *others]


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
