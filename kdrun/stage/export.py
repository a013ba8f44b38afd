"""Writes networks to files that run without kdrun, and checks each file in its runtime.

This happens after evaluation, for the config's `export` and for `kdrun export`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn
from torch.export import ExportedProgram

from kdrun import __version__
from kdrun.compress.structure_changes import is_quantized
from kdrun.core.atomic import write_bytes, write_text
from kdrun.core.config import Config
from kdrun.core.errors import ExportRejected, first_line
from kdrun.core.folder import EXPORTED, HOW_TO_RUN, STUDENT_ROW, TOKENIZER, read_exported
from kdrun.core.inputs.text import Encoding
from kdrun.core.json_file import write_json
from kdrun.core.records import FORMAT
from kdrun.core.screen import Screen
from kdrun.dataset.data import Data
from kdrun.export.check import compare, tolerance_fault
from kdrun.export.custom_operators import REGISTERED_BY, calls_custom_operators
from kdrun.export.format import ExportFormat, FolderFormat, LoadedFile
from kdrun.export.how_to_run import how_to_run
from kdrun.export.input_spec import input_spec
from kdrun.export.output_path import checksum_of, remove, replace, size_of
from kdrun.export.table import export_format
from kdrun.export.trace import encode, trace
from kdrun.stage.artefact import Artefact
from kdrun.stage.evaluate import network_of
from kdrun.stage.tokenizer_file import tokenizer_of


def exported_rows(
    rows: Mapping[str, Artefact], compressed: Sequence[str], formats: Sequence[str]
) -> dict[str, Artefact]:
    """Return the rows of the results table that a run exports.

    They are the student, and the network of the last compression step. If that is quantized, and a
    format has no form for such networks, the last one in float is exported as well.

    Args:
        rows: label of each row -> its artefact.
        compressed: the labels of the compression steps, in order.
        formats: the formats that the run exports to.
    """
    labels = [STUDENT_ROW, *compressed[-1:]]
    if any(isinstance(export_format(name), FolderFormat) for name in formats):
        in_float = [row for row in compressed if not is_quantized(rows[row].changes)]
        labels += in_float[-1:]
    return {row: rows[row] for row in rows if row in labels}


@dataclass(frozen=True)
class Exporter:
    """Exports networks into a folder, by the config's `export` and `export_options`.

    A file is written as NAME.unchecked.FORMAT. If it passes its check, it is renamed to
    NAME.FORMAT; otherwise it is kept as NAME.rejected.FORMAT, and a file of an earlier export that
    passed stays as it is.

    Attributes:
        folder: receives the files.
        config: the run's config.
        data: the run's data; files are checked on its test split.
        screen: receives messages.
        check_interrupt: called between steps of the work; it may raise to stop.
    """

    folder: Path
    config: Config
    data: Data
    screen: Screen
    check_interrupt: Callable[[], None]

    def export(self, artefacts: Mapping[str, Artefact]) -> None:
        """Write and check the files that are missing, and describe all in how_to_run.md.

        Args:
            artefacts: maps labels of the results table to the artefacts of the networks.

        Raises:
            UserError: a network can't be exported.
            ExportRejected: a file's logits differ from its network's by more than is allowed.
        """
        rejected = [
            error for row, artefact in artefacts.items() for error in self._export(row, artefact)
        ]
        if rejected:
            raise ExportRejected(*(line for error in rejected for line in error.lines))

    def _export(self, row: str, artefact: Artefact) -> list[ExportRejected]:
        """Export one network to all formats; the network runs on the test split only once."""
        formats = dict.fromkeys(self.config.export)
        missing = [name for name in formats if not self._is_exported(artefact, name)]
        if not missing:
            return []
        network = network_of(artefact, self.data.info)
        missing = self._formats_of(row, artefact, missing)
        if not missing:
            return []
        inputs = input_spec(self.data.info.inputs, self._normalize, network)
        is_traced = any(isinstance(export_format(name), ExportFormat) for name in missing)
        program = trace(network, inputs) if is_traced else None
        paths = {name: self._write(network, program, artefact, name) for name in missing}
        files = {
            name: _load(name, path, _file_name(artefact, name)) for name, path in paths.items()
        }
        size, test = self.config.evaluate.batch_size, self.data.test
        checks = compare(files, network, test, inputs, size, self.check_interrupt)
        quantized = program is not None and calls_custom_operators(program)
        chosen = {name: export_format(name) for name in paths}
        with_custom_operators = [
            name
            for name, each in chosen.items()
            if isinstance(each, ExportFormat) and each.calls_custom_operators
        ]
        rejected = []
        for name, path in paths.items():
            needs_imports = quantized and name in with_custom_operators
            entry = {
                "row": row,
                "network": artefact.record["fingerprint"],
                "format": name,
                "normalize": inputs.normalize,
                **self._write_tokenizer(network, artefact),
                "quantized": quantized,
                "imports": list(REGISTERED_BY) if needs_imports else [],
                "runtime": files[name].runtime,
                **files[name].facts,
                "check": checks[name],
                "tolerance": self.config.export_options.tolerance.model_dump(),
            }
            rejected += self._accept_or_reject(path, _file_name(artefact, name), entry)
        return rejected

    def _formats_of(self, row: str, artefact: Artefact, formats: list[str]) -> list[str]:
        """Return the formats to write; those of folders have no form for a quantized network."""
        if not is_quantized(artefact.changes):
            return formats
        kept = [name for name in formats if isinstance(export_format(name), ExportFormat)]
        for name in formats:
            if name not in kept:
                self.screen.say(f"export: {row} is quantized, for which {name!r} has no form")
        return kept

    @property
    def _normalize(self) -> bool:
        return self.config.export_options.normalize

    def _write_tokenizer(self, network: nn.Module, artefact: Artefact) -> dict[str, Any]:
        """Write the tokenizer of a network's texts, and return its entry; empty for images."""
        encoding = getattr(network, "encoding", None)
        if not isinstance(encoding, Encoding):
            return {}
        content = self.data.tokenizers[encoding.name].to_bytes()
        name = _file_name(artefact, TOKENIZER)
        write_bytes(self.folder / name, content)
        kind = json.loads(content)["kind"]
        return {"tokenizer": {"file": name, "kind": kind, "encoding": encoding.name}}

    def _is_exported(self, artefact: Artefact, format_name: str) -> bool:
        """Return whether the folder has an intact file of this network with the same options."""
        path = self.folder / _file_name(artefact, format_name)
        entry = read_exported(self.folder).get("files", {}).get(path.name)
        if entry is None:
            return False
        is_current = (entry["network"], entry["normalize"]) == (
            artefact.record["fingerprint"],
            self._normalize,
        )
        return is_current and path.exists() and checksum_of(path) == entry["sha256"]

    def _write(
        self,
        network: nn.Module,
        program: ExportedProgram | None,
        artefact: Artefact,
        format_name: str,
    ) -> Path:
        """Write a network, or its traced graph, under the name of an unchecked file."""
        self.check_interrupt()
        path = self.folder / _file_name(artefact, f"unchecked.{format_name}")
        chosen = export_format(format_name)
        if isinstance(chosen, FolderFormat):
            tokenizer = tokenizer_of(network, self.data)
            assert tokenizer is not None  # as no other network passes the check
            chosen.check(network, tokenizer)
            remove(path)
            chosen.write(network, tokenizer, self.data.info.classes, path)
        elif program is not None:
            write_bytes(path, encode(program, format_name))
        return path

    def _accept_or_reject(
        self, path: Path, name: str, entry: Mapping[str, Any]
    ) -> list[ExportRejected]:
        """Rename a checked file and record it if it passed; return the errors if it did not."""
        tolerance = self.config.export_options.tolerance
        fault = tolerance_fault(entry["check"], entry["quantized"], tolerance)
        if fault is not None:
            remedy = f"more is allowed by export_options.tolerance.{fault.key}"
            return [_reject(path, name, f"differs from its network: {fault.message}.", remedy)]
        entry = {**entry, "bytes": size_of(path), "sha256": checksum_of(path)}
        replace(path, self.folder / name)
        remove(self.folder / _rejected_name(name))
        self._record(name, entry)
        return []

    def _record(self, name: str, entry: Mapping[str, Any]) -> None:
        """Add a file to export.json and how_to_run.md, and report it."""
        info, files = self.data.info, read_exported(self.folder).get("files", {})
        record = {
            "format": FORMAT,
            "kdrun": __version__,
            "split": "test",
            "classes": list(info.classes),
            **info.inputs.record(),
            "files": {**files, name: entry},
        }
        write_json(self.folder / EXPORTED, record)
        write_text(self.folder / HOW_TO_RUN, how_to_run(record))
        self.screen.say(_summary(self.folder / name, entry))


