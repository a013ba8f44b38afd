"""Self-distillation plans no teacher, and refuses what would need one."""

from plans import RESNETS, plan
from tiny import Refused

OWN = "scheme=own_stages"


def test_only_the_control_and_the_student_are_trained():
    stages = plan(OWN, base=RESNETS).stages
    assert [stage.info.label for stage in stages] == ["alone", "distilled"]
    distill = stages[-1]
    assert (distill.teachers, distill.info.reads, distill.info.shared) == ((), (), False)
    assert distill.loss["name"] == "own_stages"
    assert distill.loss["loss"]["name"] == "kd"
    assert stages[0].loss == {"name": "ce"}


def test_what_needs_a_teacher_is_refused_in_a_sentence(refused: Refused):
    said = refused(OWN, "loss=attention", before=RESNETS)
    assert "loss 'attention' reads features of a teacher, and scheme=own_stages has none" in said
    said = refused(OWN, "student.init=teacher", before=RESNETS)
    assert said.startswith("student.init: scheme 'own_stages' has no teacher whose weights")
    said = refused(OWN, "stop.when={within: 0.01, of: teacher}", before=RESNETS)
    assert said.startswith(
        "stop.when.of: scheme 'own_stages' has no teacher whose validation score"
    )
    said = refused(OWN, "student=mlp", "student.hidden=[8]", before=RESNETS)
    assert "stages" in said
    assert "scheme.features" in refused(OWN, "scheme.features=-1", before=RESNETS)
