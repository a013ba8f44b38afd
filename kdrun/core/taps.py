"""Reads the inner activations of a network at taps, which are named by role or by module path.

A tap path is a module path with an optional suffix: `layer2` is the output of that module,
`layer2:in` its first input, and `layer2:nhwc` an output (B, H, W, C) permuted to (B, C, H, W).
"""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from kdrun.core.averaged_maps import averaged_maps
from kdrun.core.errors import UserError
from kdrun.core.inputs.text import Encoding, tokens_of
from kdrun.core.inputs.types import Inputs
from kdrun.core.mode import evaluating
from kdrun.core.number_format import many
from kdrun.core.preactivation import before_activation
from kdrun.core.types import DataInfo, Output
from kdrun.core.unknown import nearest

Roles = Mapping[str, list[str]]  # role -> tap paths of a network

_ROLES_OF_TEXTS = ("tokens", "queries", "keys", "values")
_ROLE = re.compile(rf"(stages|embedding|logits|{'|'.join(_ROLES_OF_TEXTS)})(?:\[(-?\d+|\*)\])?")
_INPUT, _CHANNELS_LAST, _PREACTIVATION, _MAPS = ":in", ":nhwc", ":pre", ":maps"
_SHOW_PATHS = "its paths: kdrun layers model=NAME"


