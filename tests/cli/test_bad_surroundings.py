"""What the machine lacks, and folders that can't be used, are said before anything is written."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
from edits import edit_json
from tiny import TINY, Refused

from kdrun.check.preflight import check
from kdrun.cli.main import main
from kdrun.config.compose import compose_runs
from kdrun.core.screen import Screen
from kdrun.run.runner import run as run_stages

Lacking = Callable[..., None]


@pytest.fixture
def lacking(monkeypatch: pytest.MonkeyPatch) -> Lacking:
    """Make packages look as if they were not installed."""

    def hide(*names: str) -> None:
        def find(name: str, package: str | None = None) -> object:
            return None if name in names else find_spec(name, package)

        for module in ("kdrun.check.environment", "kdrun.model.image.timm_models"):
            monkeypatch.setattr(f"{module}.find_spec", find)

    return hide


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
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


def test_a_missing_extra_is_named(refused: Refused, lacking: Lacking) -> None:
    lacking("timm", "tensorboard")
    said = refused("teacher=timm", "teacher.arch=resnet10t", "logger=tensorboard", before=())
    assert said.splitlines() == [
        "the config has 2 faults",
        "  logger: 'tensorboard' needs an extra: pip install 'kdrun[tb]'",
        "  teacher: timm's networks need an extra.",
        "    pip install 'kdrun[timm]'",
    ]


def test_a_missing_launcher_is_named(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "kdrun.config.compose.options_of", lambda files, group: ["basic"] * ("/" in group)
    )
    assert refused("hydra/launcher=joblib") == (
        "hydra/launcher=joblib needs an extra: pip install 'kdrun[sweep]'"
    )


@pytest.mark.parametrize(
    ("device", "seen", "sentence"),
    [
        ("cuda", 0, "device=cuda was asked for, but this PyTorch sees no CUDA device."),
        ("cuda:7", 0, "device=cuda:7 was asked for, but this PyTorch sees no CUDA device."),
        ("cuda:7", 2, "device=cuda:7 was asked for, but this PyTorch sees 2 CUDA devices."),
        ("mps", 0, "device=mps was asked for, but this PyTorch sees no MPS device."),
    ],
)
def test_a_device_that_is_not_there_is_no_reason_to_take_the_cpu(
    device: str, seen: int, sentence: str, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: seen > 0)
    monkeypatch.setattr("torch.cuda.device_count", lambda: seen)
    # torch._dynamo, which may be imported only now, reads the `__wrapped__` of a cached function.
    monkeypatch.setattr("torch.backends.mps.is_available", cache(lambda: False))
    mend = "  use device=cpu, or device=auto for the best that there is"
    assert refused(f"device={device}") == f"{sentence}\n{mend}"


def test_an_output_folder_below_a_file(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert refused("output_root=file/outputs") == (
        f"output_root: 'file/outputs' can't be made: {str(tmp_path / 'file')!r} is a file"
    )
    assert refused("hydra.run.dir=file/run") == (
        f"hydra.run.dir: 'file/run' can't be made: {str(tmp_path / 'file')!r} is a file"
    )


def test_an_output_folder_whose_name_is_too_long(refused: Refused) -> None:
    folder = "x/" + "a" * 300
    assert refused(f"output_root={folder}", "hydra.run.dir=run") == (
        f"output_root: {folder!r} can't be made: File name too long"
    )


def test_an_output_folder_that_is_read_only(
    refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    assert refused(status=4) == (
        f"output_root: {str(tmp_path)!r} can't be written; choose another: output_root=FOLDER"
    )


def test_a_folder_that_may_not_be_made(
    refused: Refused, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def mkdir(path: object, mode: int = 0o777) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr(os, "mkdir", mkdir)
    for setting in ("hydra.run.dir", "output_root"):
        said = refused(f"{setting}={tmp_path}/new", before=TINY, status=4)
        assert said.startswith(f"{setting}: ")
        assert "can't be made: Permission denied." in said


def test_a_read_only_folder_beside_a_mistake_is_a_mistake(
    refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    assert refused("recipe.epochs=0", status=2).startswith("the config has 2 faults")


def test_a_disk_without_room(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    said = refused(status=4)
    assert said.startswith("output_root: the run needs about 1")
    assert said.endswith(
        " kB below 'outputs', and 1.0 kB are free; make room, or choose another folder"
    )


@pytest.mark.parametrize("words", [(), ("-m", "seed=0,1")], ids=["run", "sweep"])
def test_a_folder_that_holds_a_run(words: tuple[str, ...], refused: Refused, run: Path) -> None:
    kind = "sweep" if words else "run"
    assert refused(*words, f"hydra.{kind}.dir=run") == (
        "'run' holds a run already.\n  go on with it: kdrun resume run, or name another folder"
    )


@pytest.mark.parametrize("words", [(), ("-m", "seed=0,1")], ids=["run", "sweep"])
def test_a_folder_that_a_command_of_the_same_time_takes_is_left_to_it(
    words: tuple[str, ...],
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The other one starts after the check of this one, and is done before this one begins."""
    folder = tmp_path / "taken"

    def lose(job: object, multirun: bool) -> Path:
        run.rename(folder)
        if multirun:
            (folder / "sweep.json").write_text("{}")
        return folder

    before = {path.name for path in run.iterdir()}
    monkeypatch.setattr("kdrun.cli.launch.new_folder", lose)
    monkeypatch.setattr(sys, "argv", ["kdrun", *TINY, *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 5
    assert "was taken by a command that was started at the same time" in capsys.readouterr().err
    after = {path.name: path for path in folder.iterdir()}
    assert after.keys() - before == ({"sweep.json"} if words else set())
    assert not words or after["sweep.json"].read_text() == "{}"


def test_a_run_in_use_by_another_process(refused: Refused, run: Path, tmp_path: Path) -> None:
    edit_json(run / "run.json", status="running")
    (run / "student" / "artefact.json").unlink()
    holder = (
        "import sys, time; from pathlib import Path; from kdrun.core.lock import FolderLock\n"
        "with FolderLock(Path(sys.argv[1])).acquire(wait=False):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    words = [sys.executable, "-c", holder, str(run)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        process.stdout.readline()
        said = refused("resume", "run", before=(), status=5)
        process.kill()
    assert said == (
        f"run folder 'run' is in use by process {process.pid}.\n"
        "  wait until it ends, or stop it first"
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("seed: [0", "'run/config.yaml', line 1: expected ',' or ']', but got '<stream end>'."),
        ("a: !!python/name:os.system x", "'run/config.yaml', line 1: could not determine a"),
        ("- 1", "'run/config.yaml' holds no config."),
        ("a: &a [*a]", "'run/config.yaml' unfolds into more than 100,000 values"),
        ("seed: 0", "the config has "),
    ],
)
def test_resume_of_a_run_whose_config_is_broken(
    text: str, sentence: str, refused: Refused, run: Path
) -> None:
    edit_json(run / "run.json", status="interrupted")
    (run / ".lock").touch()
    (run / "config.yaml").write_text(text)
    assert sentence in refused("resume", "run", before=())


def test_resume_checks_the_config_like_a_new_run(refused: Refused, run: Path) -> None:
    edit_json(run / "run.json", status="interrupted")
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace("temperature: 4.0", "temperature: 0"))
    said = refused("resume", "run", before=())
    assert said == "loss.temperature: 0 should be greater than 0"


def test_a_run_of_a_newer_kdrun(refused: Refused, run: Path) -> None:
    edit_json(run / "run.json", format=99, seconds="1 min", status=None)
    (run / "summary.json").write_text('{"format": 99}')
    for verb in ("resume", "show"):
        assert refused(verb, "run", before=()) == (
            "'run' has format 99; this kdrun reads up to 1.\n"
            "  a newer kdrun wrote it: pip install --upgrade kdrun"
        )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("teacher.hidden=[33]",), "'run/teacher' holds 'mlp', and the config's teacher has other"),
        (
            ("teacher=resnet20",),
            "'run/teacher' holds 'mlp', and the config's teacher is 'resnet",
        ),
        (
            ("dataset.classes=[0,1,2]",),
            "the teacher in 'run/teacher' knows 10 classes, the data",
        ),
        (
            ("dataset.classes=[1,0,2,3,4,5,6,7,8,9]",),
            "the teacher in 'run/teacher' knows the dataset's classes in another order.",
        ),
        (
            ("dataset=fake", "dataset.image_size=8", "dataset.channels=1"),
            "the teacher in 'run/teacher' knows other classes: '0' where the dataset has 'class 0'",
        ),
        (("teacher.checkpoint=x.pt",), "can have only one source, but has run and checkpoint"),
    ],
    ids=["settings", "network", "fewer", "order", "others", "two"],
)
def test_a_teacher_of_a_run_that_is_another(
    words: tuple[str, ...], sentence: str, refused: Refused, run: Path
) -> None:
    keep = [word for word in TINY if "hidden" not in word or "teacher=resnet20" not in words]
    said = refused("teacher.run=run", *words, before=tuple(keep))
    assert said.removeprefix("teacher.run: ").removeprefix("teacher: ").startswith(sentence)


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("artefact.json", None, "'run' is no run folder with a finished teacher, nor an artefact."),
        ("artefact.json", "{}", "'run/teacher/artefact.json' is no artefact's record: no 'format'"),
        ("artefact.json", "{", "'run/teacher/artefact.json' is no JSON"),
        ("weights.safetensors", "x", "'run/teacher/weights.safetensors' is not what its stage"),
    ],
    ids=["unfinished", "empty", "broken", "weights"],
)
def test_a_teacher_of_a_run_that_is_damaged(
    file: str, text: str | None, sentence: str, refused: Refused, run: Path
) -> None:
    (run / "teacher" / file).unlink()
    if text is not None:
        (run / "teacher" / file).write_text(text)
    assert refused("teacher.run=run").startswith(f"teacher.run: {sentence}")


def test_a_teacher_of_a_newer_format(refused: Refused, run: Path) -> None:
    record = '{"format": 99, "stage": 1}'
    (run / "teacher" / "artefact.json").write_text(record)
    assert refused("teacher.run=run").startswith("teacher.run: 'run/teacher' has format 99; this")
