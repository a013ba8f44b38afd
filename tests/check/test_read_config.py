"""The typed config leaves out sections with faults, and `_target_` is refused everywhere."""

from tiny import TINY

from kdrun.check.typed_config import read_config, sections, without_targets
from kdrun.config.compose import compose_runs
from kdrun.core.errors import Fault
from kdrun.core.faults import Faults


def test_every_target_is_a_fault_and_is_left_out() -> None:
    faults = Faults()
    tree = {"_target_": "a", "loss": {"name": "kd", "_target_": "b"}, "steps": [{"_target_": "c"}]}
    assert without_targets(tree, faults) == {"loss": {"name": "kd"}, "steps": [{}]}
    assert [fault.where for fault in faults] == ["_target_", "loss._target_", "steps._target_"]


def test_sections_without_faults_are_typed_beside_one_that_has_some() -> None:
    (job,) = compose_runs(TINY, multirun=False)
    faults = Faults()
    config = read_config({**job.tree, "seed": "x"}, faults)
    assert list(faults) == [Fault("seed", "'x' is not a whole number")]
    assert sections(faults) == {"seed"}
    assert config.student.name == "mlp"
    assert not hasattr(config, "seed")
