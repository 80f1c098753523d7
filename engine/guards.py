"""Signs that a hypothesis has left the audio: loops, rewinds, words in silence.

Pure: tokens and the frames they were heard at go in, where to cut comes out.
"""

from collections.abc import Sequence

MAX_PERIOD = 24  # tokens; the longest phrase whose repetition is noticed
MIN_LOOP_TOKENS = 12  # a repeated stretch shorter than this may be meant ("no no no")
MIN_LOOP_TIMES = 3
REWIND = 25  # frames, half a second: no speech is transcribed so far out of order
SILENCE = 10  # frames behind the end of the audio where no word can be heard


def repetition(tokens: Sequence[int]) -> int:
    """Return how many tokens at the end only repeat what stands before them.

    A phrase said `MIN_LOOP_TIMES` times in a row is a loop; all but its first
    saying are to be cut.  Zero means none.
    """
    for period in range(1, MAX_PERIOD + 1):
        times = max(MIN_LOOP_TIMES, -(-MIN_LOOP_TOKENS // period))
        span = period * times
        if len(tokens) < span:
            continue
        tail = list(tokens[-span:])
        if tail == tail[:period] * times:
            return span - period
    return 0


def is_behind_audio(frame: int, *, heard: int) -> bool:
    """Return whether a word at a frame was heard in the silence behind the audio."""
    return frame > heard + SILENCE


def restated(tokens: Sequence[int]) -> int:
    """Return how many tokens at the end say for a third time what was said twice.

    They may become a loop, or only "no, no, no": who shows an answer while it is made
    holds them back until that is known, and so never takes a word back.
    """
    most = 0
    for period in range(1, MAX_PERIOD + 1):
        run = 0
        for token, before in zip(
            reversed(tokens), reversed(tokens[: len(tokens) - period]), strict=False
        ):
            if token != before:
                break
            run += 1
        most = max(most, run - period)
    return most


def misplaced(frames: Sequence[int], *, heard: int) -> int | None:
    """Return the first token that was heard where no next word can be.

    Args:
        frames: The encoder frame that each token was heard at.
        heard: How many frames hold audio.

    Returns:
        Its index: it goes back to what was said before, or hears a word in the
        silence behind the audio.  None if all tokens are in place.
    """
    furthest = 0
    for index, frame in enumerate(frames):
        if frame < furthest - REWIND or is_behind_audio(frame, heard=heard):
            return index
        furthest = max(furthest, frame)
    return None
