"""OpenAI's chat completions, for questions about audio that comes with them.

    POST /v1/chat/completions   messages with `input_audio` and text; an answer in text

The audio is a clip, kept for a while by what it holds, so that a further question about
it is answered sooner.  docs/openai.md is what clients read.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from engine.api import Prompt
from engine.errors import EngineError
from stream.clips import Clip, Clips
from stream.errors import UnsupportedRequestError
from stream.events import (
    Answer,
    AnswerPartial,
    AnswerStarted,
    Ask,
    Cancel,
    Error,
)
from stream.hub import Hub
from stream.protocols.openai_body import read_object
from stream.protocols.openai_chat_audio import decode
from stream.protocols.openai_chat_form import ChatWishes, read_chat
from stream.protocols.openai_chat_replies import Completion
from stream.protocols.openai_errors import SessionError, refusal
from stream.protocols.openai_http import served
from stream.protocols.openai_sse import DONE, EventStream, line, unless_gone
from stream.resume import ForgottenError

NAME_BYTES = 12  # of randomness in a completion's name
SERVER_ERROR = 500
TEXT_BYTES = 1 << 20  # of a body that are no audio
Told = AnswerStarted | AnswerPartial | Answer


def routes(hub: Hub) -> list[Route]:
    """Return what is served at which address."""
    clips = Clips(hub)

    async def complete(request: Request, owner: str) -> Response:
        hub.admit(owner)
        leaving = contextlib.ExitStack()
        leaving.callback(hub.leave, owner)
        try:
            # Base64 takes four bytes for three.
            most = hub.config.limits.max_upload_bytes * 4 // 3 + TEXT_BYTES
            wishes = read_chat(await read_object(request, most))
            _check(hub, wishes)
            pcm = await asyncio.to_thread(decode, wishes.audio, clips.most_s)
            clip = leaving.enter_context(clips.opened(pcm, owner))
            turn = _Turn(hub, clip, wishes)
            leaving.callback(turn.close)
            if wishes.stream:
                return EventStream(
                    turn.pieces(),
                    close=leaving.close,
                    timeout_s=hub.config.limits.send_timeout_s,
                )
            answer = await unless_gone(request, turn.whole())
        except BaseException:
            leaving.close()
            raise
        leaving.close()
        return answer

    path = "/v1/chat/completions"
    return [Route(path, served(hub, complete), methods=["POST"])]


class _Turn:
    """A question about a clip, and its answer."""

    def __init__(self, hub: Hub, clip: Clip, wishes: ChatWishes) -> None:
        self._hub, self._clip, self._wishes = hub, clip, wishes
        self._is_open = False
        self._name = f"chatcmpl-{secrets.token_hex(NAME_BYTES)}"
        self._completion = Completion(
            self._name,
            model=hub.engine.info.model,
            created=int(time.time()),
            stops=wishes.stop,
        )

    def close(self) -> None:
        """Want no more of the answer."""
        if self._is_open:
            self._is_open = False
            self._hub.cancel(self._clip.stream, Cancel(id=self._name))

    async def whole(self) -> Response:
        """Return the answer, once it is complete."""
        try:
            async with aclosing(self._events()) as events:
                async for event in events:
                    if isinstance(event, Answer):
                        return JSONResponse(self._completion.whole(event))
                    if isinstance(event, AnswerPartial):
                        self._grow(event)
        except SessionError as exc:
            return refusal(exc.kind, exc.described)
        raise AssertionError("a question ends with an answer or an error")

    async def pieces(self) -> AsyncIterator[str]:
        """Yield server-sent events: chunks as the answer grows."""
        done, wishes = self._completion, self._wishes
        try:
            async with aclosing(self._events()) as events:
                async for event in events:
                    match event:
                        case AnswerStarted():
                            yield line(done.begin())
                        case AnswerPartial():
                            if added := self._grow(event):
                                yield line(done.piece(added))
                        case Answer():
                            usage = wishes.include_usage
                            for chunk in done.end(event, include_usage=usage):
                                yield line(chunk)
        except SessionError as exc:
            yield line({"error": exc.described})
            return
        yield DONE

    def _grow(self, event: AnswerPartial) -> str:
        """Take the answer so far; end it where it is to stop."""
        added = self._completion.grow(event.text)
        if self._completion.has_ended:
            self.close()
        return added

    async def _events(self) -> AsyncGenerator[Told, None]:
        """Ask; yield what is told of the answer, to its end.

        Raises:
            SessionError: If there is an error in its place.
        """
        stream = self._clip.stream
        seq, self._is_open = stream.session.seq, True
        self._hub.ask(stream, _ask(self._name, self._wishes))
        try:
            async with aclosing(stream.follow(seq)) as events:
                async for event in events:
                    match event:
                        case Error() if event.question in (None, self._name):
                            self._is_open = False
                            raise self._failed(event)
                        case Answer() if event.id == self._name:
                            self._is_open = False
                            yield event
                            return
                        case AnswerStarted() | AnswerPartial():
                            if event.id == self._name:
                                yield event
        except ForgottenError as exc:
            raise SessionError.unread() from exc

    def _failed(self, error: Error) -> SessionError:
        """Return what an error tells; a clip that the engine fails on is not kept."""
        told = SessionError.of(error)
        self._clip.is_sound = told.kind.status != SERVER_ERROR
        return told


def _ask(name: str, wishes: ChatWishes) -> Ask:
    return Ask(
        id=name,
        text=wishes.question,
        about="segment",
        max_tokens=wishes.max_tokens,
        temperature=wishes.temperature,
    )


def _check(hub: Hub, wishes: ChatWishes) -> None:
    """Refuse what the engine does not answer, before any audio is looked at.

    Raises:
        UnsupportedRequestError: If it does not.
    """
    try:
        hub.engine.check_prompt(Prompt(text=wishes.question))
    except EngineError as exc:
        raise UnsupportedRequestError(str(exc)) from exc
