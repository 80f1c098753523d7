"""Tiny frozen models as the trainer finds them: folders that transformers wrote."""

import string
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.decoders import Fuse
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from transformers import (
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    WhisperConfig,
    WhisperForConditionalGeneration,
)

LLM_WIDTH = 32
SPEECH_WIDTH = 16


def whisper_folder(folder: Path) -> Path:
    """Write a random Whisper with the official's features; return its folder."""
    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=12,
        d_model=SPEECH_WIDTH,
        encoder_layers=2,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=24,
        decoder_ffn_dim=24,
        max_target_positions=8,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
        decoder_start_token_id=1,
    )
    target = folder / "whisper"
    WhisperForConditionalGeneration(config).save_pretrained(target)
    GenerationConfig(
        eos_token_id=0,
        no_timestamps_token_id=5,
        lang_to_id={"<|en|>": 2},
        task_to_id={"transcribe": 3, "translate": 4},
        alignment_heads=[[0, 0]],
        begin_suppress_tokens=[6],
    ).save_pretrained(target)
    _words("x").save_pretrained(target)
    return target


def llm_folder(folder: Path) -> Path:
    """Write a random LLaMA whose tokens are characters; return its folder."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=3 + len(string.printable),
            hidden_size=LLM_WIDTH,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            bos_token_id=1,
            eos_token_id=2,
        )
    )
    target = folder / "llm"
    model.save_pretrained(target)
    _words(string.printable).save_pretrained(target)
    return target


def _words(characters: str) -> PreTrainedTokenizerFast:
    """Return a tokenizer of characters."""
    words = ["<unk>", "<s>", "</s>", *characters]
    tokenizer = Tokenizer(
        WordLevel({word: n for n, word in enumerate(words)}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = Split("", "isolated")
    tokenizer.decoder = Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
    )
