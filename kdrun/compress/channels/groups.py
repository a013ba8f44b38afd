"""Which channels of a network go together: where one layer loses a channel, others must too.

The dependencies are found by torch-pruning (Fang et al. 2023, arXiv:2301.12900); what follows
from kdrun.core.unknown import suggest
from them is kept here by module paths, so that it holds for any copy of the network.
"""

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.util import find_spec
from math import lcm
from typing import Any

import torch
from torch import Tensor, nn

from kdrun.compress.channels.layers import CONVOLUTION, PRUNABLE
from kdrun.core.errors import UserError
from kdrun.core.unknown import suggest

# What torch-pruning stumbles over where it can't follow a network.
STUMBLES: tuple[type[Exception], ...] = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    UserWarning,  # of a search without end
)
# Operations that move channels; those that are followed least come first.
_MOVES = ("Shuffle", "Roll", "Split", "Unbind", "Slice", "Index", "Select", "Transpose", "Permute")
_JOINS = ("Cat", "View", "Reshape")
_MOST = 4  # layers that a sentence names


@dataclass(frozen=True)
class Touched:
    """A module that loses channels of a group, or a parameter that belongs to no usual module.

    Attributes:
        path: of the module, or the name of the parameter.
        makes: whether they go from its outputs, or from inputs that are its outputs too, as those
            of a norm; else from its inputs alone.
        dim: of a parameter, the dimension that they are; None of a module.
        indices: (K,) their positions in it.
        channels: (K,) which channel of the group each of them is.
    """

    path: str
    makes: bool
    dim: int | None
    indices: Tensor
    channels: Tensor


@dataclass(frozen=True)
class Group:
    """Channels that several modules share, as those around a shortcut do.

    Attributes:
        path: of the first layer that makes them.
        channels: how many there are.
        parts: into how many parts of equal size they fall that must stay equal: attention heads,
            groups of a convolution. What goes from one goes from all.
        touched: what loses them.
        through: the operations on their way that move channels.
    """

    path: str
    channels: int
    parts: int
    touched: tuple[Touched, ...]
    through: tuple[str, ...]

    @property
    def positions(self) -> int:
        """The channels of one part."""
        return self.channels // self.parts


def find_groups(network: nn.Module, sample: Tensor, skip: Sequence[str] = ()) -> list[Group]:
    """The groups of channels that may be pruned, in the order of the network.

    The network's own outputs are in none of them. It stays as it is.

    Args:
        sample: a batch of its inputs (B, C, H, W).
        skip: globs of module paths whose output channels all stay; the path of a module that
            holds others means these too.

    Raises:
        UserError: torch-pruning is not installed or can't follow the channels, a glob matches
            nothing, or no group is left.
    """
    whole = _skipped(network, skip)
    graph = _trace(network, sample)
    order = {path: number for number, (path, _) in enumerate(network.named_modules())}
    inner = [
        _group(graph, raw, order) for raw in _raw_groups(graph, whole) if not _leads_out(graph, raw)
    ]
    free = [
        group
        for group in inner
        if not any(one.makes and one.path in whole for one in group.touched)
    ]
    if not free:
        raise UserError(
            "no layer's channels can be pruned.",
            f"  skip={[*skip]} keeps them whole"
            if skip
            else "  all of them are the network's outputs",
        )
    return sorted(free, key=lambda group: order[group.path])


def not_followed(paths: Sequence[str], through: Iterable[str]) -> UserError:
    """What to say of layers whose channels are not where torch-pruning takes them to be."""
    several = f" and {len(paths) - _MOST} more layers" if len(paths) > _MOST else ""
    layers = f"{', '.join(map(repr, paths[:_MOST]))}{several}" if paths else "this network"
    operations = " and ".join(dict.fromkeys(through)) or "what comes after"
    return UserError(
        f"the channels of {layers} can't be pruned: torch-pruning does not follow them through"
        f" {operations}.",
        f"  leave them whole: skip=[{','.join(paths)}]"
        if 0 < len(paths) <= _MOST
        else "  prune_weights takes any network",
    )


def _skipped(network: nn.Module, skip: Sequence[str]) -> set[str]:
    paths = [path for path, _ in network.named_modules() if path]
    found: set[str] = set()
    for glob in skip:
        matched = tuple(f"{path}." for path in paths if fnmatchcase(path, glob))
        if not matched:
            hint = suggest(glob, paths, "its paths: kdrun layers model=NAME")
            raise UserError(f"skip={glob!r} matches no module.", f"  {hint}")
        found.update(path for path in paths if f"{path}.".startswith(matched))
    return found


