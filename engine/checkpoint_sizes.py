"""What a SALMONN checkpoint is: its bridge, its LoRA, the language model it needs.

Values only; which tensors tell them, and from which file, it does not know.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.errors import WeightsError
from engine.qformer import BridgeConfig

OFFICIAL_ALPHA = 32.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lora:
    """Low-rank adapters of the language model's linear layers (arXiv:2106.09685)."""

    rank: int
    alpha: float
    layers: int
    """Of the language model; each has them."""
    targets: dict[str, tuple[int, int]]
    """The linear layers, as `self_attn.q_proj`: their widths in and out."""

    @property
    def scale(self) -> float:
        """What their output is multiplied by."""
        return self.alpha / self.rank


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageModel:
    """What a checkpoint was trained with."""

    width: int
    """Of the hidden states."""
    layers: int
    name: str | None = None
    max_positions: int | None = None
    """Tells the generations of one name apart: v1.1 has 2048, v1.5 has 4096."""

    def __str__(self) -> str:
        size = f"hidden size {self.width}, {self.layers} layers"
        return f"{self.name or 'a language model'} ({size})"

    def check(self, config: Mapping[str, Any], source: str) -> None:
        """Do nothing if a language model may be this one.

        Args:
            config: Its `config.json`.
            source: Where that comes from.

        Raises:
            WeightsError: If it is another.  The wrong generation would not fail later:
                it would answer nothing.
        """
        for key, expected in (
            ("hidden_size", self.width),
            ("num_hidden_layers", self.layers),
            ("max_position_embeddings", self.max_positions),
        ):
            found = config.get(key, expected)
            if expected is not None and found != expected:
                raise WeightsError(
                    f"{source} has {key} {found!r}; the checkpoint needs {self}, "
                    f"which has {expected}"
                )


VICUNAS = (
    LanguageModel(width=5120, layers=40, name="Vicuna 13B v1.1", max_positions=2048),
    LanguageModel(width=4096, layers=32, name="Vicuna 7B v1.5", max_positions=4096),
)
"""The language models of the official checkpoints."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a checkpoint's shapes tell."""

    bridge: BridgeConfig
    lora: Lora

    @property
    def language_model(self) -> LanguageModel:
        """The language model that the checkpoint needs, by name if it is official."""
        found = LanguageModel(width=self.bridge.llm_width, layers=self.lora.layers)
        square = (found.width, found.width)
        if self.lora.targets == {
            "self_attn.q_proj": square,
            "self_attn.v_proj": square,
        }:
            for known in VICUNAS:
                if (known.width, known.layers) == (found.width, found.layers):
                    return known
        return found
