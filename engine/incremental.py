"""One utterance while it is heard: audio in, hypotheses out.

    push ──▶ frames settle ──▶ keys and values of the cross attention
    partial: settled + guessed frames ──▶ stable prefix forced, the rest decoded
    final:   closing pass over the segment ──▶ stable prefix forced, the rest decoded

Everything that belongs to the utterance lives here and ends with it.
"""

import math
from dataclasses import dataclass, field

import torch

from engine.api import (
    Hypothesis,
    Mode,
    Prompt,
    Reply,
    Samples,
    UtteranceOptions,
    Word,
)
from engine.config import EncodingConfig
from engine.encoding import StreamingEncoder
from engine.errors import TooLongError, UnsupportedError
from engine.geometry import (
    ENCODER_RATE,
    FRAME_SAMPLES,
    MAX_FRAMES,
    frames_of,
    samples_of,
)
from engine.stability import LocalAgreement
from engine.transcriber import Answer, Question, Transcriber
from engine.whisper_decoder import TokenDecoder
from engine.whisper_encoder import BlockEncoder

CLOSING_SILENCE_S = 1.0  # as good as the official padding to 30 s, at a tenth its cost
PARTIAL_SILENCE_S = 0.34
WITHHELD_FRAMES = ENCODER_RATE  # a word heard in the last second may still change
DEFAULT_LANGUAGE = "en"
MIN_STABLE_LOGPROB = math.log(0.8)  # a token less likely is not stable
AGREEMENT_SAMPLES = samples_of(0.68)  # of audio, over which hypotheses agree
MAX_NEW_TOKENS = 12  # of a partial, behind the last one's; a lost model stops there
MAX_SAMPLES = MAX_FRAMES * FRAME_SAMPLES - samples_of(CLOSING_SILENCE_S)


@dataclass(slots=True)
class _Thread:
    """What was said so far in answer to one task."""

    language: str
    agreement: LocalAgreement = field(
        default_factory=lambda: LocalAgreement(AGREEMENT_SAMPLES)
    )


class WhisperUtterance:
    """Implements `engine.api.Utterance`."""

    def __init__(
        self,
        encoder: BlockEncoder,
        decoder: TokenDecoder,
        transcriber: Transcriber,
        options: UtteranceOptions,
        *,
        encoding: EncodingConfig,
        closing_silence_s: float = CLOSING_SILENCE_S,
    ) -> None:
        self._closing_silence_s = closing_silence_s
        self._decoder = decoder
        self._transcriber = transcriber
        self._options = options
        self._closing = Mode(encoding.closing)
        self._encoding = StreamingEncoder(encoder, encoding)
        self._cross = decoder.new_cross()
        self._num_samples = 0
        guess = options.likely_language or DEFAULT_LANGUAGE
        self._threads = {task: _Thread(language=guess) for task in options.tasks}
        self._final: list[Hypothesis] | None = None

    def push(self, samples: Samples) -> None:
        """Add audio; encode the blocks that it completes."""
        total = self._num_samples + len(samples)
        room = MAX_FRAMES * FRAME_SAMPLES - samples_of(self._closing_silence_s)
        if total > room:
            raise TooLongError(total, room)
        self._num_samples = total
        self._final = None
        frames = self._encoding.push(torch.from_numpy(samples))
        if len(frames):
            self._cross.write(self._decoder.project(frames), settle=len(frames))

    def partial(self) -> list[Hypothesis]:
        """Return what has been heard so far; see `engine.api.Utterance`."""
        rest = self._encoding.rest(PARTIAL_SILENCE_S)
        cross = self._cross.write(self._decoder.project(rest), settle=0)
        return [self._partial(task, cross) for task in self._options.tasks]

    def _partial(self, task: str, cross: torch.Tensor) -> Hypothesis:
        thread = self._threads[task]
        answer = self._answer(
            thread,
            task,
            cross,
            max_new=MAX_NEW_TOKENS,
        )
        thread.language = answer.language
        if answer.is_speech and answer.language_is_sure:
            thread.agreement.update(
                answer.tokens,
                heard=self._num_samples,
                num_sure=self._num_sure(answer),
            )
        stable_text = self._transcriber.text(thread.agreement.stable)
        return Hypothesis(
            task=task,
            text=answer.text or stable_text,
            stable=len(stable_text),
            is_final=False,
            language=answer.language,
            mode=Mode.STREAMING,
        )

    def _num_sure(self, answer: Answer) -> int:
        """Return how many leading tokens may become stable.

        Up to the first that the model doubts, or heard where a word may not be over.
        """
        newest = self._num_samples // FRAME_SAMPLES - WITHHELD_FRAMES
        spoken = zip(answer.frames, answer.logprobs, strict=True)
        for index, (frame, logprob) in enumerate(spoken):
            is_open = frame > newest or logprob < MIN_STABLE_LOGPROB
            if is_open or index == answer.num_spoken:
                return index
        return answer.num_spoken

    def final(self) -> list[Hypothesis]:
        """Return the text as if no more audio followed; see `engine.api.Utterance`."""
        if self._final is None:
            mode, cross = self._closed()
            self._final = [self._close(task, cross, mode) for task in self._threads]
        return self._final

    def _closed(self) -> tuple[Mode, torch.Tensor]:
        """Return the cross attention's keys and values of the closed segment."""
        if self._closing is Mode.EXACT:
            frames = self._encoding.exact(self._closing_silence_s)
            fresh = self._decoder.new_cross()
            cross = fresh.write(self._decoder.project(frames), settle=len(frames))
        else:
            frames = self._encoding.rest(self._closing_silence_s)
            cross = self._cross.write(self._decoder.project(frames), settle=0)
        return self._closing, cross

    def _close(self, task: str, cross: torch.Tensor, mode: Mode) -> Hypothesis:
        thread = self._threads[task]
        answer = self._answer(thread, task, cross)
        text = answer.text or self._transcriber.text(thread.agreement.stable)
        words: tuple[Word, ...] = ()
        if self._options.words:
            heard = cross[:, :, :, : frames_of(self._num_samples)]
            words = self._transcriber.words(heard, task, answer)
        return Hypothesis(
            task=task,
            text=text,
            stable=len(text),
            is_final=True,
            language=answer.language,
            mode=mode,
            words=words,
        )

    def _answer(
        self,
        thread: _Thread,
        task: str,
        cross: torch.Tensor,
        *,
        max_new: int | None = None,
    ) -> Answer:
        """Return the answer that goes on from what is stable."""
        stable = thread.agreement.stable
        return self._transcriber.answer(
            Question(
                cross=cross,
                task=task,
                # Once text is stable, its language is, too.
                language=thread.language if stable else self._options.language,
                guess=thread.language,
                heard_frames=frames_of(self._num_samples),
                forced=stable,
                draft=thread.agreement.newest[len(stable) :],
                max_new=max_new,
            )
        )

    def ask(self, prompt: Prompt) -> Reply:
        """Refuse: a transcriber alone answers no prompt."""
        raise UnsupportedError("prompt", prompt.task or prompt.text, ())

    def close(self) -> None:
        """Free the memory of the utterance."""
        del self._encoding, self._cross, self._threads, self._final
