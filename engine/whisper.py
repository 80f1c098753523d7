"""A Whisper checkpoint: its weights, and what its tokens mean.

Reads a folder as transformers writes it.  How encoder and decoder run is next door
(`whisper_encoder`, `whisper_decoder`); nothing here knows about streams.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
import transformers
from torch import Tensor
from transformers import (
    AutoTokenizer,
    GenerationConfig,
    PreTrainedTokenizerBase,
    WhisperConfig,
    WhisperForConditionalGeneration,
)
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from engine.checkpoint_names import check_shapes
from engine.decoding import Filters
from engine.device import CPU
from engine.errors import WeightsError
from engine.geometry import MAX_FRAMES, N_MELS
from engine.quantise import Int8Linear, quantise
from engine.shards import Shards

TRANSLATE = "translate:en"
TRANSCRIBE = "transcribe"
TASKS = (TRANSCRIBE, TRANSLATE)
SAMPLES_TO_TIME_TOKEN = 320  # 20 ms
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
"""Of what is not computed in float32."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Whisper's special tokens, by meaning."""

    tokenizer: PreTrainedTokenizerBase
    start: int
    end: int
    no_speech: int
    no_timestamps: int
    languages: dict[str, int]
    """Codes, as `en`, and their tokens."""
    tasks: dict[str, int]
    """The tasks of `TASKS` and their tokens."""
    filters: Filters
    """Where the logits are that they filter."""
    alignment_heads: Tensor
    """Heads of the cross attention that follow the speech: (A, 2), layer and head; on
    the CPU."""

    def prompt(self, language: str, task: str) -> list[int]:
        """Return the tokens before an answer without timestamps."""
        return [
            self.start,
            self.languages[language],
            self.tasks[task],
            self.no_timestamps,
        ]

    def text(self, tokens: list[int]) -> str:
        """Return what tokens say, without special ones.

        Characters that are still incomplete at the end are left out.
        """
        text: str = self.tokenizer.decode(tokens, skip_special_tokens=True)
        return text.rstrip("\N{REPLACEMENT CHARACTER}")

    def tokens(self, text: str) -> list[int]:
        """Return tokens that say a text, as far as words are concerned."""
        # Behind a space, as nearly every word of a transcript is.
        found: list[int] = self.tokenizer.encode(f" {text}", add_special_tokens=False)
        return found


@dataclass(frozen=True, slots=True)
class Whisper:
    """A loaded checkpoint."""

    model: WhisperForConditionalGeneration
    vocabulary: Vocabulary

    @property
    def name(self) -> str:
        """Size of the model as its authors call it, as far as its shape tells."""
        sizes = {384: "tiny", 512: "base", 768: "small", 1024: "medium", 1280: "large"}
        width = self.model.config.d_model
        return f"whisper-{sizes.get(width, f'd{width}')}"

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.model.model.encoder.conv1.weight.device

    def to(self, device: torch.device) -> "Whisper":
        """Move it to a device, and return it there."""
        vocabulary = replace(
            self.vocabulary, filters=self.vocabulary.filters.to(device)
        )
        return Whisper(self.model.to(device), vocabulary)

    @property
    def num_parameters(self) -> int:
        """How many weights the checkpoint has, whatever they are kept in here."""
        with torch.device("meta"):
            whole = WhisperForConditionalGeneration(self.model.config)
        return int(whole.num_parameters())


def load_whisper(folder: Path, dtype: str, device: torch.device = CPU) -> Whisper:
    """Load a checkpoint.

    Args:
        folder: As transformers writes it.
        dtype: What to compute in: `float32`, `bfloat16`, `float16`, or, on the CPU,
            `int8` for the linear layers of the decoder and float32 for the rest.  The
            encoder hears worse in int8 (docs/adr/0010); the decoder is what waits for
            memory.
        device: Where.

    Raises:
        WeightsError: If a file is missing, or weights do not fit the model.
    """
    transformers.utils.logging.disable_progress_bar()
    try:
        model, info = WhisperForConditionalGeneration.from_pretrained(
            folder,
            dtype=DTYPES.get(dtype, torch.float32),
            local_files_only=True,
            output_loading_info=True,
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        generation = GenerationConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, RuntimeError) as exc:
        raise WeightsError(f"{folder} holds no Whisper checkpoint: {exc}") from exc
    wrong = {kind: sorted(info[kind]) for kind in ("missing_keys", "unexpected_keys")}
    for kind, keys in wrong.items():
        if keys := [key for key in keys if key != "proj_out.weight"]:  # tied
            raise WeightsError(f"{folder}: {len(keys)} {kind} (first: {keys[0]})")
    model.eval().requires_grad_(False)
    if dtype == "int8":
        quantise(model.model.decoder)
        model.proj_out = Int8Linear(model.proj_out)
    return Whisper(model, _vocabulary(tokenizer, generation)).to(device)


def load_encoder(folder: Path) -> WhisperEncoder:
    """Load a checkpoint's encoder alone, in float32: of large-v2, two fifths of it.

    Args:
        folder: As transformers writes it; its decoder is not read.

    Raises:
        WeightsError: If a file is missing, weights do not fit the model, or it hears
            in another way than SALMONN's encoder.
    """
    try:
        config = WhisperConfig.from_pretrained(folder, local_files_only=True)
        with torch.device("meta"):
            encoder = WhisperEncoder(config)
    except (OSError, ValueError, TypeError) as exc:
        raise WeightsError(f"{folder} holds no Whisper checkpoint: {exc}") from exc
    for name, expected in (
        ("num_mel_bins", N_MELS),
        ("max_source_positions", MAX_FRAMES),
    ):
        if (found := getattr(config, name)) != expected:
            raise WeightsError(f"{folder} has {name} {found}; expected {expected}")
    shards = Shards.of(folder)
    state = shards.load("model.encoder.") or shards.load("encoder.")
    try:
        check_shapes(
            {name: tuple(tensor.shape) for name, tensor in state.items()},
            {name: tuple(t.shape) for name, t in encoder.state_dict().items()},
        )
    except WeightsError as exc:
        raise WeightsError(f"{folder} has another encoder: {exc}") from exc
    encoder.load_state_dict(state, assign=True)
    return encoder.float().eval().requires_grad_(False)


def _vocabulary(
    tokenizer: PreTrainedTokenizerBase, generation: GenerationConfig
) -> Vocabulary:
    no_timestamps = generation.no_timestamps_token_id
    languages = {code.strip("<|>"): id_ for code, id_ in generation.lang_to_id.items()}
    return Vocabulary(
        tokenizer=tokenizer,
        start=generation.decoder_start_token_id,
        end=generation.eos_token_id,
        no_speech=no_timestamps - 1,
        no_timestamps=no_timestamps,
        languages=languages,
        tasks={
            TRANSCRIBE: generation.task_to_id["transcribe"],
            TRANSLATE: generation.task_to_id["translate"],
        },
        filters=_filters(generation, no_timestamps),
        alignment_heads=torch.tensor(generation.alignment_heads),
    )


def _filters(generation: GenerationConfig, no_timestamps: int) -> Filters:
    """Return what an answer without timestamps may not contain.

    Unlike the official decoder's default, brackets and notes are allowed: a model
    that wants to write "[music]" or "♪" and may not, invents words instead.
    """
    special = torch.arange(generation.eos_token_id + 1, no_timestamps + 1)
    time_tokens = torch.arange(no_timestamps + 1, no_timestamps + 1502)
    return Filters(
        always=torch.cat([special, time_tokens]),
        first=torch.tensor([generation.begin_suppress_tokens[0]]),
    )
