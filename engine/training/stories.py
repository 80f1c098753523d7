"""Activation tuning's data: stories that the model itself writes about what it hears.

    clips ─▶ prompt for a story ─▶ model at reduced LoRA scale ─▶ stories.jsonl

With its adapters at full strength the model answers everything as it was instructed:
in a few words.  With less of them the language model speaks; what it then writes, it is
tuned on.  The list that comes out is one of ours, for people and for `examples`.

Source:
    arXiv:2310.13289, section 3.3: 12 stories, 12 steps, a story a step.
"""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from engine.cache import Cache
from engine.data.examples import Example
from engine.data.lists import DataError
from engine.llm import LanguageModel
from engine.lora import DEFAULT, use_adapter
from engine.training.config import StoriesConfig
from engine.training.order import Visit
from engine.training.reading import Broken, Reader, collate
from engine.training.state import replace_file
from engine.training.student import Student

FILE: Final = "stories.jsonl"
GROUP: Final = "audio_story_telling"


def questions(clips: Sequence[Example]) -> list[Example]:
    """Return a request for a story about each clip."""
    # A target must be there; nobody reads it.
    return [replace(clip, task=GROUP, question="", text="…") for clip in clips]


def write_stories(
    student: Student,
    llm: LanguageModel,
    reader: Reader,
    clips: Sequence[Example],
    *,
    config: StoriesConfig,
    trained_scale: float,
    seed: int,
    path: Path,
    tell: Callable[[str], object],
) -> None:
    """Have the model write as many stories as are asked for, into a list.

    Args:
        student: Hears the clips.
        llm: Its language model.
        reader: Of `questions(clips)`.
        clips: More than are needed: some inspire nothing.
        config: How many, how long, how freely.
        trained_scale: The LoRA scale of training.
        seed: Of the order of clips, and of what is drawn.
        path: The list.
        tell: Who is told of each story.

    Raises:
        DataError: If too few clips led to a story.
    """
    order = list(range(len(clips)))
    random.Random(f"{seed} stories").shuffle(order)
    student.eval()
    use_adapter(llm.model, DEFAULT, factor=config.lora_scale / trained_scale)
    lines = []
    try:
        for index, story in _stories(student, llm, reader, order, config, seed):
            files = [str(file.resolve()) for file in clips[index].files]
            line: dict[str, Any] = {"path": files[0], "text": story, "task": GROUP}
            if files[1:]:
                line["expand_wav"] = files[1:]
            lines.append(json.dumps(line, ensure_ascii=False) + "\n")
            tell(f"story {len(lines)}/{config.count}: {story[:60]!r} …")
            if len(lines) == config.count:
                break
    finally:
        use_adapter(llm.model, DEFAULT)
    if len(lines) < config.count:
        raise DataError(
            f"{len(clips)} clips led to {len(lines)} stories of at least "
            f"{config.min_tokens} tokens; expected {config.count}"
        )
    replace_file(path, lambda new: new.write_text("".join(lines), encoding="utf-8"))


def _stories(
    student: Student,
    llm: LanguageModel,
    reader: Reader,
    order: Sequence[int],
    config: StoriesConfig,
    seed: int,
) -> Iterator[tuple[int, str]]:
    """Yield the clips that led to a story, with it."""
    for index in order:
        item = reader[Visit(0, index)]
        if isinstance(item, Broken):
            continue
        batch = collate([item]).to(llm.device)
        with torch.inference_mode():
            (prefix,) = student.prefixes(batch)
        ids = _write(llm, prefix, config, f"{seed} story {index}")
        if len(ids) >= config.min_tokens and (story := llm.text(ids)):
            yield index, story


def _write(
    llm: LanguageModel, prefix: Tensor, config: StoriesConfig, seed: str
) -> list[int]:
    """Return the tokens of an answer, drawn from the likeliest."""
    drawn = torch.Generator().manual_seed(random.Random(seed).getrandbits(63))
    cache, ids = Cache(), list[int]()
    logits = llm.prefill(prefix, cache)
    while len(ids) < config.max_tokens:
        token = _draw(logits, config.top_p, drawn)
        if token in llm.stop:
            break
        ids.append(token)
        logits = llm.step([token], [cache])[0]
    return ids


def _draw(logits: Tensor, top_p: float, drawn: torch.Generator) -> int:
    """Return a token from the fewest that together have a probability of `top_p`."""
    chances, ids = logits.float().softmax(-1).cpu().sort(descending=True)
    before = chances.cumsum(-1) - chances
    chances = chances.masked_fill(before >= top_p, 0.0)
    return int(ids[torch.multinomial(chances, 1, generator=drawn)])
