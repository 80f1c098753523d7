"""The engine in this process: one model, one thread.

    speech encoder ─┬─ Whisper's decoder       captions
                    └─ SALMONN, if it is there answers to prompts

Loads a preset's weights, decides by measurement what to compute in, and opens
utterances.  Who speaks when, and to whom an answer goes, the server knows.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from engine.answering import advance, search_for
from engine.api import (
    EngineInfo,
    Hypothesis,
    Mode,
    Prompt,
    Reply,
    Samples,
    Speakers,
    UtteranceOptions,
)
from engine.config import EncodingConfig, EngineConfig
from engine.device import ON_CPU, check_dtype, choose, describe, room_on, sixteen_bits
from engine.encoding import StreamingEncoder
from engine.geometry import (
    ENCODER_RATE,
    ENCODER_STRIDE,
    MAX_FRAMES,
    N_MELS,
    SAMPLE_RATE,
    WINDOW,
    samples_of,
)
from engine.heads import load_head
from engine.incremental import MAX_SAMPLES, WhisperUtterance
from engine.listening import Head, LiveReply, Transcript
from engine.skills import Checks
from engine.sounds import classes_of
from engine.speaker_turns import LocalSpeakers
from engine.transcriber import Transcriber
from engine.voices import VoiceEncoder, load_voices
from engine.weights import is_there, resolve
from engine.whisper import TASKS, TRANSCRIBE, Whisper, load_whisper
from engine.whisper_decoder import TokenDecoder
from engine.whisper_encoder import BlockEncoder

TRIALS = 5  # runs of each data type; the fastest counts
WARM_UP_S = 3.0
MAX_SPEAKERS = 16
"""That are told apart in a session: a bound on its memory and on a path's cost."""


class LocalEngine:
    """Implements `engine.api.Engine`: one encoder pass, and two that read its frames.

    Args:
        whisper: The encoder, and the decoder that writes captions.
        config: How audio is encoded, and text searched for.
        why: What decided the data type.
        head: SALMONN, which answers prompts; without it, none are answered.
        voices: Tells voices apart; without it, no speakers are told.
    """

    def __init__(
        self,
        whisper: Whisper,
        config: EngineConfig,
        *,
        why: str,
        head: Head | None = None,
        voices: VoiceEncoder | None = None,
    ) -> None:
        self._whisper, self._config, self._why = whisper, config, why
        self._head, self._voices = head, voices
        threads = torch.get_num_threads()
        plural = "1 thread" if threads == 1 else f"{threads} threads"
        left = min(MAX_FRAMES, round(config.encoding.left_context_s * ENCODER_RATE))
        self._encoder = BlockEncoder(
            whisper.model.model.encoder,
            left_frames=left,
            layers=_layers(whisper, head) if head else (),
        )
        self._decoder = TokenDecoder(whisper.model)
        self._transcriber = Transcriber(whisper, self._decoder, beams=config.beams)
        is_asked = config.transcriber == "salmonn"
        if head:
            both = "captions and questions" if is_asked else "questions"
            answers = f"{both} answered by {head.description}"
        elif config.captions_only:
            answers = "captions only, as configured"
        else:
            answers = (
                "no questions answered: engine.parts.ckpt names no trained weights"
            )
        where = describe(whisper.device)
        self._info = EngineInfo(
            model=config.preset if head else whisper.name,
            tasks=tuple(t for t in TASKS if not (is_asked and t == TRANSCRIBE)),
            prompted_tasks=head.skills.names if head else (),
            answers_questions=head is not None and head.skills.questions,
            sounds=classes_of(head.skills.sounds) if head and head.weigher else (),
            languages=tuple(whisper.vocabulary.languages),
            max_speakers=MAX_SPEAKERS if voices else 0,
            max_samples=MAX_SAMPLES,
            description=f"{whisper.name} on {where}, {why}, {plural}; {answers}",
            parameters=whisper.num_parameters + (head.num_parameters if head else 0),
        )

    @classmethod
    def load(cls, config: EngineConfig) -> "LocalEngine":
        """Load what a configuration names.

        Raises:
            DeviceError: If torch cannot compute where it says; nothing was loaded.
            NoRoomError: If the weights do not fit there.
            PackageError: If so few bits need a package that is not installed.
            UnsupportedError: If that device does not compute in a data type, or if the
                language model is to transcribe, and was not taught it.
            WeightsError: If a weight is missing or damaged.
        """
        device = choose(config.device)
        check_dtype("dtype", config.dtype, device)
        torch.set_num_threads(config.threads or max(1, (os.cpu_count() or 1) - 1))
        folder = resolve("whisper", config)
        with room_on(device):
            head = load_head(config, device)
            voices = _load_voices(config, device)
            whisper, why = _load(folder, config.dtype, device)
        return cls(whisper, config, why=why, head=head, voices=voices)

    @property
    def info(self) -> EngineInfo:
        """What this engine can do."""
        return self._info

    def warm_up(self) -> None:
        """Run noise through an utterance of each task."""
        noise = np.random.default_rng(0).normal(0, 0.1, samples_of(WARM_UP_S))
        utterance = self.open(UtteranceOptions(tasks=self._info.tasks))
        utterance.push(noise.astype(np.float32))
        utterance.partial()
        utterance.final()
        if self._head:
            about = self._head.skills.names[:1]
            prompt = Prompt(task=about[0]) if about else Prompt(text="?")
            reply = utterance.ask(replace(prompt, max_tokens=2))
            self.generate([reply])
            reply.close()
            if self._head.skills.questions:
                utterance.weigh(["rain"])
        utterance.close()
        if self._voices:
            speakers = self.open_speakers(1)
            speakers.push(1, noise.astype(np.float32))
            speakers.close()

    @property
    def checks(self) -> Checks:
        """What it refuses before it is asked."""
        skills = self._head.skills if self._head else None
        return Checks(self._info, self._config.preset, skills)

    def check(self, options: UtteranceOptions) -> None:
        """Refuse options that cannot be served; see `engine.api.Engine`."""
        self.checks.check(options)

    def check_prompt(self, prompt: Prompt) -> None:
        """Refuse a prompt that is not answered; see `engine.api.Engine`."""
        self.checks.check_prompt(prompt)

    def open_speakers(self, most: int) -> Speakers:
        """Begin to tell the voices of a session apart."""
        assert self._voices, "see EngineInfo.max_speakers"
        assert 1 <= most <= MAX_SPEAKERS, "see EngineInfo.max_speakers"
        return LocalSpeakers(self._voices, most)

    def generate(self, replies: Sequence[Reply]) -> None:
        """Add a token to each reply; see `engine.api.Engine`."""
        ours = [reply for reply in replies if isinstance(reply, LiveReply)]
        assert len(ours) == len(replies), "replies of another engine"
        answers = [reply.answer for reply in ours if reply.answer]
        if self._head and answers:
            advance(self._head.llm, answers)

    def search(self, reply: Reply, beams: int) -> None:
        """Choose all tokens of a reply that has not begun, by a search with beams.

        For recordings: no other reply goes on meanwhile.
        """
        assert isinstance(reply, LiveReply), "a reply of another engine"
        if self._head and reply.answer:
            search_for(self._head.llm, reply.answer, beams)

    def read(self, text: str, prompt: Prompt) -> LiveReply:
        """Begin a reply about a text that stands in place of audio.

        Raises:
            UnsupportedError: If the model does not answer this.
        """
        self.check_prompt(prompt)
        assert self._head, "a prompt was found answerable"
        return self._head.answer_text(prompt, Transcript(text, Mode.EXACT))

    def open(self, options: UtteranceOptions) -> WhisperUtterance:
        """Begin an utterance."""
        self.check(options)
        return WhisperUtterance(
            self._encoder,
            self._decoder,
            self._transcriber,
            options,
            encoding=self._config.encoding,
            head=self._head,
        )

    def with_encoding(self, encoding: EncodingConfig) -> "LocalEngine":
        """Return an engine with the same weights that encodes in another way."""
        config = replace(self._config, encoding=encoding)
        return LocalEngine(
            self._whisper,
            config,
            why=self._why,
            head=self._head,
            voices=self._voices,
        )

    def new_encoding(self) -> StreamingEncoder:
        """Return the encoder of an utterance alone, to measure it."""
        return StreamingEncoder(self._encoder, self._config.encoding)

    def hear(self, samples: Samples, options: UtteranceOptions) -> list[Hypothesis]:
        """Return the answers to a whole clip as the official code computes them.

        The clip is padded with silence to 30 s and encoded in one pass.  Of a longer
        one, the part that fits is heard.
        """
        utterance = WhisperUtterance(
            self._encoder,
            self._decoder,
            self._transcriber,
            options,
            encoding=replace(self._config.encoding, closing="exact"),
            exact_silence_s=MAX_SAMPLES / SAMPLE_RATE,
        )
        utterance.push(samples[:MAX_SAMPLES])
        return utterance.final()

    def close(self) -> None:
        """Free the model."""
        del self._whisper, self._encoder, self._decoder, self._transcriber
        self._head = self._voices = None


