"""The stages that compression adds to a run, and what is refused before anything is trained."""

import pytest
from plans import RESNETS, plan, prints, reads, refusal, rows

from kdrun.config.choices import register_step_list
from kdrun.core.errors import UserError
from kdrun.stage.compress import Compress
from kdrun.stage.train import Train


def listed(*steps: str) -> str:
    return f"compress={register_step_list(steps)}"


def test_each_step_is_a_stage_with_a_row_that_reads_the_stage_before():
    given = plan(listed("prune_weights", "distill", "low_rank"))
    assert rows(given) == [
        "teacher", "alone", "distilled", "1 prune_weights", "2 distill", "3 low_rank",
    ]  # fmt: skip
    added = given.stages[3:]
    assert [type(stage) for stage in added] == [Compress, Train, Compress]
    assert [stage.info.baseline for stage in added] == [
        "distilled", "1 prune_weights", "2 distill",
    ]  # fmt: skip
    assert reads(given)["compress-1-prune_weights"] == ("distill",)
    assert reads(given)["compress-2-distill"] == ("compress-1-prune_weights", "teacher")
    # Other runs may start from all but the last.
    assert [stage.info.shared for stage in given.stages[2:]] == [True, True, True, False]
    assert not plan().stages[-1].info.shared


def test_a_step_may_be_repeated():
    given = plan(listed("finetune", "prune_weights", "finetune"), "compress.finetune2.lr_share=0.5")
    assert rows(given)[3:] == ["1 finetune", "2 prune_weights", "3 finetune2"]
    before, after = given.stages[3], given.stages[5]
    assert (before.recipe.lr, after.recipe.lr) == (
        pytest.approx(given.config.recipe.lr),
        pytest.approx(0.5 * given.config.recipe.lr),
    )


def test_the_teacher_may_be_compressed():
    given = plan("compress=low_rank", "compress.of=teacher")
    step = given.stages[-1]
    assert (step.role, step.network.name) == ("teacher", "mlp")
    assert step.info.baseline == "teacher"
    assert reads(given)["compress-1-low_rank"] == ("teacher",)


def test_distillation_uses_the_teachers_of_the_first_training():
    given = plan(listed("distill"), "scheme=teachers", "scheme.others=[mlp]", "loss=dkd")
    student, step = given.stages[-2:]
    assert step.loss == student.loss
    assert step.teachers == student.teachers
    assert len(step.teachers) == 2


def test_a_step_trains_with_its_lr_share_and_its_recipe_keys():
    words = ("recipe.warmup_epochs=1", "compress.distill.recipe={epochs: 1, weight_decay: 0}")
    step = plan(listed("distill"), *words).stages[-1]
    assert (step.recipe.epochs, step.recipe.weight_decay, step.recipe.warmup_epochs) == (1, 0, 0)


def test_gradual_pruning_is_a_training_stage():
    (step,) = plan("compress=prune_weights", "compress.prune_weights.schedule=cubic").stages[3:]
    assert isinstance(step, Train)
    assert step.pruning.sparsity == 0.5
    assert step.source == "distill"


def test_the_fingerprint_depends_on_settings_and_on_earlier_steps():
    words = (listed("prune_weights", "finetune"),)
    known = prints(plan(*words))
    for changed in (
        "compress.prune_weights.sparsity=0.6",
        "compress.calibration=64",
        "seed=1",
    ):
        other = prints(plan(*words, changed))
        assert known["compress-1-prune_weights"] != other["compress-1-prune_weights"]
        assert known["compress-2-finetune"] != other["compress-2-finetune"]
    later = prints(plan(*words, "compress.finetune.lr_share=0.2"))
    assert known["compress-1-prune_weights"] == later["compress-1-prune_weights"]
    assert known["compress-2-finetune"] != later["compress-2-finetune"]


def test_settings_that_a_step_does_not_use_keep_its_fingerprint():
    words = (listed("prune_weights", "finetune", "quantize_static"),)
    known, other = prints(plan(*words)), prints(plan(*words, "compress.calibrator=minmax"))
    names = ["compress-1-prune_weights", "compress-2-finetune", "compress-3-quantize_static"]
    assert [known[name] == other[name] for name in names] == [True, True, False]
    batches = prints(plan(*words, "evaluate.latency.batch_size=8"))
    assert batches == known


