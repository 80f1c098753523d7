"""Events about what is listened for all the time: watches, and the names of sounds.

A part of the native protocol beside `stream.events`, which has the rest.
Positions are samples at 16 kHz from the start of the stream.
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Tell whenever something is heard; another of the same id takes its place."""

    type: ClassVar[str] = "watch"
    id: str
    """The client's name for it."""
    text: str
    """What is listened for, as `a crying baby`; or a question that yes answers."""
    threshold: float | None = None
    """Score from which it is noticed; null, as the next two, takes the server's."""
    min_s: float | None = None
    """For so long it must be heard before it is told."""
    cooldown_s: float | None = None
    """For so long after its end nothing new is told."""
    audio: bool = False
    """Whether the audio is wanted in which it was noticed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unwatch:
    """Listen no more for something; if it was no watch, nothing happens."""

    type: ClassVar[str] = "unwatch"
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Noticed:
    """What a watch listens for has begun; a second one, `complete`, says its end."""

    type: ClassVar[str] = "noticed"
    seq: int
    id: str
    """Of the watch."""
    text: str
    score: float
    """The highest so far: how likely a yes is, 0 to 1."""
    start: int
    """About where it began; the same in both."""
    end: int
    """How far it was heard; when complete, about where it ended."""
    complete: bool
    audio: str = ""
    """Samples up to `end`, s16le at 16 kHz in base64, if wanted; when it began only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """A sound has begun that is no speech; a second one, `complete`, says its end."""

    type: ClassVar[str] = "sound"
    seq: int
    label: str
    """Its class, as `dog bark`."""
    text: str
    """As captions call it, as `dog barking`."""
    score: float
    start: int
    end: int
    complete: bool
