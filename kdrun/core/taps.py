"""Reading a network's inner activations by role or by module path."""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from kdrun.core.errors import UserError
from kdrun.core.preactivation import before_activation
from kdrun.core.types import DataInfo, Output
from kdrun.core.unknown import nearest

Roles = Mapping[str, list[str]]

_ROLE = re.compile(r"(stages|embedding|logits)(?:\[(-?\d+|\*)\])?")
_INPUT, _LAST = ":in", ":nhwc"
_BEFORE = ":pre"


class TappedNetwork:
    """A network that also answers the activations it was asked for.

    Forward hooks leave the network as it is: they work on any module, after pruning, and where
    a graph cannot be traced.

    Args:
        network: any module from inputs to logits (N, C).
        places: a name for each tap -> module path, with `:in` for what enters the module, or
            `:nhwc` where it answers (B, H, W, C), to have that as (B, C, H, W).
        compiled: run it through torch.compile; the network's own modules and weights stay.
    """

    def __init__(
        self, network: nn.Module, places: Mapping[str, str], compiled: bool = False
    ) -> None:
        self.network = network
        self._caught: dict[str, Tensor] = {}
        self._handles = [self._hook(name, place) for name, place in places.items()]
        self._forward = torch.compile(network) if compiled else network

    def __call__(self, inputs: Any) -> Output:
        logits = self._forward(inputs)
        taps, self._caught = self._caught, {}
        return Output(logits, taps)

    def close(self) -> None:
        """Take the hooks out of the network."""
        for handle in self._handles:
            handle.remove()

    def _hook(self, name: str, place: str) -> RemovableHandle:
        module = self.network.get_submodule(module_path(place))
        if place.endswith(_INPUT):

            def keep_input(module: nn.Module, inputs: tuple[Any, ...]) -> None:
                # What works in place, as many a ReLU does, would write over it.
                changed = getattr(module, "inplace", False)
                self._caught[name] = inputs[0].clone() if changed else inputs[0]

            return module.register_forward_pre_hook(keep_input)

        def keep_output(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            turned = place.endswith(_LAST) and isinstance(output, Tensor)
            self._caught[name] = output.movedim(-1, 1) if turned else output

        return module.register_forward_hook(keep_output)


def module_path(place: str) -> str:
    """The path of a place's module, without `:in` or `:nhwc`."""
    return place.removesuffix(_INPUT).removesuffix(_LAST)


def resolve_taps(
    where: str, request: Mapping[str, str], roles: Roles, network: nn.Module, data: DataInfo
) -> dict[str, str]:
    """Turn roles and paths into module paths that are there.

    Args:
        where: `student` or `teacher`, for the messages.
        request: a loss's name for each tap -> role or path. `stages[*]` and paths with `*` mean
            several places, in the order of the network; their taps are called NAME[0], NAME[1], ...
        roles: role -> module paths of this network.
        data: what the network takes, for the shapes in a message.

    Raises:
        UserError: a role the network lacks, or a path that leads nowhere; with the nearest paths.
    """
    placed: dict[str, str] = {}
    for name, asked in request.items():
        wanted = asked.removesuffix(_BEFORE)
        if "*" not in wanted:
            found = {name: _place(where, wanted, roles, network, data)}
        else:
            several = _places(where, wanted, roles, network)
            found = {f"{name}[{number}]": place for number, place in enumerate(several)}
        if asked.endswith(_BEFORE):
            found = {key: before_activation(network, at, data) for key, at in found.items()}
        placed |= found
    return placed


def tap_shapes(
    network: nn.Module, places: Mapping[str, str], data: DataInfo
) -> dict[str, tuple[int, ...]]:
    """The shape of each tap that is one tensor, for two zero images in eval mode."""
    taps = forward_once(network, places, data).taps
    return {name: tuple(value.shape) for name, value in taps.items() if isinstance(value, Tensor)}


def forward_once(network: nn.Module, places: Mapping[str, str], data: DataInfo) -> Output:
    """What a network answers to two zero images in eval mode; it stays as it was."""
    tapped = TappedNetwork(network, places)
    modes = {module: module.training for module in network.modules()}
    device = next(chain(network.parameters(), network.buffers())).device
    try:
        network.eval()
        with torch.no_grad():
            return tapped(torch.zeros(2, data.channels, *data.image_size, device=device))
    finally:
        for module, training in modes.items():
            module.training = training
        tapped.close()


def _places(where: str, wanted: str, roles: Roles, network: nn.Module) -> list[str]:
    role = _ROLE.fullmatch(wanted)
    if role:
        _place_role(where, role[1], 0, roles)  # which complains where there is none
        return list(roles[role[1]])
    glob = module_path(wanted)
    suffix = wanted.removeprefix(glob)
    # A star stands for a part of one name, so that `layer*` does not mean what is inside a layer.
    depth = glob.count(".")
    paths = [name for name, _ in network.named_modules() if name.count(".") == depth]
    found = [name + suffix for name in paths if fnmatchcase(name, glob)]
    if not found:
        raise UserError(
            f"the {where} has no module like {wanted!r}.",
            "  its paths: kdrun layers model=NAME",
        )
    return found


def _place(where: str, wanted: str, roles: Roles, network: nn.Module, data: DataInfo) -> str:
    role = _ROLE.fullmatch(wanted)
    if role:
        return _place_role(where, role[1], int(role[2] or 0), roles)
    paths = {name for name, _ in network.named_modules()}
    if module_path(wanted) in paths:
        return wanted
    close = nearest(module_path(wanted), paths)
    raise UserError(
        f"the {where} has no module at {wanted!r}.",
        f"  nearest: {_shaped(close.split(', '), network, data)}"
        if close
        else "  its paths: kdrun layers model=NAME",
    )


def _shaped(paths: list[str], network: nn.Module, data: DataInfo) -> str:
    """Module paths with what each answers: `layer2 (B, 32, 16, 16)`."""
    shapes = tap_shapes(network, {path: path for path in paths}, data)
    inner = {path: ", ".join(str(size) for size in shape[1:]) for path, shape in shapes.items()}
    return ", ".join(f"{path} (B, {inner[path]})" if path in inner else path for path in paths)


def _place_role(where: str, role: str, number: int, roles: Roles) -> str:
    places = roles.get(role, [])
    if -len(places) <= number < len(places):
        return places[number]
    found = f"{len(places)} place{'s' if len(places) > 1 else ''}" if places else "no place"
    asked = f"; {role}[{number}] was asked for" if places else ""
    several = role == "stages"
    raise UserError(
        f"the {where} has {found} for the role {role!r}{asked}.",
        f"  name the module path{'s' if several else ''} yourself: {where}.taps.{role}="
        + ("[PATH,...]" if several else "PATH"),
    )
