"""After evaluation: networks as files that run without kdrun, each checked in its runtime."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

from torch.export import ExportedProgram

from kdrun import __version__
from kdrun.core.atomic import write_bytes, write_json, write_text
from kdrun.core.config import Config
from kdrun.core.errors import ExportRejected
from kdrun.core.folder import EXPORTED, HOW_TO_RUN, read_exported
from kdrun.core.registry import resolve
from kdrun.core.screen import Screen
from kdrun.core.store import FORMAT
from kdrun.dataset.data import Data
from kdrun.export.check import Loaded, compare, fault_of
from kdrun.export.custom_operators import REGISTERED_BY, is_quantized
from kdrun.export.how_to_run import how_to_run
from kdrun.export.table import LOADERS
from kdrun.export.trace import Images, encode, trace
from kdrun.stage.artefact import Artefact
from kdrun.stage.evaluate import network_of

STUDENT = "distilled"  # the row that a run exports


@dataclass(frozen=True)
class Exporter:
    """Writes networks into a folder, by the config's `export` and `export_options`.

    A file has its name only once it passed its check: until then it is NAME.unchecked.FORMAT, and
    where it fails it is kept as NAME.rejected.FORMAT. A file of that name that passed before stays.

    Attributes:
        folder: where the files go.
        config: of the run.
        data: its test split is what files are checked on.
        screen: where to say something.
        meanwhile: called now and then; it may raise to end the work.
    """

    folder: Path
    config: Config
    data: Data
    screen: Screen
    meanwhile: Callable[[], None]

    def export(self, rows: Mapping[str, Artefact]) -> None:
        """Write and check those files that are not there whole, and say how to run them.

        Args:
            rows: what a model is called in the table -> its artefact.

        Raises:
            UserError: an operator can't be exported.
            ExportRejected: a file doesn't answer as its network.
        """
        rejected = [one for row, artefact in rows.items() for one in self._export(row, artefact)]
        if rejected:
            raise ExportRejected(*(line for one in rejected for line in one.lines))

    def _export(self, row: str, artefact: Artefact) -> list[ExportRejected]:
        """Files of one network, checked together: it answers the test split once."""
        wanted = dict.fromkeys(self.config.export)
        missing = [name for name in wanted if not self._is_whole(artefact, name)]
        if not missing:
            return []
        network = network_of(artefact, self.data.info)
        program = trace(network, self._images)
        paths = {name: self._write(program, artefact, name) for name in missing}
        files = {
            name: _load(name, path, _file_name(artefact, name)) for name, path in paths.items()
        }
        size, test = self.config.evaluate.batch_size, self.data.test
        checks = compare(files, network, test, self._images, size, self.meanwhile)
        quantized = is_quantized(program)
        faults = []
        for name, path in paths.items():
            entry = {
                "row": row,
                "network": artefact.record["fingerprint"],
                "format": name,
                "normalize": self._images.normalize,
                "quantized": quantized,
                "imports": list(REGISTERED_BY) if quantized and name == "pt2" else [],
                "runtime": files[name].runtime,
                **files[name].facts,
                "check": checks[name],
                "tolerance": self.config.export_options.tolerance.model_dump(),
            }
            faults += self._settle(path, _file_name(artefact, name), entry)
        return faults

    @property
    def _images(self) -> Images:
        info, normalize = self.data.info, self.config.export_options.normalize
        return Images(info.channels, info.image_size, self.data.mean, self.data.std, normalize)

    def _is_whole(self, artefact: Artefact, name: str) -> bool:
        """Whether a file of this network, made by the same options, is there as it was written."""
        path = self.folder / _file_name(artefact, name)
        entry = read_exported(self.folder).get("files", {}).get(path.name, {})
        same = (entry.get("network"), entry.get("normalize")) == (
            artefact.record["fingerprint"],
            self.config.export_options.normalize,
        )
        return same and path.is_file() and _sum(path) == entry["sha256"]

    def _write(self, program: ExportedProgram, artefact: Artefact, name: str) -> Path:
        self.meanwhile()
        path = self.folder / _file_name(artefact, f"unchecked.{name}")
        write_bytes(path, encode(program, name))
        return path

    def _settle(self, path: Path, name: str, entry: Mapping[str, Any]) -> list[ExportRejected]:
        """Give a file that passed its check its name, and one that didn't a name that says so."""
        tolerance = self.config.export_options.tolerance
        fault = fault_of(entry["check"], entry["quantized"], tolerance)
        if fault is not None:
            told, key = fault
            mend = f"more is allowed by export_options.tolerance.{key}"
            return [_reject(path, name, f"does not answer as its network: {told}.", mend)]
        entry = {**entry, "bytes": path.stat().st_size, "sha256": _sum(path)}
        path.replace(self.folder / name)
        (self.folder / _rejected(name)).unlink(missing_ok=True)
        self._tell(name, entry)
        return []

    def _tell(self, name: str, entry: Mapping[str, Any]) -> None:
        """Put a file into the record and into how_to_run.md, and say so."""
        info, files = self.data.info, read_exported(self.folder).get("files", {})
        record = {
            "format": FORMAT,
            "kdrun": __version__,
            "split": "test",
            "classes": list(info.classes),
            "channels": info.channels,
            "image_size": list(info.image_size),
            "mean": list(self.data.mean),
            "std": list(self.data.std),
            "files": {**files, name: entry},
        }
        write_json(self.folder / EXPORTED, record)
        write_text(self.folder / HOW_TO_RUN, how_to_run(record))
        self.screen.say(_said(self.folder / name, entry))


def _load(format_name: str, path: Path, name: str) -> Loaded:
    try:
        loaded: Loaded = resolve("format", LOADERS, format_name)(path)
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise _reject(path, name, f"can't be loaded in its runtime: {reason}") from error
    return loaded


def _file_name(artefact: Artefact, ending: str) -> str:
    return f"{artefact.folder.name}.{ending}"


def _rejected(name: str) -> str:
    stem, _, ending = name.rpartition(".")
    return f"{stem}.rejected.{ending}"


def _reject(path: Path, name: str, told: str, *mend: str) -> ExportRejected:
    """Keep a file under a name that says what it is."""
    kept = path.replace(path.with_name(_rejected(name)))
    return ExportRejected(f"{name} {told}", "; ".join([f"  it is kept as {str(kept)!r}", *mend]))


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _said(path: Path, entry: Mapping[str, Any]) -> str:
    check = entry["check"]
    return (
        f"export: {path}, {entry['bytes']:,} bytes, in {entry['runtime']}: accuracy"
        f" {check['accuracy']:.2%} (PyTorch {check['accuracy_in_pytorch']:.2%}), same decision for"
        f" {check['equal_decisions']:.2%}, logits differ by {check['relative_difference']:.1e}"
    )
