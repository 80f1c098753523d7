"""One utterance while it is heard: audio in, hypotheses out.

    push ──▶ features; frames settle, at once or when they are first read
                 ├─▶ keys and values of the cross attention
                 └─▶ the language model's KV cache (engine.listening)
    partial: settled + guessed frames ──▶ stable prefix forced, the rest decoded
    final:   closing pass over the segment ──▶ stable prefix forced, the rest decoded
    ask:     settled + guessed frames, or the final's text ──▶ a reply begins
    weigh:   settled + guessed frames ──▶ how likely a name is

Everything that belongs to the utterance lives here and ends with it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch

from engine.allocator import give_back
from engine.api import (
    Hypothesis,
    Mode,
    Prompt,
    Reply,
    Samples,
    Source,
    UtteranceOptions,
    Word,
    by_task,
)
from engine.config import EncodingConfig
from engine.encoding import StreamingEncoder
from engine.errors import TooLongError, UnsupportedError
from engine.geometry import (
    ENCODER_RATE,
    FRAME_SAMPLES,
    MAX_FRAMES,
    SAMPLE_RATE,
    frames_of,
    samples_of,
)
from engine.listening import Ear, Head, Transcript
from engine.stability import LocalAgreement
from engine.transcriber import Answer, Question, Transcriber
from engine.whisper import TRANSCRIBE
from engine.whisper_decoder import TokenDecoder
from engine.whisper_encoder import BlockEncoder

# Of silence behind the audio there is so much, or what Whisper's positions leave.
CLOSING_SILENCE_S = 1.0  # behind frames that were streamed
EXACT_SILENCE_S = 3.0  # with less, words are made up and lost (docs/adr/0006)
PARTIAL_SILENCE_S = 0.34
WITHHELD_FRAMES = ENCODER_RATE  # a word heard in the last second may still change
DEFAULT_LANGUAGE = "en"
MIN_STABLE_LOGPROB = math.log(0.8)  # a token less likely is not stable
AGREEMENT_SAMPLES = samples_of(1.02)  # of audio, over which hypotheses agree
MAX_NEW_TOKENS = 12  # of a partial, behind the last one's; a lost model stops there
MAX_SAMPLES = MAX_FRAMES * FRAME_SAMPLES  # the 30 s of Whisper's positions


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
        head: Head | None = None,
        exact_silence_s: float = EXACT_SILENCE_S,
    ) -> None:
        self._exact_silence_s = exact_silence_s
        self._decoder = decoder
        self._transcriber = transcriber
        self._options = options
        self._closing, self._replies = Mode(encoding.closing), Mode(encoding.replies)
        self._encoding = StreamingEncoder(encoder, encoding)
        self._no_frames = encoder.no_frames()
        self._cross = decoder.new_cross()
        self._num_samples = 0
        guess = options.likely_language or DEFAULT_LANGUAGE
        self._threads = {task: _Thread(language=guess) for task in options.tasks}
        for told in options.told:
            self._go_on(told)
        self._final: list[Hypothesis] | None = None
        self._said: Transcript | None = None  # where nobody wants finals
        self._rest: torch.Tensor | None = None  # frames of the end, until more comes
        self._head, self._ear = head, None
        self._is_read_along = bool(options.tasks or options.prompted)
        self._is_asked = False  # about what was heard so far
        # Where finals are encoded anew, only partials and answers need blocks.
        self._is_eager = self._is_read_along and self._closing is Mode.STREAMING
        if head is not None:
            self._ear = Ear(head)
            if options.questions or self._is_prompted(head, options.prompted):
                self._hear_at_once(self._ear)

    def _go_on(self, told: Hypothesis) -> None:
        """Begin with what was told of the same audio before."""
        stable = self._transcriber.tokens(told.text[: told.stable])
        if stable and told.task in self._threads:
            agreement = LocalAgreement(AGREEMENT_SAMPLES, stable)
            self._threads[told.task] = _Thread(told.language, agreement)

    @staticmethod
    def _is_prompted(head: Head, prompted: Sequence[str]) -> bool:
        """Return whether a task that is announced is answered from the audio."""
        sources = [head.skills.source(Prompt(task=task)) for task in prompted]
        return Source.AUDIO in sources

    def _hear_at_once(self, ear: Ear) -> None:
        """From now on, do the work on the audio as it comes, if that is of use."""
        if self._replies is Mode.STREAMING:
            ear.is_eager = self._is_eager = self._is_read_along = True

    def push(self, samples: Samples) -> None:
        """Add audio; see `engine.api.Utterance`."""
        total = self._num_samples + len(samples)
        if total > MAX_SAMPLES:
            raise TooLongError(total, MAX_SAMPLES)
        self._num_samples = total
        self._final = self._rest = self._said = None
        new = torch.from_numpy(samples)
        self._encoding.hear(new)
        if self._is_asked and self._ear is not None:  # and may be asked again
            self._hear_at_once(self._ear)
        self._take(new, self._encoding.settle() if self._is_eager else self._no_frames)

    def _settle(self) -> None:
        """Encode the blocks that are complete, for whoever reads their frames now."""
        self._take(torch.empty(0), self._encoding.settle())

    def _take(self, samples: torch.Tensor, frames: torch.Tensor) -> None:
        """Pass on samples (S,) and frames (T, D) that have settled, or none of one."""
        if len(frames) and self._threads:
            self._cross.write(self._project(frames), settle=len(frames))
        if self._ear is not None and len(samples) + len(frames):
            self._ear.push(samples, frames)

    def _project(self, frames: torch.Tensor) -> torch.Tensor:
        """Return the decoder's keys and values of frames, the last layer's of which."""
        return self._decoder.project(frames[:, -self._decoder.width :])

    def partial(self) -> list[Hypothesis]:
        """Return what has been heard so far; see `engine.api.Utterance`."""
        if not self._threads:
            return []
        self._settle()
        rest = self._encoding.rest(self._silence_s(PARTIAL_SILENCE_S))
        cross = self._cross.write(self._project(rest), settle=0)
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
        if not self._threads:
            return []
        if self._final is None:
            mode, cross = self._closed()
            self._final = [self._close(task, cross, mode) for task in self._threads]
        return self._final

    def _closed(self) -> tuple[Mode, torch.Tensor]:
        """Return the cross attention's keys and values of the closed segment."""
        if self._closing is Mode.EXACT:
            cross = self._exact_cross()
        else:
            cross = self._cross.write(self._project(self._closing_rest()), settle=0)
        return self._closing, cross

    def _exact_cross(self) -> torch.Tensor:
        """Return keys and values of the whole segment, encoded in one pass."""
        return self._cross_of(
            self._encoding.exact(self._silence_s(self._exact_silence_s))
        )

    def _cross_of(self, frames: torch.Tensor) -> torch.Tensor:
        """Return keys and values of the frames (T, D) of one pass."""
        return self._decoder.new_cross().write(self._project(frames), settle=0)

    def _closing_rest(self) -> torch.Tensor:
        """Return the frames that have not settled, closed by silence, (T, D).

        Those are all of them, in one pass, where nobody reads along.
        """
        if self._rest is None:
            silence_s = self._silence_s(CLOSING_SILENCE_S)
            if self._is_read_along:
                self._settle()
                self._rest = self._encoding.rest(silence_s)
            else:
                self._rest = self._encoding.exact(silence_s)
        return self._rest

    def _silence_s(self, wanted_s: float) -> float:
        """Return how much silence may stand behind the audio."""
        return min(wanted_s, (MAX_SAMPLES - self._num_samples) / SAMPLE_RATE)

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
        """Begin a reply about what has been heard; see `engine.api.Utterance`."""
        # Of a language that was only heard, nobody is refused for it.
        asked = replace(prompt, language=None)
        if self._head is None or self._ear is None:
            raise UnsupportedError("prompt", prompt.task or prompt.text, ())
        if self._head.skills.basis(asked) is None:
            names = self._head.skills.names
            raise UnsupportedError("prompt", prompt.task or prompt.text, names)
        if self._head.skills.source(prompt) is Source.TRANSCRIPT:
            return self._head.answer_text(prompt, self._transcript())
        self._is_asked = True
        said = self._words(prompt) if self._head.skills.is_told_words(prompt) else ""
        if self._replies is Mode.EXACT:
            return self._ear.ask_exact(prompt, self._thirty_seconds(), said=said)
        mode = Mode.STREAMING if self._is_read_along else Mode.EXACT
        return self._ear.ask(prompt, self._closing_rest(), said=said, mode=mode)

    def weigh(self, names: Sequence[str]) -> list[float]:
        """Return how likely each thing is heard; see `engine.api.Utterance`."""
        if self._ear is None or self._head is None or not self._head.skills.questions:
            raise UnsupportedError("sound", "".join(names[:1]), ())
        if self._replies is Mode.EXACT:
            return self._ear.weigh_exact(names, self._thirty_seconds())
        return self._ear.weigh(names, self._closing_rest())

    def _thirty_seconds(self) -> torch.Tensor:
        """Return all frames of a pass over 30 s, as the official code makes it."""
        return self._encoding.exact(self._silence_s(MAX_SAMPLES / SAMPLE_RATE))

    def _words(self, prompt: Prompt) -> str:
        """Return what was said: as whoever asks knows it, or as the final has it."""
        return self._transcript().text if prompt.said is None else prompt.said

    def _transcript(self) -> Transcript:
        """Return what was said, from the final if it has that."""
        if TRANSCRIBE in self._threads:
            final = by_task(self.final())[TRANSCRIBE]
            return Transcript(final.text, final.mode)
        if self._said is None:
            if self._is_read_along:
                cross = self._exact_cross()
            else:  # encoded in one pass already, for whoever asks
                cross = self._cross_of(self._closing_rest())
            guess = self._options.likely_language or DEFAULT_LANGUAGE
            answer = self._answer(_Thread(language=guess), TRANSCRIBE, cross)
            self._said = Transcript(answer.text, Mode.EXACT)
        return self._said

    def close(self) -> None:
        """Free the memory of the utterance."""
        del self._encoding, self._cross, self._threads, self._final, self._rest
        del self._ear
        give_back()
