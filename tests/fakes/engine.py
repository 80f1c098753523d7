"""An engine without a model: it reads the words that a test wrote into the audio.

A word is a run of samples of one value; silence is 0.  So the audio of values
`7 7 7 0 0 9 9` says "7 9", and a word that is lost, cut in two or heard twice shows.
`tests/engine_contract.py` holds it to what the real engine promises.
"""

import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from engine.api import (
    EngineInfo,
    Finish,
    Hypothesis,
    Mode,
    Prompt,
    Reply,
    Samples,
    SegmentSpeakers,
    SoundClass,
    Source,
    SpeakerNews,
    Turn,
    Utterance,
    UtteranceOptions,
    Word,
)
from engine.errors import EngineError, TooLongError, UnsupportedError
from engine.replicas import ReplicaFigures
from stream.audio import Frame
from stream.utterances import BLOCK

FULL_SCALE = 32_768
UNKNOWN = 13
"""A word on which the engine raises an EngineError."""
CRASH = 14
"""A word on which it crashes."""
SOUNDS = tuple(
    SoundClass(label=label, caption=caption)
    for label, caption in (
        ("30", "thirty"),
        ("41", "music: forty-one"),
        ("42", "music: forty-two"),
    )
)
"""Words that are no speech."""
SURE = 4.0
"""Log-odds of what is certain."""
VOICE_BYTES = bytes(640)
VOICE = 20
"""Words of 1 to 19 are said by one voice, of 20 to 39 by another, and so on."""


def speak(*words: int, samples: int = 4_800) -> bytes:
    """Return s16le audio that says each word for so many samples; 0 is silence."""
    return np.repeat(np.array(words, "<i2"), samples).tobytes()


def speak_in_fours(words: Sequence[int]) -> bytes:
    """Return s16le audio that says words, with a pause after each fourth."""
    fours = [words[i : i + 4] for i in range(0, len(words), 4)]
    return b"".join(speak(*four, 0) for four in fours)


def _says(values: NDArray[np.int64], word: int) -> bool:
    """Return whether a word is said, not passed by a resampler from one to another."""
    return np.count_nonzero(values == word) > 100


class AnySound:
    """Calls a frame voiced if anything is in it."""

    def is_voiced(self, frame: Frame) -> bool:
        return frame.pcm != VOICE_BYTES

    def reset(self) -> None:
        """Nothing is remembered."""


@dataclass(frozen=True)
class ScriptedChecks:
    """Implements `engine.hosting.Checks`."""

    info: EngineInfo

    def check(self, options: UtteranceOptions) -> None:
        for task in options.tasks:
            if task not in self.info.tasks:
                raise UnsupportedError("task", task, self.info.tasks)
        if options.language not in (None, *self.info.languages):
            raise UnsupportedError("language", options.language, self.info.languages)
        for task in options.prompted:
            self.check_prompt(Prompt(task=task))

    def check_prompt(self, prompt: Prompt) -> None:
        known = self.info.prompted_tasks
        if prompt.task is not None and prompt.task not in known:
            raise UnsupportedError("task", prompt.task, (*self.info.tasks, *known))
        if prompt.task is None and not self.info.answers_questions:
            raise UnsupportedError("prompt", prompt.text, known)


