"""Which tensors a SALMONN checkpoint holds, and what their shapes tell.

    speech_query_tokens, ln_*, speech_Qformer.*, speech_llama_proj.*    the bridge
    llama_model.….layers.N.self_attn.q_proj.lora_{A,B}.default.weight   the LoRA
    inv_freq of each layer, BEATs' repeated tables, position_ids        extras

The extras are what the original code saved without need: they may be there, and nobody
reads them.  Sizes come from the shapes alone, each by a vote of the tensors that have
it, so that a single wrong tensor is the one that gets named.  Knows neither files nor
values.
"""

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from engine.beats import BeatsConfig
from engine.checkpoint_sizes import Lora, Sizes
from engine.errors import WeightsError
from engine.qformer import Bridge, BridgeConfig

Shapes = Mapping[str, tuple[int, ...]]
Layout = dict[str, tuple[int | str, ...]]
"""Names of tensors with their shapes; a string is a size that the checkpoint tells."""

MOST_NAMED = 3

_LAYERS = "llama_model.base_model.model.model.layers"
_LORA = re.compile(
    re.escape(_LAYERS) + r"\.(\d+)\.(\w+\.\w+)\.lora_[AB]\.default\.weight"
)
_ROTARY = re.compile(re.escape(_LAYERS) + r"\.(\d+)\.self_attn\.rotary_emb\.inv_freq")
_HIDDEN_IN = {"q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"}
"""Linear layers that read the language model's hidden states themselves."""
_WIDTHS = {
    "speech_width": 10_007,
    "audio_width": 20_011,
    "width": 30_011,
    "ffn_width": 40_009,
    "queries": 50_021,
    "llm_width": 60_013,
}
"""What shapes tell of a bridge, each with a size that nothing else has."""
_ALL_LAYERS, _TWICE = "speech_frame_width", "mean and deviation"


@dataclass(frozen=True, slots=True)
class Names:
    """The layout of one checkpoint, in its three parts."""

    bridge: Layout
    lora: Layout
    extras: Layout

    @classmethod
    def of(cls, found: Iterable[str], *, bridge: BridgeConfig) -> "Names":
        """Return the layout of a checkpoint that has about these names.

        Args:
            found: Names; some may be wrong.
            bridge: What shapes do not tell: layers, options.
        """
        names = sorted(found)
        loras = [match for name in names if (match := _LORA.fullmatch(name))]
        rotary = [match for name in names if (match := _ROTARY.fullmatch(name))]
        # Counted, not the highest: a wrong number is then a wrong name.
        layers = len({match[1] for match in (*loras, *rotary)})
        counts = Counter(match[2] for match in loras)
        # What only a few layers have is misspelt.
        targets = [name for name, count in counts.items() if count >= layers]
        return cls(
            _bridge_layout(bridge),
            _lora_layout(layers, targets),
            _extras_layout(layers),
        )

    def sizes(self, shapes: Shapes, bridge: BridgeConfig, alpha: float) -> Sizes:
        """Return what the shapes tell, once every one of them fits.

        Args:
            shapes: Of all tensors of the checkpoint.
            bridge: What shapes do not tell: heads, layers, window, hop, dropout,
                options.
            alpha: Of the LoRA.

        Raises:
            WeightsError: If a name is missing or unknown, or a shape is wrong.  The
                message names it; the caller adds the file.
        """
        layout = {**self.bridge, **self.lora, **self.extras}
        if not self.lora:
            raise WeightsError(f"no LoRA: nothing is named {_LAYERS}.0.….lora_A.…")
        sizes = _settle(layout, shapes)
        # Its few tensors tell it, too, but of their layers only one width is right.
        all_layers = bridge.speech_layers * sizes.get("speech_width", 0)
        sizes |= {_ALL_LAYERS: all_layers, _TWICE: 2 * all_layers}
        expected = {
            name: tuple(sizes.get(size, size) for size in shape)
            for name, shape in layout.items()
        }
        check_shapes(shapes, expected, optional=self.extras)
        told: dict[str, Any] = {n: sizes[n] for n in _WIDTHS if n in sizes}
        if told["width"] % bridge.heads:
            raise WeightsError(
                f"a bridge {told['width']} wide; expected a multiple of its "
                f"{bridge.heads} heads"
            )
        matches = map(_LORA.fullmatch, self.lora)
        targets = sorted({match[2] for match in matches if match})
        first = f"{_LAYERS}.0"
        lora = Lora(
            rank=sizes["rank"],
            alpha=alpha,
            layers=len(self.lora) // (2 * len(targets)),
            targets={
                target: (
                    shapes[f"{first}.{target}.lora_A.default.weight"][1],
                    shapes[f"{first}.{target}.lora_B.default.weight"][0],
                )
                for target in targets
            },
        )
        return Sizes(replace(bridge, **told), lora)


