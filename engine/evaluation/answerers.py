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
from itertools import groupby
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from engine.api import (
    Engine,
    EngineInfo,
    Hypothesis,
    Prompt,
    Reply,
    Samples,
    UtteranceOptions,
)
from engine.data.audio import samples_of_clip, write_clip
from engine.data.manifest import Clip
from engine.errors import EngineError
from engine.evaluation import live
from engine.evaluation.offline import cut_long
from engine.evaluation.questions import Question
from engine.tasks import is_among

Report = Callable[[], None]
"""Called once a question, as it is answered."""
TRANSCRIBE: Final = "transcribe"
AT_ONCE: Final = 8  # answers: a pass over the weights costs little more for them
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
        """`offline` or `live` (engine/evaluation/__main__.py), and of several which."""

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

    def __init__(
        self,
        load: Callable[[], WholeClips],
        *,
        language: str | None = None,
        mode: str = "offline",
    ) -> None:
        self._load, self._language, self.mode = load, language, mode
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
        is_heard = not (question.read or question.from_transcript)
        return is_heard and question.task in self._engine.info.tasks

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


@runtime_checkable
class Reads(Protocol):
    """An engine that can be asked about texts, too."""

    def read(self, text: str, prompt: Prompt) -> Reply:
        """Begin a reply about a text."""


class EngineAnswers:
    """A language model behind the seam (`engine.api`), asked after the whole clip."""

    def __init__(
        self,
        engine: Engine,
        model: Model,
        *,
        max_tokens: int = 200,
        mode: str = "offline",
    ) -> None:
        if not engine.info.answers_questions:
            raise EngineError(f"{engine.info.model} answers no free questions")
        self._engine, self.model, self.mode = engine, model, mode
        self._max_tokens = max_tokens

    def serves(self, question: Question) -> bool:
        """Return whether the engine takes the question; it takes any, in words."""
        is_text = bool(question.read) or question.from_transcript
        return bool(question.prompt) and (not is_text or self._reader is not None)

    def answer(self, questions: Sequence[Question], report: Report) -> list[str]:
        """Return the engine's replies; what a clip is too long for is not heard.

        Questions in a row about one clip share what was computed of it; some answers
        are generated in one pass.
        """
        answers = list[str]()
        replies = list[Reply]()
        for reply in self._replies(questions):
            report()
            replies.append(reply)
            if len(replies) == AT_ONCE:
                answers += self._finish(replies)
                replies = []
        return answers + self._finish(replies)

    def _replies(self, questions: Sequence[Question]) -> Iterator[Reply]:
        for _, group in groupby(questions, key=_heard):
            asked = list(group)
            if asked[0].read:
                yield from (self._read(q.read, q.prompt) for q in asked)
            else:
                yield from self._hear(asked)

    @property
    def _reader(self) -> Reads | None:
        return self._engine if isinstance(self._engine, Reads) else None

    def _hear(self, questions: Sequence[Question]) -> Iterator[Reply]:
        """Yield replies about one clip, or about what was said in it."""
        samples = samples_of_clip(questions[0].clip)[: self._engine.info.max_samples]
        tasks = (TRANSCRIBE,) if questions[0].from_transcript else ()
        utterance = self._engine.open(UtteranceOptions(tasks=tasks))
        try:
            utterance.push(samples)
            for question in questions:
                if tasks:
                    said = utterance.final()[0].text
                    yield self._read(said, question.prompt)
                else:
                    yield utterance.ask(self._prompt(question.prompt))
        finally:
            utterance.close()

    def _read(self, text: str, question: str) -> Reply:
        assert self._reader is not None, "asked what it does not serve"
        return self._reader.read(text, self._prompt(question))

    def _prompt(self, text: str) -> Prompt:
        return Prompt(text=text, max_tokens=self._max_tokens)

    def _finish(self, replies: Sequence[Reply]) -> list[str]:
        try:
            while unfinished := [r for r in replies if r.finish is None]:
                self._engine.generate(unfinished)
            return [reply.text for reply in replies]
        finally:
            for reply in replies:
                reply.close()


def _heard(question: Question) -> tuple[object, ...]:
    """Return what questions have in common that can share a hearing."""
    clip = question.clip
    about = (clip.file, clip.start_s, clip.duration_s, clip.expand)
    return (question.read, question.from_transcript, *about)


class LiveAnswers:
    """A server of its own, heard through its file client, as people use it."""

    def __init__(
        self,
        tasks: Sequence[str],
        model: Model,
        *,
        config: Path | None = None,
        flags: Sequence[str] = (),
        server_flags: Sequence[str] = (),
        is_asked: bool = False,
        mode: str = "live",
    ) -> None:
        """Say what the server does.

        Args:
            tasks: That it answers by name; of one that is asked, those that it answers
                from the transcript.
            model: That it loads.
            config: Its file.
            flags: Of the client.
            server_flags: Of the server.
            is_asked: Whether it takes questions in words.
            mode: What the column is called.
        """
        self._tasks, self.model, self.mode = tuple(tasks), model, mode
        self._config, self._flags = config, tuple(flags)
        self._server_flags = tuple(server_flags)
        self._is_asked = is_asked

    def serves(self, question: Question) -> bool:
        """Return whether the server has the question as a task, or takes any."""
        if question.read:  # a client sends audio
            return False
        by_name = self._is_served(question.task)
        if question.from_transcript:
            return by_name and self._is_asked
        return by_name or (self._is_asked and bool(question.prompt))

    def answer(self, questions: Sequence[Question], report: Report) -> list[str]:
        """Return what a client hears, each clip streamed at the speed of speech.

        Of a task of the server's, the joined finals; else the answer to the question,
        which is put at the end of the clip, about its last 30 s.
        """
        answers = [""] * len(questions)
        with live.running_server(config=self._config, flags=self._server_flags) as (
            url,
            _,
        ):
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
        by_name = self._is_served(question.task)
        if by_name and question.from_transcript is self._is_asked:
            return str(question.task), ""
        return "", question.prompt

    def _is_served(self, task: str | None) -> bool:
        return task is not None and is_among(task, self._tasks)


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
