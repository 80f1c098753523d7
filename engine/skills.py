"""What weights were trained to answer, what each preset's were, and who else can.

A model answers whatever it is asked; whether it ever learnt to is another matter.  So a
request is answered only where somebody has said on which basis, and is else refused in
a sentence that names the preset which can.  A preset's declaration stands here; weights
that a user brings declare themselves (`engine.checkpoint`).  Knows no model.

Source:
    arXiv:2310.13289, table 1 and section 4; bytedance/SALMONN@a58bba7, prompts/.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import Any, Final

from engine import tasks
from engine.api import EngineInfo, Prompt, Source, UtteranceOptions
from engine.errors import UnloadedError, UnsupportedError, UntrainedError
from engine.tasks import LANGUAGES, TEST_PROMPTS, TRAINED, UNTRAINED


class Basis(StrEnum):
    """What an answer rests on."""

    TRAINED = "trained"
    """The weights were trained for it."""
    MEASURED = "measured"
    """Not trained for it; its authors measured how well they do it all the same."""
    PROMPTED = "prompted"
    """The original has a prompt for it, and no figures."""
    QUESTION = "question"
    """A free question, which nobody can have measured."""
    UNDECLARED = "undeclared"
    """Nobody has said what the weights were trained for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skills:
    """What one set of weights can be asked.

    Tasks are names of `engine.tasks`, filled in; one that ends in `:TEXT` may be about
    any text.
    """

    tasks: tuple[str, ...] = ()
    """Those that it was trained for."""
    measured: tuple[str, ...] = ()
    """Those that it was not trained for, but measured on."""
    prompted: tuple[str, ...] = ()
    """Those for which there is a prompt, and nothing is known."""
    undeclared: tuple[str, ...] = ()
    """Those that it is asked because nobody has said what it can."""
    questions: bool = False
    """Whether it answers free text, too."""
    from_transcript: tuple[str, ...] = ()
    """Those of `tasks` that it answers better from the transcript than from the audio.

    The same model reads the text in place of the audio.  Which way is better was
    measured for the weights.
    """
    told_words: bool = False
    """Whether it is told what was said when it is asked about audio, as it was taught.

    The transcriber's words stand in the question, so that a model too small to hear
    them can answer what is asked about them; how they were said it hears itself.
    """
    sounds: tuple[str, ...] = ()
    """Labels of the sounds that it was taught to name (`engine.sounds`)."""
    calibration: tuple[float, ...] = (1.0, 0.0)
    """Scale and bias that make log-odds of what is weighed right as often as they say,
    fitted on training clips (`python -m tests.sound_events`).  Further training makes
    it void."""
    languages: tuple[str, ...] | None = None
    """Codes of the spoken languages that it was taught; None is all that it names."""
    transcribes: tuple[str, ...] = ()
    """Other languages, in which it is asked to transcribe by prompts of their own."""

    def __post_init__(self) -> None:
        for task in self.names:
            tasks.find(task)
        if len(self.calibration) != 2 or not self.calibration[0] > 0:
            raise ValueError(
                f"calibration is {self.calibration}; "
                "expected a scale above 0 and a bias"
            )
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

    def __or__(self, other: "Skills") -> "Skills":
        """Return the skills of weights that were taught this, and then more.

        What either was taught to answer from the audio is answered from it.
        """
        trained = tuple(dict.fromkeys((*self.tasks, *other.tasks)))
        heard = {
            task
            for skills in (self, other)
            for task in skills.tasks
            if task not in skills.from_transcript
        }
        both = {
            name: tuple(
                task
                for task in dict.fromkeys((*getattr(self, name), *getattr(other, name)))
                if task not in trained
            )
            for name in ("measured", "prompted", "undeclared")
        }
        known = [s.languages for s in (self, other) if s.languages is not None]
        return Skills(
            tasks=trained,
            **both,
            questions=self.questions or other.questions,
            told_words=self.told_words or other.told_words,
            from_transcript=tuple(task for task in trained if task not in heard),
            sounds=tuple(dict.fromkeys((*self.sounds, *other.sounds))),
            languages=tuple(sorted({*chain(*known)})) if known else None,
            transcribes=tuple(dict.fromkeys((*self.transcribes, *other.transcribes))),
        )

    @property
    def description(self) -> str:
        """What can be asked, in a few words."""
        told = [
            f"{task} (of the transcript)" if task in self.from_transcript else task
            for task in self.names
        ]
        asked = [*told, *(["free questions"] if self.questions else [])]
        spoken = f"; speech in {', '.join(self.languages)}" if self.languages else ""
        spoken += "; told what is said" if self.told_words else ""
        named = f"; sounds by name: {', '.join(self.sounds)}" if self.sounds else ""
        return (", ".join(asked) or "nothing") + spoken + named

    @property
    def names(self) -> tuple[str, ...]:
        """All tasks, whatever the answers rest on."""
        return (*self.tasks, *self.measured, *self.prompted, *self.undeclared)

    @property
    def written(self) -> frozenset[str] | None:
        """Codes of the languages that answers may be written in; None is any."""
        if self.languages is None or self.undeclared:
            return None
        into = (task.partition(":") for task in self.names)
        into_languages = {about for word, _, about in into if word == "translate"}
        return frozenset({"en", *self.languages, *self.transcribes, *into_languages})

    def basis(self, prompt: Prompt) -> Basis | None:
        """Return what an answer rests on; None if there is to be none."""
        spoken, task = prompt.language, prompt.task
        if spoken and self.languages is not None and spoken not in self.languages:
            is_own = task == "transcribe" and spoken in self.transcribes
            return Basis.PROMPTED if is_own else None
        if task is None:
            if not self.questions:
                return None
            return Basis.UNDECLARED if self.undeclared else Basis.QUESTION
        for basis, names in (
            (Basis.TRAINED, self.tasks),
            (Basis.MEASURED, self.measured),
            (Basis.PROMPTED, self.prompted),
            (Basis.UNDECLARED, self.undeclared),
        ):
            if tasks.is_among(task, names):
                return basis
        return None

    def source(self, prompt: Prompt) -> Source:
        """Return what a prompt is to be answered from."""
        if prompt.task and tasks.is_among(prompt.task, self.from_transcript):
            return Source.TRANSCRIPT
        return Source.AUDIO

    def is_told_words(self, prompt: Prompt) -> bool:
        """Return whether a prompt about audio tells what was said.

        Not where that is the answer: what was heard would not be listened to.
        """
        is_answer = prompt.task is not None and tasks.is_of_words(prompt.task)
        return self.told_words and not is_answer


