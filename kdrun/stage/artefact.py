"""What a stage leaves: weights, how to rebuild the module, and a record of how they came about."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from kdrun import model
from kdrun.compress.sparse_storage import pack, unpack
from kdrun.compress.structure_changes import Change, rebuild
from kdrun.core.atomic import write_json
from kdrun.core.class_merge import Merge
from kdrun.core.errors import DamagedFile, UserError
from kdrun.core.folder import RunFolder
from kdrun.core.store import BEST_WEIGHTS, FORMAT, MODEL, RECORD, WEIGHTS, is_complete, read_record
from kdrun.core.types import DataInfo
from kdrun.dataset.data import Data
from kdrun.engine.weights import read_weights, write_weights

_NEEDED = ("format", "model", "data", "sums")  # parts of a record that are read from it


@dataclass(frozen=True)
class Artefact:
    """A finished stage's folder and what its record says.

    Attributes:
        folder: holds the weights, the model's description and the record.
        record: fingerprint, stage, model, classes, epochs, scores, seconds, sums of the files.
    """

    folder: Path
    record: Mapping[str, Any]

    @property
    def info(self) -> DataInfo:
        """What its network was told of the data."""
        return _info(self.record["data"])

    def network(self, best: bool = False) -> nn.Module:
        """Rebuild the network with the weights of the last epoch, or of the best by validation.

        Raises:
            DamagedFile: the weights are not those that were written.
        """
        network = self.build(self.changes)
        network.load_state_dict(self.weights(best))
        return network.eval()

    def build(self, changes: Sequence[Change]) -> nn.Module:
        """The network as it was before compression, with these changes; weights mean nothing."""
        return rebuild(model.build(self.record["model"], self.info), changes)

    @property
    def changes(self) -> Sequence[Change]:
        """What compression changed in the network's structure, in order."""
        return self.record.get("changes", ())

    def weights(self, best: bool = False) -> dict[str, Tensor]:
        """The weights alone, checked against the record's sum."""
        name = BEST_WEIGHTS if best and self.has_best else WEIGHTS
        self._check(name)
        return unpack(read_weights(self.folder / name))

    def check(self) -> None:
        """Hold every file against its sum.

        Raises:
            DamagedFile: one is not what was written.
        """
        for name in self.record["sums"]:
            self._check(name)

    def _check(self, name: str) -> None:
        path = self.folder / name
        if not path.exists() or _sum(path) != self.record["sums"][name]:
            raise DamagedFile(
                f"{str(path)!r} is not what its stage wrote.",
                "  delete its folder and resume the run: the stage is made again",
            )

    @property
    def has_best(self) -> bool:
        return BEST_WEIGHTS in self.record["sums"]

    @property
    def bytes_on_disk(self) -> int:
        return (self.folder / WEIGHTS).stat().st_size


def write_artefact(
    folder: Path,
    record: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    best: Mapping[str, Tensor] | None = None,
) -> Artefact:
    """Write the parts and, last of all, the record that makes the folder an artefact.

    Weights of compressed networks are written in the form that takes the fewest bytes; those of
    others as they are, for whoever reads the file without kdrun.
    """
    store = pack if record.get("changes") else dict
    write_weights(folder / WEIGHTS, store(weights))
    sums = {WEIGHTS: _sum(folder / WEIGHTS)}
    if best is not None:
        write_weights(folder / BEST_WEIGHTS, store(best))
        sums[BEST_WEIGHTS] = _sum(folder / BEST_WEIGHTS)
    told = {key: record[key] for key in ("model", "data", "changes") if key in record}
    write_json(folder / MODEL, {"format": FORMAT, **told})
    write_json(folder / RECORD, {"format": FORMAT, **record, "sums": sums})
    return read_artefact(folder)


def write_record(folder: Path, record: Mapping[str, Any], names: Iterable[str]) -> None:
    """Make a folder an artefact of files that are there already, which hold no weights."""
    sums = {name: _sum(folder / name) for name in names}
    write_json(folder / RECORD, {"format": FORMAT, **record, "sums": sums})


def read_artefact(folder: Path) -> Artefact:
    """The artefact in a folder.

    Raises:
        UserError: there is none, or a newer kdrun wrote it.
        DamagedFile: its record is not what a stage writes.
    """
    record = read_record(folder)
    if record is None:
        raise UserError(f"{str(folder)!r} holds no finished artefact.")
    missing = [key for key in _NEEDED if key not in record]
    if missing:
        raise DamagedFile(f"{str(folder / RECORD)!r} is no artefact's record: no {missing[0]!r}.")
    if record["format"] > FORMAT:
        raise UserError(
            f"{str(folder)!r} has format {record['format']}; this kdrun reads up to {FORMAT}.",
            "  a newer kdrun wrote it: pip install --upgrade kdrun",
        )
    return Artefact(folder, record)


def artefact_of(run: RunFolder, row: str, identity: str) -> Artefact:
    """The artefact of a row of a run's table, by its fingerprint.

    Raises:
        UserError: it is not there any more.
    """
    for place in (path.parent for path in sorted(run.path.glob(f"*/{RECORD}"))):
        if is_complete(place, identity):
            return read_artefact(place)
    raise UserError(f"the weights of {row!r} are not in {str(run.path)!r} any more.")


def find_artefact(folder: Path, identity: str) -> Artefact | None:
    """The artefact with this fingerprint, its files held against their sums; None without one.

    Raises:
        UserError: a newer kdrun wrote it.
        DamagedFile: it is there, and is not what was written.
    """
    if not is_complete(folder, identity):
        return None
    artefact = read_artefact(folder)
    artefact.check()
    return artefact


def is_whole(folder: Path, identity: str) -> bool:
    """Whether the artefact with this fingerprint is there, as it was written."""
    try:
        return find_artefact(folder, identity) is not None
    except DamagedFile:
        return False


def describe_data(data: Data) -> dict[str, Any]:
    """The part of a record that rebuilds a `DataInfo`, and tells inputs and images from others."""
    return {
        "classes": list(data.info.classes),
        "channels": data.info.channels,
        "image_size": list(data.info.image_size),
        "train_size": data.info.train_size,
        "labeled": int(data.train.has_label.sum()),
        "merge": data.info.merge and asdict(data.info.merge),
        "mean": list(data.mean),
        "std": list(data.std),
        "origin": data.origin,
    }


def _info(data: Mapping[str, Any]) -> DataInfo:
    merge = data.get("merge")
    return DataInfo(
        classes=tuple(data["classes"]),
        channels=data["channels"],
        image_size=tuple(data["image_size"]),
        train_size=data["train_size"],
        merge=merge and Merge(tuple(merge["known"]), tuple(map(tuple, merge["groups"]))),
    )


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
