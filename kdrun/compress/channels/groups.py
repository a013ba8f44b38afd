"""Find the channels of a network that must be pruned together.

Where a layer loses an output channel, the layers that read it must lose an input channel, and all
layers whose outputs are added to it lose theirs.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import nn

from kdrun.compress.channels.channel_group import ChannelGroup
from kdrun.compress.channels.dependency_graph import DependencyGraph
from kdrun.core.errors import UserError
from kdrun.core.inputs.types import Inputs
from kdrun.core.unknown import suggest


def find_groups(network: nn.Module, sample: Inputs, skip: Sequence[str] = ()) -> list[ChannelGroup]:
    """Return the groups of channels that may be pruned, in the order of the network.

    Channels of the network's output are in no group.

    Args:
        network: the network, which is left unchanged.
        sample: a batch of inputs.
        skip: globs of module paths whose output channels are not pruned. A module that matches
            includes all its submodules.

    Raises:
        UserError: torch-pruning is not installed or can't follow the channels; a glob matches no
            module; or no group is left.
    """
    skipped = _skipped_paths(network, skip)
    graph = DependencyGraph(network, sample)
    order = {path: number for number, (path, _) in enumerate(network.named_modules())}
    groups = [
        group
        for group in graph.groups(skipped, order)
        if not any(m.dimension.is_output and m.dimension.path in skipped for m in group.members)
    ]
    if not groups:
        raise UserError(
            "no layer's channels can be pruned.",
            f"  skip={[*skip]} keeps all of them"
            if skip
            else "  all of them are the network's outputs",
        )
    return sorted(groups, key=lambda group: order[group.path])


def _skipped_paths(network: nn.Module, skip: Sequence[str]) -> set[str]:
    paths = [path for path, _ in network.named_modules() if path]
    skipped: set[str] = set()
    for glob in skip:
        matched = tuple(f"{path}." for path in paths if fnmatchcase(path, glob))
        if not matched:
            hint = suggest(glob, paths, "its paths: kdrun layers model=NAME")
            raise UserError(f"skip={glob!r} matches no module.", f"  {hint}")
        skipped.update(path for path in paths if f"{path}.".startswith(matched))
    return skipped
