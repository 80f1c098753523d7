"""Clips that came whole and are asked about, kept for what is asked about them next.

    samples ─▶ a session of one segment ─▶ questions ─▶ kept, as one without its client

A clip is a session like any other, of which only questions are answered.  What the
engine has computed of its audio stays with it, so the next question about the same
samples waits for neither encoder nor prefix.  It knows no request.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from stream.audio import FRAME_MS, SAMPLE_RATE, Frame
from stream.events import Start
from stream.hub import Hub
from stream.live import Stream

MOST_KEPT: Final = 8
"""Clips that nobody is asking about; each holds some 30 MB of the engine at 28 s.  The
oldest is given up, and any earlier if the hub needs its place or `resume_s` is over."""
LEAST_BYTES: Final = 2 * SAMPLE_RATE
"""1 s: what is shorter is followed by silence, as in training."""


class EveryFrame:
    """Calls every frame voiced: a clip is one segment, whatever is in it."""

    def is_voiced(self, frame: Frame) -> bool:
        """Return that it is."""
        return True

    def reset(self) -> None:
        """Nothing is remembered."""


@dataclass(slots=True, eq=False)
class Clip:
    """A clip that was heard, or is about to be."""

    stream: Stream
    """Its session; what is to be asked is about the last segment."""
    is_sound: bool = True
    """Whether the engine does what it should with it; else it is not kept."""
    num_users: int = 0


class Clips:
    """The clips of a server that are asked about, or were a moment ago."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._clips: dict[str, Clip] = {}
        """By owner and samples; those that were used last are last."""

    @property
    def most_s(self) -> float:
        """How long a clip may be, in seconds."""
        return self._hub.engine.info.max_samples / SAMPLE_RATE

    @contextmanager
    def opened(self, pcm: bytes, owner: str) -> Iterator[Clip]:
        """Yield a clip, to be asked about.

        Args:
            pcm: s16le samples at 16 kHz, at most `most_s`.
            owner: Who asks; nobody else is answered from the same session.

        Raises:
            StreamError: If there is no room for it, or it cannot be had.
        """
        key = hashlib.sha256(f"{owner}\n".encode() + pcm).hexdigest()
        clip = self._find(key, owner) or self._hear(pcm, owner)
        self._clips[key] = clip
        clip.num_users += 1
        try:
            yield clip
        finally:
            clip.num_users -= 1
            if not clip.num_users:
                self._release(key, clip)

    def _find(self, key: str, owner: str) -> Clip | None:
        """Return a clip that is kept, if the hub still has its session."""
        clip = self._clips.pop(key, None)
        if clip is None or not clip.is_sound or self._hub.status != "ready":
            return None
        if self._hub.find(clip.stream.name, owner) is not clip.stream:
            return None
        if not clip.num_users:
            self._hub.attach(clip.stream)
        return clip

    def _hear(self, pcm: bytes, owner: str) -> Clip:
        base = self._hub.config.segmenter
        longest_ms = int(self.most_s * 1000) // FRAME_MS * FRAME_MS
        uncut = replace(base, max_segment_ms=longest_ms + base.search_ms + FRAME_MS)
        stream, _ = self._hub.open(
            Start(rate=SAMPLE_RATE, tasks=(), partials=False),
            owner,
            segmenter=uncut,
            detector=EveryFrame(),
        )
        self._hub.attach(stream)
        self._hub.push(stream, pcm.ljust(LEAST_BYTES, b"\0"))
        self._hub.flush(stream)
        return Clip(stream)

    def _release(self, key: str, clip: Clip) -> None:
        """Keep a clip that nobody uses any more, or forget it."""
        self._hub.detach(clip.stream, clip.stream.superseded)
        if not clip.is_sound:
            self._forget(key, clip)
        idle = [(key, one) for key, one in self._clips.items() if not one.num_users]
        for oldest in idle[: max(0, len(idle) - MOST_KEPT)]:
            self._forget(*oldest)

    def _forget(self, key: str, clip: Clip) -> None:
        self._hub.forget(clip.stream)
        if self._clips.get(key) is clip:
            del self._clips[key]
