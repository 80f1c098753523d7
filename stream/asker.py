"""What the engine is asked in words in one session, and who gets the replies.

    a task that is prompted    at the end of each segment     ─▶ its final
    a question of the client   at any time                    ─▶ its answer
    a question that is spoken  at the end of its segment      ─▶ its answer, or a final

No I/O.  It knows what was heard last and which segment ended last; what goes on and
what is told of finals, the session knows.
"""

import itertools
from collections.abc import Callable
from dataclasses import replace

from engine.api import EngineInfo, Finish, Prompt, by_task
from stream.answers import PendingSegment
from stream.audio import SAMPLE_RATE, Frame
from stream.errors import ProtocolError, StreamError
from stream.events import Ask, Cancel, ServerEvent
from stream.jobs import (
    Answered,
    AskPrompt,
    CancelReply,
    Failed,
    Finished,
    Job,
    ReplyFailed,
    ReplyResult,
)
from stream.questions import (
    MAX_TEXT,
    SPOKEN,
    CheckPrompt,
    Passage,
    Questions,
    after_phrase,
    refusal,
)
from stream.recent import RecentAudio
from stream.said import RecentWords
from stream.wishes import AUDIO_QUESTION, TRANSCRIBE, Wishes

LIKELY_SAMPLES = 60 * SAMPLE_RATE
"""How much audio after a question about a segment others are likely to follow."""


