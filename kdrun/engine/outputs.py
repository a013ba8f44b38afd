"""What a teacher answered to the training images, view by view, read from disk in its place.

An image's view follows from (seed, index, view) alone, so the answer to it can be kept: Shen and
Xing 2022 (FKD, arXiv:2112.01528) and Beyer et al. 2022 (arXiv:2106.05237) say what has to agree.

Shapes: V views, N samples, C classes, K logits that are kept of each answer.
"""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from kdrun.core.atomic import fault, writing
from kdrun.core.size import size_of
from kdrun.core.store import OUTPUTS
from kdrun.core.types import Output

Stored = Literal["fp16", "fp32"]
_TYPES: Mapping[str, type[np.floating[Any]]] = {"fp16": np.float16, "fp32": np.float32}
_RESIDENT = 1 << 29  # bytes of a view that may stay on the device; larger ones are read by rows


@dataclass(frozen=True)
class Layout:
    """How answers lie on the disk: each field one file, view after view.

    Attributes:
        views: V.
        samples: N.
        classes: C.
        dtype: of logits.
        top_k: how many logits of each answer are kept; None for all.
    """

    views: int
    samples: int
    classes: int
    dtype: Stored
    top_k: int | None

    @property
    def fields(self) -> dict[str, tuple[np.dtype[Any], tuple[int, ...]]]:
        """The type of each field, and its shape in one view."""
        number = np.dtype(_TYPES[self.dtype])
        if self.top_k is None:
            return {"logits": (number, (self.samples, self.classes))}
        label = np.dtype(np.int16 if self.classes < 1 << 15 else np.int32)
        return {
            "logits": (number, (self.samples, self.top_k)),
            "classes": (label, (self.samples, self.top_k)),
            "rest": (number, (self.samples,)),
        }

    def view_bytes(self, field: str) -> int:
        kind, shape = self.fields[field]
        return kind.itemsize * int(np.prod(shape))

    @property
    def bytes(self) -> int:
        """Of all views."""
        return self.views * sum(map(self.view_bytes, self.fields))

    def __str__(self) -> str:
        kept = self.classes if self.top_k is None else f"the top {self.top_k}"
        views = f"{self.views} view{'s' if self.views > 1 else ''}"
        size = size_of(self.bytes)
        return f"{views} of {self.samples:,} images, {kept} logits in {self.dtype}: {size}"

    def pack(self, logits: Tensor) -> dict[str, np.ndarray]:
        """The fields of a view's answers (N, C) in float32.

        `rest` is the logarithm of the sum of exp(logit) over all that is left out: its mass at a
        temperature of 1.
        """
        found = {"logits": logits}
        if self.top_k is not None:
            kept, classes = logits.topk(self.top_k, dim=1)
            rest = logits.scatter(1, classes, -torch.inf).logsumexp(dim=1)
            found = {"logits": kept, "classes": classes, "rest": rest}
        return {
            field: found[field].numpy().astype(kind) for field, (kind, _) in self.fields.items()
        }

    def unpack(self, fields: Mapping[str, Tensor]) -> Tensor:
        """Logits (B, C) in float32 of some rows; those left out share the rest's mass evenly."""
        logits = fields["logits"].float()
        if self.top_k is None:
            return logits
        even = np.log(self.classes - self.top_k)
        spread = (fields["rest"].float() - even)[:, None].repeat(1, self.classes)
        return spread.scatter(1, fields["classes"].long(), logits)


class Writer:
    """Appends one view after the other; what a killed writer left is gone on with.

    Args:
        folder: where the files are.
        layout: of what is written.
    """

    def __init__(self, folder: Path, layout: Layout) -> None:
        self.layout = layout
        self._paths = {field: folder / f"{OUTPUTS}{field}.bin" for field in layout.fields}

    @property
    def names(self) -> list[str]:
        """Of the files."""
        return [path.name for path in self._paths.values()]

    def begin(self) -> int:
        """Cut off what was not written to its end; the number of views that are there."""
        sizes = {field: self.layout.view_bytes(field) for field in self._paths}
        whole = [
            path.stat().st_size // sizes[field] if path.exists() else 0
            for field, path in self._paths.items()
        ]
        done = min(*whole, self.layout.views)
        for field, path in self._paths.items():
            with writing(path), path.open("ab") as file:
                file.truncate(done * sizes[field])
        return done

    def append(self, logits: Tensor) -> None:
        """Add a view.

        Args:
            logits: (N, C) float32, in host memory.

        Raises:
            DiskFull: the disk is full or refuses.
        """
        for field, values in self.layout.pack(logits).items():
            path = self._paths[field]
            with writing(path, self.layout.view_bytes(field)), path.open("ab") as file:
                file.write(values.tobytes())
                file.flush()
                os.fsync(file.fileno())
            fault("outputs")


class TeacherOutputs:
    """Answers by view and index, through memory maps; what is used of a view stays in memory.

    Args:
        folder: where the files are.
        layout: of what was written.
        device: where answers are wanted.
    """

    def __init__(self, folder: Path, layout: Layout, device: torch.device) -> None:
        self.layout, self.device = layout, device
        self._maps = {
            field: np.memmap(  # copied on write, as torch knows no tensors that can't be written
                folder / f"{OUTPUTS}{field}.bin", kind, "c", shape=(layout.views, *shape)
            )
            for field, (kind, shape) in layout.fields.items()
        }
        small = layout.bytes // layout.views <= _RESIDENT
        self._place = device if small else torch.device("cpu")
        self._view, self._rows = -1, dict[str, Tensor]()

    @classmethod
    def read(cls, folder: Path, record: Mapping[str, Any], device: torch.device) -> Self:
        """Those that a stage left, by its record."""
        return cls(folder, Layout(**record["layout"]), device)

    def answer(self, view: int, index: Tensor) -> Output:
        """What the teacher answered to some images.

        Args:
            view: which of theirs.
            index: (B,) their positions in the training split, on the device.
        """
        if view != self._view:
            found = {field: torch.from_numpy(values[view]) for field, values in self._maps.items()}
            self._rows = {field: values.to(self._place) for field, values in found.items()}
            self._view = view
        wanted = index.to(self._place)
        rows = {field: values.index_select(0, wanted) for field, values in self._rows.items()}
        return Output(self.layout.unpack({key: row.to(self.device) for key, row in rows.items()}))


def record_of(layout: Layout) -> dict[str, Any]:
    """What a stage's record says, for `TeacherOutputs.read`."""
    return {"layout": asdict(layout)}
