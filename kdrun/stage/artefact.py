"""Artefacts of stages: weights, how to rebuild the network, and a record of both."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from kdrun import model
from kdrun.compress.sparse_storage import pack, unpack
from kdrun.compress.structure_changes import Change, rebuild
from kdrun.core.class_merge import Merge
from kdrun.core.errors import DamagedFile, OutOfMemory, UserError, first_line
from kdrun.core.folder import RunFolder
from kdrun.core.inputs import read_inputs
from kdrun.core.instructions import instruction_set
from kdrun.core.json_file import write_json
from kdrun.core.memory import refuse_too_large
from kdrun.core.reading import digest, open_record
from kdrun.core.records import FORMAT
from kdrun.core.records.artefact import ArtefactRecord, DataRecord, some_keys
from kdrun.core.records.check import refuse_newer
from kdrun.core.store import (
    BEST_WEIGHTS,
    METRICS,
    MODEL,
    RECORD,
    TOKENIZER,
    WEIGHTS,
    is_complete,
    read_record,
)
from kdrun.core.types import DataInfo
from kdrun.dataset.data import Data
from kdrun.engine.weights import read_weights, write_weights

_REQUIRED = ("format", "model", "data", "sums")  # keys that a record needs for rebuilding a network
_OTHER_RECORD = (LookupError, TypeError, ValueError, AttributeError, RuntimeError, ArithmeticError)
_STRUCTURE = ("model", "data", "changes")  # keys of a record that are also in model.json


@dataclass(frozen=True)
class Artefact:
    """A finished stage.

    Attributes:
        folder: holds the weights, the model's description and the record.
        record: the content of artefact.json.
    """

    folder: Path
    record: ArtefactRecord

    @property
    def info(self) -> DataInfo:
        """The description of the data that the network was built for."""
        return _data_info(self.record["data"])

    def network(self, best: bool = False) -> nn.Module:
        """Rebuild the network with the weights of the last epoch, or of the best by validation.

        Raises:
            DamagedFile: the file of weights was changed, or the record describes no network of
                these weights.
            OutOfMemory: the network of the record is too large for this machine.
        """
        with explain_other_record(self.folder):
            network = self.build(self.changes)
            network.load_state_dict(self.weights(best))
        return network.eval()

    def build(self, changes: Sequence[Change]) -> nn.Module:
        """Build the network with these changes of its structure, and with arbitrary weights."""
        with refuse_too_large():
            return rebuild(model.build(self.record["model"], self.info), changes)

    @property
    def changes(self) -> Sequence[Change]:
        """The changes that compression made to the network's structure, in order."""
        return self.record.get("changes", ())

    def weights(self, best: bool = False) -> dict[str, Tensor]:
        """Read the weights without building the network; raises what `network` raises."""
        name = BEST_WEIGHTS if best and self.has_best else WEIGHTS
        self._check(name)
        return unpack(read_weights(self.folder / name))

    def check(self) -> None:
        """Check every file against its checksum.

        Raises:
            DamagedFile: a file was changed.
        """
        for name in self.record["sums"]:
            self._check(name)

    def _check(self, name: str) -> None:
        path = self.folder / name
        if not path.exists() or checksum(path) != self.record["sums"].get(name):
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
    record: ArtefactRecord,
    weights: Mapping[str, Tensor],
    best: Mapping[str, Tensor] | None = None,
) -> Artefact:
    """Write the files of an artefact; the record comes last, as it marks them as complete.

    Weights of a compressed network are written in the form that takes the fewest bytes. Other
    weights are written unchanged, so that they can be read without kdrun.

    Args:
        folder: the folder of the artefact.
        record: the record, without the format and the checksums.
        weights: a state dict.
        best: the state dict of the best epoch, if it is kept beside the last one.
    """
    convert = pack if record.get("changes") else dict
    write_weights(folder / WEIGHTS, convert(weights))
    if best is not None:
        write_weights(folder / BEST_WEIGHTS, convert(best))
    write_json(folder / MODEL, {"format": FORMAT, **some_keys(record, _STRUCTURE)})
    names = [WEIGHTS, *([] if best is None else [BEST_WEIGHTS]), MODEL, TOKENIZER, METRICS]
    write_record(folder, record, [name for name in names if (folder / name).exists()])
    return read_artefact(folder)


