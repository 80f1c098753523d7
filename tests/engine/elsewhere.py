"""A device that is none: tensors that say they lie on `cuda:0`, and obey its rules.

Their values lie on the CPU, so all that is computed is right, and what code decides by
values it decides as ever.  But they meet no tensor of the CPU, have no numpy, and a
tensor that is made without naming a device is the CPU's: code that forgets to move one
fails here as it would there.  torch's own fake tensors know the same rules and no
values, so an engine, which goes on by what it reads, does not run on them.

What would make the CPU wait for the device is noted in `Elsewhere.waits`: a value that
is read, a copy back, and a copy there that does not say it need not be waited for.

    with Elsewhere() as there:
        model.to("cuda:0")
"""

from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map

DEVICE = torch.device("cuda:0")
READS = {"item", "tolist", "__int__", "__float__", "__bool__", "__index__", "nonzero"}
INDEXES = {"__getitem__", "__setitem__"}


class Moved(torch.Tensor):
    """A tensor that says it lies on `DEVICE`."""


class Elsewhere(TorchFunctionMode):
    """Puts the device in place while it is entered."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []
        """Names of what was waited for, in order."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", str(func))
        with torch._C.DisableTorchFunctionSubclass():
            if name == "__get__":
                return self._attribute(func, args)
            if name in ("to", "cpu", "cuda"):
                return self._move(name, args, kwargs)
            if name == "_has_compatible_shallow_copy_type":  # a module moves
                return isinstance(args[0], Moved) == isinstance(args[1], Moved)
            return self._call(func, name, args, kwargs)

    def _attribute(self, func: Any, args: Any) -> Any:
        named, is_moved = func.__self__, isinstance(args[0], Moved)
        if named is torch.Tensor.device and is_moved:
            return DEVICE
        if named is torch.Tensor.is_cuda:
            return is_moved
        if named is torch.Tensor.is_cpu:
            return not is_moved
        return _like(args[0], func(*args))

    def _move(self, name: str, args: Any, kwargs: dict[str, Any]) -> Any:
        tensor, *rest = args
        target = {"cpu": torch.device("cpu"), "cuda": DEVICE}.get(name)
        kept = []
        for value in [*rest, *kwargs.values()]:
            if isinstance(value, str | torch.device):
                target = torch.device(value)
            elif isinstance(value, torch.dtype):
                kept.append(value)
            elif isinstance(value, torch.Tensor):
                target = DEVICE if isinstance(value, Moved) else torch.device("cpu")
                kept.append(value.dtype)
        is_moved = isinstance(tensor, Moved)
        goes = is_moved if target is None else target.type == DEVICE.type
        if target is not None and target.type == "meta":
            return tensor.to("meta", *kept)
        if goes != is_moved:
            self._note(name, is_free=goes and kwargs.get("non_blocking", False))
        plain = tensor.as_subclass(torch.Tensor)
        out = plain.to(*kept) if kept else plain
        if goes == is_moved and out is plain:
            return tensor
        return out.as_subclass(Moved) if goes else out

    def _call(self, func: Any, name: str, args: Any, kwargs: dict[str, Any]) -> Any:
        leaves, _ = tree_flatten((args, kwargs))
        tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
        moved = [tensor for tensor in tensors if isinstance(tensor, Moved)]
        others = [t for t in tensors if not isinstance(t, Moved) and t.dim()]
        if moved and name in ("numpy", "__array__"):
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        if moved and name in READS:
            self._note(name, is_free=False)
        if name in INDEXES and moved:
            if others or any(isinstance(leaf, list) for leaf in _flat(args[1])):
                self._note(f"{name} by an index of the CPU", is_free=False)
        elif name == "copy_" and moved and others:
            self._note(name, is_free=kwargs.get("non_blocking", False))
        elif moved and others:
            raise RuntimeError(
                f"{name}: expected all tensors to be on the same device, but found at "
                f"least two, cuda:0 and cpu {[tuple(t.shape) for t in others]}"
            )
        goes = bool(moved)
        if (device := kwargs.get("device")) is not None:
            goes = torch.device(device).type == DEVICE.type
            if goes:
                kwargs["device"] = "cpu"
                if name in ("tensor", "as_tensor"):
                    self._note(name, is_free=False)
        out = func(*args, **kwargs)
        return tree_map(_moved, out) if goes and name != "copy_" else out

    def _note(self, name: str, *, is_free: bool) -> None:
        if not is_free:
            self.waits.append(name)


def _flat(index: Any) -> tuple[Any, ...]:
    return index if isinstance(index, tuple) else (index,)


def _like(tensor: Any, out: Any) -> Any:
    return _moved(out) if isinstance(tensor, Moved) else out


def _moved(value: Any) -> Any:
    is_plain = isinstance(value, torch.Tensor) and not isinstance(value, Moved)
    return value.as_subclass(Moved) if is_plain else value
