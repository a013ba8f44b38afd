"""Reads checkpoint files of other projects, without running code that they may hold."""

import re
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import BadZipFile, ZipFile, is_zipfile

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.serialization import safe_globals

from kdrun.core.errors import UserError
from kdrun.core.reading import open_named

_DEPTH = 4  # of the mappings in which state dicts are looked for: callbacks, EMA, 0, state_dict
_MAX_CLASSES = 100  # the most classes of a file that are replaced
_UNKNOWN = re.compile(r"GLOBAL (\S+) was not an allowed global")
_FILLED = re.compile(r"Can only (SETITEM|append).* but got <class 'inert\.(\S+)'>")
_FRAME = "Unsupported operand 149"  # an instruction of pickle's protocols 4 and 5
_SAVE_ALONE = "  save the state dict alone: torch.save(network.state_dict(), PATH)"


@dataclass(frozen=True)
class CheckpointFile:
    """The tensors of a checkpoint file.

    Attributes:
        path: the file.
        state_dicts: dotted keys of each mapping with tensors -> its tensors by name; the keys are
            empty for the file itself.
        classes: the classes of the objects that were not read.
    """

    path: Path
    state_dicts: Mapping[str, Mapping[str, Tensor]]
    classes: tuple[str, ...]


def read_checkpoint(path: Path) -> CheckpointFile:
    """Read a file of torch.save or safetensors.

    Raises:
        UserError: the file can't be read, is no regular file, or holds no state dict.
    """
    classes: dict[str, type] = {}
    try:
        _refuse_damage(path)
        content = load_file(path) if path.suffix == ".safetensors" else _load(path, classes)
    except FileNotFoundError as error:
        raise UserError(f"there is no file {str(path)!r}.") from error
    except Exception as error:  # torch raises errors of many classes for damaged bytes
        raise UserError(
            f"{str(path)!r} can't be read as a checkpoint: {_reason(path, error, classes)}.",
            _SAVE_ALONE,
        ) from error
    state_dicts = dict(_state_dicts(content))
    if not state_dicts:
        held = "and no tensors" if isinstance(content, Mapping) else f"but {_kind(content)}"
        raise UserError(f"{str(path)!r} holds no state dict, {held}.", _SAVE_ALONE)
    return CheckpointFile(path, state_dicts, tuple(sorted(classes)))


def _refuse_damage(path: Path) -> None:
    """Compare an archive with the checksums that it has, which torch does not read.

    Raises:
        BadZipFile: a byte is not what was written.
        OSError: the file can't be read, or is no regular file.
    """
    with open_named(path) as file:
        if not is_zipfile(file):
            return
        with ZipFile(file) as archive:
            damaged = archive.testzip()
    if damaged is not None:
        raise BadZipFile(f"the checksum of {damaged} differs")


class _Inert:
    """An object of a class that torch does not know to be harmless, without all that it was.

    Files name classes and functions that unpickling would call. Each is replaced by a subclass of
    this class, which takes any arguments and any state, and keeps and does nothing; but files with
    names that torch refuses in any case, such as `os.system`, are refused.

    Attributes:
        container: of the subclass for a class of mappings or lists, the type that it makes: torch
            puts items into no other types.
    """

    container: type | None = None

    def __new__(cls, *args: object) -> Any:
        return super().__new__(cls) if cls.container is None else cls.container()

    def __init__(self, *args: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def _load(path: Path, classes: dict[str, type]) -> Any:
    """Load a file of torch.save with tensors and plain values; other objects become inert.

    torch refuses the first name that it does not know, so each name takes another try.

    Args:
        path: the file.
        classes: receives name of each class or function that was replaced -> its replacement.
    """
    while True:
        known: list[Any] = [(replacement, name) for name, replacement in classes.items()]
        try:
            with safe_globals(known), warnings.catch_warnings(action="ignore"):
                return torch.load(path, map_location="cpu", weights_only=True)
        except UnpicklingError as error:
            name = _unknown_name(error)
            filled = _FILLED.search(str(error))
            if name and name not in classes and len(classes) < _MAX_CLASSES:
                classes[name] = _inert_class(name)
            elif filled and filled[2] in classes:
                container = list if filled[1] == "append" else OrderedDict
                classes[filled[2]] = _inert_class(filled[2], container)
            else:
                raise


def _unknown_name(error: UnpicklingError) -> str:
    """Return the name that torch refuses, empty if it has another reason.

    torch's message leaves the module of built-in functions out.
    """
    unknown = _UNKNOWN.search(str(error))
    name = unknown[1] if unknown else ""
    return f"builtins.{name}" if name and "." not in name else name


def _inert_class(name: str, container: type | None = None) -> type:
    return type(name, (_Inert,), {"__module__": "inert", "container": container})


def _state_dicts(
    content: Any, keys: tuple[str, ...] = ()
) -> Iterator[tuple[str, Mapping[str, Tensor]]]:
    """Yield dotted keys and tensors of each mapping, and each list in one, with tensors."""
    if keys and isinstance(content, list | tuple):
        content = dict(enumerate(content))
    if not isinstance(content, Mapping):
        return
    tensors = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    if tensors:
        yield ".".join(keys), tensors
    if len(keys) < _DEPTH:
        for key, value in content.items():
            yield from _state_dicts(value, (*keys, str(key)))


def printable(text: str) -> str:
    """Return a text of a foreign file without characters that would control the terminal."""
    return text if text.isprintable() else repr(text)[1:-1]


def _kind(content: object) -> str:
    return f"a {printable(type(content).__name__)}"


def _reason(path: Path, error: Exception, classes: Iterable[str]) -> str:
    if not path.is_file():
        return "it is no regular file"
    if path.stat().st_size == 0:
        return "it is empty"
    refused = re.search(r"GLOBAL (\S+)", str(error))
    if refused or (classes and isinstance(error, UnpicklingError)):
        held = refused[1] if refused else ", ".join(classes)
        return f"it holds {printable(held)}, and other objects than tensors could run code"
    if "TorchScript" in str(error):
        return "it is a program of TorchScript"
    with open_named(path) as file:
        archive = file.read(2) == b"PK"
    if archive and _FRAME in str(error):
        return "it was saved with another pickle_protocol than 2, the default of torch.save"
    if archive or path.suffix == ".safetensors":
        return "it is truncated or damaged"
    return "it was not written by torch.save, or is damaged"
