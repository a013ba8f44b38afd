"""Traces a network with torch.export into a graph of operators that takes any batch size."""

import logging
import re
import traceback
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO

import torch
from torch import nn
from torch.export import ExportedProgram

from kdrun.core.errors import UserError, first_line
from kdrun.core.mode import evaluating, unfused_attention
from kdrun.core.types import DataInfo
from kdrun.dataset.text.tokenizers.tokenizer import Tokenizer
from kdrun.export.format import ExportFormat, FolderFormat
from kdrun.export.input_spec import InputSpec, input_spec
from kdrun.export.recurrent import traceable_lstms
from kdrun.export.table import export_format

OUTPUT = "logits"  # its name in the exported files

# How torch names an operator in the text of its errors.
_OPERATOR = re.compile(
    r"torch\.ops\.([\w.]+)|CustomOpDef\(([\w:]+)\)|op='([\w.]+)'|\b(\w+\.\w+)\.default\b"
)
# Metadata of graph nodes that holds source code and paths of this machine: it is not exported.
_SOURCE_METADATA = ("stack_trace", "source_fn_stack")


def trace(network: nn.Module, inputs: InputSpec) -> ExportedProgram:
    """Return the graph of a network on the CPU in evaluation mode, for any batch size from 1.

    Args:
        network: the network; it is left unchanged.
        inputs: the tensors that the graph takes.

    Raises:
        UserError: torch can't trace the network. The message names the operator or the module.
    """
    try:
        # No other runtime knows torch's fused operator of attention.
        with suppress_output(), evaluating(network), unfused_attention(), traceable_lstms(network):
            program = torch.export.export(
                inputs.positional(network),
                inputs.example(),
                dynamic_shapes=inputs.dynamic_sizes(),
            )
    except Exception as error:
        raise UserError(f"the network can't be traced: {_reason(error, network)}.") from error
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            for key in _SOURCE_METADATA:
                node.meta.pop(key, None)
    return program


def encode(program: ExportedProgram, format_name: str) -> bytes:
    """Return the bytes of a traced network's file in a format.

    Raises:
        UserError: the format can't express an operator, or there is no such format.
    """
    file_format = export_format(format_name)
    assert isinstance(file_format, ExportFormat)
    return file_format.encode(program)


def try_formats(
    network: nn.Module, info: DataInfo, formats: Iterable[str], tokenizer: Tokenizer | None = None
) -> None:
    """Export a network to memory, to find out before training whether it can be exported.

    Args:
        network: the network.
        info: the shape of its inputs, and its classes.
        formats: names of formats.
        tokenizer: the tokenizer of its texts, if it is known.

    Raises:
        UserError: the network can't be exported. The message names the operator.
    """
    traced = []
    for name in dict.fromkeys(formats):
        chosen = export_format(name)
        if isinstance(chosen, FolderFormat):
            chosen.check(network, tokenizer)
        else:
            traced.append(name)
    if traced:
        program = trace(network, input_spec(info.inputs, normalize=False, network=network))
        for name in traced:
            encode(program, name)


def operator_of(error: BaseException) -> str | None:
    """Return the operator that the innermost cause of torch's error names, or None."""
    operator: str | None = None
    cause: BaseException | None = error
    while cause is not None:
        match = _OPERATOR.search(str(cause))
        operator = next(filter(None, match.groups())) if match else operator
        cause = cause.__cause__ or cause.__context__
    return operator and operator.replace("::", ".").removesuffix(".default")


@contextmanager
def suppress_output() -> Iterator[None]:
    """Suppress everything that libraries print, warn of or log."""
    before = logging.root.manager.disable
    with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(before)


def _reason(error: Exception, network: nn.Module) -> str:
    operator = operator_of(error)
    if operator:
        return f"the operator {operator!r} has no fake implementation, which computes its shapes"
    message = first_line(error)
    if message.startswith("Constraints violated"):
        return f"it takes {_fixed_size(message)} only, as some shape in it is a constant"
    module = _failed_module(error, network)
    return f"{module}: {message}" if module else message


def _fixed_size(message: str) -> str:
    return "texts of one length" if "(length)" in message else "batches of one size"


def _failed_module(error: Exception, network: nn.Module) -> str:
    """Return path and class of the innermost module whose forward raised the error, or ""."""
    paths = {id(module): path for path, module in network.named_modules()}
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    called = [frame.f_locals.get("self") for frame in frames if frame.f_code.co_name == "forward"]
    modules = [module for module in called if id(module) in paths]
    if not modules:
        return ""
    return f"{paths[id(modules[-1])] or 'the network'!r} ({type(modules[-1]).__name__})"
