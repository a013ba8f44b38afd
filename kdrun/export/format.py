"""The interfaces of export formats: how their files or folders are written, loaded and run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.export import ExportedProgram

from kdrun.export.input_spec import Arrays

if TYPE_CHECKING:
    from kdrun.dataset.text.tokenizers.tokenizer import Tokenizer


@dataclass(frozen=True)
class LoadedFile:
    """An exported file, loaded in the runtime that it is made for.

    Attributes:
        forward: maps the tensors of the file's inputs in host memory, such as images
            (B, C, H, W), to logits (B, K).
        runtime: name and version of the runtime.
        facts: further entries of the file's record, such as the opset and the versions of the
            packages that wrote it.
    """

    forward: Callable[..., Tensor]
    runtime: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ExportFormat:
    """One format that networks are exported to. Its name is also the ending of its files.

    Attributes:
        encode: turns a traced network into the bytes of a file. It raises `UserError` if an
            operator of the network has no form in this format.
        load: loads such a file on the CPU.
        example: Python code for `how_to_run.md` that loads the file and runs it. It is a template
            for `str.format` with the fields `file`; `inputs`, code that makes the file's inputs;
            `arguments`, their names, and `named`, entries of a dictionary of them; `imports`.
        arrays: whether that code makes arrays of numpy or tensors of torch.
        packages: names of the packages that the format needs.
        calls_custom_operators: whether a file of a quantized network calls kdrun's custom
            operators, so that the modules that register them must be imported before loading it.
    """

    encode: Callable[[ExportedProgram], bytes]
    load: Callable[[Path], LoadedFile]
    example: str
    arrays: Arrays
    packages: tuple[str, ...] = ()
    calls_custom_operators: bool = False


@dataclass(frozen=True)
class FolderFormat:
    """A format whose output is a folder, written from a network that is not traced.

    Attributes:
        check: raises `UserError` if a network, or the tokenizer of its texts, has no form in this
            format. The tokenizer is None if it is not known yet.
        write: writes the folder of a network that passes the check, with its tokenizer and the
            names of its classes.
        load: loads such a folder on the CPU.
        example: as in `ExportFormat`, with the field `file` alone.
        packages: names of the packages that the format needs.
    """

    check: Callable[[nn.Module, "Tokenizer | None"], None]
    write: Callable[[nn.Module, "Tokenizer", Sequence[str], Path], None]
    load: Callable[[Path], LoadedFile]
    example: str
    packages: tuple[str, ...] = ()
