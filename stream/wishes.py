"""What a client wants of a session, checked against what the engine can do.

No I/O.  A task is answered in one of three ways:

    heard      by the engine as it hears           EngineInfo.tasks
    prompted   by its language model, at the end   EngineInfo.prompted_tasks
    spoken     the segment is itself a question    AUDIO_QUESTION
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from engine.api import EngineInfo, UtteranceOptions
from engine.errors import EngineError
from stream.errors import ProtocolError, UnsupportedRequestError, quote
from stream.events import PROTOCOL_VERSION, Start
from stream.recent import MAX_SECONDS

TRANSCRIBE: Final = "transcribe"
AUDIO_QUESTION: Final = "audio_question"

Check = Callable[[UtteranceOptions], None]
"""Raises `UnsupportedError` if the engine does not serve the options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What is wanted of each segment."""

    tasks: tuple[str, ...]
    """All that are told, in the order in which they were asked for."""
    options: UtteranceOptions
    """Of its utterance, with the tasks that are heard and those that are prompted."""
    partials: bool
    """Whether text is told before it is final."""
    keep: bool
    """Whether it may be asked about after its end."""
    opening_phrase: str | None
    spoken_seconds: float
    speakers: int
    """The most that are told apart; 0 tells none."""

    @property
    def hears_partials(self) -> bool:
        """Whether hypotheses are wanted while it goes on."""
        return self.partials and any(t in self.options.tasks for t in self.tasks)

    @property
    def may_ask(self) -> bool:
        """Whether what is said in a segment can be a question."""
        return self.opening_phrase is not None or AUDIO_QUESTION in self.tasks


def read_wishes(request: Start, info: EngineInfo, check: Check) -> Wishes:
    """Return what a client wants.

    Raises:
        ProtocolError: If a field of the request is out of range.
        UnsupportedRequestError: If the version, a task or the language is not served.
    """
    if request.version != PROTOCOL_VERSION:
        raise UnsupportedRequestError(
            f"version is {request.version}; this server speaks {PROTOCOL_VERSION}"
        )
    _check_ranges(request)
    may_ask = request.opening_phrase is not None or AUDIO_QUESTION in request.tasks
    if may_ask and not (info.answers_questions and TRANSCRIBE in info.tasks):
        raise UnsupportedRequestError(f"{info.model} answers no spoken questions")
    if request.speakers and not info.max_speakers:
        raise UnsupportedRequestError(
            "this server tells no speakers apart: it lacks the part voices, "
            "or engine.speakers is off"
        )
    if request.sounds and not info.sounds:
        raise UnsupportedRequestError(
            f"{info.model} tells no sounds by name: no weights here say that they were "
            "taught any"
        )
    if not 0 <= request.speakers <= info.max_speakers:
        raise ProtocolError(
            f"start: speakers is {request.speakers}; "
            f"it must be 0 to {info.max_speakers}"
        )
    options = options_of(
        tuple(task for task in request.tasks if task != AUDIO_QUESTION),
        info,
        language=request.language,
        # A transcript is shared out among speakers by the times of its words.
        words=request.words or bool(request.speakers),
    )
    if may_ask and TRANSCRIBE not in options.tasks:
        options = replace(options, tasks=(*options.tasks, TRANSCRIBE))
    try:
        check(options)
    except EngineError as exc:
        raise UnsupportedRequestError(str(exc)) from exc
    return Wishes(
        tasks=request.tasks,
        options=options,
        partials=request.partials,
        keep=info.answers_questions or bool(info.prompted_tasks),
        opening_phrase=request.opening_phrase,
        spoken_seconds=request.spoken_seconds,
        speakers=request.speakers,
    )


def options_of(
    tasks: tuple[str, ...],
    info: EngineInfo,
    *,
    language: str | None,
    words: bool = False,
) -> UtteranceOptions:
    """Return tasks as an engine is asked for them: those that it hears, and the rest.

    What it cannot be asked, either, it refuses when it is checked.
    """
    heard = tuple(task for task in tasks if task in info.tasks)
    return UtteranceOptions(
        tasks=heard,
        prompted=tuple(task for task in tasks if task not in heard),
        language=language,
        words=words,
    )


def _check_ranges(request: Start) -> None:
    """Refuse what no server could serve.

    Raises:
        ProtocolError: If a field is out of range.
    """
    if len(set(request.tasks)) != len(request.tasks):
        raise ProtocolError("start: tasks must name none twice")
    phrase = request.opening_phrase
    if phrase is not None and not any(map(str.isalnum, phrase)):
        raise ProtocolError(
            f"start: opening_phrase is {quote(phrase)}; it must have a letter"
        )
    if not 0 < request.spoken_seconds <= MAX_SECONDS:
        raise ProtocolError(
            f"start: spoken_seconds is {request.spoken_seconds:g}; "
            f"it must be above 0, at most {MAX_SECONDS}"
        )
    if resume := request.resume:
        for name in ("seq", "settled", "segment"):
            if not 0 <= getattr(resume, name) < 2**53:  # exact in any JSON reader
                raise ProtocolError(
                    f"start: resume.{name} is {getattr(resume, name)}; "
                    "it must be 0 to 2**53"
                )
