"""The OpenAI Realtime protocol on a WebSocket: one connection, from accept to close.

    accept ─▶ session.created ─▶ ┌ read:  client's events ─▶ hub            ┐ ─▶ close
                                 └ write: hub's logs ─▶ items ─▶ its events ┘

It moves events; openai_session.py knows settings, openai_buffer.py where audio goes,
openai_items.py items, and the session decides.  docs/openai.md is what clients read.
"""

import asyncio
import json
import logging
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from engine.errors import EngineError
from stream.auth import ClientSecrets, authorize, bearer, check_origin, is_known
from stream.errors import InternalError, StreamError, UnsupportedRequestError, quote
from stream.events import Error
from stream.hub import Hub
from stream.live import Stream
from stream.protocols import openai_listening, openai_session
from stream.protocols.channel import Channel, ConnectionLogger, LeftError
from stream.protocols.openai_buffer import InputAudioBuffer
from stream.protocols.openai_checks import Json, base64_bytes, read_json
from stream.protocols.openai_errors import (
    BY_CODE,
    ENGINE,
    FieldError,
    RefusedError,
    describe,
    describe_error,
    kind_of,
    refusal,
)
from stream.protocols.openai_item_form import read_item
from stream.resume import ForgottenError
from stream.websocket import EXPLAIN, MAX_MESSAGE_BYTES
from stream.wishes import options_of

PATH = "/v1/realtime"
SUBPROTOCOL = "realtime"  # that browsers offer beside one that holds their key
KEY_SUBPROTOCOL = "openai-insecure-api-key."
NAME_BYTES = 12  # of randomness in the names of events
MAX_AUDIO_BYTES = 15 << 20
"""Of base64 in one event, as with OpenAI; it is heard in slices."""
MAX_EVENT_BYTES = MAX_AUDIO_BYTES + (1 << 16)
MOST_WAITING = 256
"""Events that a client has not taken; from there on no more of its own are read."""
NORMAL = 1000
CLOSE_CODES = {error.code: error.close_code for error in StreamError.__subclasses__()}

_log = logging.getLogger(__name__)


