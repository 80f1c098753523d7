"""Who answers by the flags of `salmonn-eval`, and free questions.

Knows neither scores nor how a table looks.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import api
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
from engine.evaluation.table import Begin
from engine.evaluation.trials import Question

WHISPER, SALMONN = "whisper", "salmonn"
HEADS = (WHISPER, SALMONN)
LIVE_TASKS = ("transcribe", "translate:en")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Who is to answer."""

    head: str
    """`whisper` or `salmonn`."""
    modes: tuple[str, ...]
    """`offline`, `live`."""
    config: Path | None = None
    language: str | None = None
    fast: bool = False


@contextmanager
def answerers(choice: Choice) -> Iterator[list[Answerer]]:
    """Yield who answers; free the weights afterwards.

    Raises:
        EngineError: If a weight is missing, or the model takes no questions.
    """
    config = live.engine_config(choice.config)
    found: list[Answerer] = []
    with ExitStack() as stack:
        if "offline" in choice.modes and choice.head == SALMONN:
            engine = api.load(config)
            stack.callback(engine.close)
            found.append(EngineAnswers(engine, model_of(engine.info)))
        elif "offline" in choice.modes:

            def load() -> WholeClips:
                from engine.local import LocalEngine

                return LocalEngine.load(config)

            whole = TranscriberAnswers(load, language=choice.language)
            stack.callback(whole.close)
            found.append(whole)
        if "live" in choice.modes:
            flags = ["--language", choice.language] if choice.language else []
            flags += ["--fast"] if choice.fast else []
            served = Model(name=config.preset)
            is_asked = choice.head == SALMONN
            live_answers = LiveAnswers(
                () if is_asked else LIVE_TASKS,
                served,
                config=choice.config,
                flags=flags,
                is_asked=is_asked,
            )
            found.append(live_answers)
        yield found


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
    answers: dict[str, list[str]] = {}
    for answerer in answering:
        if not all(answerer.serves(question) for question in questions):
            raise EngineError(
                f"no free questions to {answerer.model.name}, {answerer.mode}: "
                "--head salmonn takes them"
            )
        report = begin(f"ask {answerer.mode}", len(questions))
        answers[answerer.mode] = answerer.answer(questions, report)
    lines = []
    for place, clip in enumerate(clips):
        told = {f"hypothesis_{mode}": texts[place] for mode, texts in answers.items()}
        line = {"path": clip.path, "reference": clip.facts.get("label")}
        lines.append(line | {"hypothesis": next(iter(told.values()))} | told)
    return lines
