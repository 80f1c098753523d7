"""Runs pieces of work in the engine thread, and holds what the engine gave out.

The only file that calls the engine.  It decides nothing, waits for nothing, and knows
no event loop; a failure ends what it happened to, and nothing else.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TypeVar

from engine.api import Engine, Reply, Speakers, Utterance, UtteranceOptions
from engine.errors import EngineError
from stream.audio import to_float
from stream.jobs import (
    Action,
    Answered,
    Asked,
    Asking,
    Dropping,
    Enrolled,
    Enrolling,
    EnrollingFailed,
    Failed,
    Finished,
    Forgetting,
    Generating,
    Heard,
    Hearing,
    Recognised,
    Recognising,
    RecognisingFailed,
    ReplyFailed,
    ReplyKey,
    Result,
    Said,
    Weighed,
    Weighing,
    WeighingFailed,
    Work,
)

logger = logging.getLogger(__name__)

T = TypeVar("T")
F = TypeVar("F")

Delivery = tuple[str, Result | None]
"""A session's name and its result; None if there is only more room."""


class Runner:
    """Does one piece of work after the other."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._utterances: dict[tuple[str, int], Utterance] = {}
        """By session and segment."""
        self._own: dict[ReplyKey, Utterance] = {}
        """Of audio that is listened to for one reply."""
        self._replies: dict[ReplyKey, Reply] = {}
        self._speakers: dict[str, Speakers] = {}
        """By session."""
        self._passages: dict[str, tuple[Utterance, list[float]]] = {}
        """Those that are weighed, by session, with the log-odds so far."""

    @property
    def num_replies(self) -> int:
        """How many replies hold memory of the engine."""
        return len(self._replies)

    def warm_up(self) -> None:
        """Let the engine run once through everything.

        Raises:
            EngineError: If it cannot.
        """
        try:
            self._engine.warm_up()
        except Exception as exc:
            logger.debug("the warm-up failed", exc_info=True)
            raise EngineError(
                f"the engine failed as it warmed up: {type(exc).__name__}: {exc}"
            ) from exc

    def run(self, work: Work) -> list[Delivery]:
        """Do a piece of work; return what came of it, for each session it was for."""
        match work:
            case Hearing():
                return [(work.session, self._hear(work))]
            case Asking():
                return [(work.session, self._ask(work))]
            case Generating(replies=replies):
                return list(self._generate(replies))
            case Dropping(session=session, reply=reply):
                self._drop((session, reply))
                return [(session, None)]
            case Recognising():
                return [(work.session, self._recognise(work))]
            case Weighing():
                return [(work.session, self._weigh(work))]
            case Enrolling():
                return [(work.session, self._enrol(work))]
            case Forgetting(session=session):
                if speakers := self._speakers.pop(session, None):
                    speakers.close()
                self._let_go(session)
                return [(session, None)]

    def _recognise(self, work: Recognising) -> Result:
        failed = partial(RecognisingFailed, work.segment)
        return _guarded("voice", lambda: self._tell_speakers(work), failed)

    def _enrol(self, work: Enrolling) -> Result:
        def enrol() -> Enrolled:
            speakers = self._known(work.session, work.most)
            return Enrolled(work.name, speakers.enrol(to_float(work.pcm)))

        return _guarded("voice", enrol, partial(EnrollingFailed, work.name))

    def _known(self, session: str, most: int) -> Speakers:
        if session not in self._speakers:
            self._speakers[session] = self._engine.open_speakers(most)
        return self._speakers[session]

    def _tell_speakers(self, work: Recognising) -> Recognised:
        speakers = self._known(work.session, work.most)
        news = speakers.push(work.segment, to_float(work.pcm))
        if work.is_last:
            # What ends a segment tells all of it again: only who was joined is kept.
            joined, news = news.joined, speakers.end(work.segment)
            news = replace(news, joined=(*joined, *news.joined))
        return Recognised(work.segment, news, work.is_last)

    def _weigh(self, work: Weighing) -> Result | None:
        failed = partial(WeighingFailed, work.wish)
        result = _guarded("passage", lambda: self._listen(work), failed)
        if work.is_last or isinstance(result, WeighingFailed):
            self._let_go(work.session)
        return result

    def _listen(self, work: Weighing) -> Weighed | None:
        wish, last = work.wish, work.first + work.count
        if not work.first:
            utterance = self._engine.open(UtteranceOptions(tasks=()))
            self._passages[work.session] = utterance, []
            utterance.push(to_float(wish.pcm))
        utterance, odds = self._passages[work.session]
        odds += utterance.weigh(wish.names[work.first : last])
        return Weighed(wish, tuple(odds)) if work.is_last else None

    def _let_go(self, session: str) -> None:
        if passage := self._passages.pop(session, None):
            passage[0].close()

    def _hear(self, work: Hearing) -> Result | None:
        failed = partial(Failed, work.segment)
        return _guarded("segment", lambda: self._perform(work), failed)

    def _perform(self, work: Hearing) -> Result | None:
        key = work.session, work.segment
        if work.action is Action.CLOSE:
            self._close(self._utterances, key)
            return None
        try:
            utterance = self._push(self._utterances, key, work)
            match work.action:
                case Action.PARTIAL:
                    return Heard(work.segment, tuple(utterance.partial()), work.heard)
                case Action.EARLY_FINAL:
                    utterance.final()  # kept by the utterance until more audio follows
                case Action.FINAL:
                    return Finished(work.segment, tuple(utterance.final()))
            return None
        finally:
            if work.action is Action.FINAL and not work.keep:
                self._close(self._utterances, key)

    def _ask(self, work: Asking) -> Result | None:
        if work.segment is not None:
            key = work.session, work.segment
            failed = partial(Failed, work.segment)
            result = _guarded(
                "segment", lambda: self._push(self._utterances, key, work), failed
            )
            if isinstance(result, Failed):
                return result
        asked = _guarded(
            "question", lambda: self._begin(work), partial(ReplyFailed, work.reply)
        )
        if isinstance(asked, ReplyFailed):
            self._drop((work.session, work.reply))
        return asked

    def _begin(self, work: Asking) -> Asked | None:
        key = work.session, work.reply
        if work.segment is not None:
            utterance = self._utterances[work.session, work.segment]
        else:
            utterance = self._push(self._own, key, work)
        if not work.is_last:
            return None
        reply = self._replies[key] = utterance.ask(work.prompt)
        self._close(self._own, key)
        return Asked(
            work.reply, work.heard, reply.source, reply.mode, reply.num_prompt_tokens
        )

    def _generate(self, keys: tuple[ReplyKey, ...]) -> Iterator[Delivery]:
        """Let replies go on, all in one step; if that fails, each by itself.

        So a reply that cannot go on ends alone, whoever was in its company.
        """
        replies = [self._replies[key] for key in keys]
        before = [(reply.text, reply.num_tokens) for reply in replies]
        failure = _guarded(
            "step of replies",
            lambda: self._engine.generate(replies),
            partial(ReplyFailed, keys[0][1]),
        )
        if failure is not None and len(keys) > 1:
            for key in keys:
                yield from self._generate((key,))
            return
        for key, reply, was in zip(keys, replies, before, strict=True):
            session, number = key
            text, num_tokens, finish = reply.text, reply.num_tokens, reply.finish
            if failure is not None:
                self._drop(key)
                yield session, failure
            elif finish is not None:
                self._drop(key)
                yield session, Answered(number, text, num_tokens, finish)
            elif (text, num_tokens) != was:
                yield session, Said(number, text, num_tokens)

    def _push(
        self,
        utterances: dict[tuple[str, int], Utterance],
        key: tuple[str, int],
        work: Hearing | Asking,
    ) -> Utterance:
        """Return the utterance of a key, opened if need be, after the audio of `work`.

        Nothing is pushed where there is no audio: a push voids an early final.
        """
        if key not in utterances:
            utterances[key] = self._engine.open(work.options)
        if work.pcm:
            utterances[key].push(to_float(work.pcm))
        return utterances[key]

    def _drop(self, key: ReplyKey) -> None:
        self._close(self._own, key)
        if reply := self._replies.pop(key, None):
            reply.close()

    def _close(
        self, utterances: dict[tuple[str, int], Utterance], key: tuple[str, int]
    ) -> None:
        """Close an utterance, unless opening it is what failed."""
        if utterance := utterances.pop(key, None):
            utterance.close()


def _guarded(what: str, do: Callable[[], T], failed: Callable[[str, str], F]) -> T | F:
    """Return what `do` returns, or what `failed` makes of a code and a sentence."""
    try:
        return do()
    except EngineError as exc:
        return failed("engine", str(exc))
    except Exception:
        logger.exception("the engine failed on a %s", what)
        return failed("internal", f"the engine failed on this {what}")
