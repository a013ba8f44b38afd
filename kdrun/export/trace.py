"""Tracing a network: the graph of its operators for any number of images."""

import logging
import re
import traceback
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from kdrun.core.errors import UserError
from kdrun.core.registry import resolve
from kdrun.core.types import DataInfo
from kdrun.export.table import WRITERS
from kdrun.measure.mode import evaluating

INPUT, OUTPUT, BATCH = "images", "logits", "batch"  # what files call them

# How torch names an operator in the text of its errors.
_OPERATOR = re.compile(
    r"torch\.ops\.([\w.]+)|CustomOpDef\(([\w:]+)\)|op='([\w.]+)'|\b(\w+\.\w+)\.default\b"
)
# What of a node's story is no one's business where the file is run: paths of this machine.
_STORY = ("stack_trace", "source_fn_stack")


@dataclass(frozen=True)
class Images:
    """What an exported network takes.

    Attributes:
        channels: of an image.
        size: (height, width) in pixels.
        mean: of each channel, on the scale of 0 to 1.
        std: of each channel.
        normalize: whether the file takes pixels in 0..1 and normalizes them itself; else it
            takes (pixels - mean) / std.
    """

    channels: int
    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    normalize: bool

    def sample(self) -> Tensor:
        """Two images of zeros (2, C, H, W): of one, tracing would take the batch for fixed."""
        return torch.zeros(2, self.channels, *self.size)


class Normalized(nn.Module):
    """A network with the normalization of its images before it.

    Args:
        network: takes normalized images (B, C, H, W).
        images: with the values to normalize by.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, images: Images) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(images.mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(images.std).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return self.network((images - self.mean) / self.std)


def whole(network: nn.Module, images: Images) -> nn.Module:
    """The network as its file has it: with the normalization before it where that is asked."""
    return Normalized(network, images).eval() if images.normalize else network


def trace(network: nn.Module, images: Images) -> ExportedProgram:
    """The graph of a network on the CPU, in evaluation, for batches of 1 image and more.

    Raises:
        UserError: torch can't trace it; the message has the operator, or the module.
    """
    shapes = ({0: Dim(BATCH, min=1)},)
    try:
        with quiet(), evaluating(network), _plain_attention():
            program = torch.export.export(
                whole(network, images), (images.sample(),), dynamic_shapes=shapes
            )
    except Exception as error:
        raise UserError(f"the network can't be traced: {_reason(error, network)}.") from error
    for part in program.graph_module.modules():
        for node in part.graph.nodes if isinstance(part, torch.fx.GraphModule) else ():
            for key in _STORY:
                node.meta.pop(key, None)
    return program


def encode(program: ExportedProgram, name: str) -> bytes:
    """The bytes of a traced network's file in the format of this name.

    Raises:
        UserError: an operator can't be written in it, or no format has the name.
    """
    found: bytes = resolve("format", WRITERS, name)(program)
    return found


def try_formats(network: nn.Module, info: DataInfo, formats: Iterable[str]) -> None:
    """Write a network into memory, as it would be once it is trained.

    Raises:
        UserError: that fails; the message has the operator.
    """
    plain = (0.0,) * info.channels, (1.0,) * info.channels
    program = trace(network, Images(info.channels, info.image_size, *plain, normalize=False))
    for name in dict.fromkeys(formats):
        encode(program, name)


def operator_of(error: BaseException) -> str | None:
    """The operator that an error of torch is about, as the innermost cause names it."""
    found: str | None = None
    cause: BaseException | None = error
    while cause is not None:
        match = _OPERATOR.search(str(cause))
        found = next(filter(None, match.groups())) if match else found
        cause = cause.__cause__ or cause.__context__
    return found and found.replace("::", ".").removesuffix(".default")


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing that a library prints, warns of or logs reaches the screen."""
    before = logging.root.manager.disable
    with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(before)


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Attention of known operators: its fused form has no name outside torch."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def _reason(error: Exception, network: nn.Module) -> str:
    operator = operator_of(error)
    if operator:
        return f"the operator {operator!r} has no shapes for tracing"
    told = str(error).partition("\n")[0].rstrip(".")
    if told.startswith("Constraints violated"):
        return "it answers batches of one size only, as some shape in it is a constant"
    where = _module(error, network)
    return f"{where}: {told}" if where else told


def _module(error: Exception, network: nn.Module) -> str:
    """The innermost module that an error came through, by its path and kind."""
    paths = {id(module): path for path, module in network.named_modules()}
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    found = [frame.f_locals.get("self") for frame in frames if frame.f_code.co_name == "forward"]
    known = [module for module in found if id(module) in paths]
    return f"{paths[id(known[-1])] or 'it'!r} ({type(known[-1]).__name__})" if known else ""
