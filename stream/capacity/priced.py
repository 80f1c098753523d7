"""An engine that computes nothing and says what it would have cost.

It stands behind `engine.api`, so the server's own book and runner drive it; what is
said is empty but for the one word of a partial that would have had text.  Who spends
the seconds, it does not know.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from engine.api import (
    EngineInfo,
    Finish,
    Hypothesis,
    Mode,
    Prompt,
    Reply,
    Samples,
    Source,
    Speakers,
    UtteranceOptions,
)
from engine.errors import UnsupportedError
from stream.audio import SAMPLE_RATE
from stream.capacity.costs import Costs, Line, ReplyCosts

TASK = "transcribe"
STANDING = "describe"
WORD = "word"


def info_of(costs: Costs) -> EngineInfo:
    """Return what an engine of such costs pretends to do."""
    answers = costs.replies is not None
    return EngineInfo(
        model="priced",
        tasks=(TASK,),
        prompted_tasks=(STANDING,) if answers else (),
        answers_questions=answers,
        languages=("en",),
        max_samples=30 * SAMPLE_RATE,
        description=costs.engine,
    )


class PricedEngine:
    """Implements `engine.api.Engine`; each call adds to what `charge` returns."""

    def __init__(self, costs: Costs, rng: random.Random) -> None:
        self.costs = costs
        self._rng = rng
        self._spent_s = 0.0

    @property
    def info(self) -> EngineInfo:
        """What it pretends to do."""
        return info_of(self.costs)

    @property
    def replies(self) -> ReplyCosts:
        """What a language model would cost.

        Raises:
            UnsupportedError: If none was priced.
        """
        if self.costs.replies is None:
            raise UnsupportedError("prompt", "any", ())
        return self.costs.replies

    def charge(self) -> float:
        """Return what one piece of work has cost, in seconds; the next begins at 0."""
        spent_s, self._spent_s = self._spent_s + self.costs.turn_s, 0.0
        return spent_s

    def spend(self, line: Line, heard_s: float, new_s: float) -> None:
        """Add a piece of work that is about so much audio."""
        self.add(line.seconds(heard_s, new_s) * self._rng.choice(line.spread))

    def add(self, seconds: float) -> None:
        """Add to the cost of this piece of work."""
        self._spent_s += seconds

    def first_text(self) -> float:
        """Return how much of a new segment must be heard before it has text."""
        return self._rng.choice(self.costs.first_text_s)

    def warm_up(self) -> None:
        """Do nothing: nothing is cold."""

    def check(self, options: UtteranceOptions) -> None:
        """Refuse no options: what costs alike is told alike."""

    def check_prompt(self, prompt: Prompt) -> None:
        """Refuse prompts where no language model was priced."""
        _ = self.replies

    def open(self, options: UtteranceOptions) -> "PricedUtterance":
        """Begin an utterance."""
        return PricedUtterance(self, options)

    def open_speakers(self, most: int) -> Speakers:
        """Refuse: who speaks was not priced."""
        raise UnsupportedError("speakers", str(most), ())

    def generate(self, replies: Sequence[Reply]) -> None:
        """Add a token to each reply, and the cost of a step."""
        ours = [reply for reply in replies if isinstance(reply, PricedReply)]
        assert len(ours) == len(replies), "replies of another engine"
        going_on = [reply for reply in ours if reply.num_tokens]
        prices = self.replies
        if going_on:
            self.add(prices.step_s + prices.step_each_s * (len(going_on) - 1))
        # The first token comes with the prompt's own pass.
        self.add(prices.prompt_s * (len(ours) - len(going_on)))
        for reply in ours:
            reply.num_tokens += 1

    def close(self) -> None:
        """Do nothing: nothing is held."""


class PricedUtterance:
    """Implements `engine.api.Utterance`: it counts samples."""

    def __init__(self, engine: PricedEngine, options: UtteranceOptions) -> None:
        self._engine, self._options = engine, options
        self._is_read_along = bool(options.prompted) or options.questions
        self._heard_s = 0.0
        self._read_s = self._prompt_read_s = 0.0
        """Up to where partials, and the language model, have read."""
        self._is_final = False
        self._first_text_s = engine.first_text()

    def push(self, samples: Samples) -> None:
        """Take audio in."""
        new_s = len(samples) / SAMPLE_RATE
        self._heard_s += new_s
        self._is_final = False
        self._engine.spend(self._engine.costs.hear, self._heard_s, new_s)
        if self._is_read_along:
            self._engine.add(self._engine.replies.read_s * new_s)
            self._prompt_read_s = self._heard_s

    def partial(self) -> list[Hypothesis]:
        """Read what is new."""
        if not self._options.tasks:
            return []
        new_s, self._read_s = self._heard_s - self._read_s, self._heard_s
        self._engine.spend(self._engine.costs.partial, self._heard_s, new_s)
        return [self._said(is_final=False)]

    def final(self) -> list[Hypothesis]:
        """Read all, unless that was done and nothing has come since."""
        if not self._options.tasks:
            return []
        if not self._is_final:
            self._is_final = True
            new_s = self._heard_s - self._read_s
            self._engine.spend(self._engine.costs.final, self._heard_s, new_s)
        return [self._said(is_final=True)]

    def _said(self, *, is_final: bool) -> Hypothesis:
        has_text = self._heard_s >= self._first_text_s
        return Hypothesis(
            task=TASK,
            text=WORD if has_text else "",
            stable=0,
            is_final=is_final,
            language="en",
            mode=Mode.STREAMING,
        )

    def ask(self, prompt: Prompt) -> "PricedReply":
        """Begin a reply of exactly `prompt.max_tokens` tokens."""
        unread_s = self._heard_s - self._prompt_read_s
        self._engine.add(self._engine.replies.unread_s * unread_s)
        self._prompt_read_s = self._heard_s
        return PricedReply(prompt.max_tokens)

    def weigh(self, questions: Sequence[str]) -> list[float]:
        """Refuse: what is listened for was not priced."""
        raise UnsupportedError("question", "".join(questions[:1]), ())

    def close(self) -> None:
        """Do nothing: nothing is held."""


@dataclass(slots=True)
class PricedReply:
    """Implements `engine.api.Reply`: tokens that are counted."""

    most: int
    """It ends behind so many tokens."""
    num_tokens: int = 0
    num_prompt_tokens: int = 0

    @property
    def text(self) -> str:
        """Nothing, as nothing is generated."""
        return ""

    @property
    def finish(self) -> Finish | None:
        """Why it ended; None while it goes on."""
        return Finish.LENGTH if self.num_tokens >= self.most else None

    @property
    def source(self) -> Source:
        """What it would be made from."""
        return Source.AUDIO

    @property
    def mode(self) -> Mode:
        """How the audio would be encoded."""
        return Mode.STREAMING

    def close(self) -> None:
        """Do nothing: nothing is held."""
