"""What structured pruning changed of a network, as plain JSON, and that change done again."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from kdrun.core.errors import DamagedFile

Plan = dict[str, Any]
Shapes = Mapping[str, list[int]]
Sizes = Mapping[str, Mapping[str, int | list[int]]]


def plan_of(whole: nn.Module, pruned: nn.Module) -> Plan:
    """The channel plan: all by which a pruned network differs from the same one as built.

    Returns:
        shapes: name of a parameter or buffer -> its shape now.
        sizes: module path -> attribute -> the whole number, or the list of them, that it is now.
    """
    before, modules = dict(_tensors(whole)), dict(whole.named_modules())
    shapes = {
        name: list(tensor.shape)
        for name, tensor in _tensors(pruned)
        if tensor.shape != before[name].shape
    }
    sizes = {path: _changed(modules[path], module) for path, module in pruned.named_modules()}
    return {"shapes": shapes, "sizes": {path: new for path, new in sizes.items() if new}}


def channels(network: nn.Module, shapes: Shapes, sizes: Sizes) -> nn.Module:
    """Give a freshly built network the structure of a channel plan, its new tensors all 0.

    Raises:
        DamagedFile: the plan is none of this network.
    """
    tensors, modules = dict(_tensors(network)), dict(network.named_modules())
    for name, shape in shapes.items():
        _refuse_shape(name, shape, tensors)
        put_tensor(network, name, tensors[name].new_zeros(shape))
    for path, new in sizes.items():
        if path not in modules:
            raise _misfit(f"no module is called {path!r}")
        for name, size in new.items():
            _refuse_size(f"{path}.{name}", size, vars(modules[path]).get(name))
            setattr(modules[path], name, tuple(size) if isinstance(size, list) else size)
    return network


def put_tensor(network: nn.Module, name: str, value: Tensor) -> None:
    """Set a parameter or buffer by its name; a parameter stays one, and learns if it did."""
    path, _, own = name.rpartition(".")
    module = network.get_submodule(path)
    before = getattr(module, own)
    learns = isinstance(before, nn.Parameter)
    setattr(module, own, nn.Parameter(value, before.requires_grad) if learns else value)


def _tensors(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from network.named_parameters()
    yield from network.named_buffers()


def _changed(before: nn.Module, after: nn.Module) -> dict[str, int | list[int]]:
    found = {}
    for name, value in vars(after).items():
        if _is_size(value) and value != vars(before).get(name):
            found[name] = list(value) if isinstance(value, tuple) else value
    return found


def _is_size(value: Any) -> bool:
    """Whether a value is a whole number, or several."""
    if isinstance(value, tuple):
        return all(_is_size(one) for one in value)
    return isinstance(value, int) and not isinstance(value, bool)


def _refuse_shape(name: str, shape: Any, tensors: Mapping[str, Tensor]) -> None:
    if name not in tensors:
        raise _misfit(f"no parameter or buffer is called {name!r}")
    there = list(tensors[name].shape)
    if not _fits(shape, there):
        raise _misfit(f"{name!r} has the shape {there}, and can't become {shape!r}")


def _refuse_size(name: str, size: Any, there: Any) -> None:
    if there is None or not _is_size(there):
        raise _misfit(f"{name!r} is no size of a module")
    several = isinstance(there, tuple)
    if not _fits(size if several else [size], list(there) if several else [there]):
        raise _misfit(f"{name!r} is {there}, and can't become {size!r}")


def _fits(new: Any, there: list[int]) -> bool:
    """Whether these are as many sizes, each from 1 to what it was."""
    return (
        isinstance(new, list)
        and len(new) == len(there)
        and all(type(one) is int and 1 <= one <= most for one, most in zip(new, there, strict=True))
    )


def _misfit(what: str) -> DamagedFile:
    return DamagedFile(f"the channel plan is not of this network: {what}.")
