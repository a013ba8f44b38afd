"""Dependencies between channels, found by torch-pruning (Fang et al. 2023, arXiv:2301.12900)."""

import re
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from importlib.util import find_spec
from math import inf, lcm
from typing import Any

import torch
from torch import nn

from kdrun.compress.channels.channel_group import ChannelGroup, GroupMember, PrunedDimension
from kdrun.compress.channels.layers import CONVOLUTION, PRUNABLE
from kdrun.core.errors import UserError
from kdrun.core.inputs.types import Inputs

# Exceptions that torch-pruning raises where it can't follow the channels of a network.
TORCH_PRUNING_ERRORS: tuple[type[Exception], ...] = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    UserWarning,  # torch-pruning gave up a search: see `_raise_on_endless_search`
)
# Names of operations that move channels; those that torch-pruning follows worst come first.
_MOVING_OPERATIONS = (
    *("Shuffle", "Roll", "Split", "Unbind", "Slice", "Index", "Select", "Transpose", "Permute"),
    *("Cat", "View", "Reshape"),
)
_MAX_NAMED = 4  # layers that a message names


class DependencyGraph:
    """torch-pruning's graph of a network.

    Args:
        network: the network, which is left unchanged.
        sample: a batch of inputs.

    Raises:
        UserError: torch-pruning is not installed, or can't trace the network.
    """

    # Any: torch-pruning has no types.
    def __init__(self, network: nn.Module, sample: Inputs) -> None:
        if find_spec("torch_pruning") is None:
            raise UserError("pruning channels needs an extra.", "  pip install 'kdrun[prune]'")
        from torch_pruning import DependencyGraph as Graph

        self._graph: Any = Graph()
        # A copy, because tracing changes the mode and needs the gradient of every parameter.
        copy = deepcopy(network).requires_grad_(True)
        with _raise_on_endless_search(), torch.enable_grad():
            try:
                # In a list, because torch-pruning would split a bare tensor into its samples.
                self._graph.build_dependency(copy, [sample], verbose=False)
            except TORCH_PRUNING_ERRORS as error:
                nodes = getattr(self._graph, "module2node", {}).values()
                raise cannot_follow([], _moving_operations(nodes)[:1]) from error

    def groups(self, skipped: Collection[str], order: Mapping[str, int]) -> list[ChannelGroup]:
        """Return all groups of channels except those of the network's output.

        Args:
            skipped: module paths of layers from which no group needs to start.
            order: the position of each module path in the network.

        Raises:
            UserError: torch-pruning can't follow some channels.
        """
        raw_groups = self._find_raw_groups(skipped)
        return [
            self._make_group(raw, order) for raw in raw_groups if not self._is_network_output(raw)
        ]

    def _find_raw_groups(self, skipped: Collection[str]) -> list[Any]:
        """Return torch-pruning's groups, each with all of its channels."""
        raw_groups, failed_paths = [], []
        grouped: set[nn.Module] = set()  # layers whose outputs are in one of the raw groups
        nodes = self._graph.module2node
        for layer in [key for key in nodes if isinstance(key, CONVOLUTION | nn.Linear)]:
            path, count = self._graph._module2name[layer], self._graph.get_out_channels(layer)
            if layer in grouped or path in skipped or count == 1:  # a single channel must remain
                continue
            prune_outputs = self._graph.get_pruner_of_module(layer).prune_out_channels
            try:
                with _raise_on_endless_search():
                    channels = list(range(count))
                    raw = self._graph.get_pruning_group(layer, prune_outputs, channels)
            except TORCH_PRUNING_ERRORS:
                failed_paths.append(path)
                continue
            grouped.update(dep.target.module for dep, _ in raw if self._is_output(dep))
            raw_groups.append(raw)
        if failed_paths:
            raise cannot_follow(failed_paths, _moving_operations(nodes.values())[:1])
        return raw_groups

    def _is_output(self, dependency: Any) -> bool:
        return bool(self._graph.is_out_channel_pruning_fn(dependency.handler))

    def _is_network_output(self, raw: Any) -> bool:
        """Return whether channels of a group are outputs of the network."""
        return any(not dep.target.outputs and self._is_output(dep) for dep, _ in raw)

    def _make_group(self, raw: Any, order: Mapping[str, int]) -> ChannelGroup:
        operations = _moving_operations(item.dep.target for item in raw.items)
        items = [item for item in raw.items if isinstance(item.dep.target.module, PRUNABLE)]
        # A single channel that is combined with many is broadcast, and does not belong to any.
        items = [item for item in items if len(raw[0].idxs) == 1 or self._size_of(item) != 1]
        if any(None in item.root_idxs or max(item.idxs) >= self._size_of(item) for item in items):
            path = self._graph._module2name[raw[0].dep.target.module]
            raise cannot_follow([path], operations[:1])
        members = tuple(self._make_member(item) for item in items)
        layers = [
            member.dimension.path
            for member, item in zip(members, items, strict=True)
            if member.dimension.is_output
            and isinstance(item.dep.target.module, CONVOLUTION | nn.Linear)
        ]
        first = min(layers, key=order.__getitem__)
        blocks = lcm(*(_blocks(item.dep.target.module) for item in items))
        return ChannelGroup(first, len(raw[0].idxs), blocks, members, operations)

    def _size_of(self, item: Any) -> float:
        """Return the size of the dimension that loses channels; infinity if it loses none."""
        module = item.dep.target.module
        if isinstance(module, nn.Parameter):
            return module.shape[item.dep.target.pruning_dim]
        sizes = self._graph.get_out_channels, self._graph.get_in_channels
        size = sizes[not self._is_output(item.dep)](module)
        return inf if size is None else size

    def _make_member(self, item: Any) -> GroupMember:
        node = item.dep.target
        is_module = isinstance(node.module, nn.Module)
        names = self._graph._module2name if is_module else self._graph._param_to_name
        dim = None if is_module else node.pruning_dim
        dimension = PrunedDimension(names[node.module], self._is_output(item.dep), dim)
        return GroupMember(dimension, torch.tensor(item.idxs), torch.tensor(item.root_idxs))


