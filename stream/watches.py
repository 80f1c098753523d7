"""What one session listens for all the time, and what is told of it.

    audio ─▶ the last seconds, each hop ─▶ WeighPassage ─ engine ─▶ Weighed
                                                                      │ scores
    watches, sounds ───────────────────────────────▶ onsets ◀─────────┘
                                                       └─▶ Noticed, Sound

No I/O.  Speech or not does not matter here.  A passage that the engine had no time for
is left out, and whoever listens hears of the next one (stream/passages.py).
"""

import base64
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from engine.api import Prompt, SoundClass, sound_name
from engine.errors import EngineError
from stream.audio import SAMPLE_RATE, Frame
from stream.config import WatchesConfig
from stream.errors import (
    LimitError,
    ProtocolError,
    StreamError,
    UnsupportedRequestError,
)
from stream.events import Error, ServerEvent
from stream.jobs import Job, PassageResult, Weighed, WeighingFailed, WeighPassage
from stream.onsets import OnsetRules, OnsetTracker, Span
from stream.questions import MAX_ID, CheckPrompt
from stream.recent import RecentAudio
from stream.sound_events import Noticed, Watch
from stream.sounds import SoundTeller

MAX_WATCH: Final = 160
"""Characters of what is listened for: each is read again with every passage."""
SOUNDS: Final = "sounds"
"""What an error names where sounds are not told."""
MAX_PAUSE_S: Final = 3_600.0
"""Of `min_s` and `cooldown_s`."""


@dataclass(slots=True, eq=False)
class _Kept:
    watch: Watch
    name: str
    """What is weighed."""
    onsets: OnsetTracker


class Watches:
    """Listens for all that a session is to notice."""

    def __init__(
        self,
        config: WatchesConfig,
        *,
        sounds: Sequence[SoundClass] = (),
        check: CheckPrompt,
        offset: int,
        say: Callable[[ServerEvent], None],
        want: Callable[[Job], None],
    ) -> None:
        """Begin with nothing to listen for.

        Args:
            config: How often, and when something counts as heard.
            sounds: Those that are told by their names.
            check: Refuses prompts that the engine does not answer.
            offset: Position in the stream of the first frame's first sample.
            say: Takes an event, for the client.
            want: Takes a job, for the engine.
        """
        self._config, self._check, self._offset = config, check, offset
        self._say, self._want = say, want
        self._sounds = SoundTeller(sounds, rules_of(config))
        self._kept: dict[int, _Kept] = {}
        """By keys that are given once."""
        self._keys = itertools.count(1)
        self._recent = RecentAudio(config.window_s)
        self._hop = round(config.hop_s * SAMPLE_RATE)
        self._heard = self._weighed = 0
        """How far audio has come, and how far it was given to be weighed."""
        self._wanted = self._delivered = 0
        """The last passage that was to be weighed, and that was."""
        self._has_ended = self._is_failing = False

    @property
    def num_open(self) -> int:
        """How many passages are awaited: the last one is never left out."""
        return int(self._wanted > self._delivered)

    def set(self, watches: Sequence[Watch]) -> None:
        """Listen for these and nothing else; those that stay as they are go on.

        Raises:
            StreamError: As `add` does; nothing has changed then.
        """
        names = [watch.id for watch in watches]
        if len(set(names)) < len(names):
            raise ProtocolError("start: two watches have the same id")
        self._check_room(len(names))
        known = {one.watch: key for key, one in self._kept.items()}
        kept: dict[int, _Kept] = {}
        for watch in watches:
            if (key := known.get(watch)) is not None:
                kept[key] = self._kept[key]
            else:
                kept[next(self._keys)] = self._checked(watch)
        self._kept = kept

    def add(self, watch: Watch) -> None:
        """Listen for something more; what is wrong with it is told.

        What is listened for already, just so, goes on as it is.
        """
        try:
            if self._has_ended:
                raise ProtocolError("watch: it came after end")
            kept = self._checked(watch)
            others = [one for one in self._kept.values() if one.watch.id != watch.id]
            self._check_room(len(others) + 1)
        except StreamError as exc:
            self._refuse(watch.id, exc)
        else:
            if all(one.watch != watch for one in self._kept.values()):
                self.remove(watch.id)
                self._kept[next(self._keys)] = kept

    def remove(self, name: str) -> None:
        """Listen no more for something, if it was listened for."""
        for key in [key for key, one in self._kept.items() if one.watch.id == name]:
            del self._kept[key]

    def hear(self, frame: Frame) -> None:
        """Take the next frame, voiced or not."""
        self._heard = frame.end
        self._recent.push(frame)
        if not self._listens:
            self._weighed = frame.end
        elif self._heard - self._weighed >= self._hop:
            self._weigh()

    def end(self) -> None:
        """Hear no more; what was not weighed yet is."""
        self._has_ended = True
        if self._listens and self._heard > self._weighed:
            self._weigh()
        self._finish()

    def deliver(self, result: PassageResult) -> None:
        """Take what became of a passage."""
        self._delivered = result.wish.passage
        match result:
            case Weighed(wish=wish, odds=odds):
                self._is_failing = False
                self._follow(wish, odds)
            case WeighingFailed():
                self._fail(result)
        self._finish()

    @property
    def _listens(self) -> bool:
        return bool(self._kept or self._sounds.names)

    def _weigh(self) -> None:
        """Have the last seconds weighed."""
        start, pcm = self._recent.last(self._config.window_s)
        self._weighed = self._heard
        self._wanted += 1
        self._want(
            WeighPassage(
                passage=self._wanted,
                start=self._offset + start,
                pcm=pcm,
                names=self._sounds.names
                + tuple(one.name for one in self._kept.values()),
                keys=tuple(self._kept),
            )
        )

    def _follow(self, wish: WeighPassage, odds: Sequence[float]) -> None:
        end = wish.start + len(wish.pcm) // 2
        scores = [chance(one) for one in odds]
        named = len(self._sounds.names)
        for sound in self._sounds.push(wish.start, end, scores[:named]):
            self._say(sound)
        for key, score in zip(wish.keys, scores[named:], strict=True):
            if kept := self._kept.get(key):
                span = kept.onsets.push(wish.start, end, score)
                self._tell(kept.watch, span, wish.pcm)

    def _fail(self, failed: WeighingFailed) -> None:
        """Tell that nothing is noticed, the first time of some in a row."""
        if self._is_failing:
            return
        self._is_failing = True
        code, message = failed.code, failed.message
        if self._sounds.names:
            self._say(Error(seq=0, code=code, message=message, task=SOUNDS))
        for kept in self._kept.values():
            self._say(Error(seq=0, code=code, message=message, watch=kept.watch.id))

    def _finish(self) -> None:
        """Once all is heard and weighed, end what goes on."""
        if self._has_ended and not self.num_open:
            for sound in self._sounds.flush():
                self._say(sound)
            for kept in self._kept.values():
                self._tell(kept.watch, kept.onsets.flush(), b"")

    def _tell(self, watch: Watch, span: Span | None, pcm: bytes) -> None:
        if span is None:
            return
        is_wanted = watch.audio and not span.complete
        self._say(
            Noticed(
                seq=0,
                id=watch.id,
                text=watch.text,
                score=round(span.score, 4),
                start=span.start,
                end=span.end,
                complete=span.complete,
                audio=base64.b64encode(pcm).decode() if is_wanted else "",
            )
        )

    def _refuse(self, name: str, error: StreamError) -> None:
        self._say(
            Error(seq=0, code=error.code, message=str(error), watch=name[:MAX_ID])
        )

    def _check_room(self, count: int) -> None:
        most = self._config.max_per_session
        if count > most:
            raise LimitError(f"a session may have {most} watches; this is one more")

    def _checked(self, watch: Watch) -> _Kept:
        """Return a watch that can be kept; raise what `check_watch` does."""
        name = check_watch(watch, self._check)
        rules = rules_of(self._config, watch.threshold, watch.min_s, watch.cooldown_s)
        return _Kept(watch, name, OnsetTracker(rules))


