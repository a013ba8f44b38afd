"""What computes other values than before has other fingerprints; all else keeps its own."""

import pytest
from plans import RESNETS, plan, prints

from kdrun.stage.train import Train

VGGS = [word for word in RESNETS if not word.startswith(("teacher", "student"))]
VGGS += ["teacher=vgg11", "student=vgg8"]
SUM = ("loss=combined", "loss.terms={dist: {}, kd: {}}")


def revisions(
    *words: str, base: list[str] | tuple[str, ...] = RESNETS
) -> dict[str, dict[str, int]]:
    """The revisions of each stage, where it has any."""
    made = plan(*words, base=base)
    named = {
        stage.info.name: stage.revisions(made.data_of(stage))
        for stage in made.stages
        if isinstance(stage, Train)
    }
    return {name: value for name, value in named.items() if value}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("loss=kd",), {}),
        (("loss=attention",), {}),
        (("loss=dist",), {"DIST": 2}),
        (("loss=fitnet",), {"FitNet": 2}),
        (("loss=cat_kd",), {"CATKD": 2}),
        (SUM, {"DIST": 2}),
        (("loss=dist", "scheme=progressive"), {"DIST": 2, "Progressive": 2}),
        (("loss=dist", "scheme=mutual", "scheme.peers=[resnet14]"), {"DIST": 2}),
        (("loss=ab", "scheme=mutual", "scheme.peers=[resnet14]"), {"first phases": 2}),
        (("loss=dkd", "scheme=own_stages"), {"warm-ups": 2}),
        (("loss=dkd",), {"warm-ups": 2}),
        (("loss=dkd", "recipe.epochs=20"), {}),
        (("loss=ab",), {"first phases": 2}),
        (("loss=ab", "loss.first_epochs=0"), {}),
        (("loss=fsp", "teacher=resnet14", "student=resnet8"), {"first phases": 2}),
        (("loss=ft",), {"first phases": 2}),
        (("loss=dist", "scheme=teachers", "scheme.others=[resnet20]"), {"DIST": 2}),
    ],
)
def test_a_corrected_loss_is_part_of_a_fingerprint(
    words: tuple[str, ...], expected: dict[str, int]
):
    assert list(revisions(*words).values()) == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("loss=kd",), {}),
        (("loss=sp",), {}),  # the last stage
        (("loss=attention",), {"stages of vgg8": 2, "stages of vgg11": 2}),
        (("loss=attention", "student=resnet8"), {"stages of vgg11": 2}),
        (
            ("loss=attention", "student.taps.stages=[block2]", "teacher.taps.stages=[block2]"),
            {},
        ),
        (("loss=attention", "loss.pairs=[[block2,block2]]"), {}),
    ],
)
def test_so_are_corrected_stages_where_they_are_read(
    words: tuple[str, ...], expected: dict[str, int]
):
    assert revisions(*words, base=VGGS) == ({"distill": expected} if expected else {})


def test_the_fingerprint_of_a_stage_without_a_revision_is_what_it_was():
    before = prints(plan("loss=kd", base=VGGS))
    assert prints(plan("loss=attention", base=VGGS))["teacher"] == before["teacher"]


def test_a_run_records_what_was_corrected():
    assert plan("loss=dist", base=RESNETS).revisions == {"DIST": 2}
    assert plan("loss=kd", base=RESNETS).revisions == {}
