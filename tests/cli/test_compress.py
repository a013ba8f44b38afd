"""Compression through the command: rows, files and figures; cut off and gone on with exactly."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kdrun import cli
from kdrun.core import atomic
from kdrun.stage.artefact import read_artefact

COMMON = (
    "teacher=resnet14",
    "student=resnet8",
    "controls=[]",
    "dataset.subset=96",
    "recipe.epochs=4",
    "recipe.batch_size=16",
    "recipe.lr=0.02",
    "compress.calibration=48",
    "evaluate.latency.seconds=0.01",
    "checkpoint_seconds=0.01",
    "threads=1",
)
# Steps, the words that they need, and the folder of the training that a cut falls into.
CASES = {
    "one_shot": ("[prune_weights,distill]", (), "compress-2-distill"),
    "cubic": (
        "[low_rank,prune_weights,finetune]",
        ("compress.prune_weights.schedule=cubic", "compress.prune_weights.score=movement"),
        "compress-2-prune_weights",
    ),
}
Main = Callable[..., tuple[int, Path]]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compressed")


@pytest.fixture
def command(root: Path, monkeypatch: pytest.MonkeyPatch) -> Main:
    """The command in this process: its status, and the folder of the run called `name`."""
    monkeypatch.chdir(root)

    def run(name: str, *words: str, fault: str = "") -> tuple[int, Path]:
        monkeypatch.setenv("KDRUN_FAULT", fault)
        monkeypatch.setattr(atomic, "_passages", type(atomic._passages)())
        monkeypatch.setattr("sys.argv", ["kdrun", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        (folder,) = root.glob(f"outputs/20*/*-{name}")
        return end.value.code, folder

    return run


def result(folder: Path) -> dict:
    """All weights and measurements of a run, and what its models answered."""
    stored = np.load(folder / "predictions.npz")
    files = sorted([*folder.glob("*/weights.safetensors"), *folder.glob("*/metrics.jsonl")])
    return {
        **{str(path.relative_to(folder)): path.read_bytes() for path in files},
        **{name: stored[name].tolist() for name in stored.files},
    }


@pytest.mark.parametrize("name", CASES)
def test_a_run_that_was_cut_off_goes_on_exactly(name: str, command: Main) -> None:
    steps, words, folder = CASES[name]
    words = (f"compress={steps}", *words, *COMMON)
    status, whole = command(f"{name}-whole", *words, f"name={name}-whole")
    assert status == 0
    trained = whole / folder
    student = json.loads((whole / "student" / "artefact.json").read_text())["steps"]
    assert json.loads((trained / "artefact.json").read_text())["steps"] > 5

    cut_at = f"step:{student + 5}:raise"
    status, cut = command(f"{name}-cut", *words, f"name={name}-cut", fault=cut_at)
    assert status == 1
    assert (cut / "student" / "artefact.json").exists()
    assert not (cut / folder / "artefact.json").exists()
    status, resumed = command(f"{name}-cut", "resume", str(cut))
    assert status == 0
    assert result(resumed) == result(whole)


def test_what_was_pruned_stays_so_and_the_file_is_smaller(
    command: Main, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("compress=[prune_weights,finetune]", "compress.prune_weights.sparsity=0.9")
    status, run = command("smaller", *words, *COMMON, "name=smaller")
    assert status == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "each step of compression against the model before it" in said
    summary = json.loads((run / "summary.json").read_text())
    rows = {row["model"]: row for row in summary["rows"]}
    artefact = read_artefact(run / "compress-2-finetune")
    network, before = artefact.network(), read_artefact(run / "student").network()
    pruned = [name for name, value in before.named_parameters() if value.dim() > 1]
    weights = sum(network.get_parameter(name).numel() for name in pruned)
    zeros = sum(int((network.get_parameter(name) == 0).sum()) for name in pruned)
    assert zeros == round(0.9 * weights)
    assert rows["2 finetune"]["nonzero"] == rows["distilled"]["nonzero"] - zeros
    size = (run / "compress-2-finetune" / "weights.safetensors").stat().st_size
    assert rows["2 finetune"]["bytes"] == size < 0.3 * rows["distilled"]["bytes"]

    first, second = rows["1 prune_weights"]["versus"], rows["2 finetune"]["versus"]
    assert (first["baseline"], second["baseline"]) == ("distilled", "1 prune_weights")
    lost = rows["1 prune_weights"]["accuracy"] - rows["distilled"]["accuracy"]
    assert first["accuracy"] == pytest.approx(lost)
    assert first["low"] <= lost <= first["high"]
    assert first["bytes"] == rows["distilled"]["bytes"] / rows["1 prune_weights"]["bytes"]
    assert first["macs"] == 1
    stored = np.load(run / "predictions.npz")
    same = stored["1 prune_weights/predicted"] == stored["distilled/predicted"]
    assert first["agreement"] == pytest.approx(same.mean())
