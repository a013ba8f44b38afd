"""Values of Hydra's own config that would run code are refused, wherever they come from."""

import pytest

from kdrun.config.compose import compose_runs

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
}


@pytest.mark.parametrize("word", REFUSED)
def test_what_would_run_code_or_programs_is_refused(word: str) -> None:
    (run,) = compose_runs([word], multirun=False)
    assert {fault.where for fault in run.faults} >= {REFUSED[word]}


@pytest.mark.parametrize("name", ["default", "stdout", "none", "disabled"])
def test_the_logging_of_hydra_is_allowed(name: str) -> None:
    (run,) = compose_runs([f"hydra/job_logging={name}"], multirun=False)
    assert run.faults == ()
