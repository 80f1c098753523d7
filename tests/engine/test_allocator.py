import platform

import psutil
import pytest
import torch

from engine.allocator import give_back

PAGES = 1 << 14  # floats, 64 kB: far below what the allocator takes from the system


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_holes_in_the_heap_are_given_back():
    process = psutil.Process()
    held = [torch.ones(PAGES) for _ in range(4_000)]
    full = process.memory_info().rss
    del held[::2]  # half of 250 MB, none of it at the end of the heap
    give_back()
    assert full - process.memory_info().rss > 90e6
    assert all(tensor[-1] == 1.0 for tensor in held)