class Asker:
    """Asks, and passes on what is answered."""

    def __init__(
        self,
        wishes: Wishes,
        *,
        info: EngineInfo,
        check: CheckPrompt,
        most: int,
        offset: int,
        say: Callable[..., None],
        want: Callable[[Job], None],
    ) -> None:
        """Begin with nothing heard.

        Args:
            wishes: What is asked of each segment.
            info: What the engine can do.
            check: Refuses prompts that the engine does not answer.
            most: Questions that are open at once; the next one is refused.
            offset: Position in the stream of the first frame's first sample.
            say: Takes events, for the client.
            want: Takes a job, for the engine.
        """
        self._wishes, self._offset = wishes, offset
        self._say, self._want = say, want
        self._most_s = info.max_samples / SAMPLE_RATE
        self._questions = Questions(check=check, most=most)
        self._recent, self._words = RecentAudio(), RecentWords()
        self._before: dict[int, Passage] = {}
        """The audio in front of segments in which a question may be spoken about it."""
        self._current: PendingSegment | None = None
        self._last: Passage | None = None
        """The last segment that ended, unless the engine failed on it."""
        self._called: Passage | None = None
        """What was heard before the opening phrase, if only that was said."""
        self._standing: dict[int, tuple[PendingSegment, str]] = {}
        """Segment and task of each reply that will be a final."""
        self._numbers = itertools.count(1)
        self._language = wishes.options.language
        self._likely_until = 0

    @property
    def num_open(self) -> int:
        """How many questions have no answer yet."""
        return len(self._questions)

    @property
    def open_ids(self) -> tuple[str, ...]:
        """The ids of those questions."""
        return self._questions.ids

    def expects(self, start: int) -> bool:
        """Return whether a segment that begins at a sample is likely to be asked about.

        Whoever asked about one a moment ago may ask about the next.
        """
        return start < self._likely_until

    def hear(self, frame: Frame) -> None:
        """Take the next frame, voiced or not."""
        if self._wishes.keep:
            self._recent.push(frame)

    def begin_segment(self, segment: PendingSegment) -> None:
        """Note that a segment has begun."""
        self._current = segment
        if self._wishes.keep:
            self._words.begin(segment)
        if self._wishes.may_ask:
            until = segment.start - self._offset
            seconds = self._wishes.spoken_seconds
            self._before[segment.number] = self._heard(seconds, until=until)

    def end_segment(self, segment: PendingSegment) -> None:
        """Note that a segment has ended."""
        self._current = None
        self._last = segment.passage if segment.outcome is None else None

    def fail_segment(self, failed: Failed) -> None:
        """Note that the engine failed on a segment; tell what is not answered now."""
        self._before.pop(failed.segment, None)
        if self._current is not None and self._current.number == failed.segment:
            self._current = None
        if self._last is not None and self._last.segment == failed.segment:
            self._last = None
        for error in self._questions.fail_segment(failed):
            self._say(error)

    def finish(self, segment: PendingSegment, finished: Finished) -> None:
        """Ask what is asked of each segment at its end, and what was asked in it."""
        spoken = next((h.language for h in finished.hypotheses if h.text), None)
        self._language = language = spoken or self._language
        for task in self._wishes.options.prompted:
            self._stand(segment, task, Prompt(task=task, language=language))
        if not self._wishes.may_ask:
            return
        before = self._before.pop(segment.number, None)
        text = by_task(finished.hypotheses)[TRANSCRIBE].text.strip()[:MAX_TEXT]
        if AUDIO_QUESTION in self._wishes.tasks:
            if text:
                prompt = Prompt(text=text, language=language)
                self._stand(segment, AUDIO_QUESTION, prompt, about=before)
            else:
                segment.reply(AUDIO_QUESTION, Answered(0, "", 0, Finish.STOP))
        if self._wishes.opening_phrase is not None and text:
            self._follow_phrase(self._wishes.opening_phrase, segment, text, before)

    def ask(self, ask: Ask, *, refused: StreamError | None = None) -> None:
        """Take a question of the client; tell what is wrong with it, if anything is.

        Args:
            ask: The question.
            refused: Why it is not answered, whatever it is.
        """
        try:
            if refused is not None:
                raise refused
            prompt, passage = self._checked(ask), self._passage(ask)
            self._open(ask, prompt, passage)
            if passage.segment is not None:
                now = self._offset + self._recent.end
                self._likely_until = now + LIKELY_SAMPLES
        except StreamError as exc:
            self._say(refusal(ask.id, exc))

    def cancel(self, cancel: Cancel) -> None:
        """End a question of the client; tell so, or that there is none."""
        try:
            found = self._questions.cancel(cancel.id)
        except StreamError as exc:
            self._say(refusal(cancel.id, exc))
            return
        if found is not None:
            reply, answer = found
            self._want(CancelReply(reply))
            self._say(answer)

    def deliver(self, result: ReplyResult) -> None:
        """Take what became of a prompt."""
        event: ServerEvent | None
        if result.reply not in self._standing:
            event = self._questions.deliver(result)
        else:
            segment, task = self._standing[result.reply]
            event = segment.reply(task, result)
            if isinstance(result, Answered | ReplyFailed):
                del self._standing[result.reply]
            elif not self._wishes.partials:
                event = None
        if event is not None:
            self._say(event)

    def _heard(self, seconds: float, *, until: int | None = None) -> Passage:
        start, pcm = self._recent.last(min(seconds, self._most_s), until=until)
        start += self._offset
        return Passage(start=start, end=start + len(pcm) // 2, pcm=pcm)

    def _passage(self, ask: Ask) -> Passage:
        """Return what a question is about.

        Raises:
            ProtocolError: If nothing of it was heard.
        """
        if ask.about == "recent":
            if not self._recent.end:
                raise ProtocolError("ask: nothing was heard yet")
            return self._heard(ask.seconds)
        if ask.about == "segment" and self._current is not None:
            return self._current.passage
        if self._last is None:
            raise ProtocolError(
                f"ask: about is {ask.about!r}, but there was none yet, "
                "or the engine failed on it"
            )
        return self._last

    def _checked(self, ask: Ask, *, spoken: bool = False) -> Prompt:
        """Return what the engine is asked, in the language that is spoken.

        Raises:
            StreamError: If it is refused; for its language only where the client named
                that.  What was heard may be another, or music.
        """
        named = self._wishes.options.language
        prompt = self._questions.check(ask, language=named, spoken=spoken)
        return replace(prompt, language=self._language)

    def _open(self, ask: Ask, prompt: Prompt, passage: Passage) -> None:
        reply = next(self._numbers)
        self._questions.open(reply, ask, passage)
        self._want(self._job(reply, prompt, passage, standing=False))

    def _stand(
        self,
        segment: PendingSegment,
        task: str,
        prompt: Prompt,
        *,
        about: Passage | None = None,
    ) -> None:
        """Ask a prompt whose reply will be a final: about its segment, or other audio.

        Where there is no other audio, at the start of a stream, the segment it is.
        """
        reply = next(self._numbers)
        self._standing[reply] = segment, task
        passage = about if about is not None and about.pcm else segment.passage
        self._want(self._job(reply, prompt, passage, standing=True))

    def _follow_phrase(
        self, phrase: str, segment: PendingSegment, text: str, before: Passage | None
    ) -> None:
        """Ask what stands behind the phrase; after it alone, what is said next."""
        called, self._called = self._called, None
        question = after_phrase(text, phrase)
        if question == "":
            self._called = before
            return
        if question is None and called is None:
            return
        about = called if question is None else before
        if about is None or not about.pcm:
            about = segment.passage
        name = f"{SPOKEN}{segment.number}"
        ask = Ask(id=name, text=question or text)
        try:
            self._open(ask, self._checked(ask, spoken=True), about)
        except StreamError as exc:
            self._say(refusal(name, exc))

    def _job(
        self, reply: int, prompt: Prompt, passage: Passage, *, standing: bool
    ) -> AskPrompt:
        return AskPrompt(
            reply=reply,
            prompt=replace(prompt, said=self._said(passage)),
            segment=passage.segment,
            pcm=passage.pcm,
            standing=standing,
        )

    def _said(self, passage: Passage) -> str | None:
        """Return what was said in a passage; None lets the engine find that out.

        That takes it a while.  So it does not, of the last seconds: who asks about them
        may want to know of a sound.
        """
        if passage.segment is not None:
            return self._words.of(passage.segment)
        return self._words.within(passage)
