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
            tasks = LIVE_TASKS if choice.head == WHISPER else ()
            found.append(LiveAnswers(tasks, served, config=choice.config, flags=flags))
        yield found


def ask_all(
    clips: Sequence[Clip], text: str, answerer: Answerer, begin: Begin
) -> list[dict[str, Any]]:
    """Return a line a clip: its path, its label if it has one, the answer.

    Raises:
        EngineError: If the model answers no questions, or a recording fails.
    """
    questions = [Question(clip, text, None, ()) for clip in clips]
    if not all(answerer.serves(question) for question in questions):
        raise EngineError(
            f"no free questions to {answerer.model.name}, {answerer.mode}: "
            "--head salmonn --mode offline takes them"
        )
    answers = answerer.answer(questions, begin("ask", len(questions)))
    return [
        {"path": clip.path, "reference": clip.facts.get("label"), "hypothesis": answer}
        for clip, answer in zip(clips, answers, strict=True)
    ]
