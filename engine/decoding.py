"""Choosing tokens: greedy with a draft, beams, and the guards against loops.

It works on a `TokenDecoder` and on numbers; what a token means, and which hypothesis
a user sees, is decided elsewhere.

A *draft* is what the last hypothesis said.  The model checks all of it in one pass
and keeps what it would have chosen itself, so the answer is the greedy one and costs
one step for each token that is new.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from engine.device import send
from engine.guards import repetition
from engine.stability import common_prefix
from engine.whisper_decoder import TokenDecoder


@dataclass(frozen=True, slots=True)
class Filters:
    """Tokens that may not be chosen."""

    always: Tensor
    """Ids, (n,): never."""
    first: Tensor
    """Ids, (n,): not as the first token of an answer."""

    def to(self, device: torch.device) -> "Filters":
        """Return the same for logits on a device."""
        return Filters(self.always.to(device), self.first.to(device))

    def apply(self, logits: Tensor, *, first: bool) -> Tensor:
        """Return log-probabilities (…, V) in which what is filtered is -inf."""
        logits = logits.index_fill(-1, self.always, -torch.inf)
        if first:
            logits = logits.index_fill(-1, self.first, -torch.inf)
        return logits.log_softmax(-1)


@dataclass(slots=True)
class Decoded:
    """An answer and how sure the model was of it."""

    tokens: list[int]
    """Without prompt and end token."""
    logprobs: list[float]
    """Of each token that was not forced, and of the end token where it was reached."""
    start_logits: Tensor
    """Logits after the first token of the prompt, (V,), on the CPU."""
    attention: Tensor | None = None
    """Where prompt and answer looked: (A, P + N, T), A the watched heads.

    The row before a token is the one that chose it.
    """
    is_complete: bool = True
    """False if the limit, not the model, ended it."""
    looped: bool = field(default=False)
    """Whether a repetition was cut."""

    @property
    def mean_logprob(self) -> float:
        """Average over the tokens that were chosen; 0 if all were forced."""
        return sum(self.logprobs) / len(self.logprobs) if self.logprobs else 0.0


def greedy(
    decoder: TokenDecoder,
    cross: Tensor,
    prompt: Sequence[int],
    *,
    filters: Filters,
    stop: int,
    limit: int,
    forced: Sequence[int] = (),
    draft: Sequence[int] = (),
    barred: int | None = None,
    watch: Tensor | None = None,
    is_lost: Callable[[Tensor, Sequence[int]], bool] | None = None,
) -> Decoded:
    """Return the answer that takes the likeliest token, again and again.

    Args:
        decoder: Runs the model.
        cross: Keys and values of the encoder frames.
        prompt: Tokens before the answer.
        filters: Tokens that may not be chosen.
        stop: Token that ends the answer.
        limit: The most tokens in an answer, forced ones included.
        forced: Tokens that the answer begins with, whatever the model thinks.
        draft: Tokens that probably follow; the answer does not depend on them.
        barred: A token that may not come right after the forced ones.
        watch: Heads of the cross attention to note, (A, 2), layer and head.
        is_lost: Told after each new token where prompt and answer looked,
            (A, P + N, T), and the answer's tokens; True ends the answer there, for
            what would follow is of no use.
    """
    state = decoder.begin(cross, watch=watch)
    draft = draft[: max(0, limit - len(forced))]
    hidden = decoder.hidden(torch.tensor([[*prompt, *forced, *draft]]), state)[0]
    start_logits = decoder.logits(hidden[0])
    # Row i chooses the token in the place of draft[i]; the last, the first new one.
    logits = decoder.logits(hidden[len(prompt) + len(forced) - 1 :])
    table = filters.apply(logits, first=False)
    table[0] = filters.apply(logits[0], first=not forced)
    if barred is not None:
        table[0, barred] = -torch.inf

    # 1) keep of the draft what the model agrees with
    chosen, sure = _likeliest(table)
    agreed = common_prefix(draft, chosen)
    tokens, logprobs = [*forced, *draft[:agreed]], sure[:agreed]
    token, logprob = chosen[agreed], sure[agreed]
    state.crop(len(prompt) + len(tokens))

    # 2) go on alone
    answer = Decoded(tokens, logprobs, start_logits.cpu(), is_complete=False)
    while len(tokens) < limit:
        logprobs.append(logprob)
        if token == stop:
            answer.is_complete = True
            break
        tokens.append(token)
        if loop := repetition(tokens):
            del tokens[max(len(forced), len(tokens) - loop) :]
            answer.is_complete = answer.looped = True
            break
        hidden = decoder.hidden(torch.tensor([[token]]), state)[0, -1]
        if is_lost and is_lost(state.attention, tokens):
            break
        row = filters.apply(decoder.logits(hidden), first=False)
        (token,), (logprob,) = _likeliest(row[None])
    if watch is not None:
        answer.attention = state.attention[:, : len(prompt) + len(tokens)]
    return answer


def _likeliest(table: Tensor) -> tuple[list[int], list[float]]:
    """Return each row's likeliest token and its log-probability, for (N, V).

    A device is waited for once: both come in one piece, in which ids are exact.
    """
    found = table.max(-1)
    ids, logprobs = torch.stack(
        [found.indices.double(), found.values.double()]
    ).tolist()
    return list(map(int, ids)), logprobs


def beam_search(
    decoder: TokenDecoder,
    cross: Tensor,
    prompt: Sequence[int],
    *,
    filters: Filters,
    stop: int,
    limit: int,
    beams: int,
    forced: Sequence[int] = (),
) -> Decoded:
    """Return the answer with the best mean log-probability that `beams` beams find.

    Arguments as for `greedy`.
    """
    state = decoder.begin(cross)
    hidden = decoder.hidden(torch.tensor([[*prompt, *forced]]), state)[0]
    rows = filters.apply(decoder.logits(hidden[-1:]), first=not forced)
    start_logits = decoder.logits(hidden[0]).cpu()
    open_beams = [Decoded(list(forced), [], start_logits)]
    done: list[Decoded] = []

    while open_beams and len(done) < beams:
        sums = torch.tensor([[sum(b.logprobs)] for b in open_beams])
        best = (rows + send(sums, rows.device)).flatten().topk(2 * beams).indices
        survivors: list[Decoded] = []
        origins: list[int] = []
        for flat, logprob in zip(
            best.tolist(), rows.flatten()[best].tolist(), strict=True
        ):
            origin, token = divmod(flat, rows.shape[1])
            beam = open_beams[origin]
            logprobs = [*beam.logprobs, logprob]
            if token == stop:
                done.append(Decoded(beam.tokens, logprobs, start_logits))
            elif len(survivors) < beams:
                tokens = [*beam.tokens, token]
                if loop := repetition(tokens):
                    kept = max(len(forced), len(tokens) - loop)
                    tokens = tokens[:kept]
                    done.append(Decoded(tokens, logprobs, start_logits, looped=True))
                    continue
                survivors.append(Decoded(tokens, logprobs, start_logits))
                origins.append(origin)
        open_beams = survivors
        if not open_beams or len(open_beams[0].tokens) >= limit:
            break
        state.select(torch.tensor(origins))
        last = torch.tensor([[beam.tokens[-1]] for beam in open_beams])
        hidden = decoder.hidden(last, state)[:, -1]
        rows = filters.apply(decoder.logits(hidden), first=False)
    for beam in open_beams:
        beam.is_complete = False
    return max(done or open_beams, key=lambda beam: beam.mean_logprob)
