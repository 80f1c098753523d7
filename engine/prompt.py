r"""SALMONN's prompt: the token ids that stand before the audio, and those behind it.

    <s> USER: <Speech>   audio embeddings   </Speech> question\nASSISTANT:   answer
    └──── opening ────┘                     └────── closing ──────┘

The audio stands before the question, so one opening and one run of embeddings serve
every question that is asked about them.  Both halves are tokenised apart: tokenised
together, the model would read other ids than it was trained on.  Knows neither audio
nor model, and of questions only that they are text (`engine.tasks` has some).

Source:
    bytedance/SALMONN@a58bba7, models/salmonn.py, configs/config.yaml.
"""

from typing import Final, Protocol

TEMPLATE: Final = "USER: {}\nASSISTANT:"
AUDIO: Final = "<SpeechHere>"
SPEECH: Final = f"<Speech>{AUDIO}</Speech> "
"""`<Speech>` and `</Speech>` are text like any other; `AUDIO` is where we split."""
LONGEST_WORD: Final = 20
"""Characters; what has no space for longer is a script that needs none."""


class Tokenizer(Protocol):
    """What is asked of a tokenizer; those of `transformers` can do it."""

    @property
    def bos_token_id(self) -> int | None:
        """Id of the token that begins a text; None for models that know none."""

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """Return the ids of a text."""


def halves(question: str) -> tuple[str, str]:
    """Return the text before the audio and the text behind it.

    White space around the question is taken off.  A question that itself holds the
    mark of the audio is not split there: only the first mark, ours, counts.
    """
    before, _, after = TEMPLATE.format(SPEECH + question.strip()).partition(AUDIO)
    return before, after


def opening(tokenizer: Tokenizer) -> tuple[int, ...]:
    """Return the ids before the audio, the same for every question; BOS leads."""
    before, _ = halves("")
    ids = tokenizer.encode(before, add_special_tokens=False)
    bos = tokenizer.bos_token_id
    return tuple(ids) if bos is None else (bos, *ids)


def written(tokenizer: Tokenizer, question: str, text: str) -> tuple[int, ...]:
    """Return the ids of a whole prompt about a text, without audio; BOS leads."""
    asked = TEMPLATE.format(f"{question.strip()} {text.strip()}")
    ids = tokenizer.encode(asked, add_special_tokens=False)
    bos = tokenizer.bos_token_id
    return tuple(ids) if bos is None else (bos, *ids)


def beside(question: str, said: str) -> str:
    """Return a question that tells first what was said in the audio.

    Nothing of the original: it hears the words itself.  A small model that does not can
    be taught to read them (`engine.skills`).
    """
    said = said.strip()
    return f'It is said: "{said}" {question.strip()}' if said else question


def latest(tokenizer: Tokenizer, text: str, most: int) -> str:
    """Return the end of a text, some `most` tokens or all there are.

    It begins with a word, where spaces tell words; tokens are taken to be equally long.
    """
    text = text.strip()
    count = len(tokenizer.encode(text, add_special_tokens=False))
    if count <= most:
        return text
    start = len(text) - len(text) * most // count
    space = text.find(" ", start - 1, start + LONGEST_WORD)
    return text[start if space < 0 else space + 1 :]


def closing(tokenizer: Tokenizer, question: str) -> tuple[int, ...]:
    """Return the ids behind the audio: the question, and the call for an answer."""
    _, after = halves(question)
    return tuple(tokenizer.encode(after, add_special_tokens=False))
