"""One segment from its start to its finals, and the events that tell of it.

It knows no stream and no order among segments: those are the session's, which also
numbers the events; here every `seq` is 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.api import Hypothesis, by_task
from stream.events import Error, Final, Partial, Word
from stream.jobs import Failed, Finished, Heard


@dataclass(slots=True)
class PendingSegment:
    """A segment whose finals have not been told."""

    number: int
    start: int
    end: int | None = None
    """None while it goes on."""
    outcome: Finished | Failed | None = None
    """What the engine answered for good."""
    _shown: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Text and stable length of the last partial of each task."""

    @property
    def is_answered(self) -> bool:
        """Whether its finals can be told."""
        return self.end is not None and self.outcome is not None

    def partials(self, heard: Heard) -> list[Partial]:
        """Return the partials that say something else than those before."""
        news = []
        for hypothesis in heard.hypotheses:
            shown = (hypothesis.text, hypothesis.stable)
            if self._shown.get(hypothesis.task, ("", 0)) == shown:
                continue
            self._shown[hypothesis.task] = shown
            news.append(
                Partial(
                    seq=0,
                    segment=self.number,
                    task=hypothesis.task,
                    text=hypothesis.text,
                    stable=hypothesis.stable,
                    start=self.start,
                    end=self.start + heard.samples,
                )
            )
        return news

    def finals(
        self, tasks: Sequence[str], *, before: int, after: int
    ) -> list[Final | Error]:
        """Return what is told of an answered segment, at last.

        Args:
            tasks: In the order in which they are told.
            before: `settled` until the last of them is told.
            after: `settled` from then on.

        Returns:
            A final a task; or one error if the engine failed on the segment.
        """
        assert self.end is not None, "finals of a segment that goes on"
        assert self.outcome is not None, "finals of a segment without an answer"
        if isinstance(self.outcome, Failed):
            code, message = self.outcome.code, self.outcome.message
            return [Error(seq=0, code=code, message=message, segment=self.number)]
        hypotheses = by_task(self.outcome.hypotheses)
        *others, last = (hypotheses[task] for task in tasks)
        told = [self._final(hypothesis, self.end, before) for hypothesis in others]
        return [*told, self._final(last, self.end, after)]

    def _final(self, hypothesis: Hypothesis, end: int, settled: int) -> Final:
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
            settled=settled,
        )
