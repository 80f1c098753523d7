"""What SALMONN can be asked by name, and the sentence that asks it.

A name is a word, or a word and what it is about: `describe`, `translate:zh`,
`slot_filling:time`.  The sentences of `TEST_PROMPTS` are the original's to the letter,
its slips too: the model was measured with them.  Which of them a checkpoint was trained
to answer, its preset says; how a sentence becomes tokens, `engine.prompt` knows.

Source:
    bytedance/SALMONN@a58bba7, prompts/test_prompt.json; arXiv:2310.13289, table 1.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from engine.errors import UnsupportedError

SLOT: Final = "{}"
"""What a prompt leaves open: the question, or the name of what is looked for."""
TEXT: Final = "TEXT"
"""What stands for it in a name."""

TEST_PROMPTS: Final = {
    "asr": "Recognize the speech and give me the transcription.",
    "asr_zh": "请将语音中的内容写下来。",
    "asr_de": "Hören Sie sich die Rede an und schreiben Sie ihren Inhalt auf.",
    "translation_ec": "Listen to the speech and translate it into Chinese.",
    "audiocaption": "Please describe the audio.",
    "audiocaption_v2": "Please write down what your hear in the audio.",
    "QA": "{}",
    "gender_QA": "{}",
    "phone_recognition": "Provide the phonetic transcription for the speech.",
    "speech_query": "Please answer the question in detail.",
    "emotion_recognition": "Describe the emotion of the speaker in one word.",
    "lyrics_recognition": "Listen to the song and write down its content.",
    "audio_speech_description": "Describe the speech and the background audio",
    "speaker_verification": (
        "Do you only hear the same person talking? Answer yes or no."
    ),
    "fluent_speech_audio": (
        "Describe the background audio and the speech in a fluent sentence."
    ),
    "speech_separation": "Please write down what you hear each person says.",
    "audio_story_telling": (
        "Based on the audio, write a story in detail. "
        "Your story should be highly related to the audio."
    ),
    "speech_audio_query": (
        "Please answer the speaker's question in detail based on the background sound."
    ),
    "slot_filling": "According to the speech, what is the {}?",
    "music_description": "Listen to this music clip and describe the music.",
    "translation_en2ja": "Listen to the speech and translate it into Japanese.",
    "translation_en2de": "Listen to the speech and translate it into German.",
    "speech_audio_coreasoning": (
        "Use your strong reasoning skills to answer the speaker's question in detail "
        "based on the background sound."
    ),
    "keywords": "Give me only three keywords of the text.",
    "speaker_diarization_asr": (
        "Please recognize each speaker and transcribe their speech content."
    ),
}

TRAINED: Final = {
    "ASR": "asr",
    "En2Zh": "translation_ec",
    "AAC": "audiocaption",
    "PR": "phone_recognition",
    "ER": "emotion_recognition",
    "MC": "music_description",
    "OSR": "speech_separation",
    "SV": "speaker_verification",
    "GR": "gender_recognition",
    "SQA": "QA",
    "AQA": "QA",
    "MQA": "QA",
}
"""The 12 tasks of instruction tuning, as the paper calls them, and their prompts."""

UNTRAINED: Final = {
    "En2De": "translation_en2de",
    "En2Ja": "translation_en2ja",
    "KE": "keywords",
    "SQQA": "speech_query",
    "SF": "slot_filling",
    "Story": "audio_story_telling",
    "SAC": "speech_audio_coreasoning",
}
"""The tasks that the paper tests and that no stage trains."""

LANGUAGES: Final = {
    "be": "Belarusian",
    "bg": "Bulgarian",
    "ca": "Catalan",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "lt": "Lithuanian",
    "nl": "Dutch",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sl": "Slovenian",
    "sv": "Swedish",
    "zh": "Chinese",
}
"""What prompts call the languages that a translation can be asked for."""

_TRANSCRIBE = {"de": "asr_de", "zh": "asr_zh"}  # of other languages: asr
_TRANSLATE = {
    "de": "translation_en2de",
    "ja": "translation_en2ja",
    "zh": "translation_ec",
}
_NAMES = {
    "asr": "transcribe",
    "audiocaption": "describe",
    **dict.fromkeys(_TRANSCRIBE.values(), "transcribe"),
    **{group: f"translate:{code}" for code, group in _TRANSLATE.items()},
}
_OFFICIAL = tuple(group for group in TEST_PROMPTS if group not in _NAMES)
WRITTEN_PROMPTS: Final = {
    "slot_filling": "According to this text, what is the {}?",
    "phone_recognition": "Write this text as phones:",
}
"""What some groups ask of a text that stands where audio would, in our own words."""
NAMES: Final = (
    "transcribe",
    "translate:LANG",
    "describe",
    *(f"{g}:{TEXT}" if SLOT in TEST_PROMPTS[g] else g for g in _OFFICIAL),
)
"""All names; what stands in capitals is to be filled in."""
_OF_WORDS = ("transcribe", "translate", "phone_recognition")
_NAMES_WRITTEN = (
    "translate:LANG",
    *(name for name in NAMES if name.partition(":")[0] in WRITTEN_PROMPTS),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task that was found by its name."""

    group: str | None
    """Of `TEST_PROMPTS`; None where the original has no prompt for it."""
    prompt: str
    """What the model is asked."""


