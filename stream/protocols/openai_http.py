"""OpenAI's HTTP interface: a file in, its transcript out; the models that are served.

    POST /v1/audio/transcriptions   multipart: a file, and how its text is wanted
    POST /v1/audio/translations     likewise; the text in English
    GET  /v1/models, /v1/models/…   what is served

A file is a session like any other: the hub hears it as fast as the engine does, and
the session decides.  docs/openai.md is what clients read.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from stream.audio import SAMPLE_RATE
from stream.auth import authorize
from stream.errors import InternalError, LimitError, StreamError, quote
from stream.events import Ended, Error, Final, ServerEvent, Speakers, Start
from stream.hub import Hub
from stream.live import Stream
from stream.protocols import openai_text
from stream.protocols.openai_errors import (
    Kind,
    SessionError,
    describe,
    describe_error,
    kind_of,
    refusal,
)
from stream.protocols.openai_form import DIARIZED, Wishes, read_wishes, receive
from stream.protocols.openai_sse import EventStream, line, unless_gone
from stream.resume import ForgottenError
from stream.uploads import Upload
from stream.worker import SHOWN

logger = logging.getLogger(__name__)

MOST_SPEAKERS = 8
"""Of a file, that are told apart: OpenAI's interface has no field for it."""

Serve = Callable[[Request, str], Awaitable[Response]]
"""Takes a request and who is behind it; may raise `StreamError`."""


def routes(hub: Hub) -> list[Route]:
    """Return what is served at which address."""

    def speech(task: str) -> Serve:
        async def serve(request: Request, owner: str) -> Response:
            hub.admit(owner)
            hearing = _Hearing(hub, owner)
            try:
                most = hub.config.limits.max_upload_bytes
                form, data = await receive(request, most)
                wishes = read_wishes(form, task)
                hearing.open(await asyncio.to_thread(Upload, data), wishes)
                if wishes.stream:
                    return EventStream(
                        hearing.pieces(),
                        close=hearing.close,
                        timeout_s=hub.config.limits.send_timeout_s,
                    )
                answer = await unless_gone(request, hearing.whole())
            except BaseException:
                hearing.close()
                raise
            hearing.close()
            return answer

        return serve

    async def models(request: Request, owner: str) -> Response:
        return JSONResponse({"object": "list", "data": [_model(hub)]})

    async def model(request: Request, owner: str) -> Response:
        name, known = request.path_params["name"], hub.engine.info.model
        if name == known:
            return JSONResponse(_model(hub))
        kind = Kind(404, "invalid_request_error", "model_not_found")
        problem = f"no model {quote(name)}; there is {known}"
        return refusal(kind, describe(kind, problem, param="model"))

    def post(path: str, task: str) -> Route:
        return Route(path, served(hub, speech(task)), methods=["POST"])

    return [
        post("/v1/audio/transcriptions", "transcribe"),
        post("/v1/audio/translations", "translate"),
        Route("/v1/models", served(hub, models)),
        Route("/v1/models/{name:path}", served(hub, model)),
    ]


