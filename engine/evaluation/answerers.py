"""Who answers: anything that takes a clip and a question and gives text.

    Answerer.serves(question)      whether it can, before anything is computed
    Answerer.answer(questions)     one text each

Three of them: Whisper's decoder over whole clips, any engine that can be asked, and a
server with clients, as people use it.  Tests bring others.  Knows no scores.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from engine.api import (
    Engine,
    EngineInfo,
    Hypothesis,
    Prompt,
    Samples,
    UtteranceOptions,
)
from engine.data.audio import samples_of_clip, write_clip
from engine.data.manifest import Clip
from engine.errors import EngineError
from engine.evaluation import live
from engine.evaluation.offline import cut_long
from engine.evaluation.trials import Question

Report = Callable[[], None]
"""Called once a question, as it is answered."""
TINY: Final = 1_000_000  # parameters; below, nobody expects sense


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What is measured."""

    name: str
    parameters: int | None = None
    steps: int | None = None
    """Of training; None where nobody counted."""

    @property
    def doubt(self) -> str:
        """Why its figures mean nothing; empty if they may mean something."""
        if self.steps == 0:
            return f"{self.name} is untrained: its figures are nonsense"
        if self.parameters is not None and self.parameters < TINY:
            return (
                f"{self.name} has {self.parameters:,} parameters, a model for tests: "
                "its figures are nonsense"
            )
        return ""


def model_of(info: EngineInfo) -> Model:
    """Return what an engine says of itself."""
    return Model(name=info.model, parameters=info.parameters)


class Answerer(Protocol):
    """Answers questions about clips, in one way."""

    @property
    def mode(self) -> str:
        """`offline` or `live` (engine/evaluation/__main__.py)."""

    @property
    def model(self) -> Model:
        """What answers."""

    def serves(self, question: Question) -> bool:
        """Return whether it answers questions of this kind."""

    def answer(self, questions: Sequence[Question], report: Report) -> list[str]:
        """Return an answer to each question.

        Raises:
            EngineError: If the model or a recording fails.
        """


class WholeClips(Protocol):
    """What is asked of the engine that hears whole clips (`engine.local`)."""

    @property
    def info(self) -> EngineInfo:
        """What it can do."""

    def hear(self, samples: Samples, options: UtteranceOptions) -> list[Hypothesis]:
        """Return the answers to a clip, encoded in one pass."""

    def close(self) -> None:
        """Free the model."""


class TranscriberAnswers:
    """Whisper's decoder over whole clips: what is said, and that in English.

    The weights are loaded when they are needed: a server may have to run before.
    """

    mode = "offline"

    def __init__(
        self, load: Callable[[], WholeClips], *, language: str | None = None
    ) -> None:
        self._load, self._language = load, language
        self._loaded: WholeClips | None = None

    @property
    def _engine(self) -> WholeClips:
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded

    @property
    def model(self) -> Model:
        """What answers."""
        return model_of(self._engine.info)

    def serves(self, question: Question) -> bool:
        """Return whether the question is one of the decoder's tasks."""
        return question.task in self._engine.info.tasks

    def answer(self, questions: Sequence[Question], report: Report) -> list[str]:
        """Return what is heard in each clip; a long one is cut where it is quiet."""
        answers = []
        for question in questions:
            report()
            assert question.task is not None, "asked what it does not serve"
            asked = UtteranceOptions(tasks=(question.task,), language=self._language)
            parts = cut_long(samples_of_clip(question.clip))
            texts = (self._engine.hear(part, asked)[0].text for part in parts)
            answers.append(" ".join(text for text in texts if text))
        return answers

    def close(self) -> None:
        """Free the model, if it was loaded."""
        if self._loaded is not None:
            self._loaded.close()


class EngineAnswers:
    """A language model behind the seam (`engine.api`), asked after the whole clip."""

    mode = "offline"

    def __init__(self, engine: Engine, model: Model, *, max_tokens: int = 200) -> None:
        if not engine.info.answers_questions:
            raise EngineError(f"{engine.info.model} answers no free questions")
        self._engine, self.model, self._max_tokens = engine, model, max_tokens

    def serves(self, question: Question) -> bool:
        """Return whether the engine takes the question; it takes any, in words."""
        return bool(question.prompt)

    def answer(self, questions: Sequence[Question], report: Report) -> list[str]:
        """Return the engine's replies; what a clip is too long for is not heard."""
        answers = []
        for question in questions:
            report()
            samples = samples_of_clip(question.clip)[: self._engine.info.max_samples]
            answers.append(self._ask(samples, question.prompt))
        return answers

    def _ask(self, samples: Samples, text: str) -> str:
        utterance = self._engine.open(UtteranceOptions(tasks=()))
        try:
            utterance.push(samples)
            reply = utterance.ask(Prompt(text=text, max_tokens=self._max_tokens))
        finally:
            utterance.close()
        try:
            while reply.finish is None:
                self._engine.generate([reply])
            return reply.text
        finally:
            reply.close()


class LiveAnswers:
    """A server of its own, heard through its file client, as people use it."""

    mode = "live"

    def __init__(
        self,
        tasks: Sequence[str],
        model: Model,
        *,
        config: Path | None = None,
        flags: Sequence[str] = (),
        is_asked: bool = False,
    ) -> None:
        """Say what the server does.

        Args:
            tasks: That it answers by name.
            model: That it loads.
            config: Its file.
            flags: Of the client.
            is_asked: Whether it takes questions in words.
        """
        self._tasks, self.model = tuple(tasks), model
        self._config, self._flags = config, tuple(flags)
        self._is_asked = is_asked

    def serves(self, question: Question) -> bool:
        """Return whether the server has the question as a task, or takes any."""
        return question.task in self._tasks or (
            self._is_asked and bool(question.prompt)
        )

    def answer(self, questions: Sequence[Question], report: Report) -> list[str]:
        """Return what a client hears, each clip streamed at the speed of speech.

        Of a task of the server's, the joined finals; else the answer to the question,
        which is put at the end of the clip, about its last 30 s.
        """
        answers = [""] * len(questions)
        with live.running_server(config=self._config) as (url, _):
            for task, prompt in dict.fromkeys(map(self._means, questions)):
                places = [
                    place
                    for place, question in enumerate(questions)
                    if self._means(question) == (task, prompt)
                ]
                flags = ("--task", task) if task else ("--ask", prompt)
                with _files([questions[place].clip for place in places]) as files:
                    heard = live.hear(url, files, *flags, *self._flags, report=report)
                read = live.transcript if task else live.answer
                for place, events in zip(places, heard, strict=True):
                    answers[place] = read(events)
        return answers

    def _means(self, question: Question) -> tuple[str, str]:
        """Return the task, or the prompt, by which the server is asked."""
        if question.task in self._tasks:
            return str(question.task), ""
        return "", question.prompt


@contextmanager
def _files(clips: Sequence[Clip]) -> Iterator[list[Path]]:
    """Yield a file for each clip, no two the same; parts and pairs are written out."""
    with tempfile.TemporaryDirectory(prefix="salmonn-eval-") as folder:
        files: list[Path] = []
        for number, clip in enumerate(clips):
            is_whole = clip.start_s is None and not clip.expand
            if is_whole and clip.file not in files:
                files.append(clip.file)
            else:
                file = Path(folder) / f"{number:06}.flac"
                write_clip(file, samples_of_clip(clip))
                files.append(file)
        yield files
