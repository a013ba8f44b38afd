"""`kdrun store`, on the store of a real run."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from plans import run_to

from kdrun.cli.main import main
from kdrun.core.folder import RunFolder
from kdrun.stage import obtain

Store = Callable[..., tuple[int, str]]


@pytest.fixture
def store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Store:
    """Run `kdrun store`, and return its status and what it prints."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: str) -> tuple[int, str]:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["kdrun", "store", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out + said.err

    return run


def test_a_store_is_listed_checked_and_pruned(store: Store) -> None:
    run = run_to(Path("outputs/run"))
    mark = RunFolder(run).manifest()["stages"]["teacher"]["fingerprint"]
    status, said = store()
    (line,) = (line for line in said.splitlines() if line.startswith(str(mark)))
    assert (status, line.split()[1:3], line.split()[-1]) == (0, ["teacher", "mlp"], str(run))
    assert store("prune", "--older", "0m")[1].endswith("deleted 0 artefacts (0 bytes)\n")
    assert "every file has the sum" in store("check")[1]
    shutil.rmtree(run)
    assert "deleted 0 artefacts" in store("prune")[1]  # they are younger than 30 days
    assert "would delete 2 artefacts" in store("prune", "--older", "0m", "--dry-run")[1]
    weights = Path(f"outputs/.store/{mark}/weights.safetensors")
    weights.write_bytes(b"other")
    status, said = store("check", "outputs")
    assert status == 9
    assert f"'outputs/.store/{mark}' is damaged: weights.safetensors" in said
    assert "deleted 2 artefacts" in store("prune", "--older", "0m")[1]
    assert store("list", "outputs")[1].startswith("0 artefacts (0 bytes)")
    run_to(Path("outputs/again"))
    assert weights.stat().st_size > len(b"other")


def test_a_run_makes_what_is_deleted_while_it_takes_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(run_to(Path("outputs/run")))

    def delete_first(source: Path, target: Path) -> None:
        monkeypatch.setattr(obtain, "share_artefact", share)
        assert store("prune", "--older", "0m")[0] == 0
        share(source, target)

    share = obtain.share_artefact
    monkeypatch.setattr(obtain, "share_artefact", delete_first)
    run = run_to(Path("outputs/again"))
    assert not RunFolder(run).manifest()["stages"]["teacher"]["from_store"]
    assert RunFolder(run).status == "finished"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["nowhere"], "there is no store below 'nowhere'"),
        (["prune", "--older", "3"], "--older 3 is no number with a unit"),
        (["prune", "--keep", "3 d"], "--keep 3 d is no number with a unit"),
        (["check", "--older", "3d"], "store check takes no options"),
        (["list", "a", "b"], "takes one output root, not a, b"),
        (["--old", "3d"], "unrecognized arguments"),
    ],
)
def test_mistakes(words: list[str], complaint: str, store: Store) -> None:
    status, said = store(*words)
    assert (status, complaint in said) == (2, True)