def _trace(network: nn.Module, sample: Tensor) -> Any:
    if find_spec("torch_pruning") is None:
        raise UserError("pruning channels needs an extra.", "  pip install 'kdrun[prune]'")
    from torch_pruning import DependencyGraph

    graph: Any = DependencyGraph()
    # A copy, because tracing changes the mode, and asks for the gradient of each parameter.
    traced = deepcopy(network).requires_grad_(True)
    with _strict(), torch.enable_grad():
        try:
            # In a list: it would take a tensor apart into its samples, and try these first.
            return graph.build_dependency(traced, [sample], verbose=False)
        except STUMBLES as error:
            nodes = getattr(graph, "module2node", {}).values()
            raise not_followed([], _moves(nodes)[:1]) from error


@contextmanager
def _strict() -> Iterator[None]:
    """None of torch-pruning's warnings, and an error where it gives up a search."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message="Maximum recursive depth")
        yield


def _raw_groups(graph: Any, whole: set[str]) -> list[Any]:
    """torch-pruning's groups, each with all of its channels, but for layers that stay whole."""
    found, lost = [], []
    seen: set[nn.Module] = set()
    for layer in [one for one in graph.module2node if isinstance(one, CONVOLUTION | nn.Linear)]:
        path = graph._module2name[layer]
        if layer in seen or path in whole:
            continue
        makes = graph.get_pruner_of_module(layer).prune_out_channels
        try:
            with _strict():
                channels = list(range(graph.get_out_channels(layer)))
                raw = graph.get_pruning_group(layer, makes, channels)
        except STUMBLES:
            lost.append(path)
            continue
        seen.update(dep.target.module for dep, _ in raw if _is_output(graph, dep))
        found.append(raw)
    if lost:
        raise not_followed(lost, _moves(graph.module2node.values())[:1])
    return found


def _is_output(graph: Any, dep: Any) -> bool:
    return bool(graph.is_out_channel_pruning_fn(dep.handler))


def _leads_out(graph: Any, raw: Any) -> bool:
    """Whether some of the channels are what the network answers."""
    return any(not dep.target.outputs and _is_output(graph, dep) for dep, _ in raw)


def _group(graph: Any, raw: Any, order: dict[str, int]) -> Group:
    through = _moves(item.dep.target for item in raw.items)
    prunable = [item for item in raw.items if isinstance(item.dep.target.module, PRUNABLE)]
    if any(None in item.root_idxs for item in prunable):
        raise not_followed([graph._module2name[raw[0].dep.target.module]], through[:1])
    touched = tuple(_touched(graph, item) for item in prunable)
    layers = [
        one.path
        for one, item in zip(touched, prunable, strict=True)
        if one.makes and isinstance(item.dep.target.module, CONVOLUTION | nn.Linear)
    ]
    parts = lcm(*(_parts(item.dep.target.module) for item in prunable))
    return Group(min(layers, key=order.__getitem__), len(raw[0].idxs), parts, touched, through)


def _touched(graph: Any, item: Any) -> Touched:
    node = item.dep.target
    is_module = isinstance(node.module, nn.Module)
    names = graph._module2name if is_module else graph._param_to_name
    return Touched(
        names[node.module],
        _is_output(graph, item.dep),
        None if is_module else node.pruning_dim,
        torch.tensor(item.idxs),
        torch.tensor(item.root_idxs),
    )


def _parts(module: Any) -> int:
    if isinstance(module, CONVOLUTION):
        depthwise = module.groups == module.out_channels
        return 1 if depthwise else module.groups
    if isinstance(module, nn.MultiheadAttention):
        return module.num_heads
    return module.num_groups if isinstance(module, nn.GroupNorm) else 1


def _moves(nodes: Iterable[Any]) -> tuple[str, ...]:
    """The names of operations that move channels, those first that are followed least."""
    names = {re.sub(r"Backward\d*$", "", _name(node)) for node in nodes}
    return tuple(name for move in (*_MOVES, *_JOINS) for name in sorted(names) if move in name)


def _name(node: Any) -> str:
    return node.grad_fn.name() if hasattr(node.grad_fn, "name") else ""
