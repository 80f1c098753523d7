from contextlib import nullcontext

import numpy as np
import pytest
import soundfile

from engine.api import Hypothesis, Mode, Word
from engine.data.manifest import Clip
from engine.errors import EngineError
from engine.evaluation import live
from engine.evaluation.answerers import (
    EngineAnswers,
    LiveAnswers,
    Model,
    TranscriberAnswers,
    model_of,
)
from engine.evaluation.questions import Question
from tests.fakes.engine import FULL_SCALE, ScriptedEngine, ScriptedReply, speak


def clip_of(folder, *words, name="a.wav", **facts):
    file = folder / name
    samples = np.frombuffer(speak(*words), "<i2").astype(np.float64) / FULL_SCALE
    soundfile.write(file, samples, 16_000, subtype="FLOAT")
    return Clip(name, file, len(samples) / 16_000, facts)


def nothing():
    """Nobody watches."""


def question(clip, prompt="What is it?", task=None):
    return Question(clip, prompt, task, ())


def test_an_engine_is_asked_in_words_about_the_whole_clip(tmp_path):
    engine = ScriptedEngine()
    answerer = EngineAnswers(engine, model_of(engine.info))
    clips = [clip_of(tmp_path, 7, 9), clip_of(tmp_path, 5, name="b.wav")]
    answers = answerer.answer([question(clip) for clip in clips], nothing)
    assert answers == ["What is it? 7 9", "What is it? 5"]
    assert engine.num_open == engine.num_replies == 0


def test_a_reply_has_an_end(tmp_path):
    engine = ScriptedEngine()
    answerer = EngineAnswers(engine, model_of(engine.info), max_tokens=2)
    (answer,) = answerer.answer([question(clip_of(tmp_path, 7))], nothing)
    assert answer == "What is"


def test_an_engine_that_answers_nothing_is_refused():
    engine = ScriptedEngine()
    engine.info = type(engine.info)(
        model="deaf",
        tasks=(),
        languages=(),
        max_samples=1,
        description="",
    )
    with pytest.raises(EngineError, match="deaf answers no free questions"):
        EngineAnswers(engine, model_of(engine.info))


class Reader(ScriptedEngine):
    """Answers about texts, too: repeats the question and the text."""

    def read(self, text, prompt):
        words = [Word(text=word, start=0, end=0) for word in text.split()]
        return ScriptedReply(self, prompt, words)


def test_a_text_is_asked_about_in_place_of_a_clip(tmp_path):
    engine = Reader()
    answerer = EngineAnswers(engine, model_of(engine.info))
    absent = Clip("none.wav", tmp_path / "none.wav", 1.0, {})
    written = Question(absent, "In French:", None, (), read="A zebra.")
    assert answerer.serves(written)
    assert answerer.answer([written], nothing) == ["In French: A zebra."]
    assert engine.num_replies == engine.num_open == 0


def test_what_was_heard_as_text_is_asked_about(tmp_path):
    engine = Reader()
    answerer = EngineAnswers(engine, model_of(engine.info))
    clip = clip_of(tmp_path, 7, 9)
    heard = Question(clip, "Translate:", "translate:zh", (), from_transcript=True)
    assert answerer.answer([heard], nothing) == ["Translate: 7 9"]


def test_an_engine_that_reads_nothing_serves_no_texts(tmp_path):
    engine = ScriptedEngine()
    answerer = EngineAnswers(engine, model_of(engine.info))
    clip = clip_of(tmp_path, 7)
    assert not answerer.serves(Question(clip, "In French:", None, (), read="A zebra."))
    assert not answerer.serves(Question(clip, "?", None, (), from_transcript=True))


def test_questions_about_one_clip_share_it_and_are_answered_together(tmp_path):
    engine = ScriptedEngine()
    answerer = EngineAnswers(engine, model_of(engine.info))
    one, other = clip_of(tmp_path, 7), clip_of(tmp_path, 5, name="b.wav")
    asked = [question(one, "Who?"), question(one, "Is it?"), question(other, "Who?")]
    assert answerer.answer(asked, nothing) == ["Who? 7", "Is it? 7", "Who? 5"]
    assert engine.num_pushes == 2
    assert engine.batches[0] == 3


class CountedSamples:
    """Hears how many samples a clip has."""

    def __init__(self):
        self.info = ScriptedEngine().info
        self.is_closed = False

    def hear(self, samples, options):
        (task,) = options.tasks
        text = f"{task} {len(samples)}"
        return [
            Hypothesis(
                task=task,
                text=text,
                stable=len(text),
                is_final=True,
                language="en",
                mode=Mode.EXACT,
            )
        ]

    def close(self):
        self.is_closed = True


