"""Text as OpenAI's clients expect it: deltas that only grow, and whole transcripts.

Pure.  It takes the events of a session and knows no connection.
"""

import zlib
from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import Any

from stream.audio import SAMPLE_RATE
from stream.events import Error, Final, Partial, ServerEvent, Speakers, SpeechStarted
from stream.subtitles import cut, srt_cue, vtt_cue

GAP = " "
"""Between the texts of two segments of one transcript."""
UNKNOWN = "unknown"
"""A speaker whom nobody can tell, where others are letters."""
MEL_RATE = 100  # Hz; Whisper counts `seek` in its mel frames


class Deltas:
    """The text of some segments, one after the other, as it becomes certain.

    What it has told never changes.  A segment is told from once all before it have
    their finals.
    """

    def __init__(self) -> None:
        self._known: dict[int, str] = {}
        """Segments that are not finished: their text, as far as it is stable."""
        self._told = 0
        """Characters of the first of them that were told."""
        self._is_empty = True

    def push(self, event: ServerEvent) -> str:
        """Take an event of the session; return the text that it adds."""
        match event:
            case SpeechStarted(segment=segment):
                self._known[segment] = ""
            case Partial(segment=segment, text=text, stable=stable):
                self._known[segment] = text[:stable]
            case Final(segment=segment, text=text):
                return self._finish(segment, text)
            case Error(segment=int(segment)):
                return self._finish(segment, self._known[segment])
        return self._tell()

    def _finish(self, segment: int, text: str) -> str:
        assert segment == next(iter(self._known)), "finals come in order"
        self._known[segment] = text
        added = self._tell()
        del self._known[segment]
        self._told = 0
        return added + self._tell()

    def _tell(self) -> str:
        known = next(iter(self._known.values()), "")
        added = known[self._told :]
        if not added:
            return ""
        if not self._told and not self._is_empty:
            added = GAP + added
        self._told, self._is_empty = len(known), False
        return added


def whole(finals: Sequence[Final]) -> str:
    """Return the text of segments that follow each other."""
    return GAP.join(final.text for final in finals if final.text)


def srt(finals: Sequence[Final]) -> str:
    """Return a transcript as a SubRip file."""
    cues = [cue for final in finals for cue in cut([final] if final.text else [])]
    return "".join(srt_cue(number, cue) for number, cue in enumerate(cues, 1))


def vtt(finals: Sequence[Final]) -> str:
    """Return a transcript as a WebVTT file."""
    cues = [cue for final in finals for cue in cut([final] if final.text else [])]
    return "WEBVTT\n\n" + "".join(map(vtt_cue, cues))


def usage(samples: int) -> dict[str, Any]:
    """Return what is told of the cost of a transcript: its audio's length."""
    return {"type": "duration", "seconds": seconds(samples)}


def seconds(samples: int) -> float:
    """Return a position in seconds, to the millisecond."""
    return round(samples / SAMPLE_RATE, 3)


def verbose(
    finals: Sequence[Final], *, task: str, samples: int, words: bool, segments: bool
) -> dict[str, Any]:
    """Return a transcript with its times.

    Args:
        finals: All of them.
        task: `transcribe` or `translate`.
        samples: Of the whole file, at 16 kHz.
        words: Whether to say where each word was spoken.
        segments: Whether to say where each segment was spoken.
    """
    spoken = [final for final in finals if final.text]
    told: dict[str, Any] = {
        "task": task,
        "language": next((final.language for final in spoken if final.language), ""),
        "duration": seconds(samples),
        "text": whole(spoken),
        "usage": usage(samples),
    }
    if segments:
        told["segments"] = [_segment(i, final) for i, final in enumerate(spoken)]
    if words:
        told["words"] = [
            {
                "word": word.text.strip(),
                "start": seconds(word.start),
                "end": seconds(word.end),
            }
            for final in spoken
            for word in final.words
        ]
    return told


def diarized(
    finals: Sequence[Final], speakers: Mapping[int, Speakers], *, samples: int
) -> dict[str, Any]:
    """Return a transcript by who speaks.

    Args:
        finals: All of them.
        speakers: What was told last of each segment.
        samples: Of the whole file, at 16 kHz.
    """
    letters: dict[int, str] = {}
    segments: list[dict[str, Any]] = []
    for final in finals:
        for turn in speakers[final.segment].turns if final.text else ():
            if not turn.text:
                continue
            if turn.speaker and turn.speaker not in letters:
                letters[turn.speaker] = _letter(len(letters))
            told = {
                "type": "transcript.text.segment",
                "id": f"seg_{len(segments):03}",
                "start": seconds(turn.start),
                "end": seconds(turn.end),
                "text": turn.text,
                "speaker": letters.get(turn.speaker, UNKNOWN),
            }
            segments.append(told)
    return {
        "task": "transcribe",
        "duration": seconds(samples),
        "text": whole(finals),
        "segments": segments,
        "usage": usage(samples),
    }


def _letter(number: int) -> str:
    """Return what to call a speaker: A to Z, then numbers."""
    is_letter = number < len(ascii_uppercase)
    return ascii_uppercase[number] if is_letter else str(number + 1)


def _segment(number: int, final: Final) -> dict[str, Any]:
    """Return a segment with all the fields that clients may insist on.

    Tokens and probabilities do not leave the engine: they are empty and 0.
    """
    text = final.text.encode()
    return {
        "id": number,
        "seek": final.start * MEL_RATE // SAMPLE_RATE,
        "start": seconds(final.start),
        "end": seconds(final.end),
        "text": final.text,
        "temperature": 0.0,
        "compression_ratio": len(text) / len(zlib.compress(text)),
        "tokens": [],
        "avg_logprob": 0.0,
        "no_speech_prob": 0.0,
    }
