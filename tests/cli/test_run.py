"""Whole runs through the command, as a user types them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from edits import edit_json
from forked import ForkedCommand
from tiny import TINY, Kdrun


def only_run(root: Path) -> Path:
    (found,) = root.glob("outputs/20*/*")
    return found


@pytest.fixture(scope="module")
def outputs(forked: ForkedCommand, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output root of a finished run, to be copied."""
    root, streams = tmp_path_factory.mktemp("finished"), tmp_path_factory.mktemp("printed")
    assert forked.run(TINY, root, {}, streams).returncode == 0
    return root / "outputs"


@pytest.fixture
def finished(outputs: Path, tmp_path: Path) -> Path:
    """A finished run that may be changed."""
    shutil.copytree(outputs, tmp_path / "outputs")
    return only_run(tmp_path)


def test_a_run_leaves_the_whole_folder(finished: Path) -> None:
    names = {path.name for path in finished.iterdir()}
    assert names >= {
        "config.yaml",
        ".hydra",
        "run.json",
        "metrics.jsonl",
        "summary.json",
        "predictions.npz",
        "log.txt",
        "teacher",
        "alone",
        "student",
    }
    manifest = json.loads((finished / "run.json").read_text())
    assert manifest["status"] == "finished"
    assert set(manifest["stages"]) == {"teacher", "alone", "distill", "evaluate"}
    for stage in ("teacher", "alone", "student"):
        parts = {path.name for path in (finished / stage).iterdir()}
        assert parts >= {"weights.safetensors", "best.safetensors", "model.json", "artefact.json"}
        assert "checkpoint.pt" not in parts


def test_the_summary_agrees_with_the_stored_predictions(finished: Path) -> None:
    summary = json.loads((finished / "summary.json").read_text())
    stored = np.load(finished / "predictions.npz")
    assert [row["model"] for row in summary["rows"]] == ["teacher", "alone", "distilled"]
    for row in summary["rows"]:
        predicted = stored[f"{row['model']}/predicted"]
        assert row["accuracy"] == pytest.approx((predicted == stored["target"]).mean())
        agreement = (predicted == stored["teacher/predicted"]).mean()
        assert row["agreement"] == pytest.approx(agreement)
        assert row["bytes"] == (finished / _folder(row) / "weights.safetensors").stat().st_size
    gain = summary["rows"][2]["gain"]
    assert gain["accuracy"] == pytest.approx(
        summary["rows"][2]["accuracy"] - summary["rows"][1]["accuracy"]
    )
    assert gain["low"] < gain["accuracy"] < gain["high"]


def _folder(row: dict) -> str:
    return {"distilled": "student"}.get(row["model"], row["model"])


def test_metrics_have_every_epoch_of_every_stage(finished: Path) -> None:
    lines = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    found = {(line["stage"], line["epoch"], line["split"]) for line in lines}
    assert found == {
        (stage, epoch, split)
        for stage in ("teacher", "alone", "distill")
        for epoch in (1, 2)
        for split in ("train", "validation")
    }


def test_the_same_command_gives_the_same_weights(kdrun: Kdrun, tmp_path: Path) -> None:
    for root in ("first", "second"):
        kdrun(*TINY, f"output_root={root}")
    first, second = (next(tmp_path.glob(f"{root}/20*/*")) for root in ("first", "second"))
    for stage in ("teacher", "alone", "student"):
        weights = f"{stage}/weights.safetensors"
        assert (first / weights).read_bytes() == (second / weights).read_bytes()


def test_another_seed_gives_other_weights(kdrun: Kdrun, tmp_path: Path) -> None:
    for seed in (0, 1):
        kdrun(*TINY, f"seed={seed}", f"output_root=seed{seed}")
    first, second = (next(tmp_path.glob(f"seed{seed}/20*/*")) for seed in (0, 1))
    weights = "student/weights.safetensors"
    assert (first / weights).read_bytes() != (second / weights).read_bytes()


def test_a_crash_is_one_sentence_and_says_how_to_go_on(kdrun: Kdrun, tmp_path: Path) -> None:
    said = kdrun(*TINY, status=1, KDRUN_FAULT="step:2:raise").stderr
    (run,) = tmp_path.glob("outputs/*/*/run.json")
    assert json.loads(run.read_text())["status"] == "failed"
    assert said.splitlines()[0] == "kdrun: RuntimeError: injected at step"
    assert "Traceback" not in said
    assert f"kdrun resume {run.parent.relative_to(tmp_path)}" in said
    assert "written to" in kdrun("resume", str(run.parent)).stdout