class TappedNetwork:
    """A network whose forward pass also returns the activations at its taps.

    Forward hooks collect the activations. The network is not changed and need not be traceable;
    pruned networks can be tapped too.

    Args:
        network: any module from inputs to logits (N, C).
        paths: name of each tap -> tap path.
        compiled: run the network through torch.compile; its modules and weights stay.
    """

    def __init__(
        self, network: nn.Module, paths: Mapping[str, str], compiled: bool = False
    ) -> None:
        self.network = network
        self._activations: dict[str, Tensor] = {}
        self._handles = [self._hook(name, path) for name, path in paths.items()]
        self._forward = torch.compile(network) if compiled else network

    def __call__(self, inputs: Inputs) -> Output:
        logits = self._forward(inputs)
        activations, self._activations = self._activations, {}
        return Output(logits, activations, token_mask(self.network, inputs))

    def close(self) -> None:
        """Remove the hooks from the network."""
        for handle in self._handles:
            handle.remove()

    def _hook(self, name: str, path: str) -> RemovableHandle:
        module = self.network.get_submodule(module_path(path))
        if path.endswith(_INPUT):

            def keep_input(module: nn.Module, inputs: tuple[Any, ...]) -> None:
                # A module that works in place, such as many a ReLU, would overwrite its input.
                in_place = getattr(module, "inplace", False)
                self._activations[name] = inputs[0].clone() if in_place else inputs[0]

            return module.register_forward_pre_hook(keep_input)

        def keep_output(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            channels_last = path.endswith(_CHANNELS_LAST) and isinstance(output, Tensor)
            self._activations[name] = output.movedim(-1, 1) if channels_last else output

        return module.register_forward_hook(keep_output)


def token_mask(network: nn.Module, inputs: Inputs) -> Tensor | None:
    """Return (B, T) bool, which tokens of the texts that a network reads are no padding.

    It is None for networks that read no texts.
    """
    encoding = getattr(network, "encoding", None)
    if not isinstance(encoding, Encoding) or isinstance(inputs, Tensor):
        return None
    return tokens_of(inputs, encoding).mask


def module_path(path: str) -> str:
    """Return the module path of a tap path: the path without `:in` or `:nhwc`."""
    return path.removesuffix(_INPUT).removesuffix(_CHANNELS_LAST)


def resolve_taps(
    network_name: str,
    request: Mapping[str, str],
    roles: Roles,
    network: nn.Module,
    data: DataInfo,
) -> dict[str, str]:
    """Turn the roles and paths that a loss requests into tap paths of a network.

    Args:
        network_name: `student` or `teacher`, for the messages.
        request: name of each tap -> role or path, as `TapRequest` describes them. A request with
            a star gives several taps, which are called NAME[0], NAME[1], ...
        roles: role -> tap paths of this network.
        network: the network that is tapped.
        data: the shape of its inputs, which is needed for `:pre`, `:maps` and shapes in messages.

    Returns:
        Name of each tap -> tap path.

    Raises:
        UserError: the network has no module for a role or at a path; the message suggests paths.
    """
    resolved: dict[str, str] = {}
    for name, requested in request.items():
        query = requested.removesuffix(_PREACTIVATION).removesuffix(_MAPS)
        if "*" in query:
            matches = _match_all(network_name, query, roles, network)
            paths = {f"{name}[{number}]": path for number, path in enumerate(matches)}
        else:
            paths = {name: _match_one(network_name, query, roles, network, data)}
        if requested.endswith(_PREACTIVATION):
            paths = {tap: before_activation(network, path, data) for tap, path in paths.items()}
        if requested.endswith(_MAPS):
            paths = {tap: _maps(network_name, path, network, data) for tap, path in paths.items()}
        resolved |= paths
    return resolved


def tap_shapes(
    network: nn.Module, paths: Mapping[str, str], data: DataInfo
) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tap for two samples; taps that are not a single tensor are left out.

    Args:
        network: the network that is tapped.
        paths: name of each tap -> tap path.
        data: the shape of the network's inputs.
    """
    taps = forward_once(network, paths, data).taps
    return {name: tuple(value.shape) for name, value in taps.items() if isinstance(value, Tensor)}


def forward_once(network: nn.Module, paths: Mapping[str, str], data: DataInfo) -> Output:
    """Return the output of a network for two blank samples in eval mode; restore its modes."""
    tapped = TappedNetwork(network, paths)
    tensors = chain(network.parameters(), network.buffers())
    device = next((value.device for value in tensors), torch.device("cpu"))
    try:
        with evaluating(network), torch.no_grad():
            return tapped(data.example(2, device))
    finally:
        tapped.close()


def _match_all(network_name: str, query: str, roles: Roles, network: nn.Module) -> list[str]:
    """Return the tap paths that a role or path with a star matches, in the network's order."""
    role = _ROLE.fullmatch(query)
    if role:
        _path_of_role(network_name, role[1], 0, roles)  # raises if the role has no module
        return list(roles[role[1]])
    glob = module_path(query)
    suffix = query.removeprefix(glob)
    # A star matches within one name: `layer*` matches `layer1`, but not `layer1.conv1`.
    depth = glob.count(".")
    paths = [path for path, _ in network.named_modules() if path.count(".") == depth]
    matches = [path + suffix for path in paths if fnmatchcase(path, glob)]
    if not matches:
        raise UserError(f"the {network_name} has no module like {query!r}.", f"  {_SHOW_PATHS}")
    return matches


def _match_one(
    network_name: str, query: str, roles: Roles, network: nn.Module, data: DataInfo
) -> str:
    """Return the tap path of a role or path without a star."""
    role = _ROLE.fullmatch(query)
    if role:
        return _path_of_role(network_name, role[1], int(role[2] or 0), roles)
    paths = {path for path, _ in network.named_modules()}
    if module_path(query) in paths:
        return query
    close = nearest(module_path(query), paths)
    hint = f"nearest: {_with_shapes(close, network, data)}" if close else _SHOW_PATHS
    raise UserError(f"the {network_name} has no module at {query!r}.", f"  {hint}")


def _maps(network_name: str, path: str, network: nn.Module, data: DataInfo) -> str:
    """Return the path of the maps whose average over pixels is the value of a tap."""
    maps = averaged_maps(network, path, data)
    if maps is None:
        raise UserError(
            f"what the {network_name} has at {path!r} is no average of feature maps over pixels.",
            f"  choose another {network_name}, or another loss such as attention",
        )
    return maps


def _with_shapes(paths: list[str], network: nn.Module, data: DataInfo) -> str:
    """Return module paths with the shapes of their outputs: `layer2 (B, 32, 16, 16)`."""
    shapes = tap_shapes(network, {path: path for path in paths}, data)
    inner = {path: ", ".join(str(size) for size in shape[1:]) for path, shape in shapes.items()}
    return ", ".join(f"{path} (B, {inner[path]})" if path in inner else path for path in paths)


def _path_of_role(network_name: str, role: str, number: int, roles: Roles) -> str:
    """Return the tap path of a role; `number` counts the modules of the role `stages`."""
    paths = roles.get(role, [])
    if -len(paths) <= number < len(paths):
        return paths[number]
    count = many(len(paths), "module") if paths else "no module"
    requested = f"; {role}[{number}] was requested" if paths else ""
    several = role == "stages"
    hint = f"name the module path{'s' if several else ''} yourself: {network_name}.taps.{role}=" + (
        "[PATH,...]" if several else "PATH"
    )
    if role in _ROLES_OF_TEXTS:
        hint = "take a transformer of texts (text_transformer, hf), or a loss that does not read it"
    raise UserError(
        f"the {network_name} has {count} for the role {role!r}{requested}.", f"  {hint}"
    )
