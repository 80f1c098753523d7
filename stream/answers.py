"""One segment from its start to its finals, and the events that tell of it.

It knows no stream and no order among segments: those are the session's, which also
numbers the events; here every `seq` is 0.

A final is what the engine makes of the segment at its end, or the reply to a prompt
that is asked then.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from engine.api import Hypothesis, Mode, Source, by_task
from stream.events import Error, Final, Partial, Word
from stream.jobs import (
    Answered,
    Asked,
    Failed,
    Finished,
    Heard,
    ReplyFailed,
    ReplyResult,
    Said,
)
from stream.questions import Passage
from stream.wishes import TRANSCRIBE


@dataclass(slots=True)
class _Reply:
    """What is known of the reply to a task."""

    source: Source = Source.AUDIO
    mode: Mode = Mode.STREAMING
    outcome: Answered | ReplyFailed | None = None


@dataclass(slots=True)
class PendingSegment:
    """A segment whose finals have not all been told."""

    number: int
    start: int
    untold: list[str]
    """Tasks without a final, in the order in which they were asked for."""
    end: int | None = None
    """None while it goes on."""
    outcome: Finished | Failed | None = None
    """What the engine answered for good."""
    _replies: dict[str, _Reply] = field(default_factory=dict)
    _shown: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Text and stable length of the last partial of each task."""
    heard_language: str = ""
    """Code of the language of the last partial; empty if it is not known."""

    @property
    def passage(self) -> Passage:
        """Itself, as what a question is about."""
        end = self.start if self.end is None else self.end
        return Passage(start=self.start, end=end, segment=self.number)

    @property
    def is_told(self) -> bool:
        """Whether all is told of it that is told of segments."""
        return self.end is not None and self.outcome is not None and not self.untold

    @property
    def language(self) -> str:
        """Code of the language that was spoken; empty if it is not known."""
        if not isinstance(self.outcome, Finished):
            return ""
        return next((h.language for h in self.outcome.hypotheses), "")

    @property
    def words(self) -> str | None:
        """What was said, as far as it goes; None if nothing is known of it now."""
        if isinstance(self.outcome, Finished):
            transcript = by_task(self.outcome.hypotheses).get(TRANSCRIBE)
            return transcript.text if transcript else None
        return self._shown[TRANSCRIBE][0] if TRANSCRIBE in self._shown else None

    @property
    def stable(self) -> dict[str, str]:
        """What is told for good of the tasks that have no final, by task."""
        return {
            task: text[:stable]
            for task, (text, stable) in self._shown.items()
            if stable and task in self.untold
        }

    def partials(self, heard: Heard) -> list[Partial]:
        """Return the partials that say something else than those before."""
        news = []
        for hypothesis in heard.hypotheses:
            text, stable = hypothesis.text, hypothesis.stable
            shown = self._shown.get(hypothesis.task, ("", 0))
            if hypothesis.task not in self.untold or shown == (text, stable):
                continue
            end = self.start + heard.samples
            self.heard_language = hypothesis.language
            news.append(self._partial(hypothesis.task, text, stable, end))
        return news

    def reply(self, task: str, result: ReplyResult) -> Partial | None:
        """Take what became of the reply to a task; return the news, if it has grown."""
        reply = self._replies.setdefault(task, _Reply())
        match result:
            case Asked(source=source, mode=mode):
                reply.source, reply.mode = source, mode
            case Said(text=text):
                assert self.end is not None, "a reply about a segment that goes on"
                if self._shown.get(task, ("", 0)) != (text, len(text)):
                    return self._partial(task, text, len(text), self.end)
            case Answered() | ReplyFailed():
                reply.outcome = result
        return None

    def tell(self, blocked: Iterable[str]) -> list[Final | Error]:
        """Return what can be told now, at last; `settled` of finals is not set yet.

        Args:
            blocked: Tasks of which an earlier segment has no final yet.

        Returns:
            A final or an error for each task that is ready; or one error for all of
            them if the engine failed on the segment.
        """
        blocked = set(blocked)
        if self.end is None or self.outcome is None:
            return []
        if isinstance(self.outcome, Failed):
            if blocked:  # it stands for finals that must wait for theirs
                return []
            self.untold.clear()
            code, message = self.outcome.code, self.outcome.message
            return [Error(seq=0, code=code, message=message, segment=self.number)]
        hypotheses = by_task(self.outcome.hypotheses)
        told: list[Final | Error] = []
        for task in [task for task in self.untold if task not in blocked]:
            if task in hypotheses:
                told.append(self._final(hypotheses[task], self.end))
            elif (event := self._reply_final(task, self.end)) is not None:
                told.append(event)
            else:
                continue
            self.untold.remove(task)
        return told

    def _partial(self, task: str, text: str, stable: int, end: int) -> Partial:
        self._shown[task] = (text, stable)
        return Partial(
            seq=0,
            segment=self.number,
            task=task,
            text=text,
            stable=stable,
            start=self.start,
            end=end,
        )

    def _reply_final(self, task: str, end: int) -> Final | Error | None:
        """Return what is told of the reply to a task; None while it goes on."""
        reply = self._replies.get(task, _Reply())
        match reply.outcome:
            case None:
                return None
            case ReplyFailed(code=code, message=message):
                return Error(
                    seq=0,
                    code=code,
                    message=message,
                    segment=self.number,
                    task=task,
                )
            case Answered(text=text):
                return Final(
                    seq=0,
                    segment=self.number,
                    task=task,
                    text=text,
                    start=self.start,
                    end=end,
                    language=self.language,
                    mode=reply.mode.value,
                    source=reply.source.value,
                    settled=0,
                )

    def _final(self, hypothesis: Hypothesis, end: int) -> Final:
        return Final(
            seq=0,
            segment=self.number,
            task=hypothesis.task,
            text=hypothesis.text,
            start=self.start,
            end=end,
            language=hypothesis.language,
            mode=hypothesis.mode.value,
            words=tuple(
                Word(
                    text=word.text,
                    start=self.start + word.start,
                    end=self.start + word.end,
                )
                for word in hypothesis.words
            ),
            settled=0,
        )
