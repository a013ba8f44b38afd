import pytest
from plans import plan, prints, reads, refusal, rows

TWO = ("scheme=teachers", "scheme.others=[{name: mlp, hidden: [16]}, {name: mlp, hidden: [12]}]")


def test_the_student_reads_all_teachers_and_these_none():
    planned = plan(*TWO, "scheme.weights=[1,2,3]", "teacher.recipe={epochs: 3}")
    assert rows(planned) == ["teacher", "teacher2", "teacher3", "alone", "distilled"]
    assert reads(planned)["distill"] == ("teacher", "teacher2", "teacher3")
    assert {reads(planned)[name] for name in ("teacher", "teacher2", "teacher3", "alone")} == {()}
    stages = {stage.info.name: stage for stage in planned.stages}
    assert stages["distill"].teachers == tuple(planned.stages[:3])
    assert stages["distill"].loss == {
        "name": "around_teachers",
        "loss": planned.config.loss,
        "combine": "probabilities",
        "weights": [1, 2, 3],
    }
    assert stages["teacher3"].network.node["hidden"] == [12]
    assert stages["teacher3"].loss == {"name": "ce"}
    assert stages["teacher3"].recipe.epochs == 3
    assert stages["teacher3"].info.shared


def test_weights_are_equal_where_none_are_given():
    assert plan(*TWO).stages[-1].loss["weights"] == [1, 1, 1]


def test_how_teachers_are_combined_changes_the_student_alone():
    base, other = prints(plan(*TWO)), prints(plan(*TWO, "scheme.combine=best"))
    assert {name for name in base if base[name] != other[name]} == {"distill"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("scheme.weights=[1,2]",),
            "scheme.weights: [1, 2] are 2 weights for 3 teachers; give one each of teacher,"
            " teacher2, teacher3",
        ),
        (("scheme.weights=[1,2,0]",), "scheme.weights.2: 0 should be greater than 0"),
        (("scheme.combine=mean",), "scheme.combine: 'mean' should be 'probabilities', 'logits'"),
        (("scheme.others=[]",), "scheme.others: [] should have at least 1 values"),
        (("scheme.others=[mpl]",), "scheme.others.0: no model is called 'mpl'."),
        (("loss=ce",), "loss: the loss 'ce' learns from no teacher"),
        (
            ("scheme.others=[mlp]", "loss=attention", "loss.pairs=[[net.0, hidden.0]]"),
            "loss: the student has no module at 'net.0'",
        ),
    ],
)
def test_what_makes_no_teachers_is_refused_in_a_sentence(words: tuple[str, ...], sentence: str):
    assert refusal(*TWO, *words).startswith(sentence)
