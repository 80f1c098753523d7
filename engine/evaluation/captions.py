"""METEOR, CIDEr-D, SPICE and SPIDEr of captions, by coco-caption's own programs.

The package pycocoevalcap ships METEOR and the tokenizer (Java) and CIDEr-D.  SPICE, and
SPIDEr with it, also needs Stanford's models, which it does not ship; FENSE needs two
models and a package that does not run beside ours.  What cannot be computed is told by
name; nothing is downloaded, and nothing is put in its place (docs/adr/0018).

Source:
    coco-caption (Chen et al. 2015, arXiv:1504.00325), in pycocoevalcap 1.2.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from engine.evaluation.bootstrap import Statistics
from engine.evaluation.metrics import Metric, References, UnavailableError

METEOR, CIDER, SPICE, SPIDER, FENSE = "METEOR", "CIDEr-D", "SPICE", "SPIDEr", "FENSE"
NAMES = (METEOR, CIDER, SPICE, SPIDER, FENSE)
PACKAGE = "pycocoevalcap"
SPICE_MODELS = "spice/lib/stanford-corenlp-3.6.0-models.jar"

Texts = dict[int, list[str]]
"""Of each clip, as coco-caption takes them."""


def caption_metric(name: str) -> Metric:
    """Return a metric of `NAMES`; using it may raise UnavailableError.

    The value is that of the corpus; its interval comes from the clips' own scores.
    """
    assert name in NAMES, name

    def statistics(references: References, answers: Sequence[str]) -> Statistics:
        if reason := missing(name):
            raise UnavailableError(name, reason)
        if name in {CIDER, SPIDER} and len(answers) < 2:
            raise UnavailableError(name, "it weighs words by how few clips have them")
        try:
            corpus, each = _compute(name, *_tokenized(references, answers))
        except OSError as exc:  # Java that ends early, a folder that is read-only
            raise UnavailableError(name, str(exc)) from exc
        n = len(each)
        rest = (corpus - each.mean()) / n  # METEOR's is not the mean of its clips
        return np.stack([each, np.ones(n), np.full(n, rest)], axis=1)

    def value(total: Statistics) -> float:
        return float(total[0] / total[1] + total[2])

    return Metric(name=name, statistics=statistics, value=value)


def missing(name: str) -> str:
    """Return what a metric would need that is not on this machine; empty if nothing."""
    if name == FENSE:
        return "aac-metrics, which has it, does not install beside these versions"
    package = find_spec(PACKAGE)
    if package is None or not package.submodule_search_locations:
        return f"the package {PACKAGE} is not installed (the extra `captions`)"
    if shutil.which("java") is None:
        return "there is no Java (Debian: default-jre-headless)"
    models = Path(package.submodule_search_locations[0]) / SPICE_MODELS
    if name in {SPICE, SPIDER} and not models.is_file():
        return f"{PACKAGE} comes without {models.name}, which SPICE needs"
    return ""


def _compute(name: str, known: Texts, answers: Texts) -> tuple[float, Statistics]:
    """Return the score of the corpus, and that of each clip."""
    if name == METEOR:
        with _meteor() as meteor:
            score, each = meteor.compute_score(known, answers)
            return float(score), np.array(each)
    if name == SPIDER:
        parts = [_compute(part, known, answers) for part in (CIDER, SPICE)]
        corpus = sum(score for score, _ in parts) / len(parts)
        return corpus, np.mean([each for _, each in parts], axis=0)
    if name == SPICE:
        from pycocoevalcap.spice.spice import Spice

        score, found = Spice().compute_score(known, answers)
        return float(score), np.array([clip["All"]["f"] for clip in found])
    from pycocoevalcap.cider.cider import Cider

    score, each = Cider().compute_score(known, answers)
    return float(score), np.asarray(each)


@contextmanager
def _meteor() -> Iterator[Any]:
    from pycocoevalcap.meteor.meteor import Meteor

    meteor = Meteor()
    try:
        yield meteor
    finally:
        process = meteor.meteor_p
        process.kill()
        process.communicate()


def _tokenized(references: References, answers: Sequence[str]) -> tuple[Texts, Texts]:
    """Return references and answers in small letters, without marks."""
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    # An empty line would be lost, and with it the order of all that follow.
    known = {
        number: [{"caption": " ".join(text.split()) or "."} for text in texts]
        for number, texts in enumerate([*references, *([a] for a in answers)])
    }
    found = PTBTokenizer().tokenize(known)
    n = len(references)
    return (
        {number: found[number] for number in range(n)},
        {number: found[n + number] for number in range(n)},
    )
