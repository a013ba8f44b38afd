"""A teacher that follows its student is planned without a teacher stage, with any loss."""

import pytest
from plans import RESNETS, plan
from tiny import Refused

MOVING = "scheme=moving_teacher"


@pytest.mark.parametrize("loss", ["kd", "attention", "mse"])
def test_only_the_control_and_the_student_are_trained(loss: str):
    stages = plan(MOVING, f"loss={loss}", "scheme.kind=snapshot", base=RESNETS).stages
    assert [stage.info.label for stage in stages] == ["alone", "distilled"]
    distill = stages[-1]
    assert (distill.teachers, distill.info.reads) == ((), ())
    assert distill.loss["loss"]["name"] == loss
    assert distill.loss["kind"] == "snapshot"


def test_bad_settings_are_refused_in_a_sentence(refused: Refused):
    assert "scheme.kind" in refused(MOVING, "scheme.kind=mean", before=RESNETS)
    assert "scheme.decay" in refused(MOVING, "scheme.decay=1", before=RESNETS)
    assert "scheme.every" in refused(MOVING, "scheme.every=0", before=RESNETS)
    said = refused(MOVING, "loss=ce", before=RESNETS)
    assert "loss 'ce' reads no teacher, and scheme=moving_teacher makes one" in said
    said = refused(MOVING, "student.init=teacher", before=RESNETS)
    assert said.startswith("student.init: scheme 'moving_teacher' has no teacher whose weights")
