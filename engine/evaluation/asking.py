"""Who answers by the flags of `salmonn-eval`, and free questions.

Knows neither scores nor how a table looks.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from engine import api
from engine.config import EngineConfig, PartsConfig
from engine.data.manifest import Clip
from engine.errors import EngineError
from engine.evaluation import live
from engine.evaluation.answerers import (
    Answerer,
    EngineAnswers,
    LiveAnswers,
    Model,
    TranscriberAnswers,
    WholeClips,
    model_of,
)
from engine.evaluation.questions import Question
from engine.evaluation.table import Begin
from engine.presets import PRESETS
from engine.skills import ANYTHING
from engine.weights import checkpoint_of

WHISPER, SALMONN, BOTH = "whisper", "salmonn", "both"
HEADS = {WHISPER: (WHISPER,), SALMONN: (SALMONN,), BOTH: (SALMONN, WHISPER)}
ANSWER = "hypothesis_"
LIVE_TASKS = ("transcribe", "translate:en")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Who is to answer."""

    heads: tuple[str, ...]
    """`whisper`, `salmonn`."""
    modes: tuple[str, ...]
    """`offline`, `live`."""
    config: Path | None = None
    """The server's file."""
    preset: str | None = None
    """In place of the one that the file names."""
    parts: PartsConfig = field(default_factory=PartsConfig)
    """In place of those that the file names."""
    language: str | None = None
    fast: bool = False
    max_tokens: int = 200
    """The longest answer of a language model, offline."""

    def column(self, mode: str, head: str) -> str:
        """Return what the answers are called: by their head where there are two."""
        return mode if len(self.heads) == 1 else f"{mode} {head}"


@contextmanager
def answerers(choice: Choice) -> Iterator[list[Answerer]]:
    """Yield who answers; free the weights afterwards.

    Raises:
        EngineError: If a weight is missing, or the model takes no questions.
    """
    with ExitStack() as stack:
        config = stack.enter_context(_declared(engine_config(choice)))
        found: list[Answerer] = []
        for mode in choice.modes:
            for head in choice.heads:
                column = choice.column(mode, head)
                if mode == "live":
                    found.append(_live(choice, head, config, column))
                elif head == SALMONN:
                    engine = api.load(config)
                    stack.callback(engine.close)
                    model, most = model_of(engine.info), choice.max_tokens
                    found.append(
                        EngineAnswers(engine, model, max_tokens=most, mode=column)
                    )
                else:
                    whole = _whisper(choice, config, column)
                    stack.callback(whole.close)
                    found.append(whole)
        # Its figures do not wait for a server.
        yield sorted(found, key=lambda answerer: answerer.mode.startswith("live"))


def engine_config(choice: Choice) -> EngineConfig:
    """Return the configuration of the model, with what a choice changes in it.

    Raises:
        ValueError: If the file is not TOML, or that part of it is wrong.
        OSError: If it cannot be read.
    """
    config = live.engine_config(choice.config)
    named = {name: path for name, path in _parts(choice.parts) if path is not None}
    table: dict[str, Any] = {"parts": replace(config.parts, **named)}
    if choice.preset is not None:
        table["preset"] = choice.preset
    return replace(config, **table)


@contextmanager
def _declared(config: EngineConfig) -> Iterator[EngineConfig]:
    """Yield a configuration whose weights say what they can be asked.

    A checkpoint as training leaves it says nothing; to be measured, a copy of it is
    asked everything.
    """
    path = checkpoint_of(config)
    if path is None or config.preset not in PRESETS:
        yield config
        return
    # Here, not above: a wrong command line must not wait for torch.
    from engine import checkpoint

    trained = checkpoint.read(path)
    if trained.skills is not None:
        yield config
        return
    with tempfile.TemporaryDirectory(prefix="salmonn-eval-") as folder:
        copy = Path(folder) / f"{path.stem}{checkpoint.SUFFIX}"
        checkpoint.write(replace(trained, skills=ANYTHING), copy)
        yield replace(config, parts=replace(config.parts, ckpt=copy))


