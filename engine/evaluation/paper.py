"""The paper's table: what it measured, with what, and what it found.

Values of the 13B model from arXiv:2310.13289, as public notes quote its tables
(the repository has none; how texts were normalised there is not known).  Some
references are only remembered (`is_reference_sure`).  Knows no clips.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What the paper gives for one metric of a task."""

    metric: str
    """As `engine.evaluation.metrics` names it."""
    without: float | None
    """Before activation tuning."""
    activated: float | None
    """The final model."""
    reference: float | None = None
    """A system made for the task, as the paper chose it."""
    is_reference_sure: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A task on a set."""

    task: str
    """The paper's name of it."""
    level: int
    """1 trained; 2 untrained, of language; 3 untrained, of speech and sound at once;
    4 is ours, and not in the paper."""
    group: str
    """Of `engine.tasks.TEST_PROMPTS`."""
    test: str
    """Our name of the set that the paper measured on; empty where it is not public."""
    figures: tuple[Figure, ...]
    note: str = ""
    """How our figure differs from the paper's, if it does."""


def _figure(
    metric: str,
    without: float | None,
    activated: float | None,
    reference: float | None = None,
    *,
    sure: bool = True,
) -> Figure:
    return Figure(
        metric=metric,
        without=without,
        activated=activated,
        reference=reference,
        is_reference_sure=sure,
    )


_ACC, _FR = "accuracy", "following rate"
_JUDGED = "the paper lets GPT-3.5 judge; here the answer must contain the reference"
_OURS = "how the paper counts the following rate is not known"

ROWS: Final = (
    Row(
        task="ASR",
        level=1,
        group="asr",
        test="librispeech_test_clean",
        figures=(_figure("WER", 2.1, 2.1, 2.2),),
    ),
    Row(
        task="ASR",
        level=1,
        group="asr",
        test="librispeech_test_other",
        figures=(_figure("WER", 4.9, 4.9, 5.1),),
    ),
    Row(
        task="ASR",
        level=1,
        group="asr",
        test="gigaspeech_test",
        figures=(_figure("WER", 9.1, 10.0, 9.2),),
    ),
    Row(
        task="En2Zh",
        level=1,
        group="translation_ec",
        test="covost2_test",
        figures=(_figure("BLEU4", 34.4, 33.1, 38.9),),
    ),
    Row(
        task="AAC",
        level=1,
        group="audiocaption",
        test="audiocaps_test",
        figures=(
            _figure("METEOR", 0.256, 0.240, 0.250),
            _figure("SPIDEr", 0.476, 0.403, 0.485),
        ),
    ),
    Row(
        task="PR",
        level=1,
        group="phone_recognition",
        test="librispeech_test_clean",
        figures=(_figure("PER", 4.2, 4.2, 3.1),),
    ),
    Row(
        task="ER",
        level=1,
        group="emotion_recognition",
        test="iemocap",
        figures=(_figure(_ACC, 0.63, 0.69, 0.81),),
    ),
    Row(
        task="MC",
        level=1,
        group="music_description",
        test="musiccaps_test",
        figures=(
            _figure("BLEU4", 3.5, 5.5, 6.1),
            _figure("ROUGE-L", 22.1, 21.8, 21.5),
        ),
    ),
    Row(
        task="OSR",
        level=1,
        group="speech_separation",
        test="librimix_test",
        figures=(_figure("WER", 20.7, 23.0, 7.6),),
        note="the order of the speakers that fits best counts",
    ),
    Row(
        task="SV",
        level=1,
        group="speaker_verification",
        test="voxceleb1_pairs",
        figures=(_figure(_ACC, 0.93, 0.94),),
    ),
    Row(
        task="GR",
        level=1,
        group="gender_recognition",
        test="",
        figures=(_figure(_ACC, None, None),),
        note="trained by the paper, not reported",
    ),
    Row(
        task="En2De",
        level=2,
        group="translation_en2de",
        test="covost2_test",
        figures=(_figure("BLEU4", 19.7, 18.6, 16.5, sure=False),),
    ),
    Row(
        task="En2Ja",
        level=2,
        group="translation_en2ja",
        test="covost2_test",
        figures=(_figure("BLEU4", 22.0, 22.7, 15.6, sure=False),),
    ),
    Row(
        task="KE",
        level=2,
        group="keywords",
        test="inspec",
        figures=(_figure(_ACC, 0.30, 0.32, 0.31, sure=False),),
        note="the share of the three keywords that are among the reference's",
    ),
    Row(
        task="SQQA",
        level=2,
        group="speech_query",
        test="wikiqa",
        figures=(_figure(_ACC, 0.19, 0.41, 0.77), _figure(_FR, 0.29, 0.98, 1.0)),
        note=f"{_JUDGED}; {_OURS}",
    ),
    Row(
        task="SF",
        level=2,
        group="slot_filling",
        test="slurp",
        figures=(_figure(_ACC, 0.33, 0.41, 0.46), _figure(_FR, 0.77, 0.99, 1.0)),
        note=f"{_JUDGED}; {_OURS}",
    ),
    Row(
        task="Story",
        level=3,
        group="audio_story_telling",
        test="audiocaps_test",
        figures=(_figure("diversity", 7.77, 82.57), _figure(_FR, 0.0, 1.0)),
        note=_OURS,
    ),
    Row(
        task="SAC",
        level=3,
        group="speech_audio_coreasoning",
        test="",
        figures=(_figure(_ACC, 0.02, 0.50), _figure(_FR, 0.04, 0.73)),
        note=f"the paper's set is not public; {_JUDGED}; {_OURS}",
    ),
)
"""The paper's rows, in its order."""
