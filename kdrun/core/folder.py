"""The run folder and the names of its files; core/store.py has those of artefacts."""

import os
import re
from collections.abc import Iterable, Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any, Unpack

import yaml

from kdrun.core import limits
from kdrun.core.atomic import refuse_link, write_bytes, write_text
from kdrun.core.careful_yaml import read_yaml, yaml_error
from kdrun.core.environment_values import hide_in
from kdrun.core.errors import DamagedFile, UserError
from kdrun.core.json_file import read_json, write_json
from kdrun.core.lock import FolderLock
from kdrun.core.reading import digest, open_record, read_all
from kdrun.core.records import FORMAT
from kdrun.core.records.check import check_record
from kdrun.core.records.exported import Exported, check_exported
from kdrun.core.records.manifest import Manifest
from kdrun.core.records.sensitivity import Sensitivity
from kdrun.core.records.summary import Summary
from kdrun.core.store import METRICS, RECORD, STORE

# The distilled student: its stage, the stage's folder in a run, its row in the results table.
STUDENT_STAGE = "distill"
STUDENT_FOLDER = "student"
STUDENT_ROW = "distilled"

CRASHED = "crashed"  # the status of a run whose process ended without writing one

# Names of files in the folder of exported files.
EXPORTED = "export.json"
HOW_TO_RUN = "how_to_run.md"
TOKENIZER = "tokenizer.json"  # ending of the file of a network's tokenizer

_CONFIG = "config.yaml"
_MANIFEST = "run.json"
_SUMMARY = "summary.json"
_PREDICTIONS = "predictions.npz"
_EXAMPLES = "examples.npz"
_REPORT = "report.html"
_LOG = "log.txt"
_EXPORT = "export"
_SENSITIVITY = "sensitivity"  # .json and .svg
_SUMMED = (_SUMMARY, METRICS, _PREDICTIONS, _EXAMPLES)  # their sums are in the manifest
_HYDRA = ".hydra/hydra.yaml"
_PATHS = ("path", "working_folder")  # of the manifest; they must name what is there
_SWEEP_FILES = ("sweep.json", "multirun.yaml")  # a sweep folder has at least one of them


def read_exported(folder: Path) -> Exported:
    """Read the record of the exported files in a folder; return an empty dict without a record.

    Raises:
        DamagedFile: the record can't be read.
    """
    return check_exported(read_json(folder / EXPORTED) or {}, folder / EXPORTED)


