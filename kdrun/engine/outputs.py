"""A teacher's logits for the training images, stored on disk view by view.

A view of an image depends only on (seed, index, view), so the teacher's output for it can be
computed once and read afterwards. Shen and Xing 2022 (FKD, arXiv:2112.01528) and Beyer et al. 2022
(arXiv:2106.05237) describe what teacher and student must share: crop, flip and mixing of an image.

Shapes: V views, N samples, C classes, K logits that are stored for each image.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from kdrun.core.atomic import explain_write_errors, fault_point, open_in_place
from kdrun.core.number_format import format_bytes, many
from kdrun.core.store import OUTPUTS
from kdrun.core.types import Output

StoredType = Literal["fp16", "fp32"]
_TYPES: Mapping[str, type[np.floating[Any]]] = {"fp16": np.float16, "fp32": np.float32}
_RESIDENT = 1 << 29  # a view of at most so many bytes stays on the device, else in host memory


@dataclass(frozen=True)
class Layout:
    """The format on disk: a file for each field, with one view after the other.

    Attributes:
        views: V.
        samples: N.
        classes: C.
        dtype: the type of logits.
        top_k: K, the number of logits that are stored for each image; None for all.
    """

    views: int
    samples: int
    classes: int
    dtype: StoredType
    top_k: int | None

    @property
    def fields(self) -> dict[str, tuple[np.dtype[Any], tuple[int, ...]]]:
        """Map each field to its type and its shape in one view."""
        logit_type = np.dtype(_TYPES[self.dtype])
        if self.top_k is None:
            return {"logits": (logit_type, (self.samples, self.classes))}
        class_type = np.dtype(np.int16 if self.classes < 1 << 15 else np.int32)
        return {
            "logits": (logit_type, (self.samples, self.top_k)),
            "classes": (class_type, (self.samples, self.top_k)),
            "rest": (logit_type, (self.samples,)),
        }

    def view_bytes(self, field: str) -> int:
        dtype, shape = self.fields[field]
        return dtype.itemsize * int(np.prod(shape))

    @property
    def bytes(self) -> int:
        """The size of all views in bytes."""
        return self.views * sum(map(self.view_bytes, self.fields))

    def __str__(self) -> str:
        count = self.classes if self.top_k is None else f"the top {self.top_k}"
        size = format_bytes(self.bytes)
        return (
            f"{many(self.views, 'view')} of {many(self.samples, 'sample')}, {count} logits in"
            f" {self.dtype}: {size}"
        )

    def pack(self, logits: Tensor) -> dict[str, np.ndarray]:
        """Turn the logits (N, C) of a view, in float32, into the fields to store.

        `rest` is the logarithm of the sum of exp(logit) over the classes that are not stored: their
        unnormalized probability at a temperature of 1.
        """
        fields = {"logits": logits}
        if self.top_k is not None:
            top_logits, classes = logits.topk(self.top_k, dim=1)
            rest = logits.scatter(1, classes, -torch.inf).logsumexp(dim=1)
            fields = {"logits": top_logits, "classes": classes, "rest": rest}
        return {
            field: fields[field].numpy().astype(dtype) for field, (dtype, _) in self.fields.items()
        }

    def unpack(self, fields: Mapping[str, Tensor]) -> Tensor:
        """Return logits (B, C) in float32; classes that are not stored share `rest` evenly."""
        logits = fields["logits"].float()
        if self.top_k is None:
            return logits
        log_count = np.log(self.classes - self.top_k)
        spread = (fields["rest"].float() - log_count)[:, None].repeat(1, self.classes)
        return spread.scatter(1, fields["classes"].long(), logits)


class Writer:
    """Appends views to the files, and continues where a killed process stopped.

    Args:
        folder: the folder of the files.
        layout: the format of the files.
    """

    def __init__(self, folder: Path, layout: Layout) -> None:
        self.layout = layout
        self._paths = {field: folder / f"{OUTPUTS}{field}.bin" for field in layout.fields}

    @property
    def names(self) -> list[str]:
        """The names of the files."""
        return [path.name for path in self._paths.values()]

    def begin(self) -> int:
        """Cut off an incomplete view; return the number of complete views."""
        sizes = {field: self.layout.view_bytes(field) for field in self._paths}
        views = [
            path.stat().st_size // sizes[field] if path.exists() else 0
            for field, path in self._paths.items()
        ]
        complete_views = min(*views, self.layout.views)
        for field, path in self._paths.items():
            with explain_write_errors(path), open_in_place(path, "ab") as file:
                file.truncate(complete_views * sizes[field])
        return complete_views

    def append(self, logits: Tensor) -> None:
        """Append a view.

        Args:
            logits: (N, C) float32, in host memory.

        Raises:
            DiskFull: the disk is full or read-only.
        """
        for field, values in self.layout.pack(logits).items():
            path = self._paths[field]
            with (
                explain_write_errors(path, self.layout.view_bytes(field)),
                open_in_place(path, "ab") as file,
            ):
                file.write(values.tobytes())
                file.flush()
                os.fsync(file.fileno())
            fault_point("outputs")


class StoredOutputs:
    """Reads stored outputs by view and index; the current view stays in memory.

    Args:
        folder: the folder of the files.
        layout: the format of the files.
        device: outputs are returned on this device.
    """

    def __init__(self, folder: Path, layout: Layout, device: torch.device) -> None:
        self.layout, self.device = layout, device
        self._maps = {
            field: np.memmap(  # copied on write, as torch has no read-only tensors
                folder / f"{OUTPUTS}{field}.bin", dtype, "c", shape=(layout.views, *shape)
            )
            for field, (dtype, shape) in layout.fields.items()
        }
        small = layout.bytes // layout.views <= _RESIDENT
        self._rows_device = device if small else torch.device("cpu")
        self._view, self._rows = -1, dict[str, Tensor]()

    @classmethod
    def read(cls, folder: Path, record: Mapping[str, Any], device: torch.device) -> Self:
        """Open the outputs that a stage stored; `record` is the record of its artefact."""
        return cls(folder, Layout(**record["layout"]), device)

    def look_up(self, view: int, index: Tensor) -> Output:
        """Return the teacher's output for some images.

        Args:
            view: the number of the view.
            index: (B,) positions of the images in the training split, on the device.
        """
        if view != self._view:
            tensors = {
                field: torch.from_numpy(values[view]) for field, values in self._maps.items()
            }
            self._rows = {field: values.to(self._rows_device) for field, values in tensors.items()}
            self._view = view
        positions = index.to(self._rows_device)
        rows = {field: values.index_select(0, positions) for field, values in self._rows.items()}
        return Output(self.layout.unpack({key: row.to(self.device) for key, row in rows.items()}))
