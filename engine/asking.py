"""Whole recordings in, answers out; a long one in parts, each asked everything.

Two ways behind one protocol: a SALMONN as the original runs it, and the live engine.
Knows neither files nor a terminal.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from engine.answering import Search
from engine.api import Finish, Prompt, Samples, Source, UtteranceOptions, by_task
from engine.local import LocalEngine
from engine.recording import MAX_SAMPLES, split
from engine.salmonn import Salmonn
from engine.skills import question


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

    max_samples: int
    """Of a clip that fits."""

    def check(self, prompts: Sequence[Prompt]) -> None:
        """Do nothing if all can be answered.

        Raises:
            UnsupportedError: If one cannot.
        """

    def answer(self, samples: Samples, prompts: Sequence[Prompt]) -> Iterator[Reply]:
        """Yield an answer to each prompt about a clip that fits the model."""


class SalmonnAnswerer:
    """Asks a SALMONN; all prompts share one hearing of a clip."""

    max_samples = MAX_SAMPLES

    def __init__(self, model: Salmonn, *, beams: int) -> None:
        self._model, self._beams = model, beams

    def check(self, prompts: Sequence[Prompt]) -> None:
        """Find every task by its name."""
        for prompt in prompts:
            question(prompt, Source.AUDIO)

    def answer(self, samples: Samples, prompts: Sequence[Prompt]) -> Iterator[Reply]:
        """Yield answers, in order."""
        audio = self._model.embed_audio(samples)
        for prompt in prompts:
            asked = question(prompt, Source.AUDIO)
            how = Search(beams=self._beams, max_tokens=prompt.max_tokens)
            found = self._model.answer(audio, asked, how)
            yield Reply(
                prompt=prompt,
                question=asked,
                start=0,
                end=len(samples),
                text=found.text,
                finish=found.finish,
                num_tokens=found.num_tokens,
            )


class EngineAnswerer:
    """Asks the live engine about whole clips.

    Whisper's decoder hears the tasks that it knows; what else is asked, the language
    model answers if it was loaded.  It hears as it does live.

    Args:
        engine: Searches with beams of its own for what Whisper hears.
        beams: Of the language model's search; with 1, the likeliest token is chosen at
            each step, as live.
    """

    def __init__(self, engine: LocalEngine, *, beams: int = 1) -> None:
        self._engine, self._beams = engine, beams
        self.max_samples = engine.info.max_samples

    def check(self, prompts: Sequence[Prompt]) -> None:
        """Ask the engine whether it serves task and language."""
        for prompt in prompts:
            if self._is_heard(prompt):
                self._engine.check(_options(prompt))
            else:
                self._engine.check_prompt(prompt)

    def answer(self, samples: Samples, prompts: Sequence[Prompt]) -> Iterator[Reply]:
        """Yield answers, in order."""
        for prompt in prompts:
            answer = self._hear if self._is_heard(prompt) else self._ask
            yield answer(samples, prompt)

    def _is_heard(self, prompt: Prompt) -> bool:
        return _task(prompt) in self._engine.info.tasks

    def _hear(self, samples: Samples, prompt: Prompt) -> Reply:
        options = _options(prompt)
        said = by_task(self._engine.hear(samples, options))[options.tasks[0]]
        return Reply(
            prompt=prompt,
            question=None,
            start=0,
            end=len(samples),
            text=said.text,
            finish=Finish.STOP,
            num_tokens=None,
        )

    def _ask(self, samples: Samples, prompt: Prompt) -> Reply:
        utterance = self._engine.open(UtteranceOptions(tasks=()))
        utterance.push(samples)
        reply = utterance.ask(prompt)
        utterance.close()
        if self._beams > 1:
            self._engine.search(reply, self._beams)
        while (finish := reply.finish) is None:
            self._engine.generate([reply])
        said = Reply(
            prompt=prompt,
            question=question(prompt, reply.source),
            start=0,
            end=len(samples),
            text=reply.text,
            finish=finish,
            num_tokens=reply.num_tokens,
        )
        reply.close()
        return said


def ask(
    answerer: Answerer, samples: Samples, prompts: Sequence[Prompt]
) -> Iterator[Reply]:
    """Yield all answers about a recording of any length: part by part, in order."""
    for part in split(samples, answerer.max_samples):
        for reply in answerer.answer(part.samples, prompts):
            yield replace(reply, start=part.start, end=part.end)


def _options(prompt: Prompt) -> UtteranceOptions:
    return UtteranceOptions(tasks=(_task(prompt),), language=prompt.language)


def _task(prompt: Prompt) -> str:
    """Return the task of a prompt; a bare `translate` is into English."""
    return "translate:en" if prompt.task == "translate" else prompt.task or ""
