"""coco-caption's programs through our door; what is not there is told by name."""

import shutil
from importlib.util import find_spec

import pytest

from engine.evaluation import captions
from engine.evaluation.captions import caption_metric
from engine.evaluation.metrics import UnavailableError, measure

KNOWN = [
    ("A dog barks loudly.", "A dog is barking"),
    ("Rain falls on a roof", "It is raining"),
    ("A man speaks", "A man is talking"),
]
needs_package = pytest.mark.skipif(
    find_spec(captions.PACKAGE) is None, reason="needs the extra `captions`"
)
needs_java = pytest.mark.skipif(
    shutil.which("java") is None, reason="needs Debian's default-jre-headless"
)


@needs_package
@needs_java
def test_cider_is_that_of_its_authors():
    """Identical captions: each order of n-grams matches wholly, times ten, less where
    a caption is too short to have the order."""
    same = measure(
        caption_metric("CIDEr-D"), [(a,) for a, _ in KNOWN], [a for a, _ in KNOWN]
    )
    other = measure(caption_metric("CIDEr-D"), KNOWN, ["birds sing", "", "wind"])
    assert other.value == 0
    assert same.value == pytest.approx(10 * (1 + 1 + 3 / 4) / 3)


@needs_package
@needs_java
@pytest.mark.slow
def test_meteor_is_one_for_the_reference_and_less_for_a_paraphrase():
    answers = ["A dog barks loudly.", "rain is falling on the roof", "birds sing"]
    score = measure(caption_metric("METEOR"), KNOWN, answers)
    whole = measure(caption_metric("METEOR"), KNOWN, [a for a, _ in KNOWN])
    assert whole.value == pytest.approx(1.0)
    assert 0.2 < score.value < 0.9
    assert score.interval is not None
    assert score.interval.low < score.value < score.interval.high


@needs_package
@needs_java
def test_cider_of_one_clip_cannot_be_computed():
    with pytest.raises(UnavailableError, match="CIDEr-D cannot be computed here"):
        measure(caption_metric("CIDEr-D"), KNOWN[:1], ["a dog"])


@pytest.mark.parametrize("name", ["SPICE", "SPIDEr", "FENSE"])
def test_what_a_metric_lacks_is_told_by_name(name):
    if not captions.missing(name):
        pytest.skip(f"{name} can be computed here")
    with pytest.raises(UnavailableError, match=f"{name} cannot be computed here: "):
        measure(caption_metric(name), KNOWN, ["a", "b", "c"])


def test_without_java_that_is_what_is_missing(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(captions, "find_spec", lambda _: find_spec("numpy"))
    assert "no Java" in captions.missing("METEOR")


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(captions, "find_spec", lambda _: None)
    assert "the extra `captions`" in captions.missing("METEOR")
