import pytest
import torch
from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import ByteFallback, Fuse, Replace, Sequence
from tokenizers.models import WordLevel
from torch.testing import assert_close
from transformers import PreTrainedTokenizerFast

from engine.answering import Search, search
from engine.cache import Cache
from engine.vocabulary import (
    LATIN,
    PrunedHead,
    prune,
    shares,
    words_of,
)
from tests.engine.tiny_llm import STOP, VOCABULARY_SIZE, WIDTH, tiny_llm

WORDS = [
    *("<pad>", "<eos>", "<0xE4>", "\n", "▁the", "ün", "1,", "中国", "の", "中の"),
    *("▁мир", "ру", "▁late", "中", "é", "<unused0>"),
]


@pytest.fixture(scope="module")
def tokenizer():
    ids = {word: i for i, word in enumerate(WORDS)}
    raw = Tokenizer(WordLevel(ids, unk_token="<pad>"))
    raw.decoder = Sequence([Replace("▁", " "), ByteFallback(), Fuse()])
    raw.add_special_tokens(["<unused0>"])
    raw.add_tokens([AddedToken("\n", normalized=False)])
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", eos_token="<eos>"
    )


def kept(tokenizer, languages, **options):
    return [WORDS[i] for i in words_of(tokenizer, languages, **options).tolist()]


def test_latin_words_bytes_and_marks_are_kept_for_any_language(tokenizer):
    assert kept(tokenizer, ["de"]) == [
        *("<pad>", "<eos>", "<0xE4>", "\n", "▁the", "ün", "1,", "▁late", "é"),
    ]


@pytest.mark.parametrize(
    ("languages", "more"),
    [
        (["zh"], {"中国", "中"}),
        (["ja"], {"中国", "の", "中の", "中"}),
        (["en", "ru"], {"▁мир", "ру"}),
    ],
)
def test_a_language_adds_the_words_of_its_letters(tokenizer, languages, more):
    assert set(kept(tokenizer, languages)) - set(kept(tokenizer, ["en"])) == more


def test_rare_words_can_be_dropped_but_not_characters_and_bytes(tokenizer):
    assert kept(tokenizer, ["zh"], most=5) == [
        *("<pad>", "<eos>", "<0xE4>", "\n", "▁the", "中", "é"),
    ]


def test_words_can_be_kept_in_any_case(tokenizer):
    assert "<unused0>" in kept(tokenizer, ["en"], also=[WORDS.index("<unused0>")])


def test_the_share_of_a_text_that_can_be_written(tokenizer):
    words = words_of(tokenizer, ["en"])
    assert shares(tokenizer, words, ["▁the", "中国", "é", "の"]) == 0.5


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_a_pruned_head_gives_the_same_logits_and_never_another_word(family):
    whole, pruned = tiny_llm(family), tiny_llm(family)
    words = torch.arange(0, VOCABULARY_SIZE, 3).add(STOP)
    prune(pruned.model, words)
    prompt = torch.randn(9, WIDTH)
    expected, logits = (llm.prefill(prompt, Cache()) for llm in (whole, pruned))
    assert logits.shape == expected.shape
    assert_close(logits[words], expected[words])
    assert logits.isfinite().sum() == len(words)
    assert torch.equal(pruned.embed(range(96)), whole.embed(range(96)))
    assert set(search(pruned, prompt, Search(max_tokens=9))) <= set(words.tolist())


def test_the_bias_of_a_head_is_pruned_with_it():
    head = torch.nn.Linear(4, 6)
    pruned = PrunedHead(head, torch.tensor([1, 4]))
    hidden = torch.randn(2, 3, 4)
    assert_close(pruned(hidden)[..., [1, 4]], head(hidden)[..., [1, 4]])


def test_the_name_of_latin_is_that_of_unicode():
    import unicodedata

    assert unicodedata.name("a").split()[0] == LATIN