class RunFolder:
    """The folder of one run: its config, manifest, measurements, table, predictions and log."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def log(self) -> Path:
        return self.path / _LOG

    @property
    def is_run(self) -> bool:
        return (self.path / _MANIFEST).exists()

    @property
    def status(self) -> str:
        """The status: running, finished, failed, interrupted or pruned.

        A run whose process ended without writing another status is `crashed`.
        """
        status = str(self.manifest().get("status", "unknown"))
        return CRASHED if status == "running" and not FolderLock(self.path).is_held() else status

    @property
    def export(self) -> Path:
        """The folder of exported files; created if it is missing."""
        return self.stage(_EXPORT)

    def stage(self, folder: str) -> Path:
        """Return the folder of a stage's artefact; create it if it is missing.

        Raises:
            UserError: it is a link.
        """
        path = self.path / folder
        refuse_link(path)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def write_config(self, tree: Mapping[str, Any]) -> None:
        """Write the resolved config, with references in place of environment variables' values."""
        text = yaml.safe_dump(hide_in(dict(tree)), sort_keys=False, allow_unicode=True)
        write_text(self.path / _CONFIG, text)

    def config(self) -> dict[str, Any]:
        """Read the resolved config that the run was started with.

        Raises:
            UserError: the config is missing, or it is no mapping.
        DamagedFile: it is no regular file.
        """
        path = self.path / _CONFIG
        try:
            tree = read_yaml(open_record(path))
        except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(
                f"{str(self.path)!r} is no run folder: its {_CONFIG} can't be read.",
                f"  {yaml_error(path, error)}",
                "  the runs that are there: kdrun list runs",
            ) from error
        if not isinstance(tree, dict):
            raise UserError(f"{str(path)!r} holds no config.")
        return tree

    def manifest(self) -> Manifest:
        """Read run.json; return an empty manifest where there is none.

        Raises:
            DamagedFile: the content is not what a run writes.
        """
        path = self.path / _MANIFEST
        return check_record(read_json(path) or {}, Manifest, path)

    def update(self, **fields: Unpack[Manifest]) -> None:
        """Set fields of the manifest; the other fields stay."""
        texts = {key: hide_in(value) for key, value in fields.items() if key not in _PATHS}
        write_json(self.path / _MANIFEST, {"format": FORMAT, **self.manifest(), **fields, **texts})

    def gather_metrics(self, folders: Iterable[Path]) -> None:
        """Write the run's measurements: the logs of its stages, one after the other.

        Args:
            folders: the folders of the stages.
        """
        paths = [folder / METRICS for folder in folders if (folder / METRICS).exists()]
        logs = [read_all(open_record(path), limits.METRICS) for path in paths]
        write_bytes(self.path / METRICS, b"".join(logs))

    def write_summary(self, summary: Summary) -> None:
        write_json(self.path / _SUMMARY, {"format": FORMAT, **hide_in(dict(summary))})

    def summary(self) -> Summary | None:
        """Read summary.json; return None where there is none.

        Raises:
            DamagedFile: the content is not what a run writes.
        """
        path = self.path / _SUMMARY
        record = read_json(path)
        return None if record is None else check_record(record, Summary, path)

    def checked_summary(self, manifest: Manifest) -> Summary | None:
        """Read summary.json as `summary` does, after checking that it is the one of this run."""
        self.check_files(manifest, self.path / _SUMMARY)
        return self.summary()

    def sums(self) -> dict[str, str]:
        """Return file -> SHA-256 for the files with results, which the manifest records."""
        paths = (self.path / name for name in _SUMMED)
        return {path.name: digest(open_record(path)) for path in paths if path.exists()}

    def check_files(self, manifest: Manifest, *paths: Path) -> None:
        """Check files of a finished run against their sums; an older kdrun recorded none.

        Args:
            manifest: the run's manifest.
            paths: the files; all with a sum if none are given.

        Raises:
            DamagedFile: a file is missing, or is not the one that the run wrote.
        """
        sums = manifest.get("sums", {})
        for path in paths or [self.path / name for name in _SUMMED]:
            if path.name in sums and not _has_sum(path, sums[path.name]):
                raise DamagedFile(
                    f"{str(path)!r} is not what its run wrote.",
                    "  restore the file from a copy, or make the run again",
                )

    @property
    def sensitivity_plot(self) -> Path:
        return self.path / f"{_SENSITIVITY}.svg"

    @property
    def sensitivity(self) -> Path:
        return self.path / f"{_SENSITIVITY}.json"

    def read_sensitivity(self) -> Sensitivity | None:
        record = read_json(self.sensitivity)
        return None if record is None else check_record(record, Sensitivity, self.sensitivity)

    def write_sensitivity(self, record: Mapping[str, Any]) -> None:
        write_json(self.sensitivity, {"format": FORMAT, **record})

    @property
    def metrics(self) -> Path:
        return self.path / METRICS

    def write_predictions(self, data: bytes) -> None:
        write_bytes(self.predictions, data)

    @property
    def examples(self) -> Path:
        return self.path / _EXAMPLES

    def write_examples(self, data: bytes) -> None:
        write_bytes(self.examples, data)

    @property
    def report(self) -> Path:
        return report_of(self.path)

    @property
    def predictions(self) -> Path:
        """The file with each model's predictions for the test samples; finished runs have it."""
        return self.path / _PREDICTIONS

    def choices(self) -> dict[str, str]:
        """Return the choice of each config group, such as `recipe: quick`; empty if unknown.

        Hydra's file has a fixed layout and is read as text: parsing it takes 100 times as long.
        """
        try:
            text = read_all(open_record(self.path / _HYDRA), limits.YAML).decode()
        except (OSError, UnicodeDecodeError, DamagedFile):
            return {}
        _, _, after = text.partition("\n    choices:\n")
        lines = takewhile(lambda line: line.startswith("      "), after.splitlines())
        pairs = (line.strip().partition(": ") for line in lines)
        return {group: choice for group, _, choice in pairs}

    def contents(self) -> dict[str, Path]:
        """Return description -> path, for the files and then the model folders that exist."""
        described = {
            "config": _CONFIG,
            "manifest": _MANIFEST,
            "measurements": METRICS,
            "table": _SUMMARY,
            "predictions for the test split": _PREDICTIONS,
            "examples of test images": _EXAMPLES,
            "report": _REPORT,
            "log": _LOG,
            "exported": f"{_EXPORT}/{EXPORTED}",
        }
        files = {name: self.path / file for name, file in described.items()}
        models = {path.parent.name: path.parent for path in sorted(self.path.glob(f"*/{RECORD}"))}
        return {name: path for name, path in {**files, **models}.items() if path.exists()}

    @property
    def is_of_sweep(self) -> bool:
        """Whether the run is a job of the sweep in the parent folder."""
        return any((self.path.parent / name).exists() for name in _SWEEP_FILES)


def _has_sum(path: Path, expected: str) -> bool:
    try:
        return digest(open_record(path)) == expected
    except OSError:
        return False


def report_of(folder: Path) -> Path:
    """Return the path of the report of a run or sweep."""
    return folder / _REPORT


def find_runs(root: Path) -> list[RunFolder]:
    """Return all run folders in and below a folder, except those in the store.

    They are sorted by name, with numbers in their order: job 2 before job 10. A run folder is not
    searched for further run folders.
    """
    paths: list[Path] = []
    waiting = [str(root)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                inside = list(entries)
        except OSError:  # not a folder, or a folder that can't be read
            continue
        if any(entry.name == _MANIFEST for entry in inside):
            paths.append(Path(inside[0].path).parent)
            continue
        waiting += [
            entry.path
            for entry in inside
            if entry.name != STORE and entry.is_dir(follow_symlinks=False)
        ]
    return [RunFolder(path) for path in sorted(paths, key=in_order)]


def in_order(path: Path) -> list[tuple[int, str]]:
    """Return a sort key for paths that orders the numbers in their names by value."""
    parts = re.split(r"([0-9]+)", str(path))
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
