"""How late text is, how right it is, and what waiting for the end would have given.

    1 s of silence │ clip │ 1.5 s of silence        streamed as if spoken, clip by clip
                   └ onset

Live and offline hear the same clips with the same model and the same decoding; quality
and latency come from one run.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from engine.api import UtteranceOptions
from engine.benchmarks.report import Row, Setup
from engine.benchmarks.server import measured_server
from engine.benchmarks.sounds import between_silences, write_wav
from engine.benchmarks.statistics import Quantiles, quantiles
from engine.benchmarks.timing import final_times, first_text
from engine.data.audio import read_clip
from engine.data.manifest import Clip
from engine.evaluation import live
from engine.evaluation.offline import cut_long
from engine.evaluation.scores import word_errors
from engine.local import LocalEngine

ONSET_S = 1.0
AFTER_S = 1.5  # more than the hangover: it ends the segment, not the end of the stream


@dataclass(frozen=True, slots=True)
class Live:
    """What a server sent, and what it spent."""

    engine: str
    """What it computed with, in a line."""
    segmenter: dict[str, int]
    events: list[list[live.Event]]
    """Of each clip."""
    real_time_factor: float
    """Time for which the engine computed / speech that it heard."""
    cpu_s_per_s: float
    """Time of all its threads for a second of the stream."""


@dataclass(frozen=True, slots=True)
class Offline:
    """What whole clips gave."""

    texts: list[str]
    taken_s: list[float]
    """Computing time of each clip."""


@dataclass(frozen=True, slots=True)
class LatencyFigures:
    """What was found; times in seconds, error rates in percent."""

    engine: str
    clips: int
    audio_s: float
    """Of the clips, without the silence about them."""
    first_text_s: Quantiles
    """From the onset to the first word that stands in the final."""
    first_texts_by_final: int
    """Clips in which no partial showed it."""
    clips_without_text: int
    final_s: Quantiles
    """From the end of speech and the hangover to the final."""
    final_with_hangover_s: Quantiles
    """From the end of speech to the final."""
    wer: float
    offline_wer: float
    offline_s: Quantiles
    """From the end of a clip to its text, if one waited for the end."""
    offline_first_text_s: Quantiles
    """From the onset to that text."""
    real_time_factor: float
    cpu_s_per_s: float
    details: list[dict[str, Any]]

    def rows(self) -> list[Row]:
        """Return what people want to know of it."""
        final = self.final_s.p50 / self.offline_s.p50
        first = self.first_text_s.p50 / self.offline_first_text_s.p50
        unseen = f"{self.first_texts_by_final}; {self.clips_without_text}"
        return [
            Row("clips", f"{self.clips}, {self.audio_s / 60:.1f} minutes"),
            Row("seconds, p50 / p90 / p95", ""),
            Row("  first text after the onset", str(self.first_text_s), "p50 ≤ 1.2"),
            Row("  final after speech + hangover", str(self.final_s), "p50 ≤ 0.6"),
            Row("  final after speech", str(self.final_with_hangover_s)),
            Row("  offline: text after the onset", str(self.offline_first_text_s)),
            Row("  offline: text after the end", str(self.offline_s)),
            Row("live : offline, first text", f"{first:.2f}"),
            Row("live : offline, after the end", f"{final:.2f}"),
            Row("clips: text only in final; no text", unseen),
            Row("word error rate, live", f"{self.wer:.2f} %"),
            Row("word error rate, offline", f"{self.offline_wer:.2f} %"),
            Row("  live - offline", f"{self.wer - self.offline_wer:+.2f}", "≤ 1.00"),
            Row("real-time factor", f"{self.real_time_factor:.2f}"),
            Row("core seconds a second", f"{self.cpu_s_per_s:.2f}"),
        ]


def run(setup: Setup) -> LatencyFigures:
    """Hear the clips live, then offline.

    Raises:
        EngineError: If a clip is no audio, or the server or its client fails.
        ValueError: If nothing was heard at all.
    """
    return figures(setup.clips, _hear_live(setup), _hear_offline(setup))


def _hear_live(setup: Setup) -> Live:
    with TemporaryDirectory() as folder, measured_server(setup.config) as server:
        files, streamed_s = [], 0.0
        for index, clip in enumerate(setup.clips):
            samples = between_silences(
                read_clip(clip.file), before_s=ONSET_S, after_s=AFTER_S
            )
            files.append(write_wav(Path(folder, f"{index}.wav"), samples))
            streamed_s += ONSET_S + clip.duration_s + AFTER_S
        before_s = server.cpu_s()
        with setup.steps("latency: clips, live", len(files)) as advance:
            events = live.hear(server.url, files, report=advance)
        spent_s = server.cpu_s() - before_s
        busy_s = server.metric("salmonn_engine_busy_seconds_total")
        speech_s = server.metric("salmonn_audio_seconds_total")
        return Live(
            engine=server.engine,
            segmenter=server.segmenter,
            events=events,
            real_time_factor=busy_s / speech_s if speech_s else 0.0,
            cpu_s_per_s=spent_s / streamed_s,
        )


def _hear_offline(setup: Setup) -> Offline:
    engine = LocalEngine.load(live.engine_config(setup.config))
    engine.warm_up()
    texts, taken_s = [], []
    with setup.steps("latency: clips, offline", len(setup.clips)) as advance:
        for clip in setup.clips:
            parts = cut_long(read_clip(clip.file))
            begin = time.perf_counter()
            heard = [engine.hear(part, UtteranceOptions())[0].text for part in parts]
            taken_s.append(time.perf_counter() - begin)
            texts.append(" ".join(filter(None, heard)))
            advance()
    engine.close()
    return Offline(texts, taken_s)


def figures(clips: Sequence[Clip], heard: Live, plain: Offline) -> LatencyFigures:
    """Return the figures of what was heard.

    Raises:
        ValueError: If no clip has a reference, or none gave a text.
    """
    references = [clip.facts["text"] for clip in clips]
    hypotheses = [live.transcript(events) for events in heard.events]
    firsts = [first_text(events) for events in heard.events]
    finals = [final_times(events, heard.segmenter) for events in heard.events]
    shown = [first for first in firsts if first]
    ended = [final for of_clip in finals for final in of_clip]
    waited = [
        clip.duration_s + taken_s
        for clip, taken_s in zip(clips, plain.taken_s, strict=True)
    ]
    details = [
        {
            "path": clip.path,
            "reference": references[index],
            "hypothesis": hypotheses[index],
            "hypothesis_offline": plain.texts[index],
            "first_text_s": first.arrival_s - ONSET_S if first else None,
            "first_text_is_partial": first.is_partial if first else None,
            "finals_s": [final.late_s for final in finals[index]],
            "offline_s": plain.taken_s[index],
        }
        for index, (clip, first) in enumerate(zip(clips, firsts, strict=True))
    ]
    return LatencyFigures(
        engine=heard.engine,
        clips=len(clips),
        audio_s=sum(clip.duration_s for clip in clips),
        first_text_s=quantiles(
            [first.arrival_s - ONSET_S for first in shown], of="first text"
        ),
        first_texts_by_final=sum(not first.is_partial for first in shown),
        clips_without_text=len(clips) - len(shown),
        final_s=quantiles([final.late_s for final in ended], of="final"),
        final_with_hangover_s=quantiles(
            [final.after_speech_s for final in ended], of="final"
        ),
        wer=word_errors(references, hypotheses).rate,
        offline_wer=word_errors(references, plain.texts).rate,
        offline_s=quantiles(plain.taken_s, of="clip"),
        offline_first_text_s=quantiles(waited, of="clip"),
        real_time_factor=heard.real_time_factor,
        cpu_s_per_s=heard.cpu_s_per_s,
        details=details,
    )