class RealtimeConnection:
    """One client of the Realtime protocol."""

    def __init__(
        self, websocket: WebSocket, hub: Hub, owner: str, session: Json
    ) -> None:
        """Prepare for a connection that has been admitted.

        Args:
            websocket: The connection, its handshake not yet answered.
            hub: Of the server.
            owner: Who is behind it.
            session: The settings with which it begins.
        """
        self._websocket, self._hub, self._owner = websocket, hub, owner
        self._channel = Channel(websocket, hub)
        self._logger = ConnectionLogger(_log)
        self._model = hub.engine.info.model
        self._session = session
        self._waiting: deque[str] = deque()
        self._changed, self._taken = asyncio.Event(), asyncio.Event()
        self._buffer = InputAudioBuffer(hub, owner, self._changed, session)
        self._close_code: int | None = None

    async def run(self) -> None:
        """Serve the client until either side has had enough."""
        await self._accept()
        self._tell({"type": "session.created", "session": self._session})
        how = "left"
        try:
            async with asyncio.TaskGroup() as tasks:
                reading = tasks.create_task(self._read())
                close_code = await self._write()
                reading.cancel()
            how = str(close_code)
            await self._channel.close(close_code)
        except* (LeftError, ForgottenError):
            pass
        except* Exception:
            how = InternalError.code
            self._logger.exception("realtime session failed")
            await self._give_up()
        finally:
            self._buffer.close()
        self._logger.info("realtime session: %s", how)

    async def _accept(self) -> None:
        await self._websocket.receive()
        offered = self._websocket.scope["subprotocols"]
        await self._websocket.send(
            {
                "type": "websocket.accept",
                "subprotocol": SUBPROTOCOL if SUBPROTOCOL in offered else None,
                "headers": [],
                MAX_MESSAGE_BYTES: MAX_EVENT_BYTES,
                EXPLAIN: _explain,
            }
        )

    async def _read(self) -> None:
        """Take the client's events; a wrong one is told, and the next one taken."""
        while True:
            message = await self._channel.receive()
            try:
                await self._take(message.get("text"))
            except StreamError as exc:
                self._end(exc)
                return
            self._changed.set()
            while len(self._waiting) >= MOST_WAITING:
                self._taken.clear()
                await self._taken.wait()
            # Messages at hand are received without a pause; others have a turn.
            await asyncio.sleep(0)

    async def _take(self, text: str | None) -> None:
        """Take one event.

        Raises:
            StreamError: If the session cannot go on.
        """
        event_id = None
        try:
            event = parse(text)
            event_id = event.get("event_id")
            match event.get("type"):
                case "session.update":
                    self._update(event.get("session"))
                case "input_audio_buffer.append":
                    await self._append(event.get("audio"))
                case "input_audio_buffer.commit":
                    self._buffer.commit()
                case "input_audio_buffer.clear":
                    self._buffer.clear()
                case "conversation.item.create" if self._buffer.conversation.is_held:
                    await self._create(event.get("item"))
                case _:
                    self._converse(event)
        except (FieldError, RefusedError) as exc:
            self._complain(describe_error(exc), event_id)
        else:
            self._drain()

    def _converse(self, event: Json) -> None:
        """Take an event of a conversation.

        Raises:
            FieldError: If it is none, or a value is not what it should be.
            RefusedError: If it comes at the wrong time.
        """
        self._drain()  # what it is about was told before
        told = self._buffer.conversation.take(event)
        if told is None:
            kind = quote(event.get("type"))
            raise FieldError("type", f"is {kind}; it is not served here")
        for answer in told:
            self._tell(answer)

    def _update(self, update: Any) -> None:
        """Change the settings.

        Raises:
            FieldError: If a value is not what it should be.
        """
        session = openai_session.updated(self._session, update, model=self._model)
        start = openai_session.start_of(session)
        try:
            info = self._hub.engine.info
            self._hub.engine.check(
                options_of(start.tasks, info, language=start.language)
            )
        except EngineError as exc:
            param = "session.audio.input.transcription.language"
            raise FieldError(param, f"cannot be served: {exc}") from exc
        openai_listening.check_served(
            session,
            sounds=self._hub.engine.info.sounds,
            most=self._hub.config.watches.max_per_session,
            check=self._hub.engine.check_prompt,
        )
        heard_with = openai_listening.heard_with
        if heard_with(session) != heard_with(self._session):
            self._buffer.finish()
        else:
            self._buffer.watch(start.watches)
        self._drain()
        self._session = self._buffer.conversation.session = session
        self._tell({"type": "session.updated", "session": session})

    async def _append(self, audio: Any) -> None:
        """Hear audio.

        Raises:
            FieldError: If it is not base64 of whole samples.
            StreamError: If no session can be had, or the engine is far behind.
        """
        data = base64_bytes("audio", audio)
        await self._hear(self._buffer.append(data, self._session))

    async def _create(self, item: Any) -> None:
        """Take an item of the client's; if it has audio, hear that.

        Raises:
            FieldError: If it is none that is taken.
            StreamError: As `_append` does.
        """
        given = read_item(item)
        self._drain()  # what it follows was told before
        if given.audio:
            await self._hear(self._buffer.create(given, self._session))
            return
        for told in self._buffer.conversation.turns.create(given):
            self._tell(told)

    async def _hear(self, heard: AsyncIterator[tuple[Stream, bool]]) -> None:
        async for stream, more in heard:
            await self._channel.hold(stream, more=more)
            self._drain()  # a turn that has ended is asked about before the next one
            await asyncio.sleep(0)

    def _drain(self) -> None:
        """Tell what was heard.

        Raises:
            ForgottenError: If the client reads so slowly that some of it is lost.
        """
        for event in self._buffer.drain():
            self._tell(event)
        if self._buffer.ended_by is not None and self._close_code is None:
            self._close_with(self._buffer.ended_by)

    async def _write(self) -> int:
        """Send what is told, to the last event; return the close code.

        Raises:
            LeftError: If the client does not take it.
            ForgottenError: If it takes it too late.
        """
        while True:
            self._changed.clear()
            self._drain()
            while self._waiting:
                await self._channel.send(self._waiting.popleft())
                self._taken.set()
            if self._close_code is not None:
                return self._close_code
            await self._changed.wait()

    def _end(self, error: StreamError) -> None:
        """Tell an error after which nothing follows."""
        self._hub.metrics.refused.labels(error.code).inc()
        self._complain(describe_error(error), None)
        self._close_code = error.close_code
        self._changed.set()

    def _close_with(self, event: Error) -> None:
        """End as the hub's session has ended."""
        self._hub.metrics.refused.labels(event.code).inc()
        kind = BY_CODE.get(event.code, ENGINE)
        self._complain(describe(kind, event.message), None)
        self._close_code = CLOSE_CODES.get(event.code, InternalError.close_code)

    async def _give_up(self) -> None:
        """End after an unforeseen error."""
        try:
            await self._channel.send(_explain(InternalError()))
            await self._channel.close(InternalError.close_code)
        except LeftError:
            self._logger.info("the client did not wait for it")

    def _complain(self, error: Json, event_id: Any) -> None:
        known = event_id if isinstance(event_id, str) else None
        self._tell({"type": "error", "error": error | {"event_id": known}})

    def _tell(self, event: Json) -> None:
        self._waiting.append(_encode(event))


