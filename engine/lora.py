"""LoRA adapters of a language model, under the official names of their tensors.

`peft` puts them in and runs them; it is imported here alone.  Knows no files.

    llama_model.base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight
    └──── of the original ─────┘└──── of the language model ───┘└── of peft ─────────┘
"""

import warnings
from collections.abc import Iterator, Mapping

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from engine.checkpoint_names import check_shapes
from engine.checkpoint_sizes import Lora
from engine.errors import WeightsError

DEFAULT = "default"

_ORIGINAL = "llama_model.base_model.model."


def add_adapter(
    model: nn.Module,
    lora: Lora,
    *,
    name: str = DEFAULT,
    dropout: float = 0.0,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Put a new adapter in, which changes nothing yet, and make it the active one.

    Args:
        model: The language model; its weights must not be our int8 yet.
        lora: Rank, scale and which layers.
        name: Under which it can be chosen, where there are several.
        dropout: While it is trained; the original uses 0.1.
        dtype: Of its weights.  The original's are float32, whatever the model's are.

    Raises:
        WeightsError: If the model has no such layers.
    """
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]  # peft divides it by the rank
        lora_dropout=dropout,
        target_modules=sorted(lora.targets),
        bias="none",
    )
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Already found a `peft_config`")
            inject_adapter_in_model(config, model, adapter_name=name)
    except ValueError as exc:
        raise WeightsError(
            f"the language model has no layers {', '.join(sorted(lora.targets))}"
        ) from exc
    for _, parameter in _parameters(model, name):
        parameter.data = parameter.data.to(dtype)
    use_adapter(model, name)


def load_adapter(
    model: nn.Module, state: Mapping[str, Tensor], *, name: str = DEFAULT
) -> None:
    """Copy trained weights into an adapter.

    Args:
        model: With the adapter put in.
        state: Its tensors under the official names, those of `DEFAULT`.
        name: Of the adapter.

    Raises:
        WeightsError: If a tensor is missing, unknown or has a wrong shape.
    """
    ours = {_official(key, name): p for key, p in _parameters(model, name)}
    check_shapes(
        {key: tuple(t.shape) for key, t in state.items()},
        {key: tuple(p.shape) for key, p in ours.items()},
    )
    with torch.no_grad():
        for key, parameter in ours.items():
            parameter.copy_(state[key])


def adapter_state(model: nn.Module, *, name: str = DEFAULT) -> dict[str, Tensor]:
    """Return the weights of an adapter under the official names, in float32."""
    return {
        _official(key, name): p.detach().float().clone()
        for key, p in _parameters(model, name)
    }


def use_adapter(model: nn.Module, name: str | None, *, factor: float = 1.0) -> None:
    """Choose which adapter runs, and how strongly.

    Args:
        model: The language model.
        name: Of the adapter; None runs the model without any.
        factor: Of the scale that it was trained with; 0 is the model without it.  The
            paper's "discount" is a factor below 1.
    """
    for layer in _layers(model):
        layer.enable_adapters(name is not None)
        if name is not None:
            layer.set_adapter(name, inference_mode=not _trains(layer, name))
            layer.set_scale(name, factor)


def adapters(model: nn.Module) -> tuple[str, ...]:
    """Return the names of the adapters that are put in."""
    return tuple(sorted({name for layer in _layers(model) for name in layer.lora_A}))


def _layers(model: nn.Module) -> Iterator[LoraLayer]:
    return (m for m in model.modules() if isinstance(m, LoraLayer))


def _trains(layer: LoraLayer, name: str) -> bool:
    return name in layer.lora_A and any(
        parameter.requires_grad for parameter in layer.lora_A[name].parameters()
    )


def _parameters(model: nn.Module, name: str) -> list[tuple[str, nn.Parameter]]:
    ends = tuple(f".lora_{half}.{name}.weight" for half in "AB")
    return [(n, p) for n, p in model.named_parameters() if n.endswith(ends)]


def _official(key: str, name: str) -> str:
    return _ORIGINAL + key.replace(f".{name}.weight", f".{DEFAULT}.weight")
