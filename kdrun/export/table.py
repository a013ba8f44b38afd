"""The formats that networks are exported to: name on the command line -> the format."""

from collections.abc import Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from kdrun.core.errors import UserError
from kdrun.core.faults import Faults
from kdrun.core.registry import resolve

if TYPE_CHECKING:
    from kdrun.export.format import ExportFormat, FolderFormat

FORMATS = {
    "onnx": "kdrun.export.onnx_file:ONNX",
    "pt2": "kdrun.export.pt2_file:PT2",
    "hf": "kdrun.export.hf_folder:HF",
}
_EXTRAS = {"hf": "text"}  # format -> the extra that has its packages; `export` for others


def export_format(name: str) -> "ExportFormat | FolderFormat":
    """Return the format of this name.

    Raises:
        UserError: there is no such format.
    """
    record: Any = resolve("format", FORMATS, name)
    return record


def format_faults(where: str, names: Iterable[str]) -> Faults:
    """Return a fault for each name that is no usable format, or whose packages are not installed.

    Args:
        where: the config key or option that holds the names.
        names: the formats that the user asks for; repeated names count once.
    """
    faults = Faults()
    for name in dict.fromkeys(names):
        with faults.under(where):
            _check_packages(name)
    return faults


def _check_packages(name: str) -> None:
    missing = [package for package in export_format(name).packages if not find_spec(package)]
    if missing:
        built_in = FORMATS[name].startswith("kdrun.")
        extra = f"'kdrun[{_EXTRAS.get(name, 'export')}]'" if built_in else " ".join(missing)
        raise UserError(f"{name!r} needs {', '.join(missing)}: pip install {extra}")
