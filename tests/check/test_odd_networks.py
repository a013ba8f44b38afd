"""Networks unlike kdrun's own are run to the end, or refused before anything is trained."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from plans import plan, run_to
from tiny import TINY

from kdrun.config.choices import register_step_list
from kdrun.config.loader import install_named_plugins
from kdrun.core.folder import RunFolder
from kdrun.model.table import MODELS

PLUGIN = "plugins=[odd_networks]"
BASE = tuple(word for word in TINY if not word.startswith("student"))


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    before = dict(MODELS)
    assert install_named_plugins([PLUGIN]) == []
    yield
    MODELS.clear()
    MODELS.update(before)


def listed(*steps: str) -> str:
    return f"compress={register_step_list(steps)}"


def test_a_network_that_calls_view_is_trained_compressed_and_exported(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("student=viewed", listed("prune_channels", "distill", "quantize_static"))
    losses = ("loss=attention", "loss.pairs=[[conv2,layer1]]", "teacher=resnet8", "recipe.ema=0.9")
    base = tuple(word for word in BASE if not word.startswith("teacher"))
    note = "student: Viewed runs on contiguous images and not in channels_last"
    (told,) = [line for line in plan(PLUGIN, *words, *losses, base=base).notes if note in line]
    assert "view size is not compatible" in told
    export = "export=[pt2,onnx]"
    folder = RunFolder(run_to(Path("run"), PLUGIN, *words, *losses, export, base=base))
    summary = folder.summary()
    assert summary is not None
    assert len(summary["rows"]) == 6
    assert len(list(folder.export.glob("*.onnx"))) == 2
    as_teacher = ("teacher=viewed", "teacher.run=null", "student=mlp", "student.hidden=[8]")
    run_to(Path("second"), PLUGIN, *as_teacher, base=BASE[2:])