def test_a_transcriber_hears_its_tasks_and_is_loaded_when_it_is_needed(tmp_path):
    loaded = []

    def load():
        loaded.append(CountedSamples())
        return loaded[-1]

    answerer = TranscriberAnswers(load)
    assert not loaded
    clip = clip_of(tmp_path, 3)
    assert answerer.serves(question(clip, task="transcribe"))
    assert not answerer.serves(question(clip, task="describe"))
    assert not answerer.serves(question(clip))
    answers = answerer.answer([question(clip, task="transcribe")], nothing)
    assert answers == ["transcribe 4800"]
    assert len(loaded) == 1
    answerer.close()
    assert loaded[0].is_closed


def no_server(config, flags):
    return nullcontext(("ws://here", 1))


def test_parts_and_pairs_reach_a_server_as_files_of_their_own(tmp_path, monkeypatch):
    streamed = {}

    def hear(url, files, *flags, report):
        assert len(set(files)) == len(files)
        streamed.update({f: len(soundfile.read(f)[0]) for f in files})
        assert flags == ("--task", "transcribe", "--fast")
        return [[{"type": "final", "text": str(streamed[file])}] for file in files]

    monkeypatch.setattr(live, "running_server", no_server)
    monkeypatch.setattr(live, "hear", hear)
    whole = clip_of(tmp_path, 1, 2)
    other = clip_of(tmp_path, 3, name="b.wav").file
    part = Clip("a.wav", whole.file, 0.2, {"start_s": 0.1})
    pair = Clip("a.wav", whole.file, 1.0, {}, (other,))
    answerer = LiveAnswers(("transcribe",), Model(name="mini"), flags=("--fast",))
    asked = [question(clip, task="transcribe") for clip in (whole, part, pair)]
    assert answerer.serves(asked[0])
    assert not answerer.serves(question(whole))
    assert answerer.answer(asked, nothing) == ["9600", "3200", "16000"]


def test_a_server_translates_its_own_transcript_by_name(tmp_path, monkeypatch):
    flags_of = []

    def hear(url, files, *flags, report):
        flags_of.append(flags)
        final, answer = (
            {"type": "final", "text": "早"},
            {"type": "answer", "text": "晚"},
        )
        return [[final, answer] for _ in files]

    monkeypatch.setattr(live, "running_server", no_server)
    monkeypatch.setattr(live, "hear", hear)
    clip = clip_of(tmp_path, 1)
    answerer = LiveAnswers(("translate:zh",), Model(name="mini"), is_asked=True)
    by_ear = Question(clip, "Into Chinese?", "translate:zh", ())
    by_text = Question(clip, "Chinese:", "translate:zh", (), from_transcript=True)
    assert answerer.serves(by_text)
    assert answerer.answer([by_ear, by_text], nothing) == ["晚", "早"]
    assert flags_of == [("--ask", "Into Chinese?"), ("--task", "translate:zh")]
    assert not answerer.serves(Question(clip, "?", "translate:fr", (), read="Go."))
    untaught = LiveAnswers((), Model(name="mini"), is_asked=True)
    assert not untaught.serves(by_text)


def test_a_server_is_asked_each_question_about_its_clips(tmp_path, monkeypatch):
    asked = []

    def hear(url, files, *flags, report):
        asked.append((flags, [file.name for file in files]))
        if "nothing" in flags[1]:
            error = {"type": "error", "text": None, "message": "takes no questions"}
            return [[error] for _ in files]
        return [
            [{"type": "final", "text": "no"}, {"type": "answer", "text": file.name}]
            for file in files
        ]

    monkeypatch.setattr(live, "running_server", no_server)
    monkeypatch.setattr(live, "hear", hear)
    one, other = clip_of(tmp_path, 1), clip_of(tmp_path, 2, name="b.wav")
    answerer = LiveAnswers((), Model(name="mini"), is_asked=True)
    questions = [question(one, "Who?"), question(one, "What?"), question(other, "Who?")]
    assert answerer.serves(questions[0])
    assert answerer.answer(questions, nothing) == ["a.wav", "a.wav", "b.wav"]
    assert asked == [
        (("--ask", "Who?"), ["a.wav", "b.wav"]),
        (("--ask", "What?"), ["a.wav"]),
    ]
    with pytest.raises(live.LiveError, match="no question: takes no questions"):
        answerer.answer([question(one, "nothing")], nothing)


@pytest.mark.parametrize(
    ("model", "doubt"),
    [
        (Model(name="m", parameters=30_000), "m has 30,000 parameters, a model for"),
        (Model(name="m", parameters=10**9, steps=0), "m is untrained: its figures are"),
        (Model(name="m", parameters=10**9, steps=9), ""),
        (Model(name="m"), ""),
    ],
)
def test_a_model_that_cannot_make_sense_says_so(model, doubt):
    assert model.doubt.startswith(doubt)
    assert bool(model.doubt) == bool(doubt)