def check_watch(watch: Watch, check: CheckPrompt) -> str:
    """Return the name of what a watch listens for.

    Args:
        watch: What is listened for.
        check: Refuses prompts that the engine does not answer.

    Raises:
        ProtocolError: If a field is out of range.
        UnsupportedRequestError: If the model answers no questions.
    """
    if not 0 < len(watch.id) <= MAX_ID:
        raise ProtocolError(
            f"watch: id has {len(watch.id)} characters; it must have 1 to {MAX_ID}"
        )
    name = sound_name(watch.text)
    if not name:
        raise ProtocolError("watch: text is empty")
    if name.endswith(("?", "？")):
        raise ProtocolError(
            "watch: text is a question; expected what is to be heard, as a dog barking"
        )
    if len(watch.text) > MAX_WATCH:
        raise ProtocolError(
            f"watch: text has {len(watch.text)} characters; "
            f"at most {MAX_WATCH} are taken"
        )
    if watch.threshold is not None and not 0 < watch.threshold < 1:
        raise ProtocolError(
            f"watch: threshold is {watch.threshold:g}; it must be between 0 and 1"
        )
    for field in ("min_s", "cooldown_s"):
        value = getattr(watch, field)
        if value is not None and not 0 <= value <= MAX_PAUSE_S:
            raise ProtocolError(
                f"watch: {field} is {value:g}; it must be 0 to {MAX_PAUSE_S:g}"
            )
    try:
        check(Prompt(text=name))
    except EngineError as exc:
        raise UnsupportedRequestError(str(exc)) from exc
    return name


def rules_of(
    config: WatchesConfig,
    threshold: float | None = None,
    min_s: float | None = None,
    cooldown_s: float | None = None,
) -> OnsetRules:
    """Return when something counts as heard; what is None, as it is set."""
    threshold = config.threshold if threshold is None else threshold
    min_s = config.min_s if min_s is None else min_s
    cooldown_s = config.cooldown_s if cooldown_s is None else cooldown_s
    return OnsetRules(
        threshold=threshold,
        release=max(threshold / 2, threshold - config.hysteresis),
        min_samples=round(min_s * SAMPLE_RATE),
        cooldown_samples=round(cooldown_s * SAMPLE_RATE),
    )


def chance(odds: float) -> float:
    """Return the probability, 0 to 1, that log-odds stand for."""
    return 0.5 * (1 + math.tanh(odds / 2))
