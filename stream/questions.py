"""The questions of one session: which are open, and what is told of them.

No I/O, no audio, no engine: the session says what a question is about and passes the
results on; here every `seq` is 0.

    ask ──▶ open ──Asked──▶ answer_started ──Said──▶ answer_partial … ──▶ answer
              │                   │
              └──── cancel ───────┴──────▶ answer, cancelled   or an error instead
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from engine.api import Prompt
from engine.errors import EngineError
from stream.errors import (
    LimitError,
    ProtocolError,
    StreamError,
    UnsupportedRequestError,
    quote,
)
from stream.events import Answer, AnswerPartial, AnswerStarted, Ask, Error
from stream.jobs import Answered, Asked, Failed, ReplyFailed, ReplyResult, Said
from stream.recent import MAX_SECONDS

ABOUT = ("segment", "last_segment", "recent")
SPOKEN = "spoken-"
"""How the ids of questions begin that were spoken."""
MAX_ID = 64  # characters
MAX_TEXT = 4_000
"""Characters of a question; some thousand tokens."""
MAX_TOKENS = 1_000
MAX_TEMPERATURE = 2.0
MOST_ENDED = 64
"""Ids that are remembered after their answers: to cancel one of them came too late, and
is no error.  Beyond that it is one, and does no other harm."""

CheckPrompt = Callable[[Prompt], None]
"""Raises `UnsupportedError` if the engine does not answer the prompt."""
UNSPACED = "\u2e80"
"""The first of the characters of scripts that put no spaces between words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """The audio that a question is about, in samples of the stream."""

    start: int
    end: int
    segment: int | None = None
    """The segment, if it is one; how much of it was heard, the engine will tell."""
    pcm: bytes = b""
    """Its samples, s16le, if it is no segment."""


@dataclass(slots=True)
class _Question:
    id: str
    shown: str
    passage: Passage
    source: str = ""
    mode: str = ""
    prompt_tokens: int = 0
    tokens: int = 0
    text: str = ""

    def answer(self, finish: str) -> Answer:
        return Answer(
            seq=0,
            id=self.id,
            text=self.text,
            finish=finish,
            source=self.source,
            mode=self.mode,
            start=self.passage.start,
            end=self.passage.end,
            tokens=self.tokens,
            prompt_tokens=self.prompt_tokens,
        )

    def error(self, code: str, message: str) -> Error:
        return Error(seq=0, code=code, message=message, question=self.id)


class Questions:
    """Those that have no answer yet, by the numbers of their replies."""

    def __init__(self, *, check: CheckPrompt, most: int) -> None:
        """Begin without questions.

        Args:
            check: Refuses prompts that the engine does not answer.
            most: Open at once; the next one is refused.
        """
        self._check, self._most = check, most
        self._open: dict[int, _Question] = {}
        self._ended: deque[str] = deque(maxlen=MOST_ENDED)

    def __len__(self) -> int:
        return len(self._open)

    @property
    def ids(self) -> tuple[str, ...]:
        """The clients' names of them."""
        return tuple(question.id for question in self._open.values())

    def check(self, ask: Ask, *, language: str | None, spoken: bool = False) -> Prompt:
        """Return what the engine is asked.

        Raises:
            ProtocolError: If a field is out of range, or the id is taken.
            UnsupportedRequestError: If the engine does not answer it.
            LimitError: If there are too many already.
        """
        _check_ranges(ask, spoken=spoken)
        if any(question.id == ask.id for question in self._open.values()):
            raise ProtocolError(f"ask: id {quote(ask.id)} is that of an open question")
        if len(self._open) >= self._most:
            raise LimitError(f"{self._most} questions are open, the most of a session")
        prompt = Prompt(
            task=ask.task,
            text=ask.text or "",
            language=language,
            max_tokens=ask.max_tokens,
            temperature=ask.temperature,
        )
        try:
            self._check(prompt)
        except EngineError as exc:
            raise UnsupportedRequestError(str(exc)) from exc
        return prompt

    def open(self, reply: int, ask: Ask, passage: Passage) -> None:
        """Begin a question that was checked."""
        shown = ask.text or ask.task or ""
        self._open[reply] = _Question(ask.id, shown, replace(passage, pcm=b""))

    def cancel(self, name: str) -> tuple[int, Answer] | None:
        """End a question; return its reply's number, and what is told.

        Returns:
            None if it has ended already.

        Raises:
            ProtocolError: If there was none of this id.
        """
        for reply, question in self._open.items():
            if question.id == name:
                self._end(reply)
                return reply, question.answer("cancelled")
        if name in self._ended:
            return None
        raise ProtocolError(f"cancel: no question has the id {quote(name)}")

    def deliver(
        self, result: ReplyResult
    ) -> AnswerStarted | AnswerPartial | Answer | Error | None:
        """Return what is told of a result; None of a question that has ended."""
        question = self._open.get(result.reply)
        if question is None:
            return None
        match result:
            case Asked(samples=samples, source=source, mode=mode):
                start = question.passage.start
                question.passage = Passage(start=start, end=start + samples)
                question.source, question.mode = source.value, mode.value
                question.prompt_tokens = result.num_prompt_tokens
                return AnswerStarted(
                    seq=0,
                    id=question.id,
                    question=question.shown,
                    start=question.passage.start,
                    end=question.passage.end,
                )
            case Said(text=text, num_tokens=tokens):
                question.text, question.tokens = text, tokens
                return AnswerPartial(
                    seq=0,
                    id=question.id,
                    text=text,
                    start=question.passage.start,
                    end=question.passage.end,
                )
            case Answered(text=text, num_tokens=tokens, finish=finish):
                question.text, question.tokens = text, tokens
                self._end(result.reply)
                return question.answer(finish.value)
            case ReplyFailed(code=code, message=message):
                self._end(result.reply)
                return question.error(code, message)

    def fail_segment(self, failed: Failed) -> list[Error]:
        """End the questions that were to be asked about a segment; return the news."""
        hit = [
            reply
            for reply, question in self._open.items()
            if question.passage.segment == failed.segment
        ]
        errors = [self._open[r].error(failed.code, failed.message) for r in hit]
        for reply in hit:
            self._end(reply)
        return errors

    def _end(self, reply: int) -> None:
        self._ended.append(self._open.pop(reply).id)


