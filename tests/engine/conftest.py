"""A Whisper of some thousand random weights: right in shape, wrong in all it says."""

from collections.abc import Iterator

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import WordLevel
from tokenizers.normalizers import Replace
from tokenizers.pre_tokenizers import Split
from transformers import (
    PreTrainedTokenizerFast,
    WhisperConfig,
    WhisperForConditionalGeneration,
)

from engine.decoding import Filters
from engine.whisper import TRANSCRIBE, TRANSLATE, Vocabulary, Whisper

NUM_WORDS = 64
END, START, EN, ZH, ASK, TURN, SILENT, NO_TIMES = range(NUM_WORDS, NUM_WORDS + 8)
VOCABULARY_SIZE = NUM_WORDS + 8


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="package")
def _single_thread() -> Iterator[None]:
    """Tiny tensors gain nothing from threads, and lose much to their start."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take what a random model writes for speech, and heard where it stands."""
    # Its attention points nowhere, and it is never sure.
    monkeypatch.setattr("engine.transcriber.misplaced", lambda *_, **__: None)
    monkeypatch.setattr("engine.transcriber.SPARSE_S", float("inf"))


@pytest.fixture(scope="session")
def tiny_model() -> WhisperForConditionalGeneration:
    torch.manual_seed(0)
    config = WhisperConfig(
        d_model=64,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=128,
        decoder_ffn_dim=128,
        vocab_size=VOCABULARY_SIZE,
        max_target_positions=128,
        pad_token_id=END,
        bos_token_id=END,
        eos_token_id=END,
        decoder_start_token_id=START,
    )
    model = WhisperForConditionalGeneration(config).eval().requires_grad_(False)
    # Larger weights than the initial ones, so that audio matters to the answer.
    for parameter in model.parameters():
        parameter.mul_(3.0)
    return model


@pytest.fixture(scope="session")
def tiny_whisper(tiny_model: WhisperForConditionalGeneration) -> Whisper:
    words = {f"Ġw{i}": i for i in range(NUM_WORDS)}
    special = ["end", "start", "en", "zh", "transcribe", "translate", "silent", "plain"]
    words |= {f"<|{name}|>": NUM_WORDS + i for i, name in enumerate(special)}
    tokenizer = Tokenizer(WordLevel(words, unk_token="<|end|>"))
    tokenizer.decoder = ByteLevelDecoder()
    tokenizer.normalizer = Replace(" ", "Ġ")
    tokenizer.pre_tokenizer = Split("Ġ", "merged_with_next")
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        additional_special_tokens=[f"<|{name}|>" for name in special],
    )
    vocabulary = Vocabulary(
        tokenizer=fast,
        start=START,
        end=END,
        no_speech=SILENT,
        no_timestamps=NO_TIMES,
        languages={"en": EN, "zh": ZH},
        tasks={TRANSCRIBE: ASK, TRANSLATE: TURN},
        filters=Filters(torch.arange(START, NO_TIMES + 1), torch.tensor([0])),
        alignment_heads=torch.tensor([[0, 1], [1, 2], [1, 3]]),
    )
    return Whisper(tiny_model, vocabulary)


@pytest.fixture
def noise() -> torch.Tensor:
    """Five seconds that are never quiet, (S,)."""
    return torch.randn(5 * 16_000) * 0.1
