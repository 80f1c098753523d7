"""The wordings of free questions that the mini is taught, and the forms of its answers.

Each question stands in several wordings, so that what is learned is what is asked for
and not a sentence.  Knows no clips.
"""

from typing import Final

KIND_ANSWERS: Final = {
    "speech": "speech",
    "music": "music",
    "animal": "an animal",
    "noise": "noise",
    "human": "a person, without words",
    "sound": "a sound",
    "silence": "silence",
}
KINDS_HEARD: Final = ("speech", "music", "an animal")
"""Answers that are asked for by name; what else is noise depends on whom one asks."""
QUESTIONS: Final[dict[str, tuple[str, ...]]] = {
    "kind": (
        "Is this speech, music, an animal, noise or silence?",
        "What kind of audio is this: speech, music, animal or noise?",
        "What do you hear in general?",
        "Name the kind of sound.",
    ),
    "sound": (
        "What sound is this?",
        "What do you hear?",
        "What was that noise?",
        "Which sound does this recording hold?",
        "Name the sound source.",
        "What makes this sound?",
    ),
    "instrument": (
        "Which instrument is playing?",
        "What instrument do you hear?",
        "Name the instrument.",
        "What is being played here?",
        "Who plays: which instrument is it?",
    ),
    "family": (
        "Which family of instruments do you hear?",
        "Strings, woodwind, brass or percussion: which of them plays?",
        "Name the family of the instrument.",
    ),
    "emotion": (
        "How does the speaker feel?",
        "What emotion does the voice have?",
        "What is the mood of this person?",
        "Which emotion do you hear?",
    ),
    "voice": (
        "Who is speaking: a man, a woman or a child?",
        "Whose voice is it?",
        "Does a man, a woman or a child speak?",
    ),
    "language": (
        "Which language is spoken?",
        "What language is this?",
        "In what language does the person speak?",
    ),
    "music": (
        "What music is this?",
        "Describe the music in a few words.",
        "What style is this music?",
    ),
    "words": (
        "What does the speaker say?",
        "What was said?",
        "Which words do you hear?",
    ),
    "slot": (
        "What {} is wanted?",
        "Tell me the {}.",
        "Which {} does the person say?",
    ),
    "same": (
        "Do both parts have the same speaker?",
        "Is it the same person who speaks twice?",
        "Same speaker or different speakers?",
        "Are these two recordings of one person?",
    ),
    "hear": (
        "Do you hear {}?",
        "Is there {} in this recording?",
        "Can {} be heard here?",
    ),
}
ANSWERS: Final = ("{}", "{}.", "It is {}.", "I hear {}.", "That is {}.")
SAME: Final = {True: "Yes, the same speaker.", False: "No, different speakers."}
GENDERS: Final = {"man": "Male.", "woman": "Female."}