def refusal(name: str, error: StreamError) -> Error:
    """Return what is told of a question, or of its end, that was wrong."""
    return Error(seq=0, code=error.code, message=str(error), question=name[:MAX_ID])


def after_phrase(text: str, phrase: str) -> str | None:
    """Return what stands behind a phrase that a text begins with; None if it does not.

    Only letters and digits count, and not their case.
    """
    position = 0
    for wanted in filter(str.isalnum, phrase):
        while not text[position : position + 1].isalnum():
            if position >= len(text):
                return None
            position += 1
        if text[position].casefold() != wanted.casefold():
            return None
        position += 1
    rest = text[position:]
    if "" < rest[:1] < UNSPACED and rest[0].isalnum():  # in the middle of a word
        return None
    first = next((i for i, character in enumerate(rest) if character.isalnum()), None)
    return "" if first is None else rest[first:].strip()


def _check_ranges(ask: Ask, *, spoken: bool) -> None:
    """Refuse what no server could answer.

    Raises:
        ProtocolError: If a field is out of range.
    """
    if not 0 < len(ask.id) <= MAX_ID:
        raise ProtocolError(
            f"ask: id has {len(ask.id)} characters; it must have 1 to {MAX_ID}"
        )
    if ask.id.startswith(SPOKEN) and not spoken:
        raise ProtocolError(f"ask: ids that begin with {SPOKEN!r} are the server's")
    if (ask.text is None) == (ask.task is None):
        raise ProtocolError("ask: there must be a text or a task, and not both")
    if ask.text is not None and not ask.text.strip():
        raise ProtocolError("ask: text is empty")
    if ask.text is not None and len(ask.text) > MAX_TEXT:
        raise ProtocolError(
            f"ask: text has {len(ask.text)} characters; at most {MAX_TEXT} are taken"
        )
    if ask.about not in ABOUT:
        raise ProtocolError(
            f"ask: about is {quote(ask.about)}; expected {' or '.join(ABOUT)}"
        )
    if not 0 < ask.seconds <= MAX_SECONDS:
        raise ProtocolError(
            f"ask: seconds is {ask.seconds:g}; "
            f"it must be above 0, at most {MAX_SECONDS}"
        )
    if not 1 <= ask.max_tokens <= MAX_TOKENS:
        raise ProtocolError(
            f"ask: max_tokens is {ask.max_tokens}; it must be 1 to {MAX_TOKENS}"
        )
    if not 0 <= ask.temperature <= MAX_TEMPERATURE:
        raise ProtocolError(
            f"ask: temperature is {ask.temperature:g}; "
            f"it must be 0 to {MAX_TEMPERATURE:g}"
        )
