"""Whisper's answers about one stretch of encoder frames, and whether to believe them.

It turns a task into a prompt, tokens into text, and doubts into an empty answer.
How the frames were computed, and what was said before, its caller knows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from engine.alignment import last_token_frame, token_bounds, token_frames, words
from engine.api import Word
from engine.decoding import Decoded, beam_search, greedy
from engine.geometry import ENCODER_RATE
from engine.guards import is_behind_audio, misplaced
from engine.whisper import TRANSCRIBE, Whisper
from engine.whisper_decoder import TokenDecoder

TOKENS_PER_S = 12  # the fastest speech of the data sets needs 8
MIN_TOKENS = 12
DOUBT_NO_SPEECH = 0.6  # Whisper's own thresholds (openai/whisper, transcribe.py) ...
DOUBT_LOGPROB = -1.0  # ... both must be crossed for an answer to be dropped
SPARSE_S = 2.0  # in more audio than this ...
SPARSE_TOKENS_PER_S = 2.0  # ... a word or two are what Whisper makes of music, ...
SPARSE_LOGPROB = -0.9  # ... unless it is surer of them
SPARSE_NO_SPEECH = 0.85  # in any: "you" is what Whisper makes of silence
NOT_WORDS = "♪♫([{*"  # an answer that begins so describes a sound, or is music, ...
BRACKETED_NO_SPEECH = 0.25  # ... unless someone spoke, and at a speaker's pace


@dataclass(frozen=True, slots=True)
class Answer:
    """Tokens that answer a task, and what they say."""

    tokens: tuple[int, ...]
    text: str
    language: str
    language_is_sure: bool
    is_speech: bool
    """False where the model doubts that anyone spoke; then `text` is empty.

    Never where tokens were forced: they are there because someone did.
    """
    frames: tuple[int, ...]
    """The encoder frame that the model looked at most as it chose each token."""
    logprobs: tuple[float, ...]
    """Of each token; 0 for those that were forced."""
    num_spoken: int
    """Tokens up to the last with a letter; marks behind it change with what follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked about which frames, and what is known already."""

    cross: Tensor
    """Keys and values of the frames, (layers, 2, H, T, K)."""
    task: str
    """One of `engine.whisper.TASKS`."""
    language: str | None
    """Code of the spoken language; None lets the model tell."""
    guess: str = "en"
    """What to believe where the model may tell, but is not sure."""
    confidence: float = 0.7
    """How probable another language must be to be believed; it costs a pass.

    Half a second sounds like anything, and a short segment still like much.
    """
    heard_frames: int
    """How many of the frames hold audio; silence was added behind them."""
    forced: tuple[int, ...] = ()
    """Tokens that the answer begins with."""
    draft: tuple[int, ...] = ()
    """Tokens that probably follow."""
    max_new: int | None = None
    """The most tokens behind forced ones and draft; None leaves it to the audio."""


class Transcriber:
    """Answers tasks from the cross attention's keys and values of encoder frames."""

    def __init__(self, whisper: Whisper, decoder: TokenDecoder, *, beams: int) -> None:
        self._vocabulary = whisper.vocabulary
        self._decoder = decoder
        self._beams = beams

    def answer(self, question: Question) -> Answer:
        """Return the answer to a question."""
        language = question.language or question.guess
        decoded = self._decode(question, language)
        is_sure = True
        if question.language is None:
            told, probability = self._told_language(decoded)
            is_sure = probability >= question.confidence
            if is_sure and told != language:
                language = told
                decoded = self._decode(replace(question, draft=()), language)
        if self._is_speech_in_brackets(question, decoded):
            plain = replace(question, draft=())
            decoded = self._decode(plain, language, barred=decoded.tokens[0])
        decoded, frames = self._put_in_place(question, language, decoded)
        text = self.text(decoded.tokens)
        heard_s = question.heard_frames / ENCODER_RATE
        is_speech = bool(question.forced) or self._is_speech(decoded, text, heard_s)
        return Answer(
            tokens=tuple(decoded.tokens),
            text=text if is_speech else "",
            language=language,
            language_is_sure=is_sure,
            is_speech=is_speech,
            frames=tuple(frames),
            logprobs=_logprobs(question, decoded),
            num_spoken=self._num_spoken(decoded.tokens),
        )

    def _put_in_place(
        self, question: Question, language: str, decoded: Decoded
    ) -> tuple[Decoded, list[int]]:
        """Return an answer without words that were not heard where they stand.

        A transcript follows the audio; a model that is lost repeats itself, or goes
        on in silence.  It is asked once more from there, without the token that led
        astray; what is still out of place is cut.  A partial that goes on in silence
        is cut at once: the audio has not been heard to its end anyway.  A translation
        changes the order of words and is left as it is.
        """
        num_prompt = len(self._vocabulary.prompt(language, question.task))
        frames = self._frames(decoded, num_prompt)
        wrong = self._misplaced(question, decoded, frames)
        if wrong is None:
            return decoded, frames
        heard = question.heard_frames
        if question.max_new is not None and is_behind_audio(frames[wrong], heard=heard):
            del decoded.tokens[wrong:], frames[wrong:]
            return decoded, frames
        again = replace(question, forced=tuple(decoded.tokens[:wrong]), draft=())
        kept = decoded.logprobs[: wrong - len(question.forced)]
        decoded = self._decode(again, language, barred=decoded.tokens[wrong])
        decoded.logprobs[:0] = kept
        frames = self._frames(decoded, num_prompt)
        if (wrong := self._misplaced(question, decoded, frames)) is not None:
            del decoded.tokens[wrong:], frames[wrong:]
        return decoded, frames

    def _misplaced(
        self, question: Question, decoded: Decoded, frames: list[int]
    ) -> int | None:
        """Return the first token out of place that may still be changed."""
        if question.task != TRANSCRIBE:
            return None
        spoken = frames[: self._num_spoken(decoded.tokens)]
        wrong = misplaced(spoken, heard=question.heard_frames)
        return None if wrong is None or wrong < len(question.forced) else wrong

    @staticmethod
    def _frames(decoded: Decoded, num_prompt: int) -> list[int]:
        assert decoded.attention is not None, "the decoder was not watched"
        return token_frames(decoded.attention, num_prompt) if decoded.tokens else []

    def words(self, cross: Tensor, task: str, answer: Answer) -> tuple[Word, ...]:
        """Return where the words of an answer were spoken, by one more pass.

        Args:
            cross: Keys and values of the frames that hold audio, without silence
                added to them.
            task: What was answered.
            answer: The answer.
        """
        if not answer.text:
            return ()
        prompt = self._vocabulary.prompt(answer.language, task)
        attention = self._attention(cross, [*prompt, *answer.tokens])
        bounds = token_bounds(attention, len(prompt))
        return words(answer.tokens, bounds, self._vocabulary.text)

    def text(self, tokens: Sequence[int]) -> str:
        """Return what tokens say."""
        return self._vocabulary.text(list(tokens)).strip()

    def tokens(self, text: str) -> list[int]:
        """Return tokens that say a text; none for none."""
        return self._vocabulary.tokens(text) if text else []

    def _decode(
        self, question: Question, language: str, *, barred: int | None = None
    ) -> Decoded:
        prompt = self._vocabulary.prompt(language, question.task)
        limit = MIN_TOKENS + TOKENS_PER_S * question.heard_frames // ENCODER_RATE
        given = len(question.forced) + len(question.draft)
        if question.max_new is not None:
            limit = min(limit, given + question.max_new)
        limit = max(limit, len(question.forced))
        limit = min(limit, self._decoder.max_tokens - len(prompt) - 1)
        if self._beams > 1 and barred is None:
            decoded = beam_search(
                self._decoder,
                question.cross,
                prompt,
                filters=self._vocabulary.filters,
                stop=self._vocabulary.end,
                limit=limit,
                beams=self._beams,
                forced=question.forced,
            )
            tokens = [*prompt, *decoded.tokens]
            decoded.attention = self._attention(question.cross, tokens)
            return decoded
        return greedy(
            self._decoder,
            question.cross,
            prompt,
            filters=self._vocabulary.filters,
            stop=self._vocabulary.end,
            limit=limit,
            forced=question.forced,
            draft=question.draft,
            barred=barred,
            watch=self._vocabulary.alignment_heads,
            is_lost=partial(self._is_lost, question.heard_frames)
            if question.task == TRANSCRIBE
            else None,
        )

    def _is_lost(
        self, heard_frames: int, attention: Tensor, tokens: Sequence[int]
    ) -> bool:
        """Return whether the last token is a word heard behind the audio."""
        return bool(self._num_spoken(list(tokens[-1:]))) and is_behind_audio(
            last_token_frame(attention), heard=heard_frames
        )

    def _attention(self, cross: Tensor, tokens: list[int]) -> Tensor:
        """Return where the tokens of prompt and answer looked, (A, P + N, T)."""
        state = self._decoder.begin(cross, watch=self._vocabulary.alignment_heads)
        self._decoder.hidden(torch.tensor([tokens]), state)
        return state.attention

    def _num_spoken(self, tokens: list[int]) -> int:
        for count in range(len(tokens), 0, -1):
            if any(map(str.isalnum, self._vocabulary.text(tokens[count - 1 : count]))):
                return count
        return 0

    def _told_language(self, decoded: Decoded) -> tuple[str, float]:
        """Return the likeliest language, and how likely it is among all."""
        languages = self._vocabulary.languages
        probabilities = decoded.start_logits[list(languages.values())].softmax(-1)
        best = int(probabilities.argmax())
        return list(languages)[best], probabilities[best].item()

    def _is_speech_in_brackets(self, question: Question, decoded: Decoded) -> bool:
        """Return whether words are written down as if they described a sound."""
        return (
            not question.forced
            and _describes_a_sound(self.text(decoded.tokens))
            and not _is_sparse(decoded, question.heard_frames / ENCODER_RATE)
            and self._no_speech(decoded) <= BRACKETED_NO_SPEECH
        )

    def _no_speech(self, decoded: Decoded) -> float:
        """Return how likely the model thinks that nobody spoke."""
        return decoded.start_logits.softmax(-1)[self._vocabulary.no_speech].item()

    def _is_speech(self, decoded: Decoded, text: str, heard_s: float) -> bool:
        if not text or _describes_a_sound(text):
            return False
        silent = self._no_speech(decoded)
        if _is_sparse(decoded, heard_s):
            is_doubted = heard_s > SPARSE_S and decoded.mean_logprob < SPARSE_LOGPROB
            if is_doubted or silent > SPARSE_NO_SPEECH:
                return False
        return silent <= DOUBT_NO_SPEECH or decoded.mean_logprob >= DOUBT_LOGPROB


def _describes_a_sound(text: str) -> bool:
    return text.startswith(tuple(NOT_WORDS))


def _is_sparse(decoded: Decoded, heard_s: float) -> bool:
    return len(decoded.tokens) < SPARSE_TOKENS_PER_S * heard_s


def _logprobs(question: Question, decoded: Decoded) -> tuple[float, ...]:
    chosen = (*(0.0 for _ in question.forced), *decoded.logprobs)
    return chosen[: len(decoded.tokens)]
