"""`kdrun export`, as a user types it: files of a finished run, and each mistake in a sentence."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from edits import edit_json
from tiny import TINY, Kdrun, Refused

from kdrun.check.preflight import check
from kdrun.config.compose import compose_runs
from kdrun.core.folder import RunFolder
from kdrun.core.screen import Screen
from kdrun.run.runner import run as run_stages

USAGE = "\n  kdrun export RUN --to onnx[,pt2,hf] [--normalize] [--row NAME]"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, to be copied."""
    root = tmp_path_factory.mktemp("finished")
    (job,) = compose_runs([*TINY, "recipe.epochs=1", f"output_root={root}"], multirun=False)
    run_stages(check(job.tree), root / "run", Screen(), "kdrun")
    return root / "run"


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A run in the current folder that may be changed."""
    return shutil.copytree(finished, tmp_path / "run")


def test_a_finished_run_is_exported_row_by_row(kdrun: Kdrun, run: Path) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    for key in ("export", "export_options"):  # as in a run of an older kdrun
        del config[key]
    config["teacher"]["run"] = "gone"
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    edit_json(run / "run.json", config=config)
    done = kdrun("export", "run", "--row", "alone", "--normalize", "--to", "onnx,pt2")
    assert done.stderr == ""
    first, second, last = done.stdout.splitlines()
    assert first.startswith("export: run/export/alone.onnx, ")
    assert " in onnxruntime " in first
    assert "same decision for 100.00%" in first
    assert second.startswith("export: run/export/alone.pt2, ")
    assert last == "how to run them: run/export/how_to_run.md"
    files = json.loads((run / "export/export.json").read_text())["files"]
    assert [(name, file["row"], file["normalize"]) for name, file in files.items()] == [
        ("alone.onnx", "alone", True),
        ("alone.pt2", "alone", True),
    ]
    folder = RunFolder(run)
    assert folder.status == "finished"
    assert list(folder.manifest()["stages"])[-1] == "export"
    assert first in folder.log.read_text()
    assert (
        kdrun("export", "run", "--to", "onnx", "--row", "alone", "--normalize").stdout
        == f"{last}\n"
    )
    assert "export: run/export/student.pt2, " in kdrun("export", "--to=pt2", "run").stdout
    files = json.loads((run / "export/export.json").read_text())["files"]
    assert list(files) == ["alone.onnx", "alone.pt2", "student.pt2"]
    assert not files["student.pt2"]["normalize"]


MISTAKES = {
    (): "export: the following arguments are required: --to." + USAGE,
    ("run",): "export: the following arguments are required: --to." + USAGE,
    ("run", "--to"): "export: argument --to: expected one argument." + USAGE,
    ("run", "--to", "onnx", "--rows", "x"): "export: unrecognized arguments: --rows x." + USAGE,
    ("--to", "onnx"): "export takes one run folder: kdrun export RUN.\n",
    ("run", "other", "--to", "onnx"): "export takes one run folder: kdrun export RUN.\n",
    ("nowhere", "--to", "onnx"): "there is no 'nowhere'.\n",
    ("run", "--to", "onx"): "--to: no format is called 'onx'.\n  nearest: onnx",
    ("run", "--to", ""): "--to: no format is called ''.\n  available: hf, onnx, pt2",
    (
        "run",
        "--to",
        "pt2,tflite",
    ): "--to: no format is called 'tflite'.\n  available: hf, onnx, pt2",
    ("run", "--to", "pt2", "--row", "alon"): "'run' has no row 'alon'.\n  nearest: alone",
    ("run", "--to", "pt2", "--row", "x"): "'run' has no row 'x'.\n"
    "  available: teacher, alone, distilled",
}


@pytest.mark.parametrize("words", MISTAKES, ids=" ".join)
def test_a_mistake_is_named(words: tuple[str, ...], refused: Refused, run: Path) -> None:
    assert refused("export", *words, before=()).startswith(MISTAKES[words])


def test_an_unfinished_run_has_nothing_to_export(refused: Refused, run: Path) -> None:
    (run / "summary.json").unlink()
    edit_json(run / "run.json", status="interrupted")
    assert refused("export", "run", "--to", "pt2", before=()) == (
        "'run' is not finished, and has no models to take yet.\n  go on with it: kdrun resume run"
    )


def test_a_config_that_was_changed_is_no_record_of_the_run(refused: Refused, run: Path) -> None:
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace("temperature: 4.0", "temperature: 2.0"))
    (run / ".lock").touch()
    for words in (("sensitivity", "run"), ("export", "run", "--to", "pt2")):
        said = refused(*words, before=()).splitlines()
        assert said[0] == "the config of 'run' is not the one that its run began with."
        assert said[1] == "  loss.temperature: 2.0, was 4.0"


def test_weights_that_are_gone_are_told_of(refused: Refused, run: Path) -> None:
    (run / ".lock").touch()
    shutil.rmtree(run / "student")
    before = (run / "log.txt").read_text()
    said = refused("export", "run", "--to", "pt2", before=())
    assert said == "the weights of 'distilled' are not in 'run' any more."
    assert (run / "log.txt").read_text() == before


def test_a_missing_extra_is_named_before_anything_runs(
    refused: Refused, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kdrun.export.table.find_spec", lambda name: None)
    extra = "'onnx' needs onnx, onnxscript, onnxruntime: pip install 'kdrun[export]'"
    assert refused("export", "run", "--to", "onnx,pt2", before=()) == f"--to: {extra}"
    assert refused("export=[onnx,pt2]") == f"export: {extra}"


def test_what_cant_be_exported_is_found_before_the_run(
    refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_net.py").write_text(
        "import torch\n"
        "from torch import nn\n"
        'MODELS = {"bessel": "my_net:Odd"}\n'
        "class Odd(nn.Module):\n"
        "    def __init__(self, num_classes: int, in_channels: int, image_size: tuple):\n"
        "        super().__init__()\n"
        "        self.head = nn.Linear(in_channels * image_size[0] * image_size[1], num_classes)\n"
        "    def forward(self, images):\n"
        "        return self.head(torch.special.bessel_j0(images.flatten(1)))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    words = ("plugins=[my_net]", "teacher=mlp", "teacher.hidden=[8]", "student=bessel")
    said = refused(*words, "export=[onnx]", before=("threads=1",))
    assert said == (
        "export: the network can't be written as ONNX: it has no form for the operator"
        " 'prims.bessel_j0'."
    )
