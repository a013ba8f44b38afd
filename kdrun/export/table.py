"""The formats that networks are exported to: name on the command line -> its `ExportFormat`."""

from collections.abc import Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from kdrun.core.errors import Fault
from kdrun.core.registry import resolve
from kdrun.core.unknown import unknown_name

if TYPE_CHECKING:
    from kdrun.export.format import ExportFormat

FORMATS = {
    "onnx": "kdrun.export.onnx_file:ONNX",
    "pt2": "kdrun.export.pt2_file:PT2",
}


def export_format(name: str) -> "ExportFormat":
    """Return the format of this name.

    Raises:
        UserError: there is no such format.
    """
    record: Any = resolve("format", FORMATS, name)
    return record


def format_faults(where: str, names: Iterable[str]) -> list[Fault]:
    """Return a fault for each name that is not a format, or whose packages are not installed.

    Args:
        where: the config key or option that holds the names.
        names: the formats that the user asks for; repeated names count once.
    """
    unique = dict.fromkeys(names)
    return [fault for name in unique if (fault := _format_fault(where, name)) is not None]


def _format_fault(where: str, name: str) -> Fault | None:
    if name not in FORMATS:
        return Fault(where, str(unknown_name("format", name, FORMATS)))
    if not all(find_spec(package) for package in export_format(name).packages):
        return Fault(where, f"{name!r} needs an extra: pip install 'kdrun[export]'")
    return None