def test_the_fingerprint_of_a_latency_goal_depends_on_the_measurement():
    goal = ("compress.prune_channels.ratio=null", "compress.prune_channels.latency=0.7")
    words = ("compress=prune_channels", *goal)
    known, other = (
        prints(plan(*words, f"evaluate.latency.batch_size={size}", base=RESNETS)) for size in (1, 8)
    )
    assert known["compress-1-prune_channels"] != other["compress-1-prune_channels"]


@pytest.mark.parametrize("rounding", ["quantize_static", "qat"])
def test_a_quantized_network_can_be_pruned_during_training(rounding):
    words = (listed(rounding, "prune_weights"), "compress.prune_weights.schedule=cubic")
    assert plan(*words, base=RESNETS).stages[-1].pruning.schedule == "cubic"


def test_fingerprints_without_compression_are_unchanged():
    assert prints(plan())["distill"] == prints(plan("compress=low_rank"))["distill"]


def test_an_unknown_step_in_a_list_is_reported():
    with pytest.raises(UserError, match="no compression step is called 'prune_wieghts'") as told:
        register_step_list(["prune_wieghts"])
    assert "nearest: prune_weights" in str(told.value)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("compress=prune_weights", "compress.prune_weights.sparsity=1"), "less than 1"),
        (
            ("compress=prune_weights", "compress.prune_weights.sparsity=-0.1"),
            "greater than or equal to 0",
        ),
        (
            ("compress=prune_weights", "compress.prune_weights.layers=nothing*"),
            "no linear layer or convolution has a path like 'nothing*'",
        ),
        (
            ("compress=prune_weights", "compress.prune_weights.score=movement"),
            "score=movement is computed from gradients during training",
        ),
        (
            (
                "compress=prune_weights",
                "compress.prune_weights.score=taylor",
                "compress.prune_weights.schedule=cubic",
            ),
            "score=taylor works only with schedule=one_shot",
        ),
        (
            ("compress=prune_weights", "compress.prune_weights.pattern=[4,2]"),
            "pattern=[4, 2] prunes nothing",
        ),
        (
            ("compress=prune_weights", "compress.prune_weights.pattern=[2,7]"),
            "no layer has a multiple of 7 inputs",
        ),
        (
            ("compress=low_rank", "compress.low_rank.rank=0.5"),
            "exactly one of energy, rank and macs is needed, and 2 are given.\n"
            "  set the others to null, e.g. energy=null",
        ),
        (
            ("compress=low_rank", "compress.low_rank.layers=x"),
            "no linear layer, embedding or convolution of one group has a path like 'x'",
        ),
        (
            ("compress=low_rank", "compress.calibrator=histogram"),
            "compress.calibrator: no calibrator is called 'histogram'",
        ),
        (
            ("compress=low_rank", "compress.calibration=0"),
            "compress.calibration: 0 should be greater than 0",
        ),
        (
            (
                *("compress=low_rank", "compress.target={accuracy_drop: 0.1}"),
                *("compress.low_rank.energy=null", "compress.low_rank.rank=0.5"),
            ),
            "compress.target searches energy of low_rank, which has rank=0.5",
        ),
        (
            (
                *("compress=prune_weights", "compress.target={accuracy_drop: 0.1}"),
                "compress.prune_weights.pattern=[2,4]",
            ),
            "compress.target searches sparsity of prune_weights, which has pattern=[2, 4]",
        ),
        (
            (
                *("compress=prune_weights", "compress.target={accuracy_drop: 0.1}"),
                "compress.prune_weights.schedule=cubic",
            ),
            "prune_weights has schedule=cubic, and compress.target tries steps",
        ),
        (
            (listed("quantize_static", "quantize_weights"),),
            "quantize_weights rounds the weights of layers, and a step before it rounded the whole",
        ),
        (
            (listed("quantize_dynamic", "finetune", "qat"),),
            "qat rounds the whole network, and a step before it rounded the weights of layers",
        ),
        (
            (
                listed("quantize_weights", "prune_weights"),
                "compress.prune_weights.schedule=cubic",
            ),
            "this network has none in float",
        ),
        (
            ("compress=low_rank", "scheme=born_again", "compress.of=pupil"),
            "compress.of: 'pupil' should be 'student' or 'teacher'",
        ),
    ],
)
def test_bad_settings_are_refused_in_a_sentence(words, said):
    assert said in refusal(*words)


