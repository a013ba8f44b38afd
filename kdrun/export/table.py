"""The formats that networks are exported to, and what each needs beside torch."""

from collections.abc import Iterable
from importlib.util import find_spec

from kdrun.core.errors import Fault, nearest

# Format, which is also the ending of its files -> the function from a traced network to bytes.
WRITERS = {
    "onnx": "kdrun.export.onnx_file:encode",
    "pt2": "kdrun.export.pt2_file:encode",
}
# Format -> the function that loads such a file in the runtime that it is for.
LOADERS = {
    "onnx": "kdrun.export.onnx_file:load",
    "pt2": "kdrun.export.pt2_file:load",
}
# Format -> the packages that it needs, which the extra `export` has.
NEEDED = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "pt2": ()}


def format_faults(where: str, formats: Iterable[str]) -> list[Fault]:
    """Names of formats that there aren't, or whose packages aren't installed."""
    return [
        fault
        for name in dict.fromkeys(formats)
        for fault in (_lacks(where, name) if name in WRITERS else [_unknown(where, name)])
    ]


def _unknown(where: str, name: str) -> Fault:
    close = nearest(name, WRITERS)
    hint = f"nearest: {close}" if close else f"there is {', '.join(WRITERS)}"
    return Fault(where, f"no format is called {name!r}; {hint}")


def _lacks(where: str, name: str) -> list[Fault]:
    if all(find_spec(package) for package in NEEDED[name]):
        return []
    return [Fault(where, f"{name!r} needs an extra: pip install 'kdrun[export]'")]