def _load_voices(config: EngineConfig, device: torch.device) -> VoiceEncoder | None:
    """Return what tells voices apart, if the configuration wants it and it is there.

    Raises:
        WeightsError: If it is damaged; or if it must be there, and cannot be fetched.
    """
    is_wanted = config.speakers == "on" or (
        config.speakers == "auto" and is_there("voices", config)
    )
    return load_voices(resolve("voices", config)).to(device) if is_wanted else None


def _layers(whisper: Whisper, head: Head) -> tuple[int, ...]:
    """Return which layers of the encoder a bridge reads: the last ones."""
    last = len(whisper.model.model.encoder.layers)
    return tuple(range(last - max(1, head.bridge.config.speech_layers) + 1, last + 1))


def _load(folder: Path, dtype: str, device: torch.device) -> tuple[Whisper, str]:
    """Return the weights in the data type asked for, or in the fastest."""
    if dtype != "auto":
        return load_whisper(folder, dtype, device), f"{dtype} (as configured)"
    if device.type != "cpu":
        small = sixteen_bits(device)
        return load_whisper(folder, small, device), small
    taken: dict[str, float] = {}
    fastest, chosen = dtype, None
    for name in ON_CPU:
        whisper = load_whisper(folder, name)
        taken[name] = _seconds(whisper)
        if chosen is None or taken[name] < taken[fastest]:
            fastest, chosen = name, whisper
    assert chosen, "there are data types to try"
    figures = ", ".join(f"{name} {1000 * t:.0f} ms" for name, t in taken.items())
    return chosen, f"{fastest} (measured: {figures})"


def _seconds(whisper: Whisper) -> float:
    """Return what a block of audio and a step of decoding take together."""
    encoder = BlockEncoder(whisper.model.model.encoder, left_frames=MAX_FRAMES)
    decoder = TokenDecoder(whisper.model)
    features = torch.zeros(4 * WINDOW * ENCODER_STRIDE, N_MELS)
    taken = []
    for _ in range(TRIALS):
        begin = time.perf_counter()
        cross = decoder.new_cross().write(
            decoder.project(encoder.encode(features)), settle=0
        )
        state = decoder.begin(cross)
        for token in whisper.vocabulary.prompt("en", TASKS[0]):
            decoder.logits(decoder.hidden(torch.tensor([[token]]), state))
        taken.append(time.perf_counter() - begin)
    return min(taken)
