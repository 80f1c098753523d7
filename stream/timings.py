"""When what happened to segments and replies, and the figures that follow from it.

It knows no clock: whoever calls says what time it is, in seconds.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from stream.audio import SAMPLE_RATE
from stream.jobs import (
    Answered,
    AskPrompt,
    Failed,
    Finished,
    HearAudio,
    Heard,
    Job,
    MakeFinal,
    OpenUtterance,
    ReplyFailed,
    Result,
    Said,
)
from stream.metrics import Metrics

logger = logging.getLogger(__name__)

SHOWN = 6
"""Characters of a session's name in the log; whoever knows all of it may resume it."""


@dataclass(slots=True)
class _Segment:
    began: float
    samples: int = 0
    busy_s: float = 0.0
    first_text: float | None = None
    ended: float | None = None


@dataclass(slots=True)
class _Reply:
    wanted: float
    """When speech ended, for a reply that belongs to a final; else, when asked."""
    first_token: float | None = None


class Timings:
    """What has begun and not ended yet, over all sessions."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._segments: dict[tuple[str, int], _Segment] = {}
        self._replies: dict[tuple[str, int], _Reply] = {}
        self._ended: dict[str, tuple[int, float]] = {}
        """The last segment of each session that has its final, and when it ended."""

    def want(self, session: str, jobs: Iterable[Job], now: float) -> None:
        """Take note of what a session wants from now on."""
        for job in jobs:
            match job:
                case OpenUtterance(segment=segment):
                    self._segments[session, segment] = _Segment(now)
                case HearAudio(segment=segment, pcm=pcm):
                    self._segments[session, segment].samples += len(pcm) // 2
                case MakeFinal(segment=segment):
                    self._segments[session, segment].ended = now
                case AskPrompt(reply=reply, segment=segment, standing=standing):
                    last, ended = self._ended.get(session, (0, now))
                    is_of_final = standing and segment in (None, last)
                    wanted = ended if is_of_final else now
                    self._replies[session, reply] = _Reply(wanted)

    def hear(self, session: str, segment: int, busy_s: float) -> None:
        """Add to what a segment has cost."""
        if timing := self._segments.get((session, segment)):
            timing.busy_s += busy_s

    def answer(self, session: str, result: Result | None, now: float) -> None:
        """Take note of a result."""
        match result:
            case Failed(segment=segment):
                self._metrics.failures.inc()
                self._segments.pop((session, segment), None)
            case Heard() | Finished():
                self._of_segment(session, result, now)
            case Said() | Answered():
                self._of_reply(session, result, now)
            case ReplyFailed(reply=reply):
                self._metrics.reply_failures.inc()
                self._replies.pop((session, reply), None)

    def forget_reply(self, session: str, reply: int) -> None:
        """Forget a reply that is not wanted any more."""
        self._replies.pop((session, reply), None)

    def forget(self, session: str) -> None:
        """Forget a session."""
        self._ended.pop(session, None)
        for known in (self._segments, self._replies):
            for key in [key for key in known if key[0] == session]:
                del known[key]

    def _of_segment(self, session: str, result: Heard | Finished, now: float) -> None:
        timing = self._segments.get((session, result.segment))
        if timing is None:  # its session has gone meanwhile
            return
        has_text = any(hypothesis.text for hypothesis in result.hypotheses)
        if timing.first_text is None and has_text:
            timing.first_text = now
            self._metrics.ttft.observe(now - timing.began)
        if isinstance(result, Heard):
            return
        assert timing.ended is not None, "a final of a segment that goes on"
        del self._segments[session, result.segment]
        self._ended[session] = result.segment, timing.ended
        audio_s = timing.samples / SAMPLE_RATE
        factor = timing.busy_s / audio_s
        latency_s = now - timing.ended
        self._metrics.real_time_factor.observe(factor)
        self._metrics.final_latency.observe(latency_s)
        first = timing.first_text
        logger.info(
            "%.2f s of audio, real-time factor %.2f, first text %s, "
            "final %.2f s after its end",
            audio_s,
            factor,
            "none" if first is None else f"after {first - timing.began:.2f} s",
            latency_s,
            extra={"session": session[:SHOWN], "segment": result.segment},
        )

    def _of_reply(self, session: str, result: Said | Answered, now: float) -> None:
        timing = self._replies.get((session, result.reply))
        if timing is None:
            return
        if timing.first_token is None:
            timing.first_token = now
            self._metrics.reply_ttft.observe(now - timing.wanted)
        if isinstance(result, Said):
            return
        del self._replies[session, result.reply]
        first_s = timing.first_token - timing.wanted
        took_s = now - timing.first_token
        # The first token was there when the time began.
        speed = (result.num_tokens - 1) / took_s if took_s > 0 else None
        self._metrics.reply_tokens.inc(result.num_tokens)
        if speed is not None:
            self._metrics.reply_speed.observe(speed)
        logger.info(
            "first token after %.2f s, %d tokens in %.2f s more",
            *(first_s, result.num_tokens, took_s),
            extra={"session": session[:SHOWN], "reply": result.reply},
        )