def test_distill_without_a_teacher_is_refused():
    words = ("scheme=own_stages", listed("distill"))
    assert "there is no teacher to distill from" in refusal(*words, base=RESNETS)


def test_compressing_a_missing_teacher_is_refused():
    words = ("scheme=own_stages", "compress=low_rank", "compress.of=teacher")
    assert "scheme=own_stages has no teacher to compress" in refusal(*words, base=RESNETS)


def test_training_after_a_step_is_checked_with_the_changed_structure():
    words = ("loss=fsp", "student=resnet8", "teacher=resnet14", "compress.prune_channels.ratio=0.5")
    said = refusal(listed("prune_channels", "distill"), *words, base=RESNETS)
    assert said.startswith("compress.distill: fsp compares matrices of channels")


def test_losses_can_read_features_of_a_quantized_network():
    given = plan("loss=attention", listed("quantize_static", "distill"), base=RESNETS)
    assert given.stages[-1].loss["name"] == "attention"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("compress=prune_channels", "compress.prune_channels.macs=0.5"),
            "exactly one of ratio, macs and latency is needed, and 2 are given",
        ),
        (
            ("compress=prune_channels", "compress.prune_channels.ratio=null"),
            "exactly one of ratio, macs and latency is needed, and none are given.\n"
            "  give one of them a number, e.g. ratio=0.5",
        ),
        (
            ("compress=prune_channels", "compress.prune_channels.ratio=0"),
            "ratio=0 prunes no channel of any layer",
        ),
        (
            ("compress=prune_channels", "compress.prune_channels.skip=[nothing]"),
            "compress.prune_channels: skip='nothing' matches no module",
        ),
        (("compress=quantize_dynamic", "compress.quantize_dynamic.layers=x"), "no linear layer"),
        (("compress=quantize_weights", "compress.quantize_weights.bits=3"), "3 should be 8 or 4"),
        (
            ("compress=quantize_static", "compress.quantize_static.bits=9"),
            "less than or equal to 8",
        ),
        (("compress=low_rank", "evaluate.protocol=folds"), "no protocol is called 'folds'"),
        (
            ("compress=low_rank", "evaluate.protocol={name: kfold, folds: 1000}"),
            "evaluate.protocol: a class has",
        ),
        (("compress=low_rank", "evaluate.protocol={folds: 3}"), "evaluate.protocol.name: must be"),
        (
            ("compress=low_rank", "compress.calibrator={percentile: 99}"),
            "compress.calibrator.name: must be given; available: cumulative_max, kl",
        ),
        (("evaluate.protocol=kfold",), "evaluate.protocol: is for compression steps that choose"),
        (
            (listed("distill"), "compress.target={accuracy_drop: 0.1}"),
            "compress.target: is for compression steps that choose",
        ),
        (
            (
                *("compress=prune_channels", "compress.prune_channels.ratio=null"),
                "compress.prune_channels.macs=0.0001",
            ),
            "compress.prune_channels: macs=0.0001 can't be reached: with a channel left",
        ),
        (
            (
                *("compress=low_rank", "compress.low_rank.energy=null"),
                "compress.low_rank.macs=0.001",
            ),
            "compress.low_rank: macs=0.001 can't be reached",
        ),
        (
            (
                *("compress=prune_weights", "compress.prune_weights.sparsity=0.9999"),
                "compress.prune_weights.scope=layer",
            ),
            "sparsity=0.9999 leaves no weight of 'conv1.weight'",
        ),
        (
            (listed("finetune"), "compress.finetune.recipe={optimizer: adam}"),
            "compress.finetune.recipe.optimizer: 'adam' is not a mapping",
        ),
        (
            (listed("distill"), "compress.distill.recipe={epoch: 3}"),
            "compress.distill.recipe.epoch: unknown key of a recipe; nearest: epochs",
        ),
        (
            ("compress=qat", "compress.qat.recipe={epochs: 0}"),
            "compress.qat.recipe.epochs: 0 should be greater than 0",
        ),
        (
            (listed("distill"), "compress.distill.recipe={optimizer: {name: nosuch}}"),
            "compress.distill.recipe.optimizer: no optimizer is called 'nosuch'",
        ),
    ],
)
def test_bad_settings_of_networks_with_channels_are_refused(words, said):
    assert said in refusal(*words, base=RESNETS)