def cannot_follow(paths: Sequence[str], operations: Iterable[str]) -> UserError:
    """Return the error for layers whose channels torch-pruning does not follow correctly.

    Args:
        paths: module paths of the layers; empty if they are not known.
        operations: names of the operations through which the channels are lost.
    """
    more = f" and {len(paths) - _MAX_NAMED} more layers" if len(paths) > _MAX_NAMED else ""
    layers = f"{', '.join(map(repr, paths[:_MAX_NAMED]))}{more}" if paths else "this network"
    through = " and ".join(dict.fromkeys(operations)) or "what comes after"
    return UserError(
        f"the channels of {layers} can't be pruned: torch-pruning does not follow them through"
        f" {through}.",
        f"  do not prune them: skip=[{','.join(paths)}]"
        if 0 < len(paths) <= _MAX_NAMED
        else "  prune_weights takes any network",
    )


@contextmanager
def _raise_on_endless_search() -> Iterator[None]:
    """Silence torch-pruning's warnings, but raise the one that says it gave up a search."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message="Maximum recursive depth")
        yield


def _blocks(module: Any) -> int:
    """Return how many blocks a module's channels form; the blocks must keep equal sizes."""
    if isinstance(module, CONVOLUTION):
        depthwise = module.groups == module.out_channels
        return 1 if depthwise else module.groups
    if isinstance(module, nn.MultiheadAttention):
        return module.num_heads
    return module.num_groups if isinstance(module, nn.GroupNorm) else 1


def _moving_operations(nodes: Iterable[Any]) -> tuple[str, ...]:
    """Return names of the operations that move channels, those that are followed worst first."""
    names = {re.sub(r"Backward\d*$", "", _operation_name(node)) for node in nodes}
    return tuple(name for moving in _MOVING_OPERATIONS for name in sorted(names) if moving in name)


def _operation_name(node: Any) -> str:
    return node.grad_fn.name() if hasattr(node.grad_fn, "name") else ""
