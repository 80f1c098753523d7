"""A language model that goes on from any number of KV caches in one pass.

    ids ─embed─▶ ┐
    audio ─────▶ ┴▶ extend / prefill / step  ─▶ hidden states, logits
                          │ caches, one a sequence

Embeddings go in, not ids: audio stands among them.  A model that scales the embeddings
of its words (Gemma, by √D) has done so when they come out of `embed`; audio enters
after that.  Any decoder of transformers with plain or sliding attention will do.
Knows neither audio nor prompts, and chooses no token.

    llm = load_llm(folder, "bfloat16")
    cache = Cache()
    llm.extend([llm.embed(opening), audio], …)        # as audio comes
    fork = cache.fork()                               # a question
    logits = llm.prefill(llm.embed(closing), fork)    # (V,)
    logits = llm.step([token, …], [fork, …])          # (B, V): many answers at once
    hidden = llm.branch(cache, [piece, …])            # many ends, none kept
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import torch
import torch.nn.functional as F
import transformers
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from engine import attention
from engine.attention import Pass
from engine.branching import Branches
from engine.cache import Cache
from engine.device import send
from engine.errors import ContextFullError, WeightsError

Dtype = Literal["float32", "bfloat16", "float16"]
DTYPES: Final[Mapping[Dtype, torch.dtype]] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
TRIAL_ROWS, TRIAL_WIDTH, TRIALS = 16, 1024, 5
_ATTENTIONS = {"full_attention", "sliding_attention"}


class LanguageModel:
    """A causal language model, ready to run."""

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None = None
    ) -> None:
        """Take over a model of transformers.

        Args:
            model: Its attention is changed to ours; otherwise it stays what it is, and
                can be trained or called as transformers does.
            tokenizer: Its words; None for those who only have ids.

        Raises:
            WeightsError: If its attention is of a kind that we cannot run.
        """
        _check_attention(model.config)
        attention.register()
        model.set_attn_implementation(attention.NAME)
        self.model = model
        self._tokenizer = tokenizer
        self.stop = _stop(model)
        """Tokens that end an answer."""
        # What an author likes (a temperature, say) would get into `generate`.
        model.generation_config = GenerationConfig()

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """What turns text into ids and back."""
        assert self._tokenizer is not None, "a model without words"
        return self._tokenizer

    @property
    def width(self) -> int:
        """Of embeddings and hidden states, D."""
        width: int = self.model.config.hidden_size
        return width

    @property
    def max_positions(self) -> int:
        """The most positions of one sequence."""
        positions: int = self.model.config.max_position_embeddings
        return positions

    @property
    def dtype(self) -> torch.dtype:
        """Of embeddings and hidden states."""
        return self.model.get_input_embeddings().weight.dtype

    @property
    def bits(self) -> str:
        """In how few bits its linear layers are kept by bitsandbytes; empty if not."""
        kept = getattr(self.model.config, "quantization_config", None)
        if not isinstance(kept, BitsAndBytesConfig):
            return ""
        return "8bit" if kept.load_in_8bit else "4bit"

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self.model.get_input_embeddings().weight.device

    @torch.no_grad()  # not inference mode: a trainer may put them before what it trains
    def embed(self, ids: Sequence[int]) -> Tensor:
        """Return the embeddings of tokens, (N, D), scaled as the model has it."""
        table = self.model.get_input_embeddings()
        embeddings: Tensor = table(send(torch.tensor(ids).long(), self.device))
        return embeddings

    @torch.inference_mode()
    def extend(self, pieces: Sequence[Tensor], caches: Sequence[Cache]) -> list[Tensor]:
        """Run on further positions of some sequences, all in one pass.

        Args:
            pieces: Embeddings of the further positions, (N_i, D), at least one each;
                cast to the model's type.
            caches: What came before in each; they keep the new positions.

        Returns:
            Hidden states of the new positions, (N_i, D).

        Raises:
            ContextFullError: If a sequence outgrows the model; nothing was run.
        """
        counts = [len(piece) for piece in pieces]
        longest = max(len(c) + n for c, n in zip(caches, counts, strict=True))
        if longest > self.max_positions:
            raise ContextFullError(longest, self.max_positions)
        packed = Pass(counts, caches)
        hidden = self._run(pieces, packed)
        packed.finish()
        return list(hidden.split(counts))

    @torch.inference_mode()
    def branch(self, cache: Cache, branches: Sequence[Tensor]) -> list[Tensor]:
        """Run on several ends of one sequence in one pass, and keep none of them.

        Args:
            cache: What came before, at least one position; it stays what it is.
            branches: Embeddings of what follows in each, (N_i, D), at least one each.

        Returns:
            Hidden states of each branch, (N_i, D).

        Raises:
            ContextFullError: If a branch outgrows the model; nothing was run.
        """
        counts = [len(piece) for piece in branches]
        longest = len(cache) + max(counts)
        if longest > self.max_positions:
            raise ContextFullError(longest, self.max_positions)
        return list(self._run(branches, Branches(cache, counts)).split(counts))

    def _run(self, pieces: Sequence[Tensor], packed: Pass | Branches) -> Tensor:
        """Return the hidden states of a row of pieces, (N, D)."""
        row = torch.cat([p.to(self.device, self.dtype) for p in pieces])[None]
        out = self.model.base_model(
            inputs_embeds=row,
            position_ids=packed.positions(self.device),
            # Four dimensions say that the mask is ready; a pass makes its own.
            attention_mask=torch.ones(1, 1, 1, 1, dtype=torch.bool, device=self.device),
            use_cache=False,
            packed=packed,
        )
        hidden: Tensor = out.last_hidden_state[0]
        return hidden

    @torch.inference_mode()
    def logits(self, hidden: Tensor) -> Tensor:
        """Return what follows hidden states (…, D), as float32 logits (…, V)."""
        logits: Tensor = self.model.get_output_embeddings()(hidden).float()
        if cap := getattr(self.model.config, "final_logit_softcapping", None):
            logits = cap * torch.tanh(logits / cap)
        return logits

    def prefill(self, piece: Tensor, cache: Cache) -> Tensor:
        """Run on further positions (N, D) of a sequence.

        Returns:
            Logits after the last, (V,).

        Raises:
            ContextFullError: As `extend` does.
        """
        return self.logits(self.extend([piece], [cache])[0][-1])

    def step(self, tokens: Sequence[int], caches: Sequence[Cache]) -> Tensor:
        """Run on one token of each of some sequences; weights are read once for all.

        Args:
            tokens: B ids.
            caches: What came before in each, however long; they keep the token.

        Returns:
            Logits after the tokens, (B, V).

        Raises:
            ContextFullError: As `extend` does.
        """
        pieces = list(self.embed(tokens).split(1))
        return self.logits(torch.cat(self.extend(pieces, caches)))

    def text(self, ids: Sequence[int]) -> str:
        """Return what tokens say, without special ones and outer white space."""
        text: str = self.tokenizer.decode(list(ids), skip_special_tokens=True)
        return text.strip()


def faster_dtype() -> Dtype:
    """Return the type in which this machine multiplies faster, by trying.

    A processor without instructions for bfloat16 takes several times as long with it.
    """
    types: tuple[Dtype, ...] = ("bfloat16", "float32")
    return min(types, key=_seconds)


def _seconds(dtype: Dtype) -> float:
    """Return what a product as large as a small model's takes, at best."""
    weight = torch.zeros(TRIAL_WIDTH, TRIAL_WIDTH, dtype=DTYPES[dtype])
    rows = torch.zeros(TRIAL_ROWS, TRIAL_WIDTH, dtype=DTYPES[dtype])
    taken = []
    for _ in range(TRIALS):
        begin = time.perf_counter()
        F.linear(rows, weight)
        taken.append(time.perf_counter() - begin)
    return min(taken)


