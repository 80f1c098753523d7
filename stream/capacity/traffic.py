"""How people speak and come, where nobody has recorded it: every number is assumed.

Pure: who draws brings the generator.
"""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Pauses, arrivals, bursts, questions."""

    pause_s: float = 4.0
    """Mean pause between two turns of a session; exponentially distributed."""
    session_s: float = 300.0
    """Mean length of a session; exponentially distributed."""
    burst_every_s: float = 120.0
    """In each such time, sessions come faster ..."""
    burst_s: float = 20.0
    """... for so long ..."""
    burst: float = 1.0
    """... by this factor; 1 is no burst."""
    describes: bool = False
    """Whether the language model is asked about each segment at its end."""
    questions_per_minute: float = 0.0
    """Of each session, about the last seconds; a Poisson process."""
    question_s: float = 10.0
    """Of audio that a question is about."""
    answer_tokens: int = 40
    """In each reply."""

    def __post_init__(self) -> None:
        positive = ("pause_s", "session_s", "burst_every_s", "burst_s", "burst")
        for name in (*positive, "question_s", "answer_tokens"):
            if not getattr(self, name) > 0:
                raise ValueError(f"traffic.{name} is not above 0")
        if self.questions_per_minute < 0:
            raise ValueError("traffic.questions_per_minute is below 0")
        if self.burst_s > self.burst_every_s:
            raise ValueError("a burst lasts longer than the time from one to the next")

    @property
    def asks(self) -> bool:
        """Whether a language model is needed."""
        return self.describes or self.questions_per_minute > 0

    def pause(self, rng: random.Random) -> float:
        """Draw the time from one turn to the next."""
        return rng.expovariate(1 / self.pause_s)

    def arrivals(
        self, mean_s: float, until_s: float, rng: random.Random
    ) -> list[float]:
        """Draw when sessions come, so many seconds apart on average, bursts included.

        A Poisson process whose rate is higher in bursts: drawn at the highest rate, and
        thinned elsewhere.
        """
        share = self.burst_s / self.burst_every_s
        calm = 1 / (mean_s * (1 + share * (self.burst - 1)))
        highest = calm * max(1.0, self.burst)
        found = list[float]()
        now = rng.expovariate(highest)
        while now < until_s:
            in_burst = now % self.burst_every_s < self.burst_s
            if rng.random() * highest < calm * (self.burst if in_burst else 1.0):
                found.append(now)
            now += rng.expovariate(highest)
        return found
