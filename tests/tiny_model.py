"""`python -m tests.tiny_model FOLDER`: a Whisper that costs next to nothing.

For load tests with many sessions on few cores: `engine.parts.whisper` takes the folder.
Its shape is right and its weights are random, but for what makes it say the same six
words of anything, surely, and then stop; it hears nothing.  Tokenizer and settings are
whisper-base's.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from transformers import AutoTokenizer, WhisperConfig, WhisperForConditionalGeneration

from engine.config import EngineConfig
from engine.weights import resolve

LAYERS, WIDTH, HEADS, HIDDEN = 2, 64, 4, 128
WORDS = "this is what it always says"
SURE = 20.0
"""By how much embeddings are larger than at first, so that the next word is certain."""
LOUD = 3.0
"""By how much a position says more than the word that stands there."""
COPIED = (
    "tokenizer.json",
    "tokenizer_config.json",
    "preprocessor_config.json",
    "generation_config.json",
)


def main(arguments: list[str]) -> int:
    """Write the model into a folder."""
    (target,) = map(Path, arguments)
    write(target)
    sys.stdout.write(f"engine.parts.whisper = '{target}'\n")
    return 0


def write(target: Path) -> None:
    """Write the model, beside what whisper-base says of tokens."""
    base = resolve("whisper", EngineConfig())
    target.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        shutil.copyfile(base / name, target / name)
    settings_path = target / "generation_config.json"
    settings = json.loads(settings_path.read_text("utf-8"))
    settings["alignment_heads"] = [[LAYERS - 1, head] for head in range(HEADS)]
    settings_path.write_text(json.dumps(settings), "utf-8")
    _model(base, settings).save_pretrained(target)
    # What was copied stands; transformers would write settings of its own.
    settings_path.write_text(json.dumps(settings), "utf-8")


def _model(base: Path, settings: dict) -> WhisperForConditionalGeneration:
    torch.manual_seed(0)
    config = WhisperConfig.from_pretrained(base)
    config.d_model = WIDTH
    config.encoder_layers = config.decoder_layers = LAYERS
    config.num_hidden_layers = LAYERS
    config.encoder_attention_heads = config.decoder_attention_heads = HEADS
    config.encoder_ffn_dim = config.decoder_ffn_dim = HIDDEN
    model = WhisperForConditionalGeneration(config).eval()
    decoder = model.model.decoder
    words = AutoTokenizer.from_pretrained(base).encode(WORDS, add_special_tokens=False)
    end = settings["eos_token_id"]
    with torch.no_grad():
        decoder.embed_tokens.weight[end].normal_(std=config.init_std)  # 0, as padding
        decoder.embed_tokens.weight.mul_(SURE)
        embedded, positions = (
            decoder.embed_tokens.weight,
            decoder.embed_positions.weight,
        )
        # Behind the start, a language; behind start, language, task and "no times",
        # the words; and then the end.
        said = [settings["lang_to_id"]["<|en|>"], end, end, *words]
        said += [end] * (len(positions) - len(said))
        positions.copy_(LOUD * embedded[torch.tensor(said)])
        for layer in decoder.layers:  # all frames are looked at alike
            layer.encoder_attn.q_proj.weight.zero_()
            layer.encoder_attn.q_proj.bias.zero_()
    return model


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