def served(hub: Hub, serve: Serve) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint that asks for a key, and tells errors as OpenAI does."""

    async def endpoint(request: Request) -> Response:
        try:
            return await serve(request, authorize(request.headers, hub.config.auth))
        except StreamError as exc:
            hub.metrics.refused.labels(exc.code).inc()
            return refusal(kind_of(exc), describe_error(exc))

    return endpoint


class _Hearing:
    """A file while it is heard: a session of the hub, from its start to its end."""

    def __init__(self, hub: Hub, owner: str) -> None:
        self._hub, self._owner = hub, owner
        self._stream: Stream | None = None

    def open(self, upload: Upload, wishes: Wishes) -> None:
        """Begin to hear.

        Raises:
            LimitError: If the file says that it is longer than a session may be: a
                small one can hold days of silence.
            StreamError: If the session cannot be had as it is wanted.
        """
        most_s = self._hub.config.limits.max_session_s
        if upload.seconds > most_s:
            problem = (
                f"a file of {upload.seconds:.0f} s; at most {most_s:g} s are heard"
            )
            raise LimitError(problem)
        start = Start(
            rate=upload.format.rate,
            encoding=upload.format.encoding,
            channels=upload.format.channels,
            tasks=(wishes.full_task,),
            language=wishes.language,
            partials=wishes.stream,
            words=wishes.words or wishes.format in ("srt", "vtt"),
            speakers=self._most_speakers if wishes.format == DIARIZED else 0,
        )
        self._stream, _ = self._hub.open(start, self._owner)
        self._superseded = self._hub.attach(self._stream)
        self._wishes, self._upload = wishes, upload
        self._feeding = asyncio.create_task(self._feed())

    def close(self) -> None:
        """Free the place, and what is left of the session."""
        if self._stream is not None:
            self._feeding.cancel()
            self._hub.detach(self._stream, self._superseded)
            self._hub.forget(self._stream)
        self._hub.leave(self._owner)

    async def whole(self) -> Response:
        """Return the answer, once all is heard."""
        finals = []
        speakers: dict[int, Speakers] = {}
        samples = 0
        try:
            async with aclosing(self._events()) as events:
                async for event in events:
                    if isinstance(event, Final):
                        finals.append(event)
                    elif isinstance(event, Speakers):
                        speakers[event.segment] = event
                    elif isinstance(event, Ended):
                        samples = event.accepted * SAMPLE_RATE // self._rate
        except SessionError as exc:
            return refusal(exc.kind, exc.described)
        if self._wishes.format == DIARIZED:
            told = openai_text.diarized(finals, speakers, samples=samples)
            return JSONResponse(told)
        return self._render(finals, samples)

    async def pieces(self) -> AsyncIterator[str]:
        """Yield server-sent events: text as it becomes certain, at last all of it."""
        deltas, finals = openai_text.Deltas(), []
        try:
            async with aclosing(self._events()) as events:
                async for event in events:
                    if isinstance(event, Final):
                        finals.append(event)
                    if delta := deltas.push(event):
                        yield line({"type": "transcript.text.delta", "delta": delta})
        except SessionError as exc:
            yield line({"error": exc.described})
            return
        text = openai_text.whole(finals)
        yield line({"type": "transcript.text.done", "text": text})

    @property
    def _most_speakers(self) -> int:
        """How many are told apart; a server that tells none will say so."""
        return min(MOST_SPEAKERS, self._hub.engine.info.max_speakers) or MOST_SPEAKERS

    @property
    def _rate(self) -> int:
        return self._upload.format.rate

    def _render(self, finals: list[Final], samples: int) -> Response:
        match self._wishes.format:
            case "text":
                return PlainTextResponse(openai_text.whole(finals) + "\n")
            case "srt":
                return PlainTextResponse(openai_text.srt(finals))
            case "vtt":
                return PlainTextResponse(openai_text.vtt(finals))
            case "verbose_json":
                told = openai_text.verbose(
                    finals,
                    task=self._wishes.task,
                    samples=samples,
                    words=self._wishes.words,
                    segments=self._wishes.segments,
                )
                return JSONResponse(told)
        text, usage = openai_text.whole(finals), openai_text.usage(samples)
        return JSONResponse({"text": text, "usage": usage})

    async def _feed(self) -> None:
        """Give the session the file, no faster than the engine hears it."""
        stream = self._stream
        assert stream is not None, "fed before it was opened"
        try:
            while piece := await asyncio.to_thread(self._upload.read):
                self._hub.push(stream, piece)
                await self._hub.room(stream)
            self._hub.end(stream)
        except StreamError as exc:
            self._hub.fail(stream, exc)
        except Exception:
            about = {"session": stream.name[:SHOWN]}
            logger.exception("an upload failed", extra=about)
            self._hub.fail(stream, InternalError())

    async def _events(self) -> AsyncGenerator[ServerEvent, None]:
        """Yield what the session tells, to its end.

        Raises:
            SessionError: If it ends with an error, or the engine fails on a part.
        """
        assert self._stream is not None, "heard before it was opened"
        try:
            async with aclosing(self._stream.follow(0)) as events:
                async for event in events:
                    if isinstance(event, Error):
                        raise SessionError.of(event)
                    yield event
        except ForgottenError as exc:
            raise SessionError.unread() from exc


def _model(hub: Hub) -> dict[str, Any]:
    return {
        "id": hub.engine.info.model,
        "object": "model",
        "created": 0,  # nobody knows
        "owned_by": "salmonn-live",
    }