def _load(format_name: str, path: Path, name: str) -> LoadedFile:
    try:
        return export_format(format_name).load(path)
    except Exception as error:
        reason = first_line(error)
        raise _reject(path, name, f"can't be loaded in its runtime: {reason}") from error


def _file_name(artefact: Artefact, ending: str) -> str:
    return f"{artefact.folder.name}.{ending}"


def _rejected_name(name: str) -> str:
    stem, _, ending = name.rpartition(".")
    return f"{stem}.rejected.{ending}"


def _reject(path: Path, name: str, reason: str, *remedy: str) -> ExportRejected:
    """Rename a file to NAME.rejected.FORMAT; return the error to raise."""
    rejected_path = replace(path, path.with_name(_rejected_name(name)))
    return ExportRejected(
        f"{name} {reason}", "; ".join([f"  it is kept as {str(rejected_path)!r}", *remedy])
    )


def _summary(path: Path, entry: Mapping[str, Any]) -> str:
    check = entry["check"]
    return (
        f"export: {path}, {entry['bytes']:,} bytes, in {entry['runtime']}: accuracy"
        f" {check['accuracy']:.2%} (PyTorch {check['accuracy_in_pytorch']:.2%}), same decision for"
        f" {check['equal_decisions']:.2%}, logits differ by {check['relative_difference']:.1e}"
    )
