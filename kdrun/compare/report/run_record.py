"""Access to the files of a run; each is read when it is first needed."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kdrun.compare.stored_arrays import damaged_arrays, read_arrays
from kdrun.core.folder import STUDENT_ROW, RunFolder
from kdrun.core.metrics_log import MetricsLog
from kdrun.core.records.artefact import ArtefactRecord
from kdrun.core.records.manifest import Manifest
from kdrun.core.records.measurement import Measurement
from kdrun.core.records.sensitivity import Sensitivity
from kdrun.core.records.summary import Row, Summary
from kdrun.core.store import read_record
from kdrun.task import task_of
from kdrun.task.base import Task

_MAX_CLASSES = 2**15  # where no record says how many classes there are


class RunRecord:
    """The contents of a run folder; None for files that an older kdrun did not write.

    Args:
        folder: the run folder.
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
    def task(self) -> Task:
        """What the networks answer."""
        return task_of(self.summary or self.config.get("dataset", {}))

    @property
    def sample(self) -> str:
        """The word for one sample."""
        return self.summary.get("sample", "image") if self.summary else "image"

    @property
    def rows(self) -> list[Row]:
        """The rows of the results table; an empty list if there is no table yet."""
        return self.summary["rows"] if self.summary else []

    @cached_property
    def measurements(self) -> list[Measurement]:
        """The lines of metrics.jsonl, in order."""
        return MetricsLog(self.folder.metrics).read()

    @cached_property
    def predictions(self) -> dict[str, np.ndarray] | None:
        """The targets of the test samples, and the predictions of each row's model."""
        path = self.folder.predictions
        if not path.exists():
            return None
        arrays = read_arrays(path)
        samples = arrays.get("target", np.empty(())).shape
        needed = ["target", *(f"{row['model']}/predicted" for row in self.rows)]
        _check_arrays(path, arrays, dict.fromkeys(needed, ("iu", samples)))
        shares = [name for name in arrays if _of_test(name) and name.endswith("/confidence")]
        _check_arrays(path, arrays, dict.fromkeys(shares, ("f", samples)))
        count = len(self._recorded_classes) or _MAX_CLASSES
        if len(samples) != 1 or not all(_are_below(arrays[name], count) for name in needed):
            raise damaged_arrays(path, "holds no classes of test samples")
        return arrays

    @cached_property
    def examples(self) -> dict[str, np.ndarray] | None:
        """A few test samples, `images` or `texts`, with the probabilities of each row's model."""
        path = self.folder.examples
        if not path.exists():
            return None
        arrays = read_arrays(path)
        count = arrays.get("target", np.empty(0)).shape
        name, kind, dimensions = ("texts", "U", 1) if "texts" in arrays else ("images", "u", 4)
        samples = arrays.get(name, np.empty(0))
        shown = arrays.get("classes", np.empty(0)).shape
        rows = {f"{row['model']}/probability": ("f", shown) for row in self.rows}
        integers = {"target": ("iu", count), "index": ("iu", count), "classes": ("iu", shown)}
        _check_arrays(
            path, arrays, {**integers, name: (kind, samples.shape), "row": ("U", ()), **rows}
        )
        if (len(count), len(shown), samples.ndim) != (1, 2, dimensions) or not samples.size:
            raise damaged_arrays(path, f"holds no {name}")
        if not count[0] == shown[0] == len(samples):
            raise damaged_arrays(path, "holds arrays of unlike lengths")
        return arrays

    @cached_property
    def sensitivity(self) -> Sensitivity | None:
        """The results of `kdrun sensitivity`: what compressing only one layer costs."""
        return self.folder.read_sensitivity()

    @cached_property
    def artefacts(self) -> list[ArtefactRecord]:
        """The records of the complete artefacts in the folder, in the order of the rows."""
        folders = [path for path in sorted(self.folder.path.iterdir()) if path.is_dir()]
        records = [record for path in folders if (record := read_record(path))]
        order = {row["fingerprint"]: number for number, row in enumerate(self.rows)}
        return sorted(
            records, key=lambda record: order.get(record.get("fingerprint", ""), len(order))
        )

    @cached_property
    def class_names(self) -> list[str]:
        """The names of the student's classes; their numbers if no names are known."""
        if self._recorded_classes or self.predictions is None:
            return self._recorded_classes
        arrays = self.predictions.items()
        highest = max(int(values.max()) for key, values in arrays if _holds_classes(key))
        return [str(number) for number in range(highest + 1)]

    @cached_property
    def _recorded_classes(self) -> list[str]:
        """The names of the classes in the record of the last row; empty without such a record."""
        last = self.rows[-1]["fingerprint"] if self.rows else None
        for record in self.artefacts:
            if record.get("fingerprint") == last and "data" in record:
                return record["data"]["classes"]
        return []

    @property
    def student(self) -> str | None:
        """The row that the page is about: `distilled` or the last row; None without a table."""
        names = [row["model"] for row in self.rows]
        if not names:
            return None
        return STUDENT_ROW if STUDENT_ROW in names else names[-1]

    @cached_property
    def trained_stages(self) -> dict[str, str]:
        """Trained stage -> its row in the results table, or the stage's name if it has no row."""
        rows = {row["fingerprint"]: row["model"] for row in self.rows}
        fingerprints = {
            name: stage.get("fingerprint")
            for name, stage in self.manifest.get("stages", {}).items()
        }
        return {
            line["stage"]: rows.get(fingerprints.get(line["stage"]) or "", line["stage"])
            for line in self.measurements
        }


def _holds_classes(key: str) -> bool:
    """Return whether an array of predictions.npz holds class indices of the student's dataset."""
    return key == "target" or (key.endswith("/predicted") and _of_test(key))


def _are_below(labels: np.ndarray, count: int) -> bool:
    """Return whether all labels are in 0..count-1."""
    return bool(((labels >= 0) & (labels < count)).all())


def _of_test(key: str) -> bool:
    """Return whether an array of predictions.npz is of the test split, not of another domain."""
    return not key.startswith("domains/")


def _check_arrays(
    path: Path,
    arrays: Mapping[str, np.ndarray],
    expected: Mapping[str, tuple[str, tuple[int, ...]]],
) -> None:
    """Refuse a file whose arrays are missing or of another kind or shape.

    Args:
        path: the file, for the message.
        arrays: name -> array of the file.
        expected: name -> the letters of numpy's kinds that are allowed, and the shape.

    Raises:
        DamagedFile: an array is missing, or it is not as expected.
    """
    for name, (kinds, shape) in expected.items():
        if name not in arrays:
            raise damaged_arrays(path, f"has no {name!r}")
        if arrays[name].dtype.kind not in kinds or arrays[name].shape != shape:
            raise damaged_arrays(path, f"holds something else for {name!r}")
