import pytest
from plans import plan, prints, reads, refusal, rows

CHAIN = (
    "scheme=assistants",
    "scheme.assistants=[{name: mlp, hidden: [16]}, {name: mlp, hidden: [12]}]",
)


def test_each_learns_from_the_one_before_it():
    planned = plan(*CHAIN, "loss.temperature=2")
    assert rows(planned) == ["teacher", "assistant1", "assistant2", "alone", "distilled"]
    stages = {stage.info.name: stage for stage in planned.stages}
    taught = {name: stage.teachers for name, stage in stages.items()}
    assert taught["assistant1"] == (stages["teacher"],)
    assert taught["assistant2"] == (stages["assistant1"],)
    assert taught["distill"] == (stages["assistant2"],)
    assert {stages[name].loss["temperature"] for name in reads(planned) if taught[name]} == {2}
    assert stages["assistant1"].network.node["hidden"] == [16]


def test_every_stage_names_what_it_reads():
    found = reads(plan(*CHAIN))
    assert found["assistant1"] == ("teacher",)
    assert found["assistant2"] == ("assistant1",)
    assert found["distill"] == ("assistant2",)
    assert found["alone"] == ()


def test_chains_that_begin_alike_share_their_beginning():
    long = prints(plan(*CHAIN))
    short = prints(plan("scheme=assistants", "scheme.assistants=[{name: mlp, hidden: [16]}]"))
    other = prints(plan(*CHAIN, "teacher.hidden=[33]"))
    assert short["assistant1"] == long["assistant1"]
    assert short["distill"] != long["distill"]
    assert all(other[name] != long[name] for name in ("assistant1", "assistant2", "distill"))
    assert all(stage.info.shared for stage in plan(*CHAIN).stages if stage.info.name != "distill")


def test_an_assistant_can_be_a_name_alone():
    assert plan("scheme=assistants", "scheme.assistants=[mlp]").stages[1].network.node["hidden"]


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("[]", "scheme.assistants: [] should have at least 1 values"),
        ("mlp", "scheme.assistants: 'mlp' is not a list"),
        ("[3]", "scheme.assistants.0: 3 is not a mapping"),
        ("[{name: 3}]", "scheme.assistants.0: should be a model's name"),
        ("[{name: mlp, taps: {stagse: []}}]", "scheme.assistants.0: should be a model's name"),
        ("[mlp, mpl]", "scheme.assistants.1: no model is called 'mpl'."),
        ("[{name: mlp, hiden: [3]}]", "scheme.assistants.0.hiden: unknown key of 'mlp'"),
    ],
)
def test_a_list_that_makes_no_chain_is_refused_in_a_sentence(value: str, sentence: str):
    assert refusal("scheme=assistants", f"scheme.assistants={value}").startswith(sentence)
