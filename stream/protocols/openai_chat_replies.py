"""What is told of the answer to a chat completion: whole, or in chunks.

Pure: it takes what the answer is so far, and knows no connection.
"""

from collections.abc import Iterator
from typing import Any, Final

from stream.events import Answer
from stream.protocols.openai_checks import Json

FINISH: Final = {"length": "length"}
"""By how an answer ended; the rest, a repetition that was cut off too, is `stop`."""


class Stopped:
    """A text that grows, up to where one of some texts begins in it.

    Args:
        stops: None of them is shown, nor what follows.
    """

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = stops
        self.text = ""
        """What may be shown for certain."""
        self.has_ended = False
        """Whether one of them was found."""

    def grow(self, text: str, *, is_whole: bool = False) -> str:
        """Take all of the text so far; return what may be shown of it in addition.

        Args:
            text: It begins with what was taken before.
            is_whole: Whether no more follows; else its end is held back where one of
                the stops may have begun.
        """
        if self.has_ended:
            return ""
        found = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self.has_ended = True
            text = text[: min(found)]
        elif not is_whole:
            text = text[: len(text) - self._begun(text)]
        added = text[len(self.text) :]
        self.text += added
        return added

    def _begun(self, text: str) -> int:
        """Return how many characters at the end may be the beginning of a stop."""
        lengths = (
            length
            for stop in self._stops
            for length in range(len(stop) - 1, 0, -1)
            if text.endswith(stop[:length])
        )
        return max(lengths, default=0)


class Completion:
    """A chat completion, from its first token to what it cost.

    Args:
        name: Its id.
        model: Which model answers.
        created: When, in seconds since 1970.
        stops: As in `Stopped`.
    """

    def __init__(
        self, name: str, *, model: str, created: int, stops: tuple[str, ...]
    ) -> None:
        self._shared: Json = {"id": name, "created": created, "model": model}
        self._answer = Stopped(stops)

    @property
    def has_ended(self) -> bool:
        """Whether a stop was found: more of the answer is not wanted."""
        return self._answer.has_ended

    def grow(self, text: str) -> str:
        """Take the text so far; return what may be shown in addition."""
        return self._answer.grow(text)

    def whole(self, answer: Answer) -> Json:
        """Return all of it, once the answer has come."""
        self._answer.grow(answer.text, is_whole=True)
        message = {"role": "assistant", "content": self._answer.text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None}
        return {
            **self._shared,
            "object": "chat.completion",
            "choices": [choice | {"finish_reason": self._finish(answer)}],
            "usage": usage(answer),
        }

    def begin(self) -> Json:
        """Return the first chunk, which has no text yet."""
        return self._chunk({"role": "assistant", "content": ""})

    def piece(self, added: str) -> Json:
        """Return a chunk of text."""
        return self._chunk({"content": added})

    def end(self, answer: Answer, *, include_usage: bool) -> Iterator[Json]:
        """Yield the last chunks."""
        if added := self._answer.grow(answer.text, is_whole=True):
            yield self.piece(added)
        yield self._chunk({}, finish=self._finish(answer))
        if include_usage:
            yield {**self._chunk({}), "choices": [], "usage": usage(answer)}

    def _chunk(self, delta: Json, *, finish: str | None = None) -> Json:
        choice: dict[str, Any] = {"index": 0, "delta": delta, "logprobs": None}
        return {
            **self._shared,
            "object": "chat.completion.chunk",
            "choices": [choice | {"finish_reason": finish}],
        }

    def _finish(self, answer: Answer) -> str:
        return "stop" if self.has_ended else FINISH.get(answer.finish, "stop")


def usage(answer: Answer) -> Json:
    """Return what an answer cost; audio and text before it are counted together."""
    return {
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.tokens,
        "total_tokens": answer.prompt_tokens + answer.tokens,
    }
