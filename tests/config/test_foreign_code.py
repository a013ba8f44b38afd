"""Values of Hydra's own config that would run code, or write elsewhere, are refused."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from kdrun.config.compose import compose_runs
from kdrun.config.foreign_code import untyped_launcher

BASIC = "hydra._internal.core_plugins.basic_launcher"
REFUSED = {
    f"+hydra.callbacks.x._target_={BASIC}.BasicLauncher": "hydra.callbacks.x._target_",
    "+hydra.callbacks={x: 1}": "hydra.callbacks",
    f"hydra.launcher._target_={BASIC}.Path.write_text": "hydra.launcher._target_",
    "hydra.launcher._target_=hydra._internal.core_plugins.bash_completion.os.system": (
        "hydra.launcher._target_"
    ),
    f"+hydra.launcher.x._target_={BASIC}.BasicLauncher": "hydra.launcher.x._target_",
    f"hydra.sweeper._target_={BASIC}.Path": "hydra.sweeper._target_",
    "+hydra.job_logging.formatters.x.class=logging.os.execl": (
        "hydra.job_logging.formatters.x.class"
    ),
    "+hydra.job_logging.handlers.x={class: logging.FileHandler, filename: /tmp/x}": (
        "hydra.job_logging.handlers.x.filename"
    ),
    "+hydra.job_logging.handlers.x.stream=ext://evil.x": "hydra.job_logging.handlers.x.stream",
    "+hydra.job_logging.handlers='${compress}'": "hydra.job_logging.handlers",
    "+hydra.job.env_set.PATH=bin": "hydra.job.env_set",
    "hydra.job.env_set='${compress}'": "hydra.job.env_set",
    "hydra.job.name=../x": "hydra.job.name",
    "hydra.job.chdir=true": "hydra.job.chdir",
    "hydra.output_subdir=../../../outside": "hydra.output_subdir",
    "hydra.output_subdir=.": "hydra.output_subdir",
    "hydra.output_subdir='${name}'": "hydra.output_subdir",
}


@pytest.mark.parametrize("word", REFUSED)
def test_what_would_run_code_or_programs_is_refused(word: str) -> None:
    (run,) = compose_runs([word], multirun=False)
    assert {fault.where for fault in run.faults} >= {REFUSED[word]}


@pytest.mark.parametrize("word", ["hydra.output_subdir=null", "hydra.job.chdir=false"])
def test_a_run_without_files_of_hydra_is_allowed(word: str) -> None:
    (run,) = compose_runs([word], multirun=False)
    assert run.faults == ()


@pytest.mark.parametrize("name", ["default", "stdout", "none", "disabled"])
def test_the_logging_of_hydra_is_allowed(name: str) -> None:
    (run,) = compose_runs([f"hydra/job_logging={name}"], multirun=False)
    assert run.faults == ()


def test_a_config_folder_chooses_no_launcher_that_runs_commands(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "nice.yaml").write_text(
        "# @package _global_\n"
        "defaults: [{override /hydra/launcher: submitit_slurm}]\n"
        "hydra: {launcher: {setup: [./run]}}\n"
    )
    launcher = "hydra/launcher=submitit_slurm"
    typed = {
        (): {"hydra/launcher", "hydra.launcher.setup"},
        (launcher,): {"hydra.launcher.setup"},
        (launcher, "hydra.launcher.setup=[./run]"): set(),
    }
    for words, faults in typed.items():
        settings = ("experiment=nice", "seed=0,1", *words)
        run, _ = compose_runs(settings, True, (str(tmp_path),))
        assert {fault.where for fault in run.faults} == faults
    (single,) = compose_runs(("experiment=nice",), False, (str(tmp_path),))
    assert single.faults == ()


def test_a_line_break_in_a_value_of_a_launcher_is_refused() -> None:
    node = {"_target_": "hydra_plugins.x.SlurmLauncher", "partition": "gpu", "comment": "a\nb"}
    (fault,) = untyped_launcher(OmegaConf.create(node), ["hydra/launcher=submitit_slurm"])
    assert fault.where == "hydra.launcher.comment"
