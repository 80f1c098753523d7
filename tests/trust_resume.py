"""A reading whose connection is cut again and again, beside readings without a cut."""

import hashlib
import random
from dataclasses import dataclass
from typing import Any

from rapidfuzz.distance import Levenshtein

from tests.clients.cutting_proxy import Cut, CuttingProxy
from tests.trust_setup import Outcome, Setup, converse, finals, url_of

CUT_WITHIN = 0.95
"""The last cut comes when so much of the audio has gone out."""


class HashingEngine:
    """Passes all on to an engine, and keeps a hash of what each utterance hears."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.utterances: list[HashingUtterance] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def open(self, options: Any) -> "HashingUtterance":
        self.utterances.append(HashingUtterance(self._engine.open(options)))
        return self.utterances[-1]


class HashingUtterance:
    """One utterance."""

    def __init__(self, utterance: Any) -> None:
        self._utterance = utterance
        self.num_samples = 0
        self.hash = hashlib.sha256()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._utterance, name)

    def push(self, samples: Any) -> None:
        self.num_samples += len(samples)
        self.hash.update(samples.tobytes())
        self._utterance.push(samples)


@dataclass(frozen=True)
class Reading:
    """What came of one."""

    segments: list[tuple[int, int, int]]
    """Number, start and end of each final."""
    words: list[str]
    num_samples: int
    hash: str
    """Of all utterances, in order, and of where each of them ends."""
    num_cuts: int


async def read(setup: Setup, audio: bytes, cuts: list[Cut], *, paced: bool) -> Reading:
    """Let a new server hear a reading through a network that cuts."""
    engine = HashingEngine(setup.engine)
    async with (
        setup.server(engine) as server,
        CuttingProxy([server.port], cuts) as proxy,
    ):
        url = proxy.url if cuts else url_of(server)
        told = finals(await converse(url, audio, is_paced=paced))
    whole = hashlib.sha256()
    for utterance in engine.utterances:
        whole.update(f"{utterance.num_samples} {utterance.hash.hexdigest()}\n".encode())
    return Reading(
        segments=[(final.segment, final.start, final.end) for final in told],
        words=" ".join(final.text for final in told).split(),
        num_samples=sum(utterance.num_samples for utterance in engine.utterances),
        hash=whole.hexdigest()[:16],
        num_cuts=max(0, proxy.num_connections - 1),
    )


async def run(setup: Setup, *, seconds: float, cuts: int, paced: bool) -> Outcome:
    """Read twice without a cut, and once with cuts."""
    audio = setup.reading(seconds)
    places = _places(len(audio), cuts)
    plan = {"uncut": [], "uncut again": [], f"cut {cuts} times": places}
    readings = [await read(setup, audio, cut, paced=paced) for cut in plan.values()]
    first, again, cut = readings
    apart = [Levenshtein.distance(first.words, reading.words) for reading in readings]
    rows = [
        ["audio, s", *[round(len(audio) / 32_000, 1)] * 3],
        ["cuts", *(reading.num_cuts for reading in readings)],
        ["finals", *(len(reading.segments) for reading in readings)],
        ["samples that reach the engine", *(r.num_samples for r in readings)],
        ["their hash", *(reading.hash for reading in readings)],
        ["words", *(len(reading.words) for reading in readings)],
        ["words not as in the first", *apart],
    ]
    problems = []
    if cut.num_cuts != cuts:
        problems.append(f"there were {cut.num_cuts} cuts, not {cuts}")
    for reading in (again, cut):
        if reading.hash != first.hash or reading.segments != first.segments:
            problems.append("the engine or the client got something else")
    numbers = [number for number, _, _ in cut.segments]
    if numbers != [*range(1, len(numbers) + 1)]:
        problems.append(f"the finals are of segments {numbers}")
    if apart[2] > apart[1]:
        problems.append("the text differs more than between the uncut runs")
    return Outcome([*plan], rows, problems)


def _places(num_bytes: int, cuts: int) -> list[Cut]:
    """Return after how many bytes each connection breaks: anywhere, always the same."""
    generator = random.Random(0)
    shares = [generator.uniform(0.2, 1.0) for _ in range(cuts)]
    scale = CUT_WITHIN * num_bytes / sum(shares) if cuts else 0.0
    return [Cut(int(share * scale), upwards=True) for share in shares]
