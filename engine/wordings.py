"""Many wordings of each task, for training: a model that saw one would want that one.

The groups and how many wordings each has are the original's, and as there the sentence
that a task is served with leads its group; the other sentences are ours.  They are
questions only: `engine.prompt` puts the audio before them.

Source:
    bytedance/SALMONN@a58bba7, prompts/train_prompt.json: names and counts.
"""

import random
from typing import Final

from engine.tasks import SLOT, TEST_PROMPTS, fill

WORDINGS: Final[dict[str, tuple[str, ...]]] = {
    "asr": (
        TEST_PROMPTS["asr"],
        "Write out every word that is said.",
        "What are the words of this recording?",
        "Take this down as dictation.",
        "Type the spoken words, nothing more.",
        "Please put the spoken words into writing.",
        "Tell me word for word what was said.",
        "I would like to read this recording as text.",
        "Make a transcript of this clip.",
        "What does the voice say?",
        "Spell out the utterance in written words.",
        "Caption the speech.",
        "Repeat in writing what is being spoken.",
        "Which words does the recording hold?",
        "Give the exact wording of what is spoken.",
    ),
    "asr_zh": (
        TEST_PROMPTS["asr_zh"],
        "把你听到的话逐字打出来。",
        "请把这段话转成文字。",
        "请为这段录音做听写。",
        "说话的人讲了哪些话？请写出原文。",
        "用文字记录这段普通话。",
        "请给出这段音频的文字稿。",
        "我想看到这段讲话的文字。",
        "听完以后，把原话写给我。",
        "请一字不差地写出所说的话。",
        "给这段话配上字幕。",
    ),
    "asr_de": (
        TEST_PROMPTS["asr_de"],
        "Was wird in dieser Aufnahme gesagt?",
        "Tippe die gesprochenen Worte ab.",
        "Gib den genauen Wortlaut wieder.",
        "Erstelle ein Transkript dieser Aufnahme.",
        "Welche Worte sind zu hören?",
        "Mach aus dem Gesprochenen einen Text.",
        "Nimm dies als Diktat auf.",
        "Schreibe Wort für Wort mit.",
        "Ich möchte lesen, was hier gesprochen wird.",
    ),
    "translation_ec": (
        TEST_PROMPTS["translation_ec"],
        "What would this be in Chinese?",
        "Say in Chinese what the speaker says.",
        "Give a Chinese version of the spoken words.",
        "Put what is said into Chinese.",
        "I read only Chinese: what does the voice say?",
        "Write Chinese subtitles for this recording.",
        "Interpret the utterance for a Chinese reader.",
        "Render these spoken words in Chinese.",
        "How does one say this in Chinese?",
        "这段英语用中文怎么说？",
        "请把听到的英语译成中文。",
        "给这段英语配上中文字幕。",
    ),
    "audiocaption": (
        TEST_PROMPTS["audiocaption"],
        "Which sounds does this recording hold? Sum them up in a sentence.",
        "Caption the sounds.",
        "Tell me in a sentence what is going on, as far as one can hear it.",
        "Say briefly what happens in this recording.",
        "Describe the scene by its sounds.",
        "Give this sound clip a short description.",
    ),
    "audiocaption_v2": (TEST_PROMPTS["audiocaption_v2"],),
    "QA": (SLOT,),
    "inference_QA": (SLOT,),
    "gender_QA": (SLOT,),
    "gender_recognition": (
        "Does a man or a woman speak here?",
        "Is the voice male or female?",
        "Say whether you hear a man or a woman.",
        "Which gender does the voice sound like?",
        "Who is talking, a man or a woman?",
        "Judge by the voice: man or woman?",
        "Tell me if this speaker is female or male.",
        "Name the gender that this voice suggests.",
        "Male or female speaker?",
    ),
    "phone_recognition": (
        TEST_PROMPTS["phone_recognition"],
        "Write the utterance as phones.",
        "Spell the spoken words by their sounds.",
        "List the speech sounds in the order in which they are spoken.",
        "How is this pronounced? Answer in phones.",
        "Transcribe the pronunciation.",
        "Note the phones of the recording, one after another.",
    ),
    "speech_separation": (
        TEST_PROMPTS["speech_separation"],
        "Two people talk at once; give the words of each.",
        "Untangle the voices: what does the one say, and what the other?",
        "The voices overlap. Transcribe them one by one.",
    ),
    "emotion_recognition": (
        TEST_PROMPTS["emotion_recognition"],
        "Name in a word the mood of the voice.",
    ),
    "music_description": (
        TEST_PROMPTS["music_description"],
        "What kind of music is this?",
        "Tell someone who cannot hear it what this piece is like.",
        "Which instruments, which mood, which style does this piece have?",
        "Write some lines about the music that you hear.",
    ),
    "speaker_verification": (
        TEST_PROMPTS["speaker_verification"],
        "Is there one voice only, from start to end? Yes or no?",
        "Do both parts come from one speaker? Reply with yes or no.",
    ),
    "audio_story_telling": (
        TEST_PROMPTS["audio_story_telling"],
        "Let the clip inspire you; tell at length what happens, true to its sounds.",
        "Imagine the scene behind these sounds, and tell it as a detailed story.",
    ),
    "speaker_diarization_asr": (
        TEST_PROMPTS["speaker_diarization_asr"],
        "Who says what? Go through the speakers in the order in which they talk.",
        "Number the speakers as they come, and write what each of them says.",
    ),
}


def choose(group: str, *, seed: int, example: int, about: str = "") -> str:
    """Return the wording in which an example is asked, its open place filled in.

    The same arguments choose the same wording, in every process and on every machine,
    so a run that is resumed or split over workers sees what one run would have seen.

    Args:
        group: One of `WORDINGS`.
        seed: Of the run.
        example: Which example it is, counted through all epochs.
        about: What the wording leaves open; unused by most.
    """
    drawn = random.Random(f"{seed} {example}").choice(WORDINGS[group])
    return fill(drawn, about)
