"""The JSON files that `transformers` wants beside Whisper's weights.

Made of what is known of the checkpoint: the shapes of its weights, its tokenizer,
the token lists that CTranslate2 keeps.  It reads and writes no file.
"""

from collections.abc import Mapping
from typing import Any

from engine.errors import WeightsError

Json = dict[str, Any]

END = "<|endoftext|>"
START = "<|startoftranscript|>"
PREVIOUS = "<|startofprev|>"
NO_TIMESTAMPS = "<|notimestamps|>"
TASKS = ("transcribe", "translate")

SAMPLE_RATE = 16_000
HOP_LENGTH = 160  # samples between two mel frames, 10 ms
N_FFT = 400  # samples of an analysis window, 25 ms
CHUNK_S = 30  # what the official encoder takes at once

MAX_INITIAL_TIMESTAMP = 50
"""In steps of 20 ms: official Whisper lets the first segment begin within 1 s."""


def special_tokens(tokenizer: Json) -> dict[str, int]:
    """Return the identifiers of the special tokens of a `tokenizer.json`.

    Raises:
        WeightsError: If one that Whisper cannot do without is not there.
    """
    try:
        tokens = {t["content"]: int(t["id"]) for t in tokenizer["added_tokens"]}
    except (KeyError, TypeError, ValueError) as exc:
        raise WeightsError("tokenizer.json has no list of added tokens") from exc
    needed = (END, START, PREVIOUS, NO_TIMESTAMPS, *(f"<|{t}|>" for t in TASKS))
    if missing := [token for token in needed if token not in tokens]:
        raise WeightsError(f"tokenizer.json lacks the token {missing[0]!r}")
    return tokens


def token_settings(tokens: Mapping[str, int]) -> Json:
    """Return the identifiers that both the model and the decoding want."""
    return {
        "bos_token_id": tokens[END],
        "eos_token_id": tokens[END],
        "pad_token_id": tokens[END],
        "decoder_start_token_id": tokens[START],
    }


def generation_config(lists: Json, tokens: Mapping[str, int], max_tokens: int) -> Json:
    """Return the contents of `generation_config.json`.

    Args:
        lists: CTranslate2's `config.json`: tokens to suppress, tokens of languages,
            heads of the cross attention that follow the time.
        tokens: Identifiers of the special tokens.
        max_tokens: Positions of the decoder.

    Raises:
        WeightsError: If a list is missing, or a language has no token.
    """
    names = {token: name for name, token in tokens.items()}
    try:
        return {
            **token_settings(tokens),
            "alignment_heads": lists["alignment_heads"],
            "begin_suppress_tokens": lists["suppress_ids_begin"],
            "suppress_tokens": lists["suppress_ids"],
            "lang_to_id": {names[token]: token for token in lists["lang_ids"]},
            "task_to_id": {task: tokens[f"<|{task}|>"] for task in TASKS},
            "no_timestamps_token_id": tokens[NO_TIMESTAMPS],
            "prev_sot_token_id": tokens[PREVIOUS],
            "is_multilingual": True,
            "max_initial_timestamp_index": MAX_INITIAL_TIMESTAMP,
            "max_length": max_tokens,
            # Without a task, `generate` prompts with a language alone, and babbles.
            "task": "transcribe",
            "return_timestamps": False,
        }
    except KeyError as exc:
        raise WeightsError(
            f"config.json and tokenizer.json of the source have no {exc.args[0]!r}"
        ) from exc


def tokenizer_config(tokens: Mapping[str, int], max_tokens: int) -> Json:
    """Return the contents of `tokenizer_config.json`."""
    return {
        "tokenizer_class": "WhisperTokenizer",
        "add_prefix_space": False,
        "bos_token": END,
        "eos_token": END,
        "pad_token": END,
        "unk_token": END,
        "extra_special_tokens": sorted(tokens, key=tokens.__getitem__),
        "clean_up_tokenization_spaces": False,
        "errors": "replace",
        "model_max_length": max_tokens,
    }


def feature_config(num_mels: int) -> Json:
    """Return the contents of `preprocessor_config.json`."""
    return {
        "feature_extractor_type": "WhisperFeatureExtractor",
        "processor_class": "WhisperProcessor",
        "feature_size": num_mels,
        "sampling_rate": SAMPLE_RATE,
        "hop_length": HOP_LENGTH,
        "n_fft": N_FFT,
        "chunk_length": CHUNK_S,
        "n_samples": CHUNK_S * SAMPLE_RATE,
        "nb_max_frames": CHUNK_S * SAMPLE_RATE // HOP_LENGTH,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": False,
    }