def test_a_plugin_is_used_and_named_when_started_and_when_resumed(
    kdrun: Kdrun, tmp_path: Path
) -> None:
    (tmp_path / "my_parts.py").write_text(
        "import torch\n"
        "from kdrun.dataset.image.images import InMemory\n"
        "from kdrun.dataset.samples import RawDataset\n"
        "from kdrun.loss.logits import KD\n"
        'LOSSES = {"soft": "my_parts:Soft"}\n'
        'DATASETS = {"stripes": "my_parts:read_stripes"}\n'
        "class Soft(KD): pass\n"
        "def read_stripes(count: int, width: int = 8) -> RawDataset:\n"
        "    targets = torch.arange(count) % 2\n"
        "    images = (targets.view(-1, 1, 1, 1) * 200).expand(-1, width, width, 1)\n"
        '    return RawDataset(("dark", "bright"), InMemory(images.to(torch.uint8), targets))\n'
    )
    soft = ("loss=soft", "loss.alpha=0.5", "loss.temperature=2")
    words = ("plugins=[my_parts]", *soft, "dataset=stripes", "dataset.count=400", *TINY)
    cut = kdrun(*words, status=-9, KDRUN_FAULT="step:9").stdout
    assert "plugins: my_parts" in cut
    run = str(only_run(tmp_path))
    for words in (("resume", run), ("export", run, "--to", "pt2"), ("resume", run, "plugins=[x]")):
        assert kdrun(*words, status=2).stderr == (
            "kdrun: the plugin 'my_parts' is imported only if the command itself names it.\n"
            "  if you trust its code, add to the command: plugins=[my_parts]\n"
        )
    assert "plugins: my_parts" in kdrun("resume", run, "plugins=[my_parts]").stdout
    kdrun("sensitivity", run, status=2)
    kdrun("sensitivity", run, "plugins=[my_parts]")
    kdrun("export", run, "--to", "pt2", "plugins=[my_parts]")


def test_show_prints_the_table_again(kdrun: Kdrun, finished: Path) -> None:
    shown = kdrun("show", str(finished)).stdout
    for word in ("teacher", "alone", "distilled", "finished"):
        assert word in shown


def test_resume_of_a_finished_run_says_so(kdrun: Kdrun, finished: Path) -> None:
    before = (finished / "run.json").read_bytes()
    assert "is finished" in kdrun("resume", str(finished)).stdout
    assert (finished / "run.json").read_bytes() == before


def test_a_second_run_takes_the_teacher_of_the_first(kdrun: Kdrun, finished: Path) -> None:
    kdrun(*TINY, f"teacher.run={finished}", "name=again")
    (again,) = finished.parent.glob("*again")
    assert (again / "teacher/weights.safetensors").read_bytes() == (
        finished / "teacher/weights.safetensors"
    ).read_bytes()
    assert json.loads((again / "summary.json").read_text())["rows"][0]["epochs"] is None


def test_check_prints_the_plan_and_writes_nothing(kdrun: Kdrun, tmp_path: Path) -> None:
    shown = kdrun(*TINY, "check=true").stdout
    for word in ("teacher", "alone", "distill", "parameters", "MACs"):
        assert word in shown
    assert list(tmp_path.iterdir()) == []


def test_controls_can_be_switched_off(kdrun: Kdrun, tmp_path: Path) -> None:
    kdrun(*TINY, "controls=[]")
    summary = json.loads((only_run(tmp_path) / "summary.json").read_text())
    assert [row["model"] for row in summary["rows"]] == ["teacher", "distilled"]
    assert "gain" not in summary["rows"][1]


def test_a_config_that_was_changed_is_not_gone_on_with(kdrun: Kdrun, finished: Path) -> None:
    edit_json(finished / "run.json", status="interrupted")
    config = finished / "config.yaml"
    config.write_text(config.read_text().replace("temperature: 4.0", "temperature: 2.0"))
    refused = kdrun("resume", str(finished), status=2).stderr
    assert "is not the one that its run began with" in refused
    assert "  loss.temperature: 2.0, was 4.0\n" in refused
    assert "Traceback" not in refused


def test_a_run_of_an_older_kdrun_is_gone_on_with(kdrun: Kdrun, finished: Path) -> None:
    manifest, config = finished / "run.json", finished / "config.yaml"
    tree = yaml.safe_load(config.read_text())
    del tree["launcher"], tree["search"]
    config.write_text(yaml.safe_dump(tree))
    edit_json(manifest, status="interrupted", config=tree)
    assert "written to" in kdrun("resume", str(finished)).stdout


@pytest.mark.slow
def test_the_embedded_job_shows_what_the_tool_is_for(kdrun: Kdrun, tmp_path: Path) -> None:
    kdrun("evaluate.latency.seconds=0.01")
    folder = only_run(tmp_path)
    summary = json.loads((folder / "summary.json").read_text())
    teacher, alone, distilled, quantized = summary["rows"]
    assert teacher["accuracy"] - alone["accuracy"] > 0.01
    assert distilled["gain"]["low"] > 0
    assert distilled["steps"] == alone["steps"] == teacher["steps"]
    assert quantized["versus"]["bytes"] > 2.5
    assert quantized["versus"]["accuracy"] > -0.02
    command = json.loads((folder / "run.json").read_text())["command"]
    assert command == "kdrun evaluate.latency.seconds=0.01 experiment=few_labels"
