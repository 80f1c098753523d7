"""Whisper's answers about one stretch of encoder frames, and whether to believe them.

It turns a task into a prompt, tokens into text, and doubts into an empty answer.
How the frames were computed, and what was said before, its caller knows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.alignment import token_bounds, words
from engine.api import Word
from engine.decoding import Decoded, beam_search, greedy
from engine.geometry import ENCODER_RATE
from engine.whisper import Whisper
from engine.whisper_decoder import TokenDecoder

TOKENS_PER_S = 12  # the fastest speech of the data sets needs 8
MIN_TOKENS = 12
DOUBT_NO_SPEECH = 0.6  # Whisper's own thresholds (openai/whisper, transcribe.py) ...
DOUBT_LOGPROB = -1.0  # ... both must be crossed for an answer to be dropped
NOT_WORDS = "♪♫([{*"  # an answer that begins so describes a sound, or is music


@dataclass(frozen=True, slots=True)
class Answer:
    """Tokens that answer a task, and what they say."""

    tokens: tuple[int, ...]
    text: str
    language: str
    is_speech: bool
    """False where the model doubts that anyone spoke; then `text` is empty."""
    frames: tuple[int, ...]
    """The encoder frame that the model looked at most as it chose each token."""
    num_spoken: int
    """Tokens up to the last with a letter; marks behind it change with what follows."""


class Transcriber:
    """Answers tasks from the cross attention's keys and values of encoder frames."""

    def __init__(self, whisper: Whisper, decoder: TokenDecoder, *, beams: int) -> None:
        self._vocabulary = whisper.vocabulary
        self._decoder = decoder
        self._beams = beams

    def answer(
        self,
        cross: Tensor,
        task: str,
        *,
        language: str | None,
        guess: str = "en",
        heard_frames: int,
        forced: Sequence[int] = (),
        draft: Sequence[int] = (),
    ) -> Answer:
        """Return the answer to a task.

        Args:
            cross: Keys and values of the frames, (layers, 2, H, T, K).
            task: One of `engine.whisper.TASKS`.
            language: Code of the spoken language; None lets the model tell.
            guess: What to try first where it may tell; it costs a second pass if
                the model disagrees.
            heard_frames: Encoder frames that hold audio, not silence added to them.
            forced: Tokens that the answer begins with.
            draft: Tokens that probably follow.
        """
        asked = language or guess
        decoded = self._decode(cross, task, asked, heard_frames, forced, draft)
        if language is None and (told := self._told_language(decoded)) != asked:
            asked = told
            decoded = self._decode(cross, task, asked, heard_frames, forced, ())
        text = self._vocabulary.text(decoded.tokens).strip()
        is_speech = self._is_speech(decoded, text)
        return Answer(
            tokens=tuple(decoded.tokens),
            text=text if is_speech else "",
            language=asked,
            is_speech=is_speech,
            frames=_frames(decoded),
            num_spoken=self._num_spoken(decoded.tokens),
        )

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
        state = self._decoder.begin(cross, watch=self._vocabulary.alignment_heads)
        self._decoder.hidden(torch.tensor([[*prompt, *answer.tokens]]), state)
        looked = state.attention[:, len(prompt) - 1 : -1]
        return words(answer.tokens, token_bounds(looked), self._vocabulary.text)

    def text(self, tokens: Sequence[int]) -> str:
        """Return what tokens say."""
        return self._vocabulary.text(list(tokens)).strip()

    def _decode(
        self,
        cross: Tensor,
        task: str,
        language: str,
        heard_frames: int,
        forced: Sequence[int],
        draft: Sequence[int],
    ) -> Decoded:
        prompt = self._vocabulary.prompt(language, task)
        limit = MIN_TOKENS + TOKENS_PER_S * heard_frames // ENCODER_RATE
        limit = min(max(limit, len(forced)), self._decoder.max_tokens - len(prompt) - 1)
        if self._beams > 1:
            return beam_search(
                self._decoder,
                cross,
                prompt,
                filters=self._vocabulary.filters,
                stop=self._vocabulary.end,
                limit=limit,
                beams=self._beams,
                forced=forced,
            )
        return greedy(
            self._decoder,
            cross,
            prompt,
            filters=self._vocabulary.filters,
            stop=self._vocabulary.end,
            limit=limit,
            forced=forced,
            draft=draft,
            watch=self._vocabulary.alignment_heads,
        )

    def _num_spoken(self, tokens: list[int]) -> int:
        for count in range(len(tokens), 0, -1):
            if any(map(str.isalnum, self._vocabulary.text(tokens[count - 1 : count]))):
                return count
        return 0

    def _told_language(self, decoded: Decoded) -> str:
        languages = self._vocabulary.languages
        ids = list(languages.values())
        return list(languages)[int(decoded.start_logits[ids].argmax())]

    def _is_speech(self, decoded: Decoded, text: str) -> bool:
        if not text or text[0] in NOT_WORDS:
            return False
        silent = decoded.start_logits.softmax(-1)[self._vocabulary.no_speech].item()
        return silent <= DOUBT_NO_SPEECH or decoded.mean_logprob >= DOUBT_LOGPROB


def _frames(decoded: Decoded) -> tuple[int, ...]:
    if decoded.attention is None:
        return ()
    return tuple(decoded.attention.mean(0).argmax(-1).tolist())
