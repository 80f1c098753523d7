"""Events for the tests of what is kept of a session."""

from stream.events import Final


def final(seq: int, segment: int = 1, task: str = "transcribe") -> Final:
    return Final(
        seq=seq,
        segment=segment,
        task=task,
        text="so",
        start=0,
        end=1,
        language="en",
        mode="exact",
        settled=16_000,
    )
