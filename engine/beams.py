"""A search with beams for an answer, behind whatever a KV cache holds.

    cache: audio, opening ─┬─ closing ─┬─ token ─ token …   a beam is a fork
                           │           └─ token ─ token …
                           └─ stays as it is

The same search as `engine.answering.search`, which runs a whole prompt as the original
does; here what was heard live is not run again.  For one answer, offline: all beams
step in one pass, and nobody sees text before the last.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.cache import Cache
from engine.llm import LanguageModel


@dataclass(frozen=True, slots=True)
class _Beam:
    tokens: list[int]
    logprob: float
    """Of all its tokens together."""
    cache: Cache
    """What came before its last token."""


def beam_search(
    llm: LanguageModel,
    piece: Tensor,
    cache: Cache,
    *,
    beams: int,
    max_tokens: int,
    length_penalty: float = 1.0,
) -> list[int]:
    """Return the likeliest answer that a search finds, without the stop token.

    Likeliest is the highest log-probability over the number of its tokens, the stop
    token counted, to the power of the penalty.

    Args:
        llm: The model that the cache is of.
        piece: Embeddings of what follows what the cache holds, (N, D), at least one.
        cache: Left as it is.
        beams: How many go on at once, 1 or more.
        max_tokens: The most tokens of an answer, 1 or more.
        length_penalty: Above 0 it favours long answers.

    Raises:
        ContextFullError: If a beam outgrows the model's positions.
    """
    start = cache.fork()
    rows = llm.prefill(piece, start)[None]
    going = [_Beam([], 0.0, start)]
    ended: list[tuple[float, list[int]]] = []  # the best so far, best first
    # So many that enough go on, whichever stop.
    width = max(2, 1 + len(llm.stop)) * beams

    for length in range(1, max_tokens + 1):
        before = torch.tensor([beam.logprob for beam in going], device=rows.device)
        sums = (rows.log_softmax(-1) + before[:, None]).flatten()
        best = sums.topk(min(width, len(sums)))
        found = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        going_on: list[_Beam] = []
        for rank, (flat, logprob) in enumerate(found):
            origin, token = divmod(flat, rows.shape[1])
            beam = going[origin]
            if token in llm.stop or length == max_tokens:
                if rank < beams:  # the others are only there to go on
                    told = [] if token in llm.stop else [token]
                    score = logprob / length**length_penalty
                    ended.append((score, beam.tokens + told))
            elif len(going_on) < beams:
                going_on.append(_Beam([*beam.tokens, token], logprob, beam.cache))
        ended = sorted(ended, key=lambda pair: pair[0], reverse=True)[:beams]
        if not going_on:
            break
        hope = going_on[0].logprob / length**length_penalty
        if len(ended) == beams and hope <= ended[-1][0]:
            break
        going = [_Beam(b.tokens, b.logprob, b.cache.fork()) for b in going_on]
        rows = llm.step([b.tokens[-1] for b in going], [b.cache for b in going])
    return ended[0][1]
