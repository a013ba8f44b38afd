"""The graph of a network, in which every operator is seen and every module keeps its path."""

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn

from kdrun.core.errors import UserError

_OWN = "kdrun.compress.quantize."
_PART = "part"
_TORCH = str(Path(torch.__file__).parent)


class Point(nn.Module):
    """A part of the network whose operators stand in a graph, for hooks to find at its path.

    It is told what the part is given and what it answers, and answers that.
    """

    def forward(self, given: Any, answer: Any) -> Any:
        return answer


def trace(network: nn.Module) -> fx.Graph:
    """The graph of a network in evaluation mode; the network stays as it was.

    Modules of torch.nn are calls by their path. After the operators of any other module stands a
    call of that module's path, in whose place a `GraphModule` has a `Point`.

    Raises:
        UserError: the network can't be traced; the message says what breaks it, and where.
    """
    modes = {module: module.training for module in network.modules()}
    tracer = _Tracer()
    try:
        network.eval()
        return tracer.trace(network)
    except Exception as error:
        raise UserError(
            f"the graph of this network can't be read: {_reason(error)}.",
            f"  in {tracer.where(network)}{_line(error)}",
            "  what needs no graph works with it: quantize_weights, quantize_dynamic",
        ) from error
    finally:
        for module, training in modes.items():
            module.training = training


def is_part(node: fx.Node) -> bool:
    """Whether a node only says what a module with operators of its own answers."""
    return _PART in node.meta


def answer_of(part: fx.Node) -> fx.Node:
    """The operator whose answer is that of a part."""
    answer = part.args[1]
    assert isinstance(answer, fx.Node)
    return answer


def readers(node: fx.Node) -> list[fx.Node]:
    """The nodes that go on with what a node answers; not parts that are given it."""
    return [user for user in node.users if not is_part(user) or answer_of(user) is node]


class _Tracer(fx.Tracer):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        name = type(m).__module__
        return super().is_leaf_module(m, module_qualified_name) or name.startswith(_OWN)

    def call_module(
        self,
        m: nn.Module,
        forward: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        path = self.path_of_module(m)
        self.open.append(path)
        answer = super().call_module(m, forward, args, kwargs)
        self.open.pop()
        if not self.is_leaf_module(m, path) and isinstance(answer, fx.Proxy):
            given = args[0] if args else None
            answer = self.create_proxy("call_module", path, (given, answer), {})
            answer.node.meta[_PART] = True
        return answer

    def where(self, network: nn.Module) -> str:
        """The module that is being traced, in words."""
        path = self.open[-1] if self.open else ""
        kind = type(network.get_submodule(path)).__name__
        return f"{path!r} ({kind})" if path else kind


def _reason(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error) else type(error).__name__


def _line(error: Exception) -> str:
    """The innermost line of the network's own code, as a part of a sentence."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [one for one in frames if not one.filename.startswith((_TORCH, __file__, "<"))]
    return (
        f", line {own[-1].lineno} of {Path(own[-1].filename).name}: {own[-1].line}" if own else ""
    )
