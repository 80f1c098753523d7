"""Memory that is free, back to the system.

Tensors of a segment have the segment's length, so the holes that they leave in glibc's
heap fit no other, and the heap grows with each (docs/adr/0026).  What is given back is
whole pages; on a system without glibc nothing is done.
"""

import ctypes
from collections.abc import Callable
from functools import cache


def give_back() -> None:
    """Give pages without content back, wherever in the heap they lie."""
    if (trim := _trim()) is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    """Return glibc's `malloc_trim`; None where there is none."""
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # other systems, in their ways
        return None
    return found
