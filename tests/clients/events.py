"""Events for the tests of what shows them."""

from clients.latency import Arrival
from stream.events import (
    Answer,
    AnswerPartial,
    AnswerStarted,
    Error,
    Final,
    Partial,
    Progress,
    SpeechStarted,
    Word,
)


def final(
    text: str,
    *,
    segment: int = 1,
    task: str = "transcribe",
    start_s: float = 0.3,
    end_s: float = 4.2,
    words: tuple[Word, ...] = (),
) -> Final:
    return Final(
        seq=1,
        segment=segment,
        task=task,
        text=text,
        start=round(start_s * 16_000),
        end=round(end_s * 16_000),
        language="en",
        mode="streaming",
        words=words,
        settled=0,
    )


def partial(text: str, stable: int = 0, *, task: str = "transcribe") -> Partial:
    return Partial(
        seq=1, segment=1, task=task, text=text, stable=stable, start=4800, end=67_200
    )


def word(text: str, start_s: float, end_s: float) -> Word:
    return Word(text=text, start=round(start_s * 16_000), end=round(end_s * 16_000))


def arrived(event, latency_s: float | None = None) -> Arrival:
    return Arrival(event, latency_s)


STARTED = SpeechStarted(seq=1, segment=1, start=4800)
PROGRESS = Progress(seq=1, accepted=0, settled=0)
FAILED = Error(seq=1, code="engine", message="too long", segment=1)


def answer_started(name: str = "1", question: str = "Who is it?") -> AnswerStarted:
    return AnswerStarted(seq=1, id=name, question=question, start=4800, end=67_200)


def answer_partial(text: str, *, name: str = "1") -> AnswerPartial:
    return AnswerPartial(seq=1, id=name, text=text, start=4800, end=67_200)


def answer(text: str, *, name: str = "1", finish: str = "stop") -> Answer:
    return Answer(
        seq=1,
        id=name,
        text=text,
        finish=finish,
        source="audio",
        mode="streaming",
        start=4800,
        end=67_200,
    )


REFUSED = Error(seq=1, code="limit", message="too many", question="1")
TASK_FAILED = Error(seq=1, code="engine", message="no", segment=1, task="describe")
