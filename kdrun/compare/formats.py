"""The file formats of a comparison; each has the name of its command-line option."""

from collections.abc import Callable, Mapping

from kdrun.compare.comparison import Comparison
from kdrun.compare.markdown_latex import as_latex, as_markdown
from kdrun.compare.records import as_csv, as_json

FORMATS: Mapping[str, Callable[[Comparison], str]] = {
    "csv": as_csv,
    "json": as_json,
    "markdown": as_markdown,
    "latex": as_latex,
}
