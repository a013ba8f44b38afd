"""Writes docs/reliability.md from the results of the parts."""

from pathlib import Path
from typing import Any


def write_page(path: Path, results: dict[str, Any]) -> None:
    """Write the page."""
    path.write_text("", encoding="utf-8")
