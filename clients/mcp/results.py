"""What the tools return, as hosts and their models read it."""

from typing import Literal

from pydantic import BaseModel, Field

from clients.mcp.heard import Segment


class Transcript(BaseModel):
    """What was said, in order."""

    began_at: str | None = Field(description="When listening first began; ISO 8601.")
    listening_to: str | None = Field(description="Null while nothing is captured.")
    segments: list[Segment]


class Answered(BaseModel):
    """The answer to a question about what was heard."""

    answer: str
    finish: str = Field(
        description="stop; length: cut off; loop: it repeated itself and was cut off."
    )
    start_s: float = Field(description="Of the audio that it is about.")
    end_s: float
    start_at: str
    end_at: str


class Listening(BaseModel):
    """What one call of `listen` heard."""

    listened_to: str
    start_s: float = Field(description="Since listening first began.")
    end_s: float
    start_at: str = Field(description="By the clock on the wall; ISO 8601.")
    end_at: str
    segments: list[Segment]
    answer: str | None = Field(description="To the question, if one was asked.")
    refusal: str | None = Field(description="Why the question has no answer.")
    note: str | None = Field(description="What else there is to say of the audio.")


class Listenable(BaseModel):
    """A device that can be listened to."""

    name: str
    kind: Literal["microphone", "monitor"] = Field(
        description="A monitor is what this machine plays."
    )
    number: int | None = Field(description="Of a microphone.")
    is_default: bool


class Watched(BaseModel):
    """What one call of `watch` heard."""

    heard: bool = Field(description="Whether what was waited for was heard.")
    score: float | None = Field(description="How sure that is, 0 to 1.")
    heard_from_s: float | None = Field(description="About when it began.")
    heard_from_at: str | None
    listened_to: str
    start_s: float = Field(description="Since listening first began.")
    end_s: float
    start_at: str = Field(description="By the clock on the wall; ISO 8601.")
    end_at: str
    segments: list[Segment] = Field(description="What was said meanwhile.")
    note: str | None = Field(description="What else there is to say of the audio.")
