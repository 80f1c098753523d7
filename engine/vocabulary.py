"""Which words an answer may be made of: an output head with fewer rows.

A vocabulary for a hundred languages has rows for all of them, and each step of an
answer reads every row.  What a preset's languages never use can go: the head then
computes fewer logits, and gives minus infinity for the others, so that ids stay what
they are.  The words of a prompt are not touched.  Of languages it knows only the
letters that they are written with.
"""

import unicodedata
from collections.abc import Collection, Iterable, Sequence
from functools import cache

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from engine.quantise import Int8Linear

LATIN = "LATIN"  # always kept: names and loan words stand in any language
SCRIPTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("zh", "yue"), ("CJK",)),
    "ja": ("CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"),
    "ko": ("HANGUL",),
    **dict.fromkeys(
        ("be", "bg", "kk", "mk", "mn", "ru", "sr", "tg", "tt", "uk"), ("CYRILLIC",)
    ),
    "el": ("GREEK",),
    **dict.fromkeys(("ar", "fa", "ps", "sd", "ur"), ("ARABIC",)),
    **dict.fromkeys(("he", "yi"), ("HEBREW",)),
    **dict.fromkeys(("hi", "mr", "ne", "sa"), ("DEVANAGARI",)),
    **dict.fromkeys(("as", "bn"), ("BENGALI",)),
    "am": ("ETHIOPIC",),
    "bo": ("TIBETAN",),
    "gu": ("GUJARATI",),
    "hy": ("ARMENIAN",),
    "ka": ("GEORGIAN",),
    "km": ("KHMER",),
    "kn": ("KANNADA",),
    "lo": ("LAO",),
    "ml": ("MALAYALAM",),
    "my": ("MYANMAR",),
    "pa": ("GURMUKHI",),
    "si": ("SINHALA",),
    "ta": ("TAMIL",),
    "te": ("TELUGU",),
    "th": ("THAI",),
}
"""Letters of languages that are not written in Latin ones, as Unicode calls them."""
_ANY = ("COMBINING", "MODIFIER", "FULLWIDTH", "HALFWIDTH", "IDEOGRAPHIC")
"""First words of the names of letters and marks that belong to no one script."""


def words_of(
    tokenizer: PreTrainedTokenizerBase,
    languages: Iterable[str],
    *,
    most: int | None = None,
    also: Collection[int] = (),
) -> Tensor:
    """Return the ids that texts in some languages are made of, in order, (K,).

    Args:
        tokenizer: The vocabulary; frequent words have low ids, as training by pair
            merging leaves them.
        languages: Codes, as `zh`; those not in `SCRIPTS` are written in Latin letters.
        most: Drop words of several characters from this id on.  They can still be
            written, by their parts.  None drops none.
        also: Ids to keep in any case, such as those that end an answer.

    Returns:
        Words without letters of other scripts, single characters and bytes included.
    """
    scripts = {LATIN, *_ANY, *(s for code in languages for s in SCRIPTS.get(code, ()))}
    added = tokenizer.added_tokens_decoder
    special = set(tokenizer.all_special_ids)
    unused = {i for i, token in added.items() if token.special} - special
    kept = set(also) | special

    for word, index in tokenizer.get_vocab().items():
        text = tokenizer.convert_tokens_to_string([word]).strip()
        frequent = most is None or index < most or len(text) < 2 or index in added
        if frequent and index not in unused and _letters(text) <= scripts:
            kept.add(index)
    return torch.tensor(sorted(kept))


def prune(model: PreTrainedModel, words: Tensor) -> None:
    """Give a model an output head of some words only, in place.

    Args:
        model: Its head may share its rows with the embeddings; those keep all.
        words: Ids to keep, in order, (K,).
    """
    head = model.get_output_embeddings()
    assert isinstance(head, nn.Linear), "a head that is pruned already"
    model.set_output_embeddings(PrunedHead(head, words))


class PrunedHead(nn.Module):
    """An output head that knows only some words."""

    words: Tensor
    """Their ids, in order, (K,)."""

    def __init__(self, head: nn.Linear, words: Tensor) -> None:
        """Copy the rows of some words out of a head."""
        super().__init__()
        linear = nn.Linear(1, 1, bias=head.bias is not None, device="meta")
        words = words.to(head.weight.device)
        self.register_buffer("words", words, persistent=False)
        linear.weight = nn.Parameter(head.weight[words], requires_grad=False)
        if head.bias is not None:
            linear.bias = nn.Parameter(head.bias[words], requires_grad=False)
        self.linear: nn.Module = linear
        """What computes the logits of its words."""
        self._size = head.out_features

    def to_int8(self) -> None:
        """Keep its weights in eight bits from now on."""
        assert isinstance(self.linear, nn.Linear), "it is in eight bits already"
        self.linear = Int8Linear(self.linear)

    @property
    def size(self) -> tuple[int, int]:
        """How many words it knows, and how many there are."""
        return len(self.words), self._size

    def forward(self, hidden: Tensor) -> Tensor:
        """Return logits of all words, (…, V), for (…, D): others are never chosen."""
        logits = self.linear(hidden)
        everything = logits.new_full((*logits.shape[:-1], self._size), -torch.inf)
        return everything.index_copy_(-1, self.words, logits)


def _letters(text: str) -> set[str]:
    """Return whose letters a text has; parts of characters are no letters."""
    return {_script(character) for character in text}


@cache
def _script(character: str) -> str:
    """Return whose letter a character is; `LATIN` for what is none."""
    if unicodedata.category(character)[0] not in "LM":
        return LATIN
    return unicodedata.name(character, "?").split()[0]


def shares(
    tokenizer: PreTrainedTokenizerBase, words: Tensor, texts: Sequence[str]
) -> float:
    """Return which part of the tokens of some texts is among the words."""
    kept = set(words.tolist())
    ids = [i for t in texts for i in tokenizer.encode(t, add_special_tokens=False)]
    return sum(i in kept for i in ids) / len(ids)