def write_record(folder: Path, record: ArtefactRecord, names: Iterable[str]) -> None:
    """Make an artefact of files that are in the folder already."""
    sums = {name: checksum(folder / name) for name in names}
    write_json(folder / RECORD, {"format": FORMAT, **record, "sums": sums})


def read_artefact(folder: Path) -> Artefact:
    """Read the artefact in a folder.

    Raises:
        UserError: the folder has no artefact, or a newer kdrun wrote it.
        DamagedFile: its record is not what a stage writes.
    """
    record = read_record(folder)
    if record is None:
        raise UserError(f"{str(folder)!r} holds no finished artefact.")
    refuse_newer(record, repr(str(folder)))
    missing = [key for key in _REQUIRED if key not in record]
    if missing:
        raise DamagedFile(f"{str(folder / RECORD)!r} is no artefact's record: no {missing[0]!r}.")
    return Artefact(folder, record)


@contextmanager
def explain_other_record(folder: Path) -> Iterator[None]:
    """Name the record of an artefact if a block can't use it.

    Raises:
        DamagedFile: the record lacks keys, or its values have other types or meanings.
        OutOfMemory: it describes a network that is too large for this machine.
    """
    path = str(folder / RECORD)
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except OutOfMemory as error:
        raise OutOfMemory(f"the network of {path!r} {first_line(error)}.") from error
    except _OTHER_RECORD as error:
        raise DamagedFile(
            f"{path!r} is no record of what its folder holds: {first_line(error)}."
        ) from error


def other_instructions(artefacts: Mapping[str, Artefact]) -> str:
    """Return which stages other CPU instructions computed than those of this process.

    Runs share artefacts whatever computed them, so that all have the same teacher. An older kdrun
    did not record the instructions.

    Args:
        artefacts: stage name -> its artefact.

    Returns:
        A text for the record of a run that is not exact; empty if there are none.
    """
    here, stages = instruction_set(), dict[str, list[str]]()
    for name, artefact in artefacts.items():
        computed_with = artefact.record.get("instructions") or [here]
        if computed_with != [here]:
            stages.setdefault(", then ".join(computed_with), []).append(name)
    return "; ".join(
        f"{', '.join(names)} computed with {instructions}, here is {here}"
        for instructions, names in stages.items()
    )


def artefact_of(run: RunFolder, row: str, identity: str) -> Artefact:
    """Read the artefact of a row of a run's table.

    Args:
        run: the folder of the run.
        row: the name of the row, for the message.
        identity: fingerprint of the artefact.

    Raises:
        UserError: the artefact is not in the folder any more.
    """
    for folder in (path.parent for path in sorted(run.path.glob(f"*/{RECORD}"))):
        if is_complete(folder, identity):
            return read_artefact(folder)
    raise UserError(f"the weights of {row!r} are not in {str(run.path)!r} any more.")


def find_artefact(folder: Path, identity: str) -> Artefact | None:
    """Read the artefact with this fingerprint and check its files; return None if there is none.

    Raises:
        UserError: a newer kdrun wrote it.
        DamagedFile: a file was changed.
    """
    if not is_complete(folder, identity):
        return None
    artefact = read_artefact(folder)
    artefact.check()
    return artefact


def is_intact(folder: Path, identity: str) -> bool:
    """Return whether the artefact with this fingerprint is there and undamaged."""
    try:
        return find_artefact(folder, identity) is not None
    except DamagedFile:
        return False


def describe_data(data: Data) -> DataRecord:
    """Return the record of the data that a network is trained on."""
    record = DataRecord(
        classes=list(data.info.classes),
        train_size=data.info.train_size,
        labeled=int(data.train.has_label.sum()),
        merge=None if data.info.merge is None else asdict(data.info.merge),
        origin=dict(data.origin),
    )
    return cast("DataRecord", {**record, **data.info.inputs.record()})


def _data_info(data: DataRecord) -> DataInfo:
    merge = data.get("merge")
    return DataInfo(
        classes=tuple(data["classes"]),
        inputs=read_inputs(data),
        train_size=data["train_size"],
        merge=Merge(tuple(merge["known"]), tuple(map(tuple, merge["groups"]))) if merge else None,
    )


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file of an artefact, in hexadecimal digits."""
    return digest(open_record(path))