def _whisper(choice: Choice, config: EngineConfig, column: str) -> TranscriberAnswers:
    def load() -> WholeClips:
        from engine.local import LocalEngine

        return LocalEngine.load(replace(config, captions_only=True))

    return TranscriberAnswers(load, language=choice.language, mode=column)


def _live(choice: Choice, head: str, config: EngineConfig, column: str) -> LiveAnswers:
    flags = ["--language", choice.language] if choice.language else []
    flags += ["--fast"] if choice.fast else []
    server = ["--preset", config.preset]
    is_asked = head == SALMONN
    for name, path in _parts(config.parts):
        server += [f"--{name}", str(path)] if path else []
    if not is_asked:
        server.append("--captions-only")
    return LiveAnswers(
        _from_transcript(config) if is_asked else LIVE_TASKS,
        Model(name=config.preset),
        config=choice.config,
        flags=flags,
        server_flags=server,
        is_asked=is_asked,
        mode=column,
    )


def _from_transcript(config: EngineConfig) -> tuple[str, ...]:
    """Return the tasks that a server answers from what was heard as text."""
    path = checkpoint_of(config)
    if path is None:
        return ()
    from engine import checkpoint

    skills = checkpoint.read(path).skills
    return skills.from_transcript if skills else ()


def _parts(parts: PartsConfig) -> list[tuple[str, Path | None]]:
    return [(part.name, getattr(parts, part.name)) for part in fields(parts)]


def ask_all(
    clips: Sequence[Clip], text: str, answering: Sequence[Answerer], begin: Begin
) -> list[dict[str, Any]]:
    """Return a line a clip: its path, its label if it has one, the answer.

    Where several answer, `hypothesis` is the first one's, and each has a field of its
    own beside it.

    Raises:
        EngineError: If the model answers no questions, or a recording fails.
    """
    questions = [Question(clip, text, None, ()) for clip in clips]
    told = _told(questions, answering, begin)
    return [
        {"path": clip.path, "reference": clip.facts.get("label")} | answers
        for clip, answers in zip(clips, told, strict=True)
    ]


def ask_each(
    questions: Sequence[Question], answering: Sequence[Answerer], begin: Begin
) -> list[dict[str, Any]]:
    """Return a line a question, as `ask_all` does, with the question in it.

    Raises:
        EngineError: If the model answers no questions, or a recording fails.
    """
    told = _told(questions, answering, begin)
    return [
        {
            "path": question.clip.path,
            "question": question.prompt,
            "reference": ", ".join(question.references),
            **answers,
        }
        for question, answers in zip(questions, told, strict=True)
    ]


def _told(
    questions: Sequence[Question], answering: Sequence[Answerer], begin: Begin
) -> list[dict[str, str]]:
    """Return what is answered to each question, the first one's first."""
    answers: dict[str, list[str]] = {}
    for answerer in answering:
        if not all(answerer.serves(question) for question in questions):
            raise EngineError(
                f"no free questions to {answerer.model.name}, {answerer.mode}: "
                "--head salmonn takes them"
            )
        report = begin(f"ask {answerer.mode}", len(questions))
        answers[answerer.mode] = answerer.answer(questions, report)
    found = []
    for place in range(len(questions)):
        told = {f"{ANSWER}{mode}": texts[place] for mode, texts in answers.items()}
        found.append({"hypothesis": next(iter(told.values()))} | told)
    return found


def answers_of(line: Mapping[str, Any]) -> dict[str, str]:
    """Return the answers of a line of `ask_all` or `ask_each`, by who gave them."""
    return {
        name.removeprefix(ANSWER): str(text)
        for name, text in line.items()
        if name.startswith(ANSWER)
    }


def shown(line: Mapping[str, Any]) -> list[str]:
    """Return a line of `ask_all` for people: who said what, where two answered."""
    told = answers_of(line)
    if len(told) == 1:
        return [f"{line['path']}: {text}" for text in told.values()]
    return [f"{line['path']}, {mode}: {text}" for mode, text in told.items()]
