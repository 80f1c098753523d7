"""What is asked about a clip, in which words, and what would be right.

Rows that the paper has are asked in the original's words.  Our own are asked in several
wordings, drawn by the clip: some that the mini is taught, and more that are in no
training, so that a score is not one of sentences learnt by heart.  A test holds the two
kinds apart.  Knows no rows and no scores.
"""

import random
from dataclasses import dataclass
from typing import Final

from engine.data.manifest import Clip
from engine.tasks import TEST_PROMPTS, fill


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about a clip, and what would be right."""

    clip: Clip
    prompt: str
    task: str | None
    """The name by which engines know the task, if they do."""
    references: tuple[str, ...]
    read: str = ""
    """A text that is asked about in place of the clip's sound."""
    from_transcript: bool = False
    """Whether what was heard as text is asked about in place of the sound."""
    is_new: bool = False
    """Whether no training asks in these words."""


@dataclass(frozen=True, slots=True)
class Wordings:
    """Ways to ask for one thing; what they leave open is filled in."""

    taught: tuple[str, ...]
    """Some of those that the mini is trained with."""
    new: tuple[str, ...]
    """In no training."""


ABOUT: Final[dict[str, Wordings]] = {
    "kind": Wordings(
        taught=(
            "What kind of audio is this: speech, music, animal or noise?",
            "What do you hear in general?",
        ),
        new=(
            "Which of these is it: speech, music, an animal, noise or silence?",
            "Would you call this speech, music, noise, an animal or silence?",
            "Sort this recording: speech, music, animal, noise, silence.",
        ),
    ),
    "sound": Wordings(
        taught=("What sound is this?", "What makes this sound?"),
        new=(
            "Can you tell me what I am hearing?",
            "What is the sound in this recording? Answer in a few words.",
            "Where does this sound come from?",
        ),
    ),
    "instrument": Wordings(
        taught=("Which instrument is playing?", "What instrument do you hear?"),
        new=(
            "Which musical instrument is playing? Answer in a few words.",
            "Tell me the name of the instrument.",
            "What is the musician playing?",
        ),
    ),
    "family": Wordings(
        taught=(
            "Which family of instruments do you hear?",
            "Name the family of the instrument.",
        ),
        new=(
            "Which family of instruments is this: strings, woodwind, brass or "
            "percussion?",
            "Is this a string, woodwind, brass or percussion instrument?",
            "To which family does this instrument belong?",
        ),
    ),
    "emotion": Wordings(
        taught=("How does the speaker feel?", "Which emotion do you hear?"),
        new=(
            "In which mood is this person speaking?",
            "What feeling is in this voice?",
            "Tell me how the person who speaks feels.",
        ),
    ),
    "gender": Wordings(
        taught=(
            "Is the voice male or female?",
            "Who is talking, a man or a woman?",
        ),
        new=(
            "Is it a man's voice or a woman's?",
            "What is the gender of the person who speaks?",
            "Would you say that the speaker is male or female?",
        ),
    ),
    "language": Wordings(
        taught=("Which language is spoken?", "What language is this?"),
        new=(
            "Tell me the language of this speech.",
            "Which language does the speaker use?",
            "What is the name of the language that you hear?",
        ),
    ),
    "same": Wordings(
        taught=(
            TEST_PROMPTS["speaker_verification"],
            "Do both parts come from one speaker? Reply with yes or no.",
        ),
        new=(
            "Is one person speaking all the time? Yes or no?",
            "Are both voices the same person's?",
            "Did one and the same person record both parts?",
        ),
    ),
    "slot": Wordings(
        taught=(TEST_PROMPTS["slot_filling"],),
        new=(
            "What {} does the speaker ask for?",
            "Which {} was ordered?",
            "Name the {} in this order.",
        ),
    ),
    "phones": Wordings(
        taught=(
            TEST_PROMPTS["phone_recognition"],
            "How is this pronounced? Answer in phones.",
        ),
        new=(
            "Which phones does the speaker say?",
            "Give the pronunciation of what is said, in phones.",
        ),
    ),
    "hear": Wordings(
        taught=("Do you hear {}?", "Can {} be heard here?"),
        new=(
            "Is that the sound of {}?",
            "Yes or no: is this {}?",
            "Would you say that one can hear {}?",
        ),
    ),
    "leading instrument": Wordings(
        taught=(),
        new=(
            "Which instrument stands out in this music?",
            "What is the leading instrument here?",
            "Which instrument do you hear most in this piece?",
        ),
    ),
    "style": Wordings(
        taught=("What style is this music?", "What music is this?"),
        new=(
            "Which genre of music is this?",
            "Name the style of this piece.",
            "How would you call this kind of music?",
        ),
    ),
    "tempo": Wordings(
        taught=(),
        new=(
            "Is this music fast or slow?",
            "What is the tempo, slow or fast?",
            "Slow or fast: how does this piece move?",
        ),
    ),
}
"""By what is asked for."""


def ask(
    kind: str,
    clip: Clip,
    *references: str,
    about: str = "",
    task: str | None = None,
) -> Question:
    """Return a question about a clip; the same clip is always asked in the same words.

    Args:
        kind: One of `ABOUT`.
        clip: What is asked about.
        references: What would be right.
        about: What the wording leaves open.
        task: The name by which engines know it, if they do.
    """
    ways = ABOUT[kind]
    drawn = random.Random(f"{kind} {about} {clip.path}")
    wording = drawn.choice((*ways.taught, *ways.new))
    prompt = fill(wording, about)
    return Question(clip, prompt, task, references, is_new=wording in ways.new)