def check_shapes(
    found: Shapes,
    expected: Mapping[str, tuple[int | str, ...]],
    *,
    optional: Iterable[str] = (),
) -> None:
    """Do nothing if tensors have the names and shapes that they should.

    Raises:
        WeightsError: If not; the message names the first few that are wrong.
    """
    missing = sorted(expected.keys() - found.keys() - set(optional))
    unknown = sorted(found.keys() - expected.keys())
    misshaped = [
        f"{name} is {_text(found[name])}, expected {_text(shape)}"
        for name, shape in sorted(expected.items())
        if name in found and found[name] != shape
    ]
    wrong = [
        f"{len(items)} {what} ({_listed(items)})"
        for what, items in (
            ("missing", missing),
            ("unknown", unknown),
            ("misshaped", misshaped),
        )
        if items
    ]
    if wrong:
        raise WeightsError("; ".join(wrong))


def _bridge_layout(bridge: BridgeConfig) -> Layout:
    widths: dict[str, Any] = dict(_WIDTHS)
    if not bridge.audio_width:
        widths["audio_width"] = 0
    config = replace(bridge, **widths)
    with torch.device("meta"):
        marked = Bridge(config).state_dict()
    all_layers = config.speech_frame_width
    # Where two have one size, the last is what it is.
    marks: dict[int, str] = {2 * all_layers: _TWICE, all_layers: _ALL_LAYERS}
    marks |= {config.frame_width: "frame_width"}
    marks |= {size: name for name, size in _WIDTHS.items()}
    return {
        name: tuple(marks.get(size, size) for size in tensor.shape)
        for name, tensor in marked.items()
    }


def _lora_layout(layers: int, targets: Iterable[str]) -> Layout:
    layout: Layout = {}
    for layer, target in itertools.product(range(layers), targets):
        reads_hidden = target.rpartition(".")[2] in _HIDDEN_IN
        name = f"{_LAYERS}.{layer}.{target}"
        layout[f"{name}.lora_A.default.weight"] = (
            "rank",
            "llm_width" if reads_hidden else f"input of {target}",
        )
        layout[f"{name}.lora_B.default.weight"] = (f"output of {target}", "rank")
    return layout


def _extras_layout(layers: int) -> Layout:
    tables = range(1, BeatsConfig().encoder_layers)
    return {
        **{
            f"{_LAYERS}.{layer}.self_attn.rotary_emb.inv_freq": ("half a head",)
            for layer in range(layers)
        },
        **{
            f"beats.encoder.layers.{layer}.self_attn.relative_attention_bias.weight": (
                "buckets",
                "heads",
            )
            for layer in tables
        },
        "speech_Qformer.bert.embeddings.position_ids": (1, "positions"),
    }


def _settle(layout: Layout, shapes: Shapes) -> dict[int | str, int]:
    """Return each size as most tensors have it."""
    votes: defaultdict[int | str, Counter[int]] = defaultdict(Counter)
    for name, shape in layout.items():
        found = shapes.get(name, ())
        if len(found) == len(shape):
            for size, value in zip(shape, found, strict=True):
                if isinstance(size, str) and value:
                    votes[size][value] += 1
    sizes = {size: count.most_common(1)[0][0] for size, count in votes.items()}
    # Only two tensors tell each encoder's width; where they differ, the sum decides.
    for speech, audio in itertools.product(votes["speech_width"], votes["audio_width"]):
        if speech + audio == sizes.get("frame_width"):
            sizes |= {"speech_width": speech, "audio_width": audio}
    return sizes


def _text(shape: tuple[int | str, ...]) -> str:
    return "[" + ", ".join(map(str, shape)) + "]"


def _listed(items: list[str]) -> str:
    rest = len(items) - MOST_NAMED
    return ", ".join(items[:MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")
