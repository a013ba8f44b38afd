"""The channel plan: a record of what channel pruning changed, so that it can be applied again."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from kdrun.core.errors import DamagedFile

ChannelPlan = dict[str, Any]  # the arguments of `apply_channel_plan`, as plain JSON
Shapes = Mapping[str, list[int]]
Sizes = Mapping[str, Mapping[str, int | list[int]]]


def make_channel_plan(unpruned: nn.Module, pruned: nn.Module) -> ChannelPlan:
    """Record all differences between a pruned network and the same network before pruning.

    Returns:
        shapes: maps names of parameters and buffers to their pruned shapes.
        sizes: maps module paths and attributes to the pruned sizes, integers or lists of them.
    """
    before, modules = dict(_tensors(unpruned)), dict(unpruned.named_modules())
    shapes = {
        name: list(tensor.shape)
        for name, tensor in _tensors(pruned)
        if tensor.shape != before[name].shape
    }
    sizes = {path: _changed_sizes(modules[path], module) for path, module in pruned.named_modules()}
    return {"shapes": shapes, "sizes": {path: new for path, new in sizes.items() if new}}


def apply_channel_plan(network: nn.Module, shapes: Shapes, sizes: Sizes) -> nn.Module:
    """Give a newly built network the structure of a channel plan. Its new tensors are all 0.

    Args:
        network: the network, which is changed in place.
        shapes: as in `make_channel_plan`.
        sizes: as in `make_channel_plan`.

    Raises:
        DamagedFile: the plan does not fit the network.
    """
    tensors, modules = dict(_tensors(network)), dict(network.named_modules())
    for name, shape in shapes.items():
        _check_shape(name, shape, tensors)
        set_tensor(network, name, tensors[name].new_zeros(shape))
    for path, new in sizes.items():
        if path not in modules:
            raise _mismatch(f"no module is called {path!r}")
        for name, size in new.items():
            _check_size(f"{path}.{name}", size, vars(modules[path]).get(name))
            setattr(modules[path], name, tuple(size) if isinstance(size, list) else size)
    return network


def set_tensor(network: nn.Module, name: str, value: Tensor) -> None:
    """Replace a parameter or buffer by name. A parameter keeps its `requires_grad`."""
    path, _, attribute = name.rpartition(".")
    module = network.get_submodule(path)
    before = getattr(module, attribute)
    if isinstance(before, nn.Parameter):
        value = nn.Parameter(value, before.requires_grad)
    setattr(module, attribute, value)


def _tensors(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from network.named_parameters()
    yield from network.named_buffers()


def _changed_sizes(before: nn.Module, after: nn.Module) -> dict[str, int | list[int]]:
    """Return the size attributes of a module that differ from before."""
    changed = {}
    for name, value in vars(after).items():
        if _is_size(value) and value != vars(before).get(name):
            changed[name] = list(value) if isinstance(value, tuple) else value
    return changed


def _is_size(value: Any) -> bool:
    """Return whether a value is an integer or a tuple of integers."""
    if isinstance(value, tuple):
        return all(_is_size(element) for element in value)
    return isinstance(value, int) and not isinstance(value, bool)


def _check_shape(name: str, shape: Any, tensors: Mapping[str, Tensor]) -> None:
    if name not in tensors:
        raise _mismatch(f"no parameter or buffer is called {name!r}")
    current = list(tensors[name].shape)
    if not _can_shrink(current, shape):
        raise _mismatch(f"{name!r} has the shape {current}, and can't become {shape!r}")


def _check_size(name: str, size: Any, current: Any) -> None:
    if current is None or not _is_size(current):
        raise _mismatch(f"{name!r} is no size of a module")
    is_tuple = isinstance(current, tuple)
    if not _can_shrink(list(current) if is_tuple else [current], size if is_tuple else [size]):
        raise _mismatch(f"{name!r} is {current}, and can't become {size!r}")


def _can_shrink(current: list[int], new: Any) -> bool:
    """Return whether `new` has as many sizes as `current`, each from 1 to the current one."""
    return (
        isinstance(new, list)
        and len(new) == len(current)
        and all(
            type(size) is int and 1 <= size <= limit
            for size, limit in zip(new, current, strict=True)
        )
    )


def _mismatch(reason: str) -> DamagedFile:
    return DamagedFile(f"the channel plan is not of this network: {reason}.")
