"""Speakers whose voices a client brings: what it may send, and who they turn out to be.

No I/O, and no voices: a clip goes to the engine as it came, and is kept nowhere else.
Who comes twice under one name is known already.
"""

import base64
import binascii
from typing import Final

from stream.audio import SAMPLE_RATE
from stream.errors import ProtocolError
from stream.events import NameSpeaker
from stream.jobs import EnrolVoice

LEAST_S: Final = 1.6  # what tells one voice from another
MOST_S: Final = 6.0
"""In base64 it fits into a message, and it holds up captions for some tenths of a
second."""


class Enrolment:
    """The speakers of one session that a client knows."""

    def __init__(self, most: int) -> None:
        """Begin without any.

        Args:
            most: The most speakers of the session.
        """
        self._most = most
        self._numbers: dict[str, int | None] = {}
        """By name; None until the engine has heard the voice."""

    @property
    def num_open(self) -> int:
        """How many voices the engine has not heard yet."""
        return sum(number is None for number in self._numbers.values())

    def number(self, name: str) -> int | None:
        """Return which speaker somebody is, as soon as that is known."""
        return self._numbers.get(name)

    def ask(self, name: str, event: NameSpeaker) -> EnrolVoice | None:
        """Return what the engine is to hear; None if it knows the voice, or will.

        Raises:
            ProtocolError: If it is no clip of a length that is taken, or there are as
                many speakers already as are told apart.
        """
        pcm = _decoded(event)
        if name in self._numbers:
            return None
        if len(self._numbers) >= self._most:
            raise ProtocolError(
                f"name_speaker: {self._most} voices are known already; "
                "start says how many speakers are told apart"
            )
        self._numbers[name] = None
        return EnrolVoice(name, self._most, pcm)

    def tell(self, name: str, speaker: int) -> None:
        """Take which speaker somebody is."""
        self._numbers[name] = speaker

    def forget(self, name: str) -> None:
        """Take that the engine can make nothing of somebody's voice."""
        self._numbers.pop(name, None)


def _decoded(event: NameSpeaker) -> bytes:
    if event.speaker:
        raise ProtocolError("name_speaker: it has a speaker and a voice; expected one")
    if not event.name.strip():
        raise ProtocolError("name_speaker: name is empty; a voice needs one")
    try:
        pcm = base64.b64decode(event.voice, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise ProtocolError(f"name_speaker: voice is not base64: {exc}") from exc
    seconds = len(pcm) / 2 / SAMPLE_RATE
    if len(pcm) % 2 or not LEAST_S <= seconds <= MOST_S:
        raise ProtocolError(
            f"name_speaker: voice has {len(pcm)} bytes, {seconds:.1f} s; expected "
            f"{LEAST_S:g} to {MOST_S:g} s of s16le at 16 kHz"
        )
    if not any(pcm):
        raise ProtocolError("name_speaker: voice is silent")
    return pcm