def find(name: str, language: str | None = None) -> Task:
    """Return the task of a name.

    Args:
        name: One of `NAMES`, filled in; a bare `translate` is `translate:en`.
        language: Code of the spoken language; None if it is not known.  Chinese and
            German are transcribed with prompts of their own.

    Raises:
        UnsupportedError: If there is no such name, if it has nothing behind its colon
            though it must, or if no prompt names the language.
    """
    word, _, about = name.partition(":")
    if word == "translate":
        return _translation(about if ":" in name else "en")
    group = _group(word, language)
    if group is None:
        raise UnsupportedError("task", name, NAMES)
    prompt = TEST_PROMPTS[group]
    is_complete = bool(about.strip()) if SLOT in prompt else name == word
    if not is_complete:
        raise UnsupportedError("task", name, [n for n in NAMES if _word(n) == word])
    return Task(group=group, prompt=fill(prompt, about))


def find_written(name: str) -> str:
    """Return what a task asks of a text that stands where audio would.

    Raises:
        UnsupportedError: If there is no such task of texts.
    """
    word, _, about = name.partition(":")
    if word in WRITTEN_PROMPTS:
        find(name)
        return fill(WRITTEN_PROMPTS[word], about)
    if word != "translate":
        raise UnsupportedError("task of texts", name, _NAMES_WRITTEN)
    language = about if ":" in name else "en"
    _translation(language)
    return f"Translate this text into {LANGUAGES[language]}:"


def fill(prompt: str, about: str) -> str:
    """Return a prompt with its open place, if it has one, filled in."""
    return prompt.replace(SLOT, about.strip())


def name_of(group: str) -> str:
    """Return the name that asks for a group of `TEST_PROMPTS`, one of `NAMES`."""
    usual = f"{group}:{TEXT}" if SLOT in TEST_PROMPTS[group] else group
    return _NAMES.get(group, usual)


def name_asked(sentence: str, *, of_text: bool = False) -> str | None:
    """Return the name that asks a sentence; None if the sentence is a free question.

    Args:
        sentence: As `find` has it, its open place filled in.
        of_text: Whether it is about a text, as `find_written` has it.
    """
    for code in LANGUAGES:
        name = f"translate:{code}"
        if sentence == (find_written(name) if of_text else _translation(code).prompt):
            return name
    for group, prompt in (WRITTEN_PROMPTS if of_text else TEST_PROMPTS).items():
        before, slot, behind = prompt.partition(SLOT)
        if prompt == SLOT:
            continue
        about = sentence.removeprefix(before).removesuffix(behind)
        if f"{before}{about}{behind}" == sentence and bool(about.strip()) == bool(slot):
            return f"{group}:{about}" if slot else name_of(group)
    return None


def is_of_words(name: str) -> bool:
    """Return whether what is said is itself the answer, in whatever writing."""
    return _word(name) in _OF_WORDS


def is_among(name: str, names: Collection[str]) -> bool:
    """Return whether names have one; what ends in `:TEXT` may be about any text."""
    if name == "translate":
        name = "translate:en"
    word, _, about = name.partition(":")
    return name in names or (bool(about) and f"{word}:{TEXT}" in names)


def _word(name: str) -> str:
    return name.partition(":")[0]


def _group(word: str, language: str | None) -> str | None:
    if word == "transcribe":
        return _TRANSCRIBE.get(language or "", "asr")
    if word == "describe":
        return "audiocaption"
    return word if word in _OFFICIAL else None


def _translation(language: str) -> Task:
    if language not in LANGUAGES:
        raise UnsupportedError("language to translate into", language, tuple(LANGUAGES))
    # For three languages this is the original's sentence; a test compares them.
    prompt = f"Listen to the speech and translate it into {LANGUAGES[language]}."
    return Task(group=_TRANSLATE.get(language), prompt=prompt)
