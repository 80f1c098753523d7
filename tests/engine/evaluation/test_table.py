"""The table of a scripted model of 30 thousand weights, and the page it becomes."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from engine.data.manifest import Clip
from engine.evaluation.answerers import Model
from engine.evaluation.report import markdown, svg, write_report
from engine.evaluation.served import verdicts
from engine.evaluation.table import Table, fill, put_before
from engine.evaluation.trials import trials

TINY = Model(name="tiny", parameters=30_000)


class Scripted:
    """Answers from a list of what it was taught."""

    def __init__(self, mode, answers, *, model=TINY):
        self.mode, self.model, self._answers = mode, model, answers

    def serves(self, question):
        return question.task == "transcribe" or self.mode == "offline"

    def answer(self, questions, report):
        for _ in questions:
            report()
        return [self._answers.get(q.clip.path, "") for q in questions]


def clip(path, **facts):
    return Clip(path, Path(path), 2.0, facts)


CLIPS = [
    clip("1.wav", set="librispeech_test_clean", lang="en", text="go to sleep now"),
    clip("2.wav", set="librispeech_test_clean", lang="en", text="wake up"),
    clip("3.wav", set="esc10", task="sound-event", label="rain"),
    clip("4.wav", set="esc10", task="sound-event", label="rooster"),
    clip("5.wav", set="mine", captions=["A dog barks", "A dog is barking"]),
]
OFFLINE = {"1.wav": "go to sleep", "2.wav": "wake up", "3.wav": "Rain | wind"}
LIVE = {"1.wav": "go", "2.wav": "wake up"}


@pytest.fixture(scope="module")
def begun():
    return []


@pytest.fixture(scope="module")  # METEOR is a program of its own, which takes a while
def table(begun):
    answerers = [Scripted("offline", OFFLINE), Scripted("live", LIVE)]

    def begin(name, total):
        begun.append([name, total])
        return lambda: None

    todo = trials(CLIPS, tasks=["ASR", "Sound", "AAC"])
    return Table(TINY, fill(todo, answerers, begin))


def row(text, *cells):
    (line,) = [
        line
        for line in text.splitlines()
        if line.startswith(f"| {' | '.join(cells)} |")
    ]
    return [cell.strip() for cell in line.strip("| ").split(" | ")]


def test_offline_and_live_stand_beside_the_papers_values(table):
    cells = row(markdown(table), "ASR", "librispeech_test_clean", "WER")
    n, offline, live, activated, without, reference = cells[3:]
    assert n == "2"
    assert offline.startswith("16.7 [")
    assert live.startswith("50.0 [")
    assert (activated, without, reference) == ("2.1", "2.1", "2.2")


def test_a_value_of_another_set_says_of_which(table):
    cells = row(markdown(table), "AAC", "mine", "METEOR")
    assert cells[6] == "0.24 (audiocaps_test)"


def test_a_tiny_model_is_told_to_be_one(table):
    assert "**tiny has 30,000 parameters, a model for tests" in markdown(table)
    assert "nonsense" in markdown(table)
    real = Table(Model(name="real", parameters=10**9), table.results)
    assert "nonsense" not in markdown(real)


def test_what_is_not_served_or_not_computed_says_why(table):
    text = markdown(table)
    assert "not computed: AAC, live; Sound, live: tiny does not serve this live" in text
    assert "not computed: FENSE of AAC: " in text
    assert row(text, "Sound", "esc10", "accuracy")[5] == "–"


def test_progress_is_told_of_what_is_asked_only(table, begun):
    assert begun == [["offline", 2 + 1 + 2], ["live", 2]]


def test_all_that_is_asked_about_a_clip_is_asked_together():
    asked = []

    class Listed(Scripted):
        def answer(self, questions, report):
            asked.extend((q.clip.path, q.prompt) for q in questions)
            return [q.prompt for q in questions]

    spoken = [clip(f"{n}.wav", set="mine", text="go", gender="f") for n in (2, 1)]
    todo = trials(spoken, tasks=["ASR", "GR"])
    results = fill(todo, [Listed("offline", {})], lambda *_: lambda: None)
    assert [path for path, _ in asked] == ["1.wav", "1.wav", "2.wav", "2.wav"]
    for result in results:
        prompts = [question.prompt for question in result.trial.questions]
        assert result.cells[0].answers == prompts


def test_the_data_has_every_answer_and_every_reason(table):
    data = json.loads(json.dumps(table.as_json()))
    assert data["model"]["doubt"]
    asr = next(r for r in data["rows"] if r["task"] == "ASR")
    wer = asr["metrics"][0]
    assert wer["paper"]["with_activation"] == 2.1
    assert wer["offline"]["low"] <= wer["offline"]["value"] <= wer["offline"]["high"]
    assert asr["clips"][0] == {
        "path": "1.wav",
        "prompt": "Recognize the speech and give me the transcription.",
        "references": ["go to sleep now"],
        "offline": "go to sleep",
        "live": "go",
    }
    sound = next(r for r in data["rows"] if r["task"] == "Sound")
    assert sound["metrics"][0]["live"] == {
        "value": None,
        "reason": "tiny does not serve this live",
    }
    assert sound["metrics"][0]["offline"]["value"] == 0.5


def test_the_page_its_pictures_and_its_data_are_written(table, tmp_path):
    page = write_report(tmp_path / "out", table, notes=["the command"])
    text = page.read_text("utf-8")
    assert "the command" in text
    assert "![WER of each set](wer.svg)" in text
    assert json.loads((page.parent / "report.json").read_text("utf-8"))["rows"]
    drawn = ET.parse(page.parent / "wer.svg").getroot()
    space = "{http://www.w3.org/2000/svg}"
    assert len(drawn.findall(f"{space}circle")) == 2  # offline and live
    marks = [title.text for title in drawn.iter(f"{space}title")]
    assert "paper: 2.1" in marks


def test_a_bar_in_an_answer_breaks_no_table(table):
    papers, ours = markdown(table).split("## Ours")
    for part, bars in ((papers, 10), (ours, 7)):
        for line in part.splitlines():
            if line.startswith("| "):
                assert line.replace("\\|", "").count("|") == bars


def test_a_metric_that_nothing_has_gives_no_picture(table):
    assert svg(table, "FENSE") == ""


def test_an_earlier_table_stands_before_a_new_one_row_by_row(table):
    earlier = json.loads(json.dumps(table.as_json()))
    todo = trials([*CLIPS[2:4], clip("9.wav", set="new", lang="en", text="go")])
    new = Table(TINY, fill(todo, [Scripted("offline", {})], lambda *_: lambda: None))
    put_before(new, earlier)
    text = markdown(new)
    assert "| n | offline, before | live, before | offline |" in text
    assert row(text, "Sound", "esc10", "accuracy")[4:] == [
        "0.500 [0.000, 1.000]",
        "–",
        "0.000 [0.000, 0.000]",
    ]
    assert row(text, "ASR", "new", "WER")[3:6] == ["1", "–", "–"]


def test_a_file_that_is_no_table_is_refused(table):
    for data in ([], {"rows": [1]}, {"rows": [{"task": "ASR", "set": "x"}]}):
        with pytest.raises(ValueError, match="no table of salmonn-eval"):
            put_before(Table(TINY, table.results[:1]), data)


def spoken(code, count):
    """Return phrases in a language; whoever repeats their English is right."""
    return [
        clip(f"{code}{n}.wav", set="x", lang=code, text="a b c", translation_en=said)
        for n, said in enumerate(f"one or two {n}" for n in range(count))
    ]


def test_a_language_is_served_from_a_score_on_enough_phrases():
    clips = [*spoken("fr", 30), *spoken("da", 30), *spoken("el", 29)]
    said = {c.path: c.facts["translation_en"] for c in clips if c.path[:2] != "da"}
    results = fill(
        trials(clips, tasks=["X2En"]),
        [Scripted("offline", said)],
        lambda *_: lambda: None,
    )
    assert list(verdicts(results)) == [
        "X2En x, offline: served: fr 100.0 (30); "
        "refused: da 0.0 (30), el 100.0 (29, too few)"
    ]
    assert "- X2En x, offline: served: fr" in markdown(Table(TINY, results))


def test_one_language_alone_is_judged_by_the_score_of_all():
    clips = spoken("fr", 30)
    said = {c.path: c.facts["translation_en"] for c in clips}
    answers = [Scripted("offline", said), Scripted("live", {})]
    results = fill(trials(clips, tasks=["X2En"]), answers, lambda *_: lambda: None)
    (verdict,) = verdicts(results)
    assert verdict == "X2En x, offline: served: fr 100.0 (30); refused: none"
