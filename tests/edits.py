"""Changes records of runs as if kdrun 0.1.0 had written them: without sums, which would tell."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

SUMS = ("sum", "sums")


def edit_json(
    path: Path, change: Callable[[dict[str, Any]], object] = dict, /, **fields: Any
) -> None:
    """Set fields of a record, and call a function that changes it in place."""
    record = {**json.loads(path.read_text()), **fields}
    change(record)
    kept = SUMS[:1] if path.name == "artefact.json" else SUMS  # an artefact has sums of its files
    path.write_text(json.dumps({key: record[key] for key in record if key not in kept}))
