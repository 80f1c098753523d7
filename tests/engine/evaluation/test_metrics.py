"""Scores against published examples, or the values of the library that defined them."""

from importlib.util import find_spec

import jiwer
import numpy as np
import pytest
from sacrebleu.metrics import BLEU, CHRF

from engine.evaluation import metrics, rates
from engine.evaluation.bootstrap import interval
from engine.evaluation.metrics import UnavailableError, measure

SPOKEN = ["the cat sat on the mat", "a quick brown fox", "it is what it is", "yes"]
HEARD = ["the cat sat on mat", "a quick brown box jumps", "it is what it is", ""]
SYSTEM = [
    "The dog bit the man.",
    "It wasn't surprising.",
    "The man had just bitten him.",
]
FIRST = [
    "The dog bit the man.",
    "It was not unexpected.",
    "The man bit him first.",
]
SECOND = [
    "The dog had bit the man.",
    "No one was surprised.",
    "The man had bitten the dog.",
]
BOTH = list(zip(FIRST, SECOND, strict=True))
"""sacrebleu's own example: its README scores it with 48.530827."""


def of_one(references):
    return [(reference,) for reference in references]


def test_word_errors_are_jiwers():
    score = measure(rates.word_error_rate(), of_one(SPOKEN), HEARD)
    assert score.value == pytest.approx(100 * jiwer.wer(SPOKEN, HEARD))
    assert score.unit == "%"
    assert not score.higher_is_better


def test_character_errors_are_jiwers():
    spoken, heard = ["下雨了，快走。", "你好"], ["下雪了快走", "你们好"]
    score = measure(rates.character_error_rate(), of_one(spoken), heard)
    assert score.value == pytest.approx(100 * 2 / 7)
    plain = [text.replace("，", "").replace("。", "") for text in spoken]
    assert score.value == pytest.approx(100 * jiwer.cer(plain, heard))


def test_characters_of_english_are_counted_in_the_words_that_wer_counts():
    """Whisper writes Mr. for MISTER: no error in either."""
    spoken, heard = [("MISTER BROWN",)], ["Mr. Brown"]
    assert measure(rates.character_error_rate("en"), spoken, heard).value == 0
    assert measure(rates.word_error_rate("en"), spoken, heard).value == 0


def test_english_is_normalised_as_whispers_authors_do():
    score = measure(
        rates.word_error_rate(),
        [("Mr. Brown's colour, twenty-one",)],
        ["mister brown's color 21"],
    )
    assert score.value == 0.0


def test_phones_are_compared_without_silence():
    references = [("sil K AH0 N Y UW1 sil",)]
    score = measure(rates.phone_error_rate(), references, ["K AH0 N Y UW2"])
    assert score.value == pytest.approx(100 * 1 / 5)


@pytest.mark.parametrize(
    ("answer", "errors"),
    [
        ("Speaker 1: go to sleep\nSpeaker 2: wake up", 0),
        ("Speaker 1: wake up\nSpeaker 2: go to sleep", 0),
        ("go to sleep wake up", 0),
        ("wake go to sleep", 1),
        ("", 5),
    ],
)
def test_the_order_of_speakers_does_not_matter(answer, errors):
    metric = rates.overlapped_word_error_rate()
    score = measure(metric, [("go to sleep", "wake up")], [answer])
    assert score.value == pytest.approx(100 * errors / 5)


def test_bleu_is_the_published_example():
    score = measure(metrics.bleu("13a"), BOTH, SYSTEM)
    assert score.value == pytest.approx(48.530827, abs=1e-6)
    assert score.value == pytest.approx(
        BLEU().corpus_score(SYSTEM, [FIRST, SECOND]).score
    )


def test_bleu_of_chinese_is_that_of_characters():
    answers, references = ["我在这里等你", "他不知道"], ["我在这儿等你", "他知道了"]
    score = measure(metrics.bleu("zh"), of_one(references), answers)
    expected = BLEU(tokenize="zh").corpus_score(answers, [references]).score
    assert score.value == pytest.approx(expected)
    assert 0 < score.value < 100


@pytest.mark.skipif(find_spec("MeCab") is not None, reason="mecab is installed")
def test_bleu_without_its_tokenizer_says_so():
    with pytest.raises(UnavailableError, match="BLEU4 cannot be computed here: "):
        measure(metrics.bleu("ja-mecab"), [("猫が好き",)], ["猫が好き"])


@pytest.mark.parametrize(
    ("answers", "references"),
    [(SYSTEM, [FIRST]), (SYSTEM, [FIRST, SECOND]), (["", "ab"], [["abc", "xyz"]])],
)
def test_chrf_is_sacrebleus(answers, references):
    score = measure(metrics.chrf(), list(zip(*references, strict=True)), answers)
    assert score.value == pytest.approx(CHRF().corpus_score(answers, references).score)


def test_rouge_l_is_the_example_of_its_paper():
    """Lin 2004, section 3: S1 "police killed the gunman", S2 and S3 against it."""
    reference = [("police killed the gunman",)]
    second = measure(metrics.rouge_l(), reference, ["police kill the gunman"])
    third = measure(metrics.rouge_l(), reference, ["the gunman kill police"])
    assert second.value == pytest.approx(100 * 3 / 4)
    assert third.value == pytest.approx(100 * 2 / 4)


def test_rouge_l_of_several_references_takes_the_best_of_each():
    """As coco-caption: best precision, best recall, F with beta 1.2."""
    score = measure(metrics.rouge_l(), [("a b c d", "a b")], ["a b x"])
    precision, recall = 2 / 3, 1.0
    expected = (1 + 1.44) * precision * recall / (recall + 1.44 * precision)
    assert score.value == pytest.approx(100 * expected)


def test_diversity_counts_different_words():
    score = measure(
        metrics.diversity(), [("",), ("",)], ["A dog, a DOG!", "One two three."]
    )
    assert score.value == pytest.approx((2 + 3) / 2)


def test_a_loop_at_the_end_counts_as_repeating():
    answers = ["and then " * 12, "a story that comes to an end"]
    assert measure(metrics.repeat_rate(), [("",), ("",)], answers).value == 50


def test_answers_that_do_not_fit_the_references_are_refused():
    with pytest.raises(ValueError, match="1 answers to 2 references"):
        measure(metrics.chrf(), of_one(["a", "b"]), ["a"])


def test_an_interval_of_shares_is_the_binomial_one():
    """900 of 1000: the normal approximation gives 0.9 ± 1.96 √(0.9·0.1/1000)."""
    statistics = metrics.pairs([(float(i < 900), 1.0) for i in range(1000)])
    found = interval(statistics, metrics.share)
    assert found is not None
    half = 1.96 * np.sqrt(0.9 * 0.1 / 1000)
    assert found.low == pytest.approx(0.9 - half, abs=0.004)
    assert found.high == pytest.approx(0.9 + half, abs=0.004)


def test_an_interval_is_the_same_every_time_and_holds_the_value():
    first, second = (
        measure(rates.word_error_rate(), of_one(SPOKEN), HEARD) for _ in range(2)
    )
    assert first == second
    assert first.interval is not None
    assert first.interval.low < first.value < first.interval.high


def test_one_clip_has_no_interval():
    score = measure(rates.word_error_rate(), of_one(["one two"]), ["one"])
    assert score.interval is None
    assert score.num_clips == 1


def test_a_score_over_some_clips_counts_only_those():
    some = metrics.among(metrics.diversity(), [True, False, True], "diversity of some")
    score = measure(some, [("",)] * 3, ["a b c", "a", "a"])
    assert (score.metric, score.value, score.num_clips) == ("diversity of some", 2.0, 2)