def routes(hub: Hub, issued: ClientSecrets) -> list[WebSocketRoute]:
    """Return what is served at which address."""

    async def realtime(websocket: WebSocket) -> None:
        auth, limits = hub.config.auth, hub.config.limits
        headers = _headers(websocket)
        secret = issued.find(bearer(headers), now=time.time())
        try:
            if secret is None or not is_known(secret.owner, auth):
                owner = authorize(headers, auth)
                session = new_session(
                    hub, websocket.query_params.get("intent", "realtime")
                )
            else:
                check_origin(headers, auth.origins)
                owner, settings = secret.owner, secret.settings
                session = openai_session.begun_with(
                    settings, lasts_s=limits.max_session_s
                )
            hub.admit(owner)
        except StreamError as exc:
            hub.metrics.refused.labels(exc.code).inc()
            answer = refusal(kind_of(exc), describe_error(exc))
            await websocket.send_denial_response(answer)
            return
        try:
            await RealtimeConnection(websocket, hub, owner, session).run()
        except WebSocketDisconnect:
            pass  # it went before it was told anything
        finally:
            hub.leave(owner)

    return [WebSocketRoute(PATH, realtime)]


def _headers(websocket: WebSocket) -> dict[str, str]:
    """Return the headers, with the key that a browser sends as a subprotocol."""
    headers = dict(websocket.headers)
    for offered in websocket.scope["subprotocols"]:
        if offered.startswith(KEY_SUBPROTOCOL):
            key = offered.removeprefix(KEY_SUBPROTOCOL)
            headers["authorization"] = f"Bearer {key}"
    return headers


def new_session(hub: Hub, kind: object) -> Json:
    """Return the settings of a new session of a kind.

    Raises:
        UnsupportedRequestError: If the kind is not served.
    """
    if not isinstance(kind, str) or kind not in openai_session.TYPES:
        expected = " or ".join(openai_session.TYPES)
        raise UnsupportedRequestError(
            f"a session of type {quote(kind)}; expected {expected}"
        )
    info = hub.engine.info
    if kind == "realtime" and not info.answers_questions:
        raise UnsupportedRequestError(
            f"{info.model} answers no questions, so there are no conversations; "
            "expected transcription (as in ?intent=transcription)"
        )
    return openai_session.new_session(
        kind,
        model=info.model,
        lasts_s=hub.config.limits.max_session_s,
        segmenter=hub.config.segmenter,
    )


def parse(text: str | None) -> Json:
    """Return a client's event.

    Raises:
        FieldError: If it is none.
    """
    if text is None:
        raise FieldError("event", "is a binary message; expected JSON text")
    try:
        event = read_json(text)
    except (ValueError, RecursionError) as exc:
        raise FieldError("event", f"is not JSON: {quote(text)}") from exc
    if not isinstance(event, dict):
        raise FieldError("event", f"is {quote(text)}; expected an object")
    return event


def _encode(event: Json) -> str:
    told = {"event_id": f"event_{secrets.token_hex(NAME_BYTES)}"} | event
    return json.dumps(told)  # in ASCII: what a client sent may be no valid Unicode


def _explain(error: StreamError) -> str:
    """Return the event that tells an error of the connection itself."""
    return _encode({"type": "error", "error": describe_error(error)})
