import pytest
import torch

from engine.decoding import Decoded
from engine.transcriber import Question, Transcriber
from engine.whisper import TRANSCRIBE, TRANSLATE
from engine.whisper_decoder import TokenDecoder
from tests.engine.test_whisper_decoder import cross_of


@pytest.fixture
def decoder(tiny_whisper):
    return TokenDecoder(tiny_whisper.model)


@pytest.fixture
def question(decoder):
    cross = cross_of(decoder, torch.randn(100, 64))
    return {"cross": cross, "task": TRANSCRIBE, "language": "en", "heard_frames": 100}


@pytest.fixture
def ask(tiny_whisper, decoder, question):
    def ask(*, beams=1, **changes):
        transcriber = Transcriber(tiny_whisper, decoder, beams=beams)
        return transcriber.answer(Question(**question | changes))

    return ask


@pytest.fixture
def out_of_place(monkeypatch):
    """Let a test say which tokens are out of place, one verdict an attempt."""

    def say(*verdicts):
        left = list(verdicts)
        monkeypatch.setattr(
            "engine.transcriber.misplaced", lambda *_, **__: left.pop(0)
        )

    return say


@pytest.mark.parametrize("beams", [1, 3])
def test_each_token_has_its_frame_and_its_probability(ask, out_of_place, beams):
    out_of_place(None)
    answer = ask(beams=beams, forced=(5, 6))
    assert answer.tokens[:2] == (5, 6)
    assert len(answer.frames) == len(answer.logprobs) == len(answer.tokens)
    assert answer.logprobs[:2] == (0.0, 0.0)
    assert all(0 <= frame < 100 for frame in answer.frames)


def test_a_token_out_of_place_is_barred_and_the_model_asked_again(ask, out_of_place):
    out_of_place(None)
    plain = ask()
    assert len(plain.tokens) > 1
    out_of_place(1, None)
    again = ask()
    assert again.tokens[:1] == plain.tokens[:1]
    assert again.tokens[1:2] != plain.tokens[1:2]
    assert len(again.frames) == len(again.logprobs) == len(again.tokens)
    assert again.logprobs[0] == pytest.approx(plain.logprobs[0], abs=1e-4)


def test_what_is_still_out_of_place_is_cut(ask, out_of_place):
    out_of_place(1, 1)
    answer = ask()
    assert len(answer.tokens) == len(answer.frames) == len(answer.logprobs) == 1


def test_forced_tokens_are_in_place_wherever_they_were_heard(ask, out_of_place):
    out_of_place(0)
    assert ask(forced=(5, 6)).tokens[:2] == (5, 6)


def test_a_translation_may_follow_any_order(ask, out_of_place):
    out_of_place()  # asking for a verdict would fail
    assert ask(task=TRANSLATE).tokens


def test_a_language_that_the_model_is_not_sure_of_is_not_believed(ask, out_of_place):
    out_of_place(None)
    answer = ask(language=None, guess="zh", confidence=1.1)
    assert answer.language == "zh"
    assert not answer.language_is_sure


@pytest.mark.parametrize("guess", ["en", "zh"])
def test_a_sure_language_is_believed_whatever_was_guessed(ask, out_of_place, guess):
    out_of_place(None)
    answer = ask(language=None, guess=guess, confidence=0.0)
    assert answer.language_is_sure
    out_of_place(None)
    assert answer.tokens == ask(language=answer.language).tokens


def test_a_partial_says_little_more_than_the_last_one(ask, out_of_place):
    out_of_place(None)
    assert len(ask(forced=(5, 6), max_new=1).tokens) <= 3


def test_a_partial_that_goes_on_behind_the_audio_is_cut_at_once(
    ask, out_of_place, monkeypatch
):
    out_of_place(None)
    assert len(ask(max_new=9).tokens) > 2
    monkeypatch.setattr("engine.transcriber.is_behind_audio", lambda *_, **__: True)
    out_of_place(0)  # asking for a second verdict would fail
    answer = ask(max_new=9)
    assert answer.tokens == answer.frames == answer.logprobs == ()


@pytest.mark.parametrize(
    ("num_tokens", "heard_s", "logprob", "is_believed"),
    [
        (2, 5.0, -0.95, False),  # a doubtful word in five seconds: music
        (2, 5.0, -0.5, True),
        (2, 1.5, -0.95, True),  # a short word is often doubtful
        (12, 5.0, -0.95, True),
    ],
)
def test_a_word_or_two_in_much_audio_must_be_sure(
    tiny_whisper, decoder, num_tokens, heard_s, logprob, is_believed
):
    size = tiny_whisper.model.config.vocab_size
    decoded = Decoded([5] * num_tokens, [logprob] * num_tokens, torch.zeros(size))
    transcriber = Transcriber(tiny_whisper, decoder, beams=1)
    assert transcriber._is_speech(decoded, "Oh no", heard_s) is is_believed


def test_words_in_brackets_are_asked_for_without_them(ask, monkeypatch):
    bracketed = ask()
    monkeypatch.setattr("engine.transcriber.NOT_WORDS", bracketed.text[0])
    assert ask().tokens[0] != bracketed.tokens[0]


def test_a_sound_in_brackets_stays_a_sound(ask, monkeypatch):
    monkeypatch.setattr("engine.transcriber.NOT_WORDS", ask().text[0])
    monkeypatch.setattr("engine.transcriber.BRACKETED_NO_SPEECH", -1.0)
    assert not ask().text
