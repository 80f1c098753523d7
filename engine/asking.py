"""Whole recordings in, answers out; a long one in parts, each asked everything.

Two models answer behind one protocol: a SALMONN what it is asked in words, and
Whisper's decoder the two tasks that it knows.  Knows neither files nor a terminal.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from engine.answering import Search
from engine.api import Finish, Prompt, Samples, UtteranceOptions, by_task
from engine.errors import UnsupportedError
from engine.local import LocalEngine
from engine.recording import split
from engine.salmonn import Salmonn
from engine.tasks import find


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What was answered to one prompt about one part of a recording."""

    prompt: Prompt
    question: str | None
    """The sentence that was asked; None of a model that takes none."""
    start: int
    end: int
    text: str
    finish: Finish
    num_tokens: int | None
    """None if the model does not tell."""


class Answerer(Protocol):
    """A model that answers about clips."""

    def check(self, prompts: Sequence[Prompt]) -> None:
        """Do nothing if all can be answered.

        Raises:
            UnsupportedError: If one cannot.
        """

    def answer(self, samples: Samples, prompts: Sequence[Prompt]) -> Iterator[Reply]:
        """Yield an answer to each prompt about a clip that fits the model."""


class SalmonnAnswerer:
    """Asks a SALMONN; all prompts share one hearing of a clip."""

    def __init__(self, model: Salmonn, *, beams: int) -> None:
        self._model, self._beams = model, beams

    def check(self, prompts: Sequence[Prompt]) -> None:
        """Find every task by its name."""
        for prompt in prompts:
            question_of(prompt)

    def answer(self, samples: Samples, prompts: Sequence[Prompt]) -> Iterator[Reply]:
        """Yield answers, in order."""
        audio = self._model.embed_audio(samples)
        for prompt in prompts:
            question = question_of(prompt)
            how = Search(beams=self._beams, max_tokens=prompt.max_tokens)
            found = self._model.answer(audio, question, how)
            yield Reply(
                prompt=prompt,
                question=question,
                start=0,
                end=len(samples),
                text=found.text,
                finish=found.finish,
                num_tokens=found.num_tokens,
            )


class WhisperAnswerer:
    """Has Whisper's decoder write down or translate; it takes no questions."""

    def __init__(self, engine: LocalEngine) -> None:
        self._engine = engine

    def check(self, prompts: Sequence[Prompt]) -> None:
        """Ask the engine whether it serves task and language."""
        for prompt in prompts:
            self._engine.check(_options(prompt))

    def answer(self, samples: Samples, prompts: Sequence[Prompt]) -> Iterator[Reply]:
        """Yield answers, in order."""
        for prompt in prompts:
            options = _options(prompt)
            (task,) = options.tasks
            said = by_task(self._engine.hear(samples, options))[task]
            yield Reply(
                prompt=prompt,
                question=None,
                start=0,
                end=len(samples),
                text=said.text,
                finish=Finish.STOP,
                num_tokens=None,
            )


def ask(
    answerer: Answerer, samples: Samples, prompts: Sequence[Prompt]
) -> Iterator[Reply]:
    """Yield all answers about a recording of any length: part by part, in order."""
    for part in split(samples):
        for reply in answerer.answer(part.samples, prompts):
            yield replace(reply, start=part.start, end=part.end)


def question_of(prompt: Prompt) -> str:
    """Return what a prompt asks, in words.

    Raises:
        UnsupportedError: If it names no task that there is.
    """
    if prompt.task is None:
        return prompt.text.strip()
    return find(prompt.task, prompt.language).prompt


def _options(prompt: Prompt) -> UtteranceOptions:
    if prompt.task is None:
        raise UnsupportedError("prompt", prompt.text, ())
    # A bare `translate` is into English.
    task = "translate:en" if prompt.task == "translate" else prompt.task
    return UtteranceOptions(tasks=(task,), language=prompt.language)
