"""What every engine promises, as tests that each engine inherits.

class TestLocalEngine(EngineContract):
    @pytest.fixture
    def engine(self): ...
    @pytest.fixture
    def audio(self): ...      # some seconds that the engine finds words in
    @pytest.fixture
    def other_audio(self): ... # others, with other words
"""

from dataclasses import replace
from itertools import zip_longest

import numpy as np
import pytest

from engine.api import Engine, Finish, Prompt, Samples, UtteranceOptions, by_task
from engine.errors import TooLongError, UnsupportedError

PIECE = 1_600  # samples; 100 ms
BLOCK = 5_440  # samples; 0.34 s


def pieces(audio: Samples, size: int = PIECE) -> list[Samples]:
    return [audio[i : i + size] for i in range(0, len(audio), size)]


def texts(hypotheses):
    return {hypothesis.task: hypothesis.text for hypothesis in hypotheses}


def hear(engine: Engine, audio: Samples, size: int, options=None):
    utterance = engine.open(options or UtteranceOptions())
    for piece in pieces(audio, size):
        utterance.push(piece)
    finals = utterance.final()
    utterance.close()
    return finals


class EngineContract:
    """Inherited by the tests of each engine."""

    def test_the_words_are_found(self, engine, audio, other_audio):
        first, second = (
            texts(hear(engine, clip, len(clip))) for clip in (audio, other_audio)
        )
        assert first["transcribe"]
        assert second["transcribe"]
        assert first != second

    @pytest.mark.parametrize("size", [320, PIECE, 7_777])
    def test_heard_in_pieces_is_as_heard_at_once(self, engine, audio, size):
        assert hear(engine, audio, size) == hear(engine, audio, len(audio))

    def test_finals_are_final_and_stable_to_their_end(self, engine, audio):
        for hypothesis in hear(engine, audio, PIECE):
            assert hypothesis.is_final
            assert hypothesis.stable == len(hypothesis.text)
            assert hypothesis.language in engine.info.languages

    def test_the_stable_prefix_only_grows_and_stands_in_the_final(self, engine, audio):
        utterance = engine.open(UtteranceOptions())
        stable = ""
        for piece in pieces(audio, BLOCK):
            utterance.push(piece)
            (hypothesis,) = utterance.partial()
            assert not hypothesis.is_final
            assert 0 <= hypothesis.stable <= len(hypothesis.text)
            assert hypothesis.text[: hypothesis.stable].startswith(stable)
            stable = hypothesis.text[: hypothesis.stable]
        (final,) = utterance.final()
        utterance.close()
        assert final.text.startswith(stable)

    def test_partials_do_not_change_where_it_ends(self, engine, audio):
        utterance = engine.open(UtteranceOptions())
        for piece in pieces(audio):
            utterance.push(piece)
            utterance.final()
        after_many = utterance.final()
        utterance.close()
        assert texts(after_many) == texts(hear(engine, audio, PIECE))

    def test_a_final_asked_for_twice_is_the_same(self, engine, audio):
        utterance = engine.open(UtteranceOptions())
        utterance.push(audio)
        assert utterance.final() == utterance.final()
        utterance.close()

    def test_a_final_is_void_when_more_is_heard(self, engine, audio):
        utterance = engine.open(UtteranceOptions())
        utterance.push(audio[: len(audio) // 2])
        early = texts(utterance.final())
        utterance.push(audio[len(audio) // 2 :])
        late = texts(utterance.final())
        utterance.close()
        assert late == texts(hear(engine, audio, len(audio)))
        assert late != early

    def test_two_utterances_do_not_hear_each_other(self, engine, audio, other_audio):
        clips = audio, other_audio
        together = [engine.open(UtteranceOptions()) for _ in clips]
        # What is stable depends on when partials were asked for: both times alike.
        for step in zip_longest(*map(pieces, clips)):
            for utterance, piece in zip(together, step, strict=True):
                if piece is not None:
                    utterance.push(piece)
                    utterance.partial()
        found = [texts(utterance.final()) for utterance in together]
        for utterance in together:
            utterance.close()

        for clip, expected in zip(clips, found, strict=True):
            alone = engine.open(UtteranceOptions())
            for piece in pieces(clip):
                alone.push(piece)
                alone.partial()
            assert texts(alone.final()) == expected
            alone.close()

    @pytest.mark.parametrize("heard", ["audio", "other_audio"])
    def test_what_another_engine_told_as_stable_begins_what_is_said(
        self, engine, audio, request, heard
    ):
        (final,) = hear(engine, audio, len(audio))
        words = final.text.split()
        stable = " ".join(words[: max(1, len(words) // 2)])
        assert stable
        told = replace(final, is_final=False, stable=len(stable))
        utterance = engine.open(UtteranceOptions(told=(told,)))
        for piece in pieces(request.getfixturevalue(heard), BLOCK):
            utterance.push(piece)
            (partial,) = utterance.partial()
            assert partial.text[: partial.stable].startswith(stable)
        (last,) = utterance.final()
        utterance.close()
        assert last.text.startswith(stable)

    def test_all_tasks_are_answered_in_one_utterance(self, engine, audio):
        options = UtteranceOptions(tasks=engine.info.tasks)
        answers = by_task(hear(engine, audio, PIECE, options))
        assert set(answers) == set(engine.info.tasks)

    def test_silence_has_no_words(self, engine):
        (final,) = hear(engine, np.zeros(16_000, np.float32), PIECE)
        assert final.text == ""

    def test_an_utterance_of_nothing_has_no_words(self, engine):
        (final,) = hear(engine, np.zeros(0, np.float32), PIECE)
        assert final.text == ""

    def test_words_lie_inside_the_utterance_in_order(self, engine, audio):
        (final,) = hear(engine, audio, PIECE, UtteranceOptions(words=True))
        assert final.words
        bounds = [(word.start, word.end) for word in final.words]
        assert all(0 <= start <= end <= len(audio) for start, end in bounds)
        assert bounds == sorted(bounds)

    def test_a_task_that_is_not_served_is_refused(self, engine):
        with pytest.raises(UnsupportedError, match="no task 'sing'"):
            engine.check(UtteranceOptions(tasks=("sing",)))
        with pytest.raises(UnsupportedError):
            engine.open(UtteranceOptions(tasks=("sing",)))

    @pytest.mark.parametrize("language", ["xx", ""])
    def test_a_language_that_is_not_served_is_refused(self, engine, language):
        with pytest.raises(UnsupportedError, match=f"no language '{language}'"):
            engine.check(UtteranceOptions(language=language))

    def test_an_utterance_may_be_as_long_as_it_is_said(self, engine, audio):
        utterance = engine.open(UtteranceOptions())
        for piece in pieces(np.resize(audio, engine.info.max_samples), 16_000):
            utterance.push(piece)
        (partial,) = utterance.partial()
        (final,) = utterance.final()
        utterance.close()
        assert partial.text
        assert final.text

    def test_an_utterance_that_grows_too_long_is_an_error(self, engine):
        utterance = engine.open(UtteranceOptions())
        with pytest.raises(TooLongError):
            utterance.push(np.zeros(engine.info.max_samples + 1, np.float32))
        utterance.close()

    def test_a_prompt_that_is_not_served_is_refused(self, engine):
        with pytest.raises(UnsupportedError, match="no task 'sing'"):
            engine.check_prompt(Prompt(task="sing"))
        with pytest.raises(UnsupportedError):
            engine.check(UtteranceOptions(prompted=("sing",)))


def reply_to(engine: Engine, audio: Samples, prompt: Prompt, size: int = PIECE) -> str:
    """Return the answer to one prompt about audio, and nothing else asked."""
    utterance = engine.open(UtteranceOptions(tasks=()))
    for piece in pieces(audio, size):
        utterance.push(piece)
    reply = utterance.ask(prompt)
    utterance.close()
    finish(engine, reply)
    text = reply.text
    reply.close()
    return text


def finish(engine: Engine, *replies) -> None:
    """Generate until every reply has ended."""
    while going_on := [reply for reply in replies if reply.finish is None]:
        engine.generate(going_on)


QUESTIONS = (
    Prompt(text="What do you hear?", max_tokens=12),
    Prompt(text="Is anyone there? Say who.", max_tokens=7),
)


WEIGHED = ("7", "8 bells", "9 o'clock")


def weights(engine: Engine, audio: Samples, names) -> list[float]:
    """Return how likely each thing is heard in audio, in log-odds."""
    utterance = engine.open(UtteranceOptions(tasks=()))
    utterance.push(audio)
    found = utterance.weigh(names)
    utterance.close()
    return found


class PromptContract:
    """Inherited, beside `EngineContract`, by the tests of engines that take prompts."""

    def test_replies_differ_by_question_and_by_audio(self, engine, audio, other_audio):
        replies = {
            reply_to(engine, clip, question)
            for clip in (audio, other_audio)
            for question in QUESTIONS
        }
        assert len(replies) == 4

    def test_the_longest_audio_can_be_asked_about(self, engine, audio):
        long = np.resize(audio, engine.info.max_samples)
        assert reply_to(engine, long, QUESTIONS[0], 16_000)

    def test_a_reply_only_grows_and_says_why_it_ended(self, engine, audio):
        utterance = engine.open(UtteranceOptions())
        utterance.push(audio)
        reply = utterance.ask(QUESTIONS[0])
        assert (reply.text, reply.num_tokens, reply.finish) == ("", 0, None)
        assert reply.num_prompt_tokens > 0
        while reply.finish is None:
            before = reply.text
            engine.generate([reply])
            assert reply.text.startswith(before)
        assert reply.num_tokens <= QUESTIONS[0].max_tokens
        if reply.num_tokens < QUESTIONS[0].max_tokens:
            assert reply.finish in (Finish.STOP, Finish.LOOP)
        reply.close()
        utterance.close()

    @pytest.mark.parametrize("size", [320, 7_777])
    def test_asked_about_pieces_is_as_asked_about_all(self, engine, audio, size):
        whole = reply_to(engine, audio, QUESTIONS[0], len(audio))
        assert reply_to(engine, audio, QUESTIONS[0], size) == whole

    def test_replies_in_one_pass_are_as_each_alone(self, engine, audio, other_audio):
        clips = audio, other_audio
        replies = []
        for clip in clips:
            utterance = engine.open(UtteranceOptions(tasks=()))
            utterance.push(clip)
            replies += [utterance.ask(question) for question in QUESTIONS]
            utterance.close()
        engine.generate(replies[:1])  # they need not begin together
        finish(engine, *replies)
        together = [reply.text for reply in replies]
        for reply in replies:
            reply.close()
        alone = [
            reply_to(engine, clip, q, len(clip)) for clip in clips for q in QUESTIONS
        ]
        assert together == alone

    def test_a_reply_is_about_what_was_heard_when_it_was_asked(
        self, engine, audio, other_audio
    ):
        utterance = engine.open(UtteranceOptions(tasks=()))
        utterance.push(audio)
        reply = utterance.ask(QUESTIONS[0])
        utterance.push(other_audio)
        finish(engine, reply)
        text = reply.text
        reply.close()
        utterance.close()
        assert text == reply_to(engine, audio, QUESTIONS[0], len(audio))

    def test_questions_do_not_change_the_finals(self, engine, audio):
        utterance = engine.open(UtteranceOptions())
        for piece in pieces(audio, len(audio) // 3):
            utterance.push(piece)
            reply = utterance.ask(QUESTIONS[0])
            engine.generate([reply])
            reply.close()
        found = texts(utterance.final())
        utterance.close()
        assert found == texts(hear(engine, audio, len(audio)))

    def test_a_cancelled_reply_disturbs_no_other(self, engine, audio):
        utterance = engine.open(UtteranceOptions(tasks=()))
        utterance.push(audio)
        kept, dropped = (utterance.ask(question) for question in QUESTIONS)
        engine.generate([kept, dropped])
        dropped.close()
        finish(engine, kept)
        text = kept.text
        kept.close()
        utterance.close()
        assert text == reply_to(engine, audio, QUESTIONS[0], len(audio))

    def test_answers_are_weighed_by_what_is_heard(self, engine, audio, other_audio):
        one, other = (weights(engine, clip, WEIGHED) for clip in (audio, other_audio))
        assert len(one) == len(WEIGHED)
        assert one != pytest.approx(other, abs=1e-3)

    def test_questions_in_one_pass_weigh_as_each_alone(self, engine, audio):
        together = weights(engine, audio, WEIGHED)
        alone = [weights(engine, audio, (name,))[0] for name in WEIGHED]
        assert together == pytest.approx(alone, abs=1e-4)
        assert weights(engine, audio, ()) == []

    def test_weighing_disturbs_nothing(self, engine, audio):
        plain = engine.open(UtteranceOptions())
        weighed = engine.open(UtteranceOptions())
        found = []
        for utterance in (plain, weighed):
            reply = None
            for piece in pieces(audio, len(audio) // 3):
                utterance.push(piece)
                if utterance is weighed:
                    first = utterance.weigh(WEIGHED)
                partial = texts(utterance.partial())
                if utterance is weighed:
                    assert utterance.weigh(WEIGHED) == pytest.approx(first, abs=1e-4)
                reply = reply or utterance.ask(QUESTIONS[0])
            finish(engine, reply)
            found.append((partial, texts(utterance.final()), reply.text))
            reply.close()
            utterance.close()
        assert found[0] == found[1]

    def test_every_prompted_task_is_answered(self, engine, audio):
        options = UtteranceOptions(tasks=(), prompted=engine.info.prompted_tasks)
        utterance = engine.open(options)
        utterance.push(audio)
        replies = [
            utterance.ask(Prompt(task=task, max_tokens=3)) for task in options.prompted
        ]
        finish(engine, *replies)
        assert all(reply.finish for reply in replies)
        for reply in replies:
            reply.close()
        utterance.close()


class SpeakersContract:
    """Inherited by the tests of each engine that tells speakers apart."""

    def test_turns_have_no_gaps_and_cover_what_was_heard(self, engine, audio):
        speakers = engine.open_speakers(2)
        for piece in pieces(audio, BLOCK):
            speakers.push(3, piece)
        (told,) = speakers.end(3).segments
        speakers.close()
        assert told.segment == 3
        assert (told.turns[0].start, told.turns[-1].end) == (0, len(audio))
        for turn, following in zip_longest(told.turns, told.turns[1:]):
            assert turn.start < turn.end
            assert following is None or turn.end == following.start
            assert following is None or turn.speaker != following.speaker

    @pytest.mark.parametrize("size", [320, 7_777])
    def test_turns_are_the_same_however_audio_was_cut(self, engine, audio, size):
        told = []
        for cut in (size, len(audio)):
            speakers = engine.open_speakers(3)
            for segment in (1, 2):
                for piece in pieces(audio, cut):
                    speakers.push(segment, piece)
                told.append(speakers.end(segment))
            speakers.close()
        assert told[:2] == told[2:]

    def test_there_are_no_more_speakers_than_may_be(self, engine, audio, other_audio):
        for most in (1, 2):
            speakers = engine.open_speakers(most)
            found = set()
            for segment, clip in enumerate((audio, other_audio, audio)):
                speakers.push(segment, clip)
                for told in speakers.end(segment).segments:
                    found |= {turn.speaker for turn in told.turns}
            speakers.close()
            assert len(found - {0}) <= most

    def test_sessions_do_not_know_each_other_s_voices(self, engine, audio, other_audio):
        alone = engine.open_speakers(4)
        alone.push(1, audio)
        expected = alone.end(1)
        one, other = engine.open_speakers(4), engine.open_speakers(4)
        other.push(1, other_audio)
        other.end(1)
        one.push(1, audio)
        assert one.end(1) == expected
        for speakers in (alone, one, other):
            speakers.close()

    def test_who_was_enrolled_is_known_from_the_first_segment_on(
        self, engine, audio, other_audio
    ):
        speakers = engine.open_speakers(4)
        speakers.push(1, other_audio)
        speakers.end(1)
        known = speakers.enrol(audio[:96_000])
        speakers.push(2, audio)
        (told,) = (t for t in speakers.end(2).segments if t.segment == 2)
        speakers.close()
        assert {turn.speaker for turn in told.turns} == {known}

    def test_two_who_were_enrolled_are_two(self, engine, audio, other_audio):
        speakers = engine.open_speakers(2)
        first, second = speakers.enrol(audio), speakers.enrol(other_audio)
        speakers.close()
        assert first != second

    def test_of_a_segment_that_was_never_heard_nothing_is_told(self, engine):
        speakers = engine.open_speakers(1)
        assert speakers.end(9).segments == ()
        speakers.close()
