"""What a run folder holds, read when it is asked for."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from kdrun.core.folder import RunFolder
from kdrun.core.metrics_log import MetricsLog
from kdrun.core.records.artefact import ArtefactRecord
from kdrun.core.records.manifest import Manifest
from kdrun.core.records.measurement import Measurement
from kdrun.core.records.summary import Row, Summary
from kdrun.core.store import read_record

Line = Mapping[str, Any]


class Record:
    """A run as its folder tells of it; parts that an older kdrun didn't write are None.

    Args:
        folder: the run's.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    @cached_property
    def manifest(self) -> Manifest:
        return self.folder.manifest()

    @cached_property
    def status(self) -> str:
        return self.folder.status

    @cached_property
    def config(self) -> dict[str, Any]:
        return self.manifest.get("config") or self.folder.config()

    @cached_property
    def summary(self) -> Summary | None:
        return self.folder.summary()

    @property
    def rows(self) -> list[Row]:
        """The table's rows; none where there is no table yet."""
        return self.summary["rows"] if self.summary else []

    @cached_property
    def lines(self) -> list[Measurement]:
        """The measurements, in order."""
        return MetricsLog(self.folder.metrics).read()

    @cached_property
    def answers(self) -> dict[str, np.ndarray] | None:
        """Each row's answers to the test samples."""
        return _arrays(self.folder.predictions)

    @cached_property
    def examples(self) -> dict[str, np.ndarray] | None:
        """A few test images with each row's probabilities."""
        return _arrays(self.folder.examples)

    @cached_property
    def sensitivity(self) -> dict[str, Any] | None:
        """What each layer loses when it alone is compressed."""
        return self.folder.read_sensitivity()

    @cached_property
    def artefacts(self) -> list[ArtefactRecord]:
        """What the complete artefacts in the folder say of themselves, in the rows' order."""
        found = [read_record(path) for path in sorted(self.folder.path.iterdir()) if path.is_dir()]
        order = {row["fingerprint"]: number for number, row in enumerate(self.rows)}
        records = [record for record in found if record]
        return sorted(records, key=lambda one: order.get(one.get("fingerprint", ""), len(order)))

    @cached_property
    def classes(self) -> list[str]:
        """The names of the classes that the student tells apart; numbers where none are known."""
        own = self.rows[-1]["fingerprint"] if self.rows else None
        for record in self.artefacts:
            if record.get("fingerprint") == own:
                return [str(name) for name in record["data"]["classes"]]
        if self.answers is None:
            return []
        most = max(int(values.max()) for key, values in self.answers.items() if _is_class(key))
        return [str(number) for number in range(most + 1)]

    @cached_property
    def stages(self) -> dict[str, str]:
        """Each trained stage -> what it is called in the table; its own name where it has none."""
        rows = {row["fingerprint"]: row["model"] for row in self.rows}
        prints = {
            name: stage.get("fingerprint")
            for name, stage in self.manifest.get("stages", {}).items()
        }
        return {
            line["stage"]: rows.get(prints.get(line["stage"]) or "", line["stage"])
            for line in self.lines
        }


def _is_class(key: str) -> bool:
    return key == "target" or (key.endswith("/predicted") and not key.startswith("domains/"))


def _arrays(path: Any) -> dict[str, np.ndarray] | None:
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}
