"""The KV cache of one sequence: what is kept, what is only tried, what is shared.

    storage   |prompt|audio ……………|question|answer …|      |
    cache     ├─────────────────────────────────────▶ it goes on in place
    fork      ├───────────────────▶ reads the same storage; copies it to go on

Every layer keeps all positions, those behind a sliding window, too: the window is the
attention's affair, so that any number of positions can be taken back (docs/adr/0013).
Knows no model: keys and values come in by layer, all that are kept go out.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

SPARE = 128  # positions; a storage grows by at least these, so that few steps copy


class Cache:
    """Keys and values of the positions of one sequence."""

    def __init__(self) -> None:
        self._storage = _Storage(0)
        self._length = 0

    def __len__(self) -> int:
        """Return the number of positions kept."""
        return self._length

    @property
    def size_bytes(self) -> int:
        """Memory of the storage, with what it keeps in reserve; forks may share it."""
        return sum(t.nbytes for pair in self._storage.layers for t in pair)

    def fork(self) -> "Cache":
        """Return a cache of the same positions that goes its own way; copies nothing.

        The one of the two that goes on second makes a copy then.
        """
        other = Cache()
        other._storage, other._length = self._storage, self._length
        self._storage.shared = max(self._storage.shared, self._length)
        return other

    def crop(self, length: int) -> None:
        """Keep only the first positions.

        Args:
            length: How many; at most as many as there are.
        """
        assert 0 <= length <= self._length, "only what is kept can be cropped"
        storage = self._storage
        if storage.used == self._length:  # nobody has gone further than we
            storage.used = max(length, storage.shared)
        self._length = length

    def claim(self, count: int) -> None:
        """Make room for more positions, in all layers; `append` fills it."""
        storage, end = self._storage, self._length + count
        if storage.used != self._length or storage.capacity < end:
            self._storage = storage = storage.copy(
                self._length, end + max(SPARE, end // 2)
            )
        storage.used = end

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Write keys and values of new positions; they count once `advance` is called.

        Args:
            layer: Number of the layer; layers come in order.
            keys: (H, N, D), N as claimed.
            values: The same.

        Returns:
            Keys and values of all positions, new ones included, (H, L + N, D).
        """
        end = self._length + keys.shape[1]
        assert end == self._storage.used, "what was claimed is not what came"
        pair = self._storage.layer(layer, keys, values)
        for all_, new in zip(pair, (keys, values), strict=True):
            all_[:, self._length : end] = new
        return pair[0][:, :end], pair[1][:, :end]

    def read(self, layer: int) -> tuple[Tensor, Tensor]:
        """Return keys and values of all positions, (H, L, D), to be read only."""
        keys, values = self._storage.layers[layer]
        return keys[:, : self._length], values[:, : self._length]

    def advance(self) -> None:
        """Count the claimed positions, which every layer has appended."""
        self._length = self._storage.used


@contextmanager
def tentative(cache: Cache) -> Iterator[None]:
    """Forget, on leaving, every position that was added inside the block.

    What was there before stays, also when the block is left by an error.
    """
    length = len(cache)
    try:
        yield
    finally:
        cache.crop(length)


class _Storage:
    """Room for the positions of all layers, read by a cache and its forks.

    Only who reads all `used` positions may write behind them.  What lies below
    `shared` belongs to several and is written once.
    """

    def __init__(self, capacity: int) -> None:
        self.layers: list[tuple[Tensor, Tensor]] = []  # keys, values: (H, capacity, D)
        self.capacity = capacity
        self.used = 0
        self.shared = 0

    def layer(self, index: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tensors of a layer, made when its first positions come."""
        if index == len(self.layers):
            self.layers.append((self._room(keys), self._room(values)))
        return self.layers[index]

    def copy(self, length: int, capacity: int) -> "_Storage":
        """Return another storage with the first positions of this one."""
        other = _Storage(capacity)
        for pair in self.layers:
            rooms = other._room(pair[0]), other._room(pair[1])
            for room, old in zip(rooms, pair, strict=True):
                room[:, :length] = old[:, :length]
            other.layers.append(rooms)
        return other

    def _room(self, like: Tensor) -> Tensor:
        return like.new_empty(like.shape[0], self.capacity, like.shape[2])
