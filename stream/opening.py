"""Streams as they begin: new, from another front end, or with their client back.

It makes them; who keeps, feeds and ends them is the hub's.
"""

import secrets
from collections.abc import Callable

from engine.api import Engine
from stream.config import ServerConfig
from stream.errors import ProtocolError
from stream.events import Start, Started
from stream.live import Stream
from stream.resume import EventLog
from stream.saved import SavedSession, SessionState
from stream.segmenter import SegmenterConfig
from stream.session import Session
from stream.vad import VoiceDetector

KEPT = ("rate", "encoding", "channels", "tasks", "sounds")
"""Fields of `start` that a session keeps when another connection goes on with it."""
NAME_BYTES = 16  # of randomness in a session's name, which is what lets it be resumed


class Opener:
    """Makes the streams of one engine."""

    def __init__(self, engine: Engine, detector: Callable[[], VoiceDetector]) -> None:
        """Prepare.

        Args:
            engine: Asked what it can do.
            detector: Makes a voice detector for a session.
        """
        self._engine, self._detector = engine, detector

    def begin(
        self,
        request: Start,
        owner: str,
        config: ServerConfig,
        *,
        segmenter: SegmenterConfig | None = None,
        detector: VoiceDetector | None = None,
        is_resumable: bool = False,
    ) -> Stream:
        """Return a new stream; the arguments are those of `Hub.open`.

        Raises:
            StreamError: If the session cannot be had as it is wanted.
        """
        session = self._session(
            secrets.token_urlsafe(NAME_BYTES),
            request,
            config,
            detector=detector,
            segmenter=segmenter,
        )
        max_bytes = config.limits.max_texts_bytes if is_resumable else 0
        log = EventLog(session.seq, max_bytes=max_bytes)
        return Stream(session, log, owner, is_resumable)

    def go_on(self, saved: SavedSession, config: ServerConfig) -> Stream:
        """Return the stream of a session that another front end had.

        Raises:
            StreamError: If the engine here does not serve it.
        """
        session = self._session(
            saved.name, saved.resumption(), config, state=saved.state
        )
        log = EventLog.of(
            saved.events,
            floor=saved.floor,
            seq=saved.state.seq,
            max_bytes=config.limits.max_texts_bytes,
        )
        return Stream(session, log, saved.owner, is_resumable=True)

    def _session(
        self,
        name: str,
        request: Start,
        config: ServerConfig,
        *,
        segmenter: SegmenterConfig | None = None,
        detector: VoiceDetector | None = None,
        state: SessionState | None = None,
    ) -> Session:
        return Session(
            name,
            request,
            info=self._engine.info,
            check=self._engine.check,
            check_prompt=self._engine.check_prompt,
            detector=detector or self._detector(),
            segmenter=segmenter or config.segmenter,
            max_s=config.limits.max_session_s,
            max_questions=config.limits.max_questions,
            watches=config.watches,
            state=state,
        )


def resume(stream: Stream, request: Start, seq: int) -> Started:
    """Return the greeting of a client that comes back.

    Raises:
        ProtocolError: If it comes back with other wishes, or from the future.
    """
    began = stream.session.request
    if any(getattr(request, name) != getattr(began, name) for name in KEPT):
        raise ProtocolError(
            f"start: a resumed session keeps its {', '.join(KEPT[:-1])} and {KEPT[-1]}"
        )
    if seq > stream.session.seq:
        raise ProtocolError(
            f"start: resume.seq is {seq}; the last event is {stream.session.seq}"
        )
    stream.session.watches.set(request.watches)
    return stream.session.started(seq=seq, resumed=True)
