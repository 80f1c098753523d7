"""One utterance while it is heard: audio in, hypotheses out.

    push ──▶ frames settle ──▶ keys and values of the cross attention
    partial: settled + guessed frames ──▶ stable prefix forced, the rest decoded
    final:   closing pass over the segment ──▶ stable prefix forced, the rest decoded

Everything that belongs to the utterance lives here and ends with it.
"""

from dataclasses import dataclass, field

import torch

from engine.api import Hypothesis, Mode, Samples, UtteranceOptions
from engine.config import EngineConfig
from engine.encoding import StreamingEncoder
from engine.errors import TooLongError
from engine.geometry import MAX_FRAMES, frames_of, samples_of
from engine.stability import LocalAgreement
from engine.transcriber import Transcriber
from engine.whisper_decoder import TokenDecoder
from engine.whisper_encoder import BlockEncoder

CLOSING_SILENCE_S = 1.0  # as good as the official padding to 30 s, at a tenth its cost
PARTIAL_SILENCE_S = 0.34
MAX_SAMPLES = samples_of(MAX_FRAMES / 50 - CLOSING_SILENCE_S)


@dataclass(slots=True)
class _Thread:
    """What was said so far in answer to one task."""

    agreement: LocalAgreement = field(default_factory=LocalAgreement)
    language: str = "en"


class WhisperUtterance:
    """Implements `engine.api.Utterance`."""

    def __init__(
        self,
        encoder: BlockEncoder,
        decoder: TokenDecoder,
        transcriber: Transcriber,
        options: UtteranceOptions,
        config: EngineConfig,
    ) -> None:
        self._decoder = decoder
        self._transcriber = transcriber
        self._options = options
        self._closing = Mode(config.encoding.closing)
        self._encoding = StreamingEncoder(encoder, config.encoding)
        self._cross = decoder.new_cross()
        self._num_samples = 0
        self._threads = {task: _Thread() for task in options.tasks}
        self._final: list[Hypothesis] | None = None

    def push(self, samples: Samples) -> None:
        """Add audio; encode the blocks that it completes."""
        total = self._num_samples + len(samples)
        if total > MAX_SAMPLES:
            raise TooLongError(total, MAX_SAMPLES)
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
        stable = thread.agreement.stable
        answer = self._transcriber.answer(
            cross,
            task,
            language=self._language(thread),
            guess=thread.language,
            heard_frames=frames_of(self._num_samples),
            forced=stable,
            draft=thread.agreement.newest[len(stable) :],
        )
        thread.language = answer.language
        thread.agreement.update(answer.tokens if answer.is_speech else stable)
        stable_text = self._transcriber.text(thread.agreement.stable)
        return Hypothesis(
            task=task,
            text=answer.text or stable_text,
            stable=len(stable_text),
            is_final=False,
            language=answer.language,
            mode=Mode.STREAMING,
        )

    def final(self) -> list[Hypothesis]:
        """Return the text as if no more audio followed; see `engine.api.Utterance`."""
        if self._final is None:
            mode, cross = self._closed()
            self._final = [self._close(task, cross, mode) for task in self._threads]
        return self._final

    def _closed(self) -> tuple[Mode, torch.Tensor]:
        """Return the cross attention's keys and values of the closed segment."""
        if self._closing is Mode.EXACT:
            frames = self._encoding.exact(CLOSING_SILENCE_S)
            fresh = self._decoder.new_cross()
            return Mode.EXACT, fresh.write(
                self._decoder.project(frames), settle=len(frames)
            )
        frames = self._encoding.rest(CLOSING_SILENCE_S)
        return Mode.STREAMING, self._cross.write(
            self._decoder.project(frames), settle=0
        )

    def _close(self, task: str, cross: torch.Tensor, mode: Mode) -> Hypothesis:
        thread = self._threads[task]
        stable = thread.agreement.stable
        answer = self._transcriber.answer(
            cross,
            task,
            language=self._language(thread),
            guess=thread.language,
            heard_frames=frames_of(self._num_samples),
            forced=stable,
            draft=thread.agreement.newest[len(stable) :],
        )
        text = answer.text or self._transcriber.text(stable)
        return Hypothesis(
            task=task,
            text=text,
            stable=len(text),
            is_final=True,
            language=answer.language,
            mode=mode,
        )

    def _language(self, thread: _Thread) -> str | None:
        """Return the language to use; once text is stable, it is settled, too."""
        if thread.agreement.stable:
            return thread.language
        return self._options.language

    def close(self) -> None:
        """Free the memory of the utterance."""
        del self._encoding, self._cross, self._threads, self._final