def _names(groups: Mapping[str, str]) -> tuple[str, ...]:
    """Return the tasks of groups of prompts, each once."""
    known = (g for g in groups.values() if g in TEST_PROMPTS)
    return tuple(dict.fromkeys(tasks.name_of(group) for group in known))


_TRAINED, _MEASURED = _names(TRAINED), _names(UNTRAINED)
CAPTIONS: Final = Skills(tasks=("transcribe", "translate:en"))
"""Of a Whisper's decoder: what is said, and that in English."""
RELEASED: Final = Skills(
    tasks=_TRAINED,
    measured=_MEASURED,
    prompted=tuple(
        name
        for name in map(tasks.name_of, TEST_PROMPTS)
        if name not in ("transcribe", *_TRAINED, *_MEASURED)
    ),
    questions=True,
    languages=("en",),
    transcribes=("de", "zh"),
)
"""Of the language models of the released SALMONNs."""
ANYTHING: Final = Skills(
    undeclared=tuple(
        dict.fromkeys(
            [
                *map(tasks.name_of, TEST_PROMPTS),
                *(f"translate:{code}" for code in LANGUAGES),
            ]
        )
    ),
    questions=True,
)
"""Of weights of which nobody has said what they can: all of it is tried, and said."""
DECLARED: Final = {"mini": CAPTIONS, "salmonn-13b": RELEASED, "salmonn-7b": RELEASED}
"""What each preset can be asked with no weights but its own.

An adapter of the mini's adds what it says of itself.  `custom` is what its weights say.
"""


def basis_of(preset: str, skills: Skills | None, prompt: Prompt) -> Basis:
    """Return what an answer rests on.

    Args:
        preset: Whose weights are asked.
        skills: Of these weights; None if none are there that could be asked.
        prompt: What is asked.

    Raises:
        UnloadedError: If there are no weights.
        UntrainedError: If they were not trained for it, or not for speech in its
            language.
        UnsupportedError: If there is no task of its name.
    """
    if prompt.task is not None:
        # First: a name that no preset knows is another mistake.
        tasks.find(prompt.task, prompt.language)
    found = skills.basis(prompt) if skills else None
    if found is not None:
        return found
    able = [name for name, known in DECLARED.items() if known.basis(prompt) is not None]
    asked = f"task {prompt.task!r}" if prompt.task else "questions"
    if prompt.language:
        asked += f" on speech in {prompt.language!r}"
    if skills is None:
        raise UnloadedError(preset, asked, able=able)
    raise UntrainedError(preset, asked, able=[n for n in able if n != preset])


@dataclass(frozen=True, slots=True)
class Checks:
    """What an engine refuses before it is asked.

    A value, so that it can be sent to whoever drives the engine from elsewhere.
    """

    info: EngineInfo
    preset: str
    skills: Skills | None
    """Of the weights that answer prompts, if there are any."""

    def check(self, options: UtteranceOptions) -> None:
        """Refuse options that cannot be served; see `engine.api.Engine`."""
        for task in options.tasks:
            if task not in self.info.tasks:
                raise UnsupportedError("task", task, self.info.tasks)
        language = options.language
        if language is not None and language not in self.info.languages:
            raise UnsupportedError("language", language, self.info.languages)
        for task in options.prompted:
            self.check_prompt(Prompt(task=task, language=language))

    def check_prompt(self, prompt: Prompt) -> None:
        """Refuse a prompt that is not answered; see `engine.api.Engine`."""
        skills = self.skills
        if prompt.task in self.info.tasks and not (skills and skills.basis(prompt)):
            # It is heard, not asked: that nobody can do it would not be true.
            raise UnsupportedError("prompt", prompt.task, self.info.prompted_tasks)
        basis_of(self.preset, skills, prompt)


def question(prompt: Prompt, source: Source) -> str:
    """Return the sentence that asks a prompt about audio or about a transcript."""
    if prompt.task is None:
        return prompt.text
    if source is Source.TRANSCRIPT:
        return tasks.find_written(prompt.task)
    return tasks.find(prompt.task, prompt.language).prompt