def load_llm(
    folder: Path,
    dtype: Dtype = "bfloat16",
    *,
    device: str = "cpu",
    kept: BitsAndBytesConfig | None = None,
) -> LanguageModel:
    """Load a language model from a folder as transformers writes it.

    Args:
        folder: With `config.json`, weights and tokenizer.
        dtype: What to compute in.
        device: As torch names it.
        kept: In what linear layers are kept, if not in `dtype` (engine.few_bits).

    Raises:
        WeightsError: If a file is missing, weights do not fit the model, or it is of a
            kind that we cannot run.
    """
    transformers.utils.logging.disable_progress_bar()
    # What is kept small cannot be moved afterwards.
    small = {"quantization_config": kept, "device_map": {"": device}} if kept else {}
    try:
        _check_attention(AutoConfig.from_pretrained(folder, local_files_only=True))
        model, info = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=DTYPES[dtype],
            **small,
            local_files_only=True,
            output_loading_info=True,
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except torch.OutOfMemoryError:
        raise  # the folder is as it should be
    except (OSError, ValueError, RuntimeError) as exc:
        raise WeightsError(f"{folder} holds no language model: {exc}") from exc
    for kind in ("missing_keys", "unexpected_keys"):
        if keys := sorted(info[kind]):
            raise WeightsError(f"{folder}: {len(keys)} {kind} (first: {keys[0]})")
    model.eval().requires_grad_(False)
    return LanguageModel(model if kept else model.to(device), tokenizer)


def stored_dtype(folder: Path) -> Dtype:
    """Return the type in which a folder says that its weights are; float32 if none.

    Raises:
        WeightsError: If its configuration cannot be read.
    """
    try:
        stored = AutoConfig.from_pretrained(folder, local_files_only=True).dtype
    except (OSError, ValueError) as exc:
        raise WeightsError(f"{folder} holds no language model: {exc}") from exc
    return next((name for name, kind in DTYPES.items() if kind == stored), "float32")


def _check_attention(config: Any) -> None:
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    if others := sorted(kinds - _ATTENTIONS):
        raise WeightsError(
            f"a {config.model_type} attends by {', '.join(others)}; "
            f"expected only {', '.join(sorted(_ATTENTIONS))}"
        )
    if getattr(config, "attn_logit_softcapping", None) is not None:
        raise WeightsError(
            f"a {config.model_type} caps its attention; expected one that does not"
        )


def _stop(model: PreTrainedModel) -> frozenset[int]:
    generation: GenerationConfig | None = model.generation_config
    eos = getattr(generation, "eos_token_id", None)
    if eos is None:
        eos = model.config.eos_token_id
    return frozenset([eos] if isinstance(eos, int) else eos or [])