class ScriptedEngine:
    """Implements `engine.api.Engine`."""

    def __init__(self, *, max_samples: int = 28 * 16_000 + 16_000) -> None:
        self.info = EngineInfo(
            model="scripted",
            tasks=("transcribe", "translate:en"),
            prompted_tasks=("describe", "translate:zh"),
            answers_questions=True,
            sounds=SOUNDS,
            languages=("en", "de"),
            max_speakers=4,
            max_samples=max_samples,
            description="scripted",
        )
        self.free = threading.Event()
        """Cleared by a test to make the engine stand still."""
        self.free.set()
        self.busy = threading.Event()
        """Set when it has begun to do something."""
        self.num_open = 0
        self.num_replies = 0
        """Replies that are not closed."""
        self.refuses = ""
        """A word: a prompt that has it is no prompt that it can go on with."""
        self.asked: list[Prompt] = []
        """What each call of `Utterance.ask` was given."""
        self.weighed: list[tuple[str, ...]] = []
        """The names of each call of `Utterance.weigh`."""
        self.num_listeners = 0
        """Sessions whose voices it holds."""
        self.is_deaf = False
        """Whether it can tell no voices apart, against its word."""
        self.num_pushes = 0
        self.batches: list[int] = []
        """How many replies each call of `generate` went on with."""
        self.told_replicas: list[ReplicaFigures] = []
        """What `replicas` returns."""
        self.is_warm = False
        self.is_closed = False

    def warm_up(self) -> None:
        self.free.wait()
        self.is_warm = True

    @property
    def checks(self) -> ScriptedChecks:
        return ScriptedChecks(self.info)

    def check(self, options: UtteranceOptions) -> None:
        self.checks.check(options)

    def check_prompt(self, prompt: Prompt) -> None:
        self.checks.check_prompt(prompt)

    def generate(self, replies: Sequence[Reply]) -> None:
        self.work()
        self.batches.append(len(replies))
        for reply in replies:
            assert isinstance(reply, ScriptedReply), "a reply of another engine"
            reply.step()

    def open(self, options: UtteranceOptions) -> Utterance:
        self.check(options)
        self.num_open += 1
        return ScriptedUtterance(self, options)

    def open_speakers(self, most: int) -> "ScriptedSpeakers":
        self.num_listeners += 1
        return ScriptedSpeakers(self, most)

    def replicas(self) -> Sequence[ReplicaFigures]:
        return self.told_replicas

    def close(self) -> None:
        self.is_closed = True

    def work(self) -> None:
        """Say that something has begun; go on when the test lets it."""
        self.busy.set()
        assert self.free.wait(60), "the test never let the engine go on"


class SlowEngine(ScriptedEngine):
    """Takes its time."""

    def __init__(self, work_s: float) -> None:
        super().__init__()
        self._work_s = work_s
        """For audio of up to a second, and for a text."""

    def work(self) -> None:
        super().work()
        time.sleep(self._work_s)


class ScriptedUtterance:
    """Implements `engine.api.Utterance`."""

    def __init__(self, engine: ScriptedEngine, options: UtteranceOptions) -> None:
        self._engine, self._options = engine, options
        self._values = np.zeros(0, np.int64)
        self._told = {one.task: one.text[: one.stable].split() for one in options.told}
        """Words, by task."""

    def push(self, samples: Samples) -> None:
        self._engine.work()
        self._engine.num_pushes += 1
        total = len(self._values) + len(samples)
        if total > self._engine.info.max_samples:
            raise TooLongError(total, self._engine.info.max_samples)
        values = np.rint(samples * FULL_SCALE).astype(np.int64)
        if _says(values, UNKNOWN):
            raise EngineError("an unknown word")
        if _says(values, CRASH):
            raise ZeroDivisionError("a bug")
        self._values = np.concatenate([self._values, values])

    def partial(self) -> list[Hypothesis]:
        self._engine.work()
        heard = len(self._values) // BLOCK * BLOCK
        return self._hypotheses(heard, is_final=False)

    def final(self) -> list[Hypothesis]:
        self._engine.work()
        return self._hypotheses(len(self._values), is_final=True)

    def ask(self, prompt: Prompt) -> Reply:
        self._engine.check_prompt(prompt)
        asked = prompt.task or prompt.text
        if self._engine.refuses and self._engine.refuses in asked:
            raise EngineError(f"cannot go on with {asked!r}")
        self._engine.asked.append(prompt)
        return ScriptedReply(self._engine, prompt, self._words(len(self._values)))

    def weigh(self, names: Sequence[str]) -> list[float]:
        """Be sure of each name in which a word stands that was heard."""
        self._engine.work()
        self._engine.weighed.append(tuple(names))
        for name in names:
            self._engine.check_prompt(Prompt(text=name))
            if self._engine.refuses and self._engine.refuses in name:
                raise EngineError(f"cannot weigh {name!r}")
        heard = {word.text for word in self._words(len(self._values))}
        named = [set(re.findall(r"\d+", name)) for name in names]
        return [SURE if words & heard else -SURE for words in named]

    def close(self) -> None:
        self._engine.num_open -= 1

    def _words(self, heard: int) -> list[Word]:
        words, position = [], 0
        for value, run in groupby(self._values[:heard].tolist()):
            start, position = position, position + len(list(run))
            if value:
                words.append(Word(text=str(value), start=start, end=position))
        return words

    def _hypotheses(self, heard: int, *, is_final: bool) -> list[Hypothesis]:
        words = self._words(heard)
        return [self._hypothesis(task, words, is_final) for task in self._options.tasks]

    def _hypothesis(self, task: str, words: list[Word], is_final: bool) -> Hypothesis:
        told = self._told.get(task, [])
        said = [*told, *(word.text for word in words[len(told) :])]
        settled = said[: max(len(told), len(said) - 1)]
        text = " ".join(said)
        return Hypothesis(
            task=task,
            text=text,
            stable=len(text) if is_final else len(" ".join(settled)),
            is_final=is_final,
            language=self._options.language or "en",
            mode=Mode.STREAMING,
            words=tuple(words) if is_final and self._options.words else (),
        )


