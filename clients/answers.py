"""The answer to one question while it grows, for whoever asked.

Knows no connection: the client passes on what the server says of it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine

from clients.errors import ClientError, QuestionError
from stream.events import Answer, AnswerPartial, Error, ServerEvent


class PendingAnswer:
    """Iterate over it for the pieces of its text, or wait for all of it.

    Either raises `QuestionError` if there is no answer, or the `ClientError` that
    ended the session.
    """

    def __init__(
        self, name: str, cancel: Callable[[str], Coroutine[None, None, None]]
    ) -> None:
        self.id = name
        self.text = ""
        """What has been said so far."""
        self._cancel = cancel
        self._answer: Answer | None = None
        self._failure: ClientError | None = None
        self._changed = asyncio.Condition()

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes."""
        return self._answer is not None or self._failure is not None

    async def __aiter__(self) -> AsyncIterator[str]:
        """Yield what is added to the text, to its end."""
        shown = 0

        def has_news() -> bool:
            return len(self.text) > shown or self.is_over

        while True:
            async with self._changed:
                await self._changed.wait_for(has_news)
                piece = self.text[shown:]
            if not piece:
                break
            shown += len(piece)
            yield piece
        if self._failure is not None:
            raise self._failure

    async def complete(self) -> Answer:
        """Return the answer when it is there; cancelled, it is what was said."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.is_over)
        if self._failure is not None:
            raise self._failure
        assert self._answer is not None, "over, without an end"
        return self._answer

    async def cancel(self) -> None:
        """Want no more of it; what was said until then is its answer."""
        await self._cancel(self.id)

    async def follow(self, event: ServerEvent) -> None:
        """Take an event that is about it."""
        async with self._changed:
            match event:
                case AnswerPartial(text=text):
                    self.text = text
                case Answer(text=text):
                    self.text, self._answer = text, event
                case Error(code=code, message=message):
                    self._failure = QuestionError(self.id, code, message)
            self._changed.notify_all()

    async def fail(self, failure: ClientError) -> None:
        """Note that it will never come, if it is not there."""
        async with self._changed:
            if not self.is_over:
                self._failure = failure
            self._changed.notify_all()
