"""SALMONN whole: two encoders, the bridge, a language model; as the original runs it.

    samples ─┬─ log-mel of 30 s ─ Whisper's encoder ─┐
             │                                       ├─ bridge ─▶ (W·queries, D)
             └─ filter bank ───── BEATs ─────────────┘
                      opening │ audio │ question ─▶ language model ─▶ text

This is the exact mode: a clip of up to 30 s, whole and padded, one prompt at a time,
searched with beams.  What is heard while it is spoken goes another way.

Source:
    bytedance/SALMONN@a58bba7, models/salmonn.py, dataset.py; arXiv:2310.13289.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from engine import prompt
from engine.answering import Search, search
from engine.api import Finish, Samples
from engine.beats import Beats
from engine.checkpoint import Checkpoint
from engine.eight_bits import load_as_stored, to_int8
from engine.errors import ContextFullError
from engine.fbank import fbank
from engine.features import of_clip
from engine.few_bits import Bits, load_in
from engine.geometry import FRAME_SAMPLES, MAX_FRAMES, SAMPLE_RATE
from engine.llm import Dtype, LanguageModel, load_llm
from engine.lora import add_adapter, load_adapter, use_adapter
from engine.qformer import Bridge
from engine.salmonn_files import (
    SalmonnFiles,
    check_llm,
    read_beats,
    read_checkpoint,
    speech_shapes,
)
from engine.whisper import load_encoder

MIN_SAMPLES = SAMPLE_RATE  # what is shorter is continued with zeros
MAX_SAMPLES = MAX_FRAMES * FRAME_SAMPLES  # what is longer is cut off


class AudioTower(nn.Module):
    """From samples to embeddings for the language model."""

    def __init__(self, speech: WhisperEncoder, audio: Beats, bridge: Bridge) -> None:
        super().__init__()
        self.speech, self.audio, self.bridge = speech, audio, bridge

    @torch.inference_mode()
    def forward(self, samples: Samples) -> Tensor:
        """Return the embeddings of a clip, (W · queries, D), float32.

        The official shape gives 88, whatever the clip's length: Whisper hears 30 s of
        sound and silence.  BEATs hears the clip alone.

        Args:
            samples: Of a clip longer than 30 s, only these are heard.
        """
        clip = fit(torch.from_numpy(samples))
        device = self.bridge.speech_query_tokens.device
        padded = F.pad(clip.float(), (0, MAX_SAMPLES - len(clip)))
        features = of_clip(padded).T[None].to(device)
        speech = self.speech(features).last_hidden_state
        audio, _ = self.audio(fbank(clip)[None].to(device))
        embeddings: Tensor = self.bridge(speech, audio)[0]
        return embeddings


def fit(samples: Tensor) -> Tensor:
    """Return samples (S,) as long as the original takes them: 1 s to 30 s."""
    samples = samples[:MAX_SAMPLES]
    return F.pad(samples, (0, max(0, MIN_SAMPLES - len(samples))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the model says to one prompt."""

    text: str
    """Without special tokens and outer white space."""
    finish: Finish
    num_tokens: int


class Salmonn:
    """A whole SALMONN, ready to be asked about clips."""

    def __init__(self, tower: AudioTower, llm: LanguageModel) -> None:
        """Put the halves together.

        Args:
            tower: What hears.
            llm: What answers, its LoRA in place.
        """
        self._tower, self._llm = tower, llm
        self._opening = prompt.opening(llm.tokenizer)

    def embed_audio(self, samples: Samples) -> Tensor:
        """Return the embeddings of a clip, (W · queries, D); see `AudioTower`."""
        embeddings: Tensor = self._tower(samples)
        return embeddings

    def answer(self, audio: Tensor, question: str, how: Search | None = None) -> Answer:
        """Answer a question about a clip.

        Args:
            audio: Its embeddings, which serve any number of questions.
            question: In words; `engine.tasks` has those that it was trained with.
            how: The search; by default the original's.

        Raises:
            ContextFullError: If question and answer do not fit beside the audio.
        """
        how, llm = how or Search(), self._llm
        closing = prompt.closing(llm.tokenizer, question)
        positions = len(self._opening) + len(audio) + len(closing) + how.max_tokens
        if positions > llm.max_positions:
            raise ContextFullError(positions, llm.max_positions)
        # The original casts audio to the language model's type, as these are.
        pieces = llm.embed(self._opening), audio.to(llm.dtype), llm.embed(closing)
        tokens = search(llm, torch.cat(pieces), how)
        return Answer(
            text=llm.text(tokens),
            finish=Finish.LENGTH if len(tokens) >= how.max_tokens else Finish.STOP,
            num_tokens=len(tokens),
        )


def load(
    files: SalmonnFiles,
    preset: str,
    *,
    dtype: Dtype | Bits,
    device: str = "cpu",
    alpha: float | None = None,
) -> Salmonn:
    """Load a SALMONN; what is small and may be wrong comes first.

    Args:
        files: Its four parts.
        preset: Which SALMONN it must be; `custom` may have any sizes.
        dtype: Of the language model.  The other parts compute in float32.
        device: As torch names it.
        alpha: Of the LoRA, in place of that of its training: less wakes abilities that
            were not trained, and costs trained ones (arXiv:2310.13289, 5.3).

    Raises:
        PackageError: If so few bits need a package that is not installed.
        WeightsError: If a file cannot be read, or parts do not fit each other.
    """
    trained = read_checkpoint(files.ckpt, preset)
    check_llm(files.llm, trained)
    speech_shapes(files.whisper, trained)
    beats = read_beats(files.beats, trained).model
    tower = AudioTower(load_encoder(files.whisper), beats, load_bridge(trained))
    llm = _load_llm(files.llm, dtype, device)
    add_lora(llm, trained, alpha=alpha)
    if (dtype, device) == ("8bit", "cpu"):
        to_int8(llm)
    return Salmonn(tower.eval().requires_grad_(False).to(device), llm)


def _load_llm(folder: Path, dtype: Dtype | Bits, device: str) -> LanguageModel:
    """Load a language model; for eight bits on the CPU, as it is stored."""
    if dtype == "8bit" and device == "cpu":
        return load_as_stored(folder)
    if dtype == "8bit" or dtype == "4bit":
        return load_in(dtype, folder, device=device)
    return load_llm(folder, dtype, device=device)


def load_bridge(trained: Checkpoint) -> Bridge:
    """Return the bridge of a checkpoint, in float32."""
    with torch.device("meta"):
        bridge = Bridge(trained.sizes.bridge)
    bridge.load_state_dict(trained.bridge, strict=True, assign=True)
    return bridge.float()


def add_lora(llm: LanguageModel, trained: Checkpoint, *, alpha: float | None) -> None:
    """Put the LoRA of a checkpoint into a language model.

    Raises:
        WeightsError: If the language model has no such layers, or of other widths.
    """
    lora = trained.sizes.lora
    add_adapter(llm.model, lora)
    load_adapter(llm.model, trained.lora)
    if alpha is not None:
        use_adapter(llm.model, "default", factor=alpha / lora.alpha)
    llm.model.requires_grad_(False)
