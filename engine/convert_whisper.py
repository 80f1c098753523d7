"""Whisper from CTranslate2's files to a folder that `transformers` loads.

Values are renamed and split, never changed.  It knows nothing of where files come
from or go to; of `transformers` it knows the names, and imports nothing.

CTranslate2 fuses projections that read the same input, one above the other:

    self_attention/linear_0   q, k, v          attention/linear_0   q
    self_attention/linear_1   out              attention/linear_1   k, v
                                               attention/linear_2   out

Whisper's k has no bias; CTranslate2 keeps zeros in its place.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import ctranslate2
from engine import whisper_settings as settings
from engine.errors import WeightsError

Arrays = dict[str, NDArray[Any]]

SPECIFICATION = ("WhisperSpec", 3)
GELU = 3
"""Number of the activation in CTranslate2, include/ctranslate2/ops/activation.h."""
SETTINGS = {
    "decoder/activation": GELU,
    "decoder/pre_norm": 1,
    "decoder/alibi": 0,
    "decoder/scale_embeddings": 0,
    "decoder/start_from_zero_embedding": 0,
}
"""Scalars that must have these values: `transformers` has no other Whisper."""
TIED = {"decoder/projection/weight": "decoder/embeddings/weight"}

LINEAR = {"weight": "weight", "bias": "bias"}
NORM = {"gamma": "weight", "beta": "bias"}
SINGLE = {
    "encoder/position_encodings/encodings": "encoder.embed_positions.weight",
    "decoder/position_encodings/encodings": "decoder.embed_positions.weight",
    "decoder/embeddings/weight": "decoder.embed_tokens.weight",
}
CONVOLUTIONS = {"conv1": ("conv1",), "conv2": ("conv2",)}
LAST_NORM = {"layer_norm": ("layer_norm",)}
LAYER_NORMS = {
    "self_attention/layer_norm": ("self_attn_layer_norm",),
    "ffn/layer_norm": ("final_layer_norm",),
}
LAYER_LINEARS = {
    "self_attention/linear_0": (
        "self_attn.q_proj",
        "self_attn.k_proj",
        "self_attn.v_proj",
    ),
    "self_attention/linear_1": ("self_attn.out_proj",),
    "ffn/linear_0": ("fc1",),
    "ffn/linear_1": ("fc2",),
}
CROSS_NORMS = {"attention/layer_norm": ("encoder_attn_layer_norm",)}
CROSS_LINEARS = {
    "attention/linear_0": ("encoder_attn.q_proj",),
    "attention/linear_1": ("encoder_attn.k_proj", "encoder_attn.v_proj"),
    "attention/linear_2": ("encoder_attn.out_proj",),
}


def convert(source: Path, target: Path) -> None:
    """Write a folder that `transformers` loads.

    Args:
        source: Folder with CTranslate2's `model.bin` and `config.json`, and
            `tokenizer.json`.
        target: Folder to write to; it exists.

    Raises:
        WeightsError: If a file is not what a conversion of Whisper holds.
        OSError: If a file cannot be read or written.
    """
    # Here, not above: a check of ready weights must not need it.
    from safetensors.numpy import save_file

    container = ctranslate2.read(source / "model.bin")
    arrays = to_transformers(container)
    config = model_config(container.variables)
    max_tokens, num_mels = config["max_target_positions"], config["num_mel_bins"]
    tokenizer = _read_json(source / "tokenizer.json")
    tokens = settings.special_tokens(tokenizer)
    lists = _read_json(source / "config.json")
    files = {
        "config.json": config | settings.token_settings(tokens),
        "generation_config.json": settings.generation_config(lists, tokens, max_tokens),
        "preprocessor_config.json": settings.feature_config(num_mels),
        "tokenizer.json": tokenizer,
        "tokenizer_config.json": settings.tokenizer_config(tokens, max_tokens),
    }
    for name, content in files.items():
        text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
        (target / name).write_text(text, encoding="utf-8")
    save_file(arrays, target / "model.safetensors", metadata={"format": "pt"})


def to_transformers(container: ctranslate2.Container) -> Arrays:
    """Return the weights under the names of `WhisperForConditionalGeneration`.

    `proj_out.weight` is left out, as `transformers` does: it is the embedding.

    Raises:
        WeightsError: If a weight is missing, left over, or has a value that
            `transformers` has no place for.
    """
    if (found := (container.specification, container.revision)) != SPECIFICATION:
        raise WeightsError(f"the model is a {found}; expected {SPECIFICATION}")
    if container.aliases != TIED:
        raise WeightsError(
            f"the aliases of the model are {container.aliases}; expected {TIED}"
        )
    for name, expected in SETTINGS.items():
        if (value := _scalar(container.variables, name)) != expected:
            raise WeightsError(f"{name} is {value}; expected {expected}")
    left = {name: a for name, a in container.variables.items() if a.ndim}
    arrays: Arrays = {}
    for name, new in SINGLE.items():
        arrays[f"model.{new}"] = _take(left, name)
    for stack in ("encoder", "decoder"):
        _move(left, arrays, stack, f"model.{stack}", LAST_NORM, NORM)
        for i in range(num_layers(container.variables, stack)):
            old, new = f"{stack}/layer_{i}", f"model.{stack}.layers.{i}"
            _move(left, arrays, old, new, LAYER_NORMS, NORM)
            _move(left, arrays, old, new, LAYER_LINEARS, LINEAR)
            if stack == "decoder":
                _move(left, arrays, old, new, CROSS_NORMS, NORM)
                _move(left, arrays, old, new, CROSS_LINEARS, LINEAR)
    _move(left, arrays, "encoder", "model.encoder", CONVOLUTIONS, LINEAR)
    if left:
        raise WeightsError(f"the model has a weight {min(left)!r} that Whisper has not")
    return arrays


def num_layers(variables: Mapping[str, NDArray[Any]], stack: str) -> int:
    """Return how many layers the `encoder` or the `decoder` has."""
    pattern = re.compile(rf"{stack}/layer_(\d+)/")
    found = (pattern.match(name) for name in variables)
    return max((int(match[1]) + 1 for match in found if match), default=0)


def model_config(variables: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Return the contents of `config.json`, read off the shapes of the weights."""
    vocabulary, width = variables["decoder/embeddings/weight"].shape
    return {
        "architectures": ["WhisperForConditionalGeneration"],
        "model_type": "whisper",
        "is_encoder_decoder": True,
        "activation_function": "gelu",
        "d_model": width,
        "vocab_size": vocabulary,
        "num_mel_bins": variables["encoder/conv1/weight"].shape[1],
        "max_source_positions": len(variables["encoder/position_encodings/encodings"]),
        "max_target_positions": len(variables["decoder/position_encodings/encodings"]),
        "tie_word_embeddings": True,
        "dtype": variables["decoder/embeddings/weight"].dtype.name,
        **{
            f"{stack}_{key}": value
            for stack in ("encoder", "decoder")
            for key, value in {
                "layers": num_layers(variables, stack),
                "attention_heads": _scalar(variables, f"{stack}/num_heads"),
                "ffn_dim": len(variables[f"{stack}/layer_0/ffn/linear_0/bias"]),
            }.items()
        },
    }


