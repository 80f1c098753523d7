"""A SALMONN of some thousand random weights, in files laid out as the official ones.

    whisper/  beats.pt  llm/  ckpt.pth

The language model lies there as Vicuna does: pickles of halves in shards, with tables
of rotary frequencies that nobody reads, old settings, likings of its author, and a
vocabulary of SentencePiece's only, whose first three ids are LLaMA's.
"""

import io
import json
from dataclasses import dataclass, replace
from pathlib import Path

import sentencepiece
import torch
from torch import Tensor, nn
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    WhisperConfig,
    WhisperForConditionalGeneration,
)

from engine.config import PartsConfig
from engine.qformer import Bridge, BridgeConfig
from engine.tasks import TEST_PROMPTS
from engine.whisper_settings import (
    generation_config,
    special_tokens,
    token_settings,
    tokenizer_config,
)
from tests.engine.tiny_checkpoint import (
    LAYERS,
    TINY,
    TINY_BEATS,
    beats_file,
    extras_state,
    lora_state,
    official_file,
)
from tests.engine.tiny_whisper import LANGUAGES as WHISPER_LANGUAGES
from tests.engine.tiny_whisper import SPECIAL, tokenizer_bytes

WORDS = 400
NUM_TIMES = 1501  # tokens of a Whisper that stand for moments
VICUNA_CONFIG = (
    "architectures",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "hidden_act",
    "hidden_size",
    "initializer_range",
    "intermediate_size",
    "max_position_embeddings",
    "model_type",
    "num_attention_heads",
    "num_hidden_layers",
    "rms_norm_eps",
    "vocab_size",
)
BRIDGE = replace(
    TINY, speech_width=12, audio_width=TINY_BEATS.encoder_embed_dim, llm_width=16
)


@dataclass(frozen=True)
class Files:
    """Where the parts lie."""

    whisper: Path
    beats: Path
    llm: Path
    ckpt: Path

    @property
    def parts(self) -> PartsConfig:
        """The parts as a configuration names them."""
        return PartsConfig(
            whisper=self.whisper, beats=self.beats, llm=self.llm, ckpt=self.ckpt
        )

    @property
    def flags(self) -> list[str]:
        """The parts as a command line names them."""
        parts = {"whisper": self.whisper, "beats": self.beats}
        parts |= {"llm": self.llm, "ckpt": self.ckpt}
        return [
            text for name, path in parts.items() for text in (f"--{name}", str(path))
        ]


def write_salmonn(folder: Path, *, seed: int = 0, spread: float = 0.3) -> Files:
    """Write all parts.

    Args:
        folder: Where to.
        seed: Of the weights.
        spread: Deviation of weights; large enough that what is heard matters.
    """
    torch.manual_seed(seed)
    whisper, llm = tiny_whisper(), tiny_llama()
    for model in (whisper, llm):
        scatter(model, spread)
    whisper.save_pretrained(folder / "whisper")
    write_words(folder / "whisper")
    write_vicuna(folder / "llm", llm)
    beats = beats_file(folder / "beats.pt")
    ckpt = official_file(folder / "ckpt.pth", trained_state(spread))
    return Files(folder / "whisper", beats, folder / "llm", ckpt)


def trained_state(spread: float, config: BridgeConfig = BRIDGE) -> dict[str, Tensor]:
    """Return what an official file has under `model`, for this language model."""
    bridge = Bridge(config)
    scatter(bridge, spread)
    lora = lora_state(width=config.llm_width)
    weaker = {name: spread * tensor for name, tensor in lora.items()}
    return {**bridge.state_dict(), **weaker, **extras_state()}


@torch.no_grad()
def scatter(model: nn.Module, spread: float) -> None:
    """Give the matrices of a model other random values, further from zero."""
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.normal_(std=spread)


def tiny_whisper() -> WhisperForConditionalGeneration:
    """Return a Whisper that takes 30 s, as wide as the bridge expects."""
    width = BRIDGE.speech_width
    config = WhisperConfig(
        vocab_size=256 + len(SPECIAL) + NUM_TIMES,
        num_mel_bins=80,
        d_model=width,
        encoder_layers=2,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=20,
        decoder_ffn_dim=20,
        max_source_positions=1500,
        **token_settings(_special()),
    )
    return WhisperForConditionalGeneration(config)


def write_words(folder: Path) -> None:
    """Write the files that tell what the tokens of a `tiny_whisper` mean."""
    lists = {
        "alignment_heads": [[0, 0], [0, 1]],
        "lang_ids": list(WHISPER_LANGUAGES.values()),
        "suppress_ids": [],
        "suppress_ids_begin": [32],
    }
    texts = {
        "generation_config.json": generation_config(lists, _special(), 448),
        "tokenizer_config.json": tokenizer_config(_special(), 448),
    }
    (folder / "tokenizer.json").write_bytes(tokenizer_bytes())
    for name, content in texts.items():
        (folder / name).write_text(json.dumps(content))


def _special() -> dict[str, int]:
    return special_tokens(json.loads(tokenizer_bytes()))


def tiny_llama() -> LlamaForCausalLM:
    """Return a LLaMA as wide as the bridge says, with LLaMA's ids of special tokens."""
    config = LlamaConfig(
        architectures=["LlamaForCausalLM"],
        vocab_size=WORDS,
        hidden_size=BRIDGE.llm_width,
        intermediate_size=24,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        max_position_embeddings=512,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    return LlamaForCausalLM(config)


def sentencepiece_model() -> bytes:
    """Return a vocabulary that was trained on the official prompts."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([*TEST_PROMPTS.values(), "USER: ASSISTANT: <Speech>"]),
        model_writer=written,
        vocab_size=WORDS,
        hard_vocab_limit=False,
        model_type="bpe",
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        minloglevel=3,
    )
    return written.getvalue()


def write_vicuna(folder: Path, llm: LlamaForCausalLM) -> None:
    """Write a language model as Vicuna's authors wrote theirs."""
    folder.mkdir()
    state = {name: tensor.half() for name, tensor in llm.state_dict().items()}
    for layer in range(LAYERS):
        state[f"model.layers.{layer}.self_attn.rotary_emb.inv_freq"] = torch.rand(4)
    places: dict[str, str] = {}
    for number in (1, 2):
        file = f"pytorch_model-{number:05}-of-00002.bin"
        names = sorted(state)[number - 1 :: 2]
        torch.save({name: state[name] for name in names}, folder / file)
        places |= dict.fromkeys(names, file)
    config = {name: getattr(llm.config, name) for name in VICUNA_CONFIG}
    likings = {"bos_token_id": 1, "eos_token_id": 2, "temperature": 0.9, "top_p": 0.6}
    texts = {
        "pytorch_model.bin.index.json": {"metadata": {}, "weight_map": places},
        "config.json": {**config, "torch_dtype": "float16"},
        "generation_config.json": {**likings, "max_length": 512, "pad_token_id": 0},
    }
    for name, content in texts.items():
        (folder / name).write_text(json.dumps(content))
    write_tokenizer(folder)


def write_tokenizer(folder: Path) -> None:
    """Write a vocabulary as Vicuna's folders have it: no `tokenizer.json`."""
    (folder / "tokenizer.model").write_bytes(sentencepiece_model())
    config = {
        "tokenizer_class": "LlamaTokenizer",
        "add_bos_token": True,
        "add_eos_token": False,
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "clean_up_tokenization_spaces": False,
        "model_max_length": 512,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
