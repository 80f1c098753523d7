"""A SALMONN of some thousand random weights behind a tiny Whisper: all untaught."""

import torch
from tokenizers import Regex, Tokenizer
from tokenizers.decoders import Fuse
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from transformers import PreTrainedTokenizerFast

from engine.listening import Head
from engine.llm import LanguageModel
from engine.qformer import Bridge, BridgeConfig
from engine.skills import Skills
from tests.engine import tiny_beats
from tests.engine.tiny_llm import STOP, VOCABULARY_SIZE, WIDTH, tiny_model

SPEECH_WIDTH = 64  # of the tiny Whisper
SKILLS = Skills(
    tasks=("transcribe", "describe", "translate:zh"),
    questions=True,
    from_transcript=("translate:zh",),
)


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer whose words are single characters."""
    special = ["<pad>", "<stop>", "<begin>", "<unknown>"]
    letters = ["\n", *map(chr, range(32, 127))][: VOCABULARY_SIZE - len(special)]
    words = {word: i for i, word in enumerate([*special, *letters])}
    tokenizer = Tokenizer(WordLevel(words, unk_token="<unknown>"))
    tokenizer.pre_tokenizer = Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = Fuse()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<stop>",
        bos_token="<begin>",
        unk_token="<unknown>",
    )
    assert fast.eos_token_id == STOP
    return fast


def tiny_bridge(*, has_audio: bool = True, **options) -> Bridge:
    config = BridgeConfig(
        speech_width=SPEECH_WIDTH,
        audio_width=tiny_beats.WIDTH if has_audio else 0,
        width=24,
        heads=2,
        ffn_width=32,
        llm_width=WIDTH,
        **options,
    )
    torch.manual_seed(0)  # whatever was made before
    bridge = Bridge(config).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    for parameter in bridge.parameters():  # far enough from zero that all of it tells
        parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
    return bridge


def tiny_head(family: str, *, beats: dict[str, int] | None, **options) -> Head:
    """Return a head with a `llama` or `gemma3`, with a BEATs of some shape or none."""
    return Head(
        tiny_bridge(has_audio=beats is not None, **options),
        None if beats is None else tiny_beats.tiny_beats(**beats),
        LanguageModel(tiny_model(family), tiny_tokenizer()),
        SKILLS,
    )


def attentive_head(family: str, *, beats: dict[str, int] | None, **options) -> Head:
    """Return a head whose answers depend on what was heard, random as they are.

    A random model hardly looks back: it goes on from its last word alone.
    """
    head = tiny_head(family, beats=beats, **options)
    sharper, louder = {"llama": (10.0, 4.0), "gemma3": (30.0, 10.0)}[family]
    for name, parameter in head.llm.model.named_parameters():
        if family == "llama" and "q_proj" in name:
            parameter.mul_(sharper)
        elif family == "llama" and "o_proj" in name:
            parameter.mul_(2.0)
        elif "q_norm" in name:  # one plus the weight is what it multiplies by
            parameter.add_(1.0).mul_(sharper).sub_(1.0)
    for parameter in head.bridge.speech_llama_proj.parameters():
        parameter.mul_(louder)
    return head