def _take(left: Arrays, name: str) -> NDArray[Any]:
    try:
        return left.pop(name)
    except KeyError:
        raise WeightsError(f"the model lacks the weight {name!r}") from None


def _move(
    left: Arrays,
    arrays: Arrays,
    old: str,
    new: str,
    modules: Mapping[str, tuple[str, ...]],
    leaves: Mapping[str, str],
) -> None:
    """Move the weights of some modules; split those that several are fused in."""
    for module, targets in modules.items():
        for leaf, new_leaf in leaves.items():
            fused = _take(left, f"{old}/{module}/{leaf}")
            if len(fused) % len(targets):
                raise WeightsError(
                    f"{old}/{module}/{leaf} has {len(fused)} rows; expected "
                    f"a multiple of {len(targets)}"
                )
            for target, array in zip(
                targets, np.split(fused, len(targets)), strict=True
            ):
                if target.endswith("k_proj") and leaf == "bias":
                    if array.any():
                        raise WeightsError(
                            f"{old}/{module}/{leaf} has a bias for the keys; "
                            "Whisper has none"
                        )
                    continue
                arrays[f"{new}.{target}.{new_leaf}"] = array


def _scalar(variables: Mapping[str, NDArray[Any]], name: str) -> int:
    if name not in variables or variables[name].ndim:
        raise WeightsError(f"the model lacks the setting {name!r}")
    return int(variables[name])


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as exc:
        raise WeightsError(f"{path} is not JSON: {exc}") from exc
    if not isinstance(content, dict):
        raise WeightsError(f"{path} is not a JSON object")
    return content
