"""What is no regular file, and what is larger than a limit, is refused wherever it is read."""

import io
import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kdrun.compare.stored_arrays import read_arrays
from kdrun.config.concept_maps import _read
from kdrun.core import limits
from kdrun.core.errors import KdrunError, TooLarge, UserError
from kdrun.core.folder import RunFolder
from kdrun.core.json_file import read_json
from kdrun.core.lock import FolderLock
from kdrun.core.metrics_log import MetricsLog
from kdrun.core.store import read_record
from kdrun.core.sweep import SweepFolder
from kdrun.dataset.image.image_files import read_header, read_image
from kdrun.engine.checkpoint import load
from kdrun.engine.weights import read_weights
from kdrun.stage.artefact import checksum
from kdrun.stage.checkpoint_file import read_checkpoint

RECORDS: list[tuple[str, Callable[[Path], object]]] = [
    ("run.json", lambda folder: RunFolder(folder).manifest()),
    ("summary.json", lambda folder: RunFolder(folder).summary()),
    ("config.yaml", lambda folder: RunFolder(folder).config()),
    ("sweep.json", lambda folder: SweepFolder(folder).index()),
    ("artefact.json", read_record),
    ("metrics.jsonl", lambda folder: MetricsLog(folder / "metrics.jsonl").read()),
    ("metrics.jsonl", lambda folder: MetricsLog(folder / "metrics.jsonl").truncate(0)),
    ("metrics.jsonl", lambda folder: RunFolder(folder / "new").gather_metrics([folder])),
    ("predictions.npz", lambda folder: read_arrays(folder / "predictions.npz")),
    ("weights.safetensors", lambda folder: read_weights(folder / "weights.safetensors")),
    ("weights.safetensors", lambda folder: checksum(folder / "weights.safetensors")),
    ("checkpoint.pt", lambda folder: load(folder, print)),
    (".lock", lambda folder: FolderLock(folder).is_held()),
    (".lock", lambda folder: FolderLock(folder).acquire(wait=False)),
]
NAMED: list[tuple[str, Callable[[Path], object]]] = [
    ("a.yaml", lambda path: _read(str(path))),
    ("a.pt", read_checkpoint),
    ("a.safetensors", read_checkpoint),
    ("a.png", read_header),
    ("a.png", lambda path: read_image(path, 3)),
]


def ends(read: Callable[[], object]) -> Exception:
    """Return the error of a read, which must not wait for what is never written."""
    errors: list[Exception] = []

    def run() -> None:
        try:
            read()
        except Exception as error:  # noqa: BLE001 - the test looks at its class
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(timeout=60)  # only a test that fails waits
    assert not thread.is_alive(), "it hangs"
    assert errors, "nothing was refused"
    return errors[0]


@pytest.mark.parametrize(("name", "read"), RECORDS)
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "link"])
def test_a_file_of_a_run_is_a_regular_file(
    name: str, read: Callable[[Path], object], kind: str, tmp_path: Path
) -> None:
    make(tmp_path / name, kind)
    error = ends(lambda: read(tmp_path))
    assert isinstance(error, KdrunError)
    assert repr(str(tmp_path / name)) in str(error) or name in str(error)


@pytest.mark.parametrize(("name", "read"), NAMED)
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_file_that_the_user_names_is_a_regular_file(
    name: str, read: Callable[[Path], object], kind: str, tmp_path: Path
) -> None:
    make(tmp_path / name, kind)
    error = ends(lambda: read(tmp_path / name))
    assert isinstance(error, UserError)
    assert name in str(error)


def make(path: Path, kind: str) -> None:
    """Make something that is no regular file of a run."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if kind == "device" else __file__)


def test_a_file_that_is_larger_than_its_limit_is_refused(tmp_path: Path) -> None:
    for name, read, limit in (
        ("run.json", lambda: read_json(tmp_path / "run.json"), limits.RECORD),
        ("config.yaml", lambda: RunFolder(tmp_path).config(), limits.YAML),
        ("metrics.jsonl", lambda: MetricsLog(tmp_path / "metrics.jsonl").read(), limits.METRICS),
        ("a.npz", lambda: read_arrays(tmp_path / "a.npz"), limits.ARRAYS),
    ):
        with (tmp_path / name).open("wb") as file:
            file.truncate(limit + 1)  # a sparse file: it takes no space
        with pytest.raises(TooLarge, match=f"{name}' has .* bytes") as refused:
            read()  # type: ignore[no-untyped-call]
        assert refused.value.status == 3


@pytest.mark.parametrize("arrays", [{"a": 2 * limits.ARRAYS}, {"a": 600, "b": 600}])
def test_arrays_that_unpack_into_more_than_the_limit_are_refused(
    arrays: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "b" in arrays:
        monkeypatch.setattr(limits, "ARRAYS", 1000)
    packed = io.BytesIO()
    zeros = {name: np.broadcast_to(np.uint8(0), size) for name, size in arrays.items()}
    np.savez_compressed(packed, **{name: values[:1] for name, values in zeros.items()})
    if "b" in arrays:
        packed = io.BytesIO()
        np.savez_compressed(packed, **zeros)
    else:  # a zip bomb need not be made for this: its directory says how large it is
        packed = io.BytesIO(claim(packed.getvalue(), arrays["a"]))
    (tmp_path / "a.npz").write_bytes(packed.getvalue())
    with pytest.raises(TooLarge, match="unpacks into"):
        read_arrays(tmp_path / "a.npz")


def claim(archive: bytes, size: int) -> bytes:
    """Write another unpacked size into the directory of a zip file with one member."""
    start = archive.rindex(b"PK\x01\x02")
    return archive[: start + 24] + size.to_bytes(4, "little") + archive[start + 28 :]
