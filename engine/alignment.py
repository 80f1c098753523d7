"""Where words were spoken, read from the decoder's attention.

Tokens are laid along the encoder frames in order, each over a stretch of its own, so
that together they gather the most attention.

Source:
    openai/whisper, timing.py, for the treatment of the attention.  The path is found
    by a running maximum per token, where Whisper warps time cell by cell.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from engine.api import Word
from engine.geometry import FRAME_SAMPLES

SMOOTHING = 7  # frames of the median filter, odd


def token_frames(attention: Tensor, prompt: int) -> list[int]:
    """Return the frame that each token of an answer was heard at.

    Args:
        attention: How much the tokens of prompt and answer looked at each frame,
            (A, P + N, T); the last token's row may be left out.
        prompt: P.

    Returns:
        A frame a token.
    """
    frames: list[int] = _scores(attention, prompt).argmax(-1).tolist()
    return frames


def last_token_frame(attention: Tensor) -> int:
    """Return the frame that the last token was heard at, as far as is known by then.

    Args:
        attention: As for `token_frames`, the last token's row included.
    """
    return int(_median(_contrast(attention, slice(-2, -1))).argmax())


def token_bounds(attention: Tensor, prompt: int) -> list[int]:
    """Return where each token begins, and where the last one ends, in frames.

    Arguments as for `token_frames`.

    Returns:
        N + 1 frames, none before the one in front of it; the last is T.
    """
    scores = _scores(attention, prompt)
    return _best_bounds(scores - scores.mean())


def _scores(attention: Tensor, prompt: int) -> NDArray[np.float32]:
    """Return how much each token of an answer belongs to each frame, (N, T).

    What all tokens look at, the prompt's among them, says nothing of any.  The row
    before a token is the one that chose it.
    """
    return _median(_contrast(attention, slice(prompt - 1, -1)))


def _contrast(attention: Tensor, rows: slice) -> NDArray[np.float32]:
    """Return how much more than all rows some looked at each frame, (…, T).

    Only those leave the attention's device.
    """
    mean = attention.mean(1, keepdim=True)
    deviation = attention.std(1, correction=0, keepdim=True)
    contrast = (attention[:, rows] - mean) / (deviation + 1e-6)
    scores: NDArray[np.float32] = contrast.mean(0).cpu().numpy()
    return scores


def _median(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    padded = np.pad(scores, ((0, 0), (SMOOTHING // 2, SMOOTHING // 2)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, SMOOTHING, axis=1)
    return np.asarray(np.median(windows, axis=-1), dtype=np.float32)


def _best_bounds(scores: NDArray[np.float32]) -> list[int]:
    """Return the bounds of consecutive stretches with the greatest sum, (N, T)."""
    N, T = scores.shape
    gathered = np.zeros((N, T + 1))
    np.cumsum(scores, axis=1, out=gathered[:, 1:])
    best = np.full(T + 1, -np.inf)
    best[0] = 0.0  # nothing is laid before the first token begins
    begins = np.zeros((N, T + 1), dtype=np.int64)
    for token in range(N):
        before = best - gathered[token]
        reach = np.maximum.accumulate(before)
        # The latest place where the running maximum was set: where the token begins.
        begins[token] = np.maximum.accumulate(
            np.where(before == reach, np.arange(T + 1), 0)
        )
        best = reach + gathered[token]
    bounds = [T]
    for token in reversed(range(N)):
        bounds.append(int(begins[token, bounds[-1]]))
    return bounds[::-1]


def words(
    tokens: Sequence[int], bounds: Sequence[int], text: Callable[[list[int]], str]
) -> tuple[Word, ...]:
    """Return the words that tokens spell, and where.

    Args:
        tokens: N tokens.
        bounds: N + 1 frames, as `token_bounds` returns them.
        text: What tokens say; it leaves out characters that are not complete.  A
            word begins with a space, or, where a script writes none, anywhere.
    """
    found: list[Word] = []
    said, first = "", 0
    for index in range(len(tokens)):
        whole = text(list(tokens[: index + 1]))
        piece = whole[len(said) :]
        if not piece:  # part of a character
            continue
        start, end = (bounds[i] * FRAME_SAMPLES for i in (first, index + 1))
        is_new = piece[0].isspace() or not _is_spaced(piece) or not found
        if is_new and any(map(str.isalnum, piece)):
            found.append(Word(text=piece.strip(), start=start, end=end))
        elif found:
            last = found[-1]
            joined = last.text + piece.rstrip()
            found[-1] = Word(text=joined, start=last.start, end=end)
        said, first = whole, index + 1
    return tuple(found)


def _is_spaced(piece: str) -> bool:
    """Return whether a script puts spaces between words; Chinese, Thai … do not."""
    first = ord(piece.strip()[0]) if piece.strip() else 0
    return not (0x0E00 <= first < 0x1000 or 0x2E80 <= first < 0xA000)
