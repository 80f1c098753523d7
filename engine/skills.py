"""What a language model was trained to answer, and what it answers it from.

A checkpoint that was never taught a task answers it all the same, with nonsense.  So a
task is served only where it stands here.  Knows no model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine import tasks
from engine.api import Prompt, Source
from engine.errors import UnsupportedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Skills:
    """Of one checkpoint."""

    tasks: tuple[str, ...] = ()
    """Names of `engine.tasks`, filled in."""
    questions: bool = False
    """Whether it was trained to answer free text, too."""
    from_transcript: tuple[str, ...] = ()
    """Those of `tasks` that it answers better from the transcript than from the audio.

    The same model reads the text in place of the audio.  Which way is better was
    measured for the checkpoint.
    """

    def __post_init__(self) -> None:
        for task in self.tasks:
            tasks.find(task)
        for task in self.from_transcript:
            tasks.find_written(task)
            if task not in self.tasks:
                raise ValueError(f"{task} is answered from the transcript, but no task")

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> "Skills":
        """Return the skills that a table of their fields tells, as JSON has it.

        Raises:
            TypeError: If it has other fields.
            UnsupportedError: If it names a task that there is not.
            ValueError: If a task is only answered from the transcript.
        """
        lists = {name: tuple(v) for name, v in table.items() if isinstance(v, list)}
        return cls(**{**table, **lists})

    def check(self, prompt: Prompt) -> None:
        """Do nothing if the prompt can be answered.

        Raises:
            UnsupportedError: If it cannot.
        """
        is_served = self.questions if prompt.task is None else prompt.task in self.tasks
        if not is_served:
            raise UnsupportedError("prompt", prompt.task or prompt.text, self.tasks)

    def source(self, prompt: Prompt) -> Source:
        """Return what a prompt is to be answered from."""
        if prompt.task in self.from_transcript:
            return Source.TRANSCRIPT
        return Source.AUDIO


def question(prompt: Prompt, source: Source) -> str:
    """Return the sentence that asks a prompt about audio or about a transcript."""
    if prompt.task is None:
        return prompt.text
    if source is Source.TRANSCRIPT:
        return tasks.find_written(prompt.task)
    return tasks.find(prompt.task, prompt.language).prompt