class ScriptedSpeakers:
    """Implements `engine.api.Speakers`: a voice a range of words.

    Once a voice beyond `most` is heard, it is taken for the last one.
    """

    def __init__(self, engine: ScriptedEngine, most: int) -> None:
        self._engine, self._most = engine, most
        self._voices: list[int] = []
        """In the order in which they were heard first."""
        self._values: dict[int, NDArray[np.int64]] = {}

    def enrol(self, samples: Samples) -> int:
        self._engine.work()
        if self._engine.is_deaf:
            raise EngineError("no voice can be told")
        values = np.rint(samples * FULL_SCALE).astype(np.int64)
        return self._number(int(values.max()) // VOICE)

    def push(self, segment: int, samples: Samples) -> SpeakerNews:
        self._engine.work()
        if self._engine.is_deaf:
            raise EngineError("no voice can be told")
        values = np.rint(samples * FULL_SCALE).astype(np.int64)
        known = self._values.get(segment, np.zeros(0, np.int64))
        self._values[segment] = np.concatenate([known, values])
        return self._news(segment)

    def end(self, segment: int) -> SpeakerNews:
        return self._news(segment) if segment in self._values else SpeakerNews()

    def close(self) -> None:
        self._engine.num_listeners -= 1

    def _number(self, voice: int) -> int:
        if voice not in self._voices and len(self._voices) < self._most:
            self._voices.append(voice)
        known = voice if voice in self._voices else self._voices[-1]
        return self._voices.index(known) + 1

    def _news(self, segment: int) -> SpeakerNews:
        turns: list[Turn] = []
        number, start, position = 0, 0, 0
        for value, run in groupby(self._values[segment].tolist()):
            told = self._number(value // VOICE) if value else number
            if told != number and number:
                turns.append(Turn(speaker=number, start=start, end=position))
                start = position
            number, position = told, position + len(list(run))
        turns.append(Turn(speaker=number, start=start, end=position))
        told_of = SegmentSpeakers(segment=segment, turns=tuple(turns))
        return SpeakerNews(segments=(told_of,))


class ScriptedReply:
    """Implements `engine.api.Reply`: repeats the prompt and the words, one a token."""

    source = Source.AUDIO
    mode = Mode.STREAMING

    def __init__(
        self, engine: ScriptedEngine, prompt: Prompt, heard: list[Word]
    ) -> None:
        self._engine = engine
        self._left = [*(prompt.task or prompt.text).split(), *(w.text for w in heard)]
        self._most = prompt.max_tokens
        self.num_prompt_tokens = len(self._left)
        self.text = ""
        self.num_tokens = 0
        self.finish: Finish | None = None
        engine.num_replies += 1

    def step(self) -> None:
        assert self.finish is None, "a reply that has ended"
        if not self._left:
            self.finish = Finish.STOP
            return
        self.text = f"{self.text} {self._left.pop(0)}".strip()
        self.num_tokens += 1
        if self.num_tokens == self._most:
            self.finish = Finish.LENGTH

    def close(self) -> None:
        self._engine.num_replies -= 1
