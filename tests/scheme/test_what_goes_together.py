"""Losses and recipes that a scheme can't have, and those that it can."""

import pytest
from plans import RESNETS, plan, refusal

MOVING = ("mutual", "moving_teacher", "own_stages")


@pytest.mark.parametrize("scheme", MOVING)
@pytest.mark.parametrize("loss", ["srrl", "cat_kd", "parameters"])
def test_weights_of_what_still_learns_are_not_taken(scheme, loss):
    said = refusal(f"scheme={scheme}", f"loss={loss}", base=RESNETS)
    if scheme != "own_stages" or loss == "parameters":  # which has no teacher's features
        assert f"loss '{loss}' takes over weights of a trained teacher" in said
    else:
        assert f"loss '{loss}' reads features of a teacher" in said


@pytest.mark.parametrize("scheme", MOVING[:2])
def test_nor_are_they_by_a_part_of_a_sum(scheme):
    terms = "loss.terms={attention: {}, srrl: {}}"
    said = refusal(f"scheme={scheme}", "loss=combined", terms, base=RESNETS)
    assert "loss 'combined' takes over weights of a trained teacher" in said


@pytest.mark.parametrize("scheme", ["dafl", "zskt"])
def test_drawn_images_are_in_no_memory(scheme):
    said = refusal(f"scheme={scheme}", "loss=crd", base=RESNETS)
    assert "keeps a memory of each training sample" in said


def test_dafl_leaves_the_pairs_of_the_loss_as_they_are():
    pairs = "loss.pairs=[[layer3,layer1]]"
    plan("scheme=dafl", "loss=attention", pairs, base=RESNETS)


@pytest.mark.parametrize("loss", ["cat_kd", "parameters", "srrl"])
def test_classes_in_another_order_are_not_those_of_the_teachers_classifier(loss):
    order = ",".join(f"c{number}: [{9 - number}]" for number in range(10))
    said = refusal("scheme=concepts", f"scheme.map={{{order}}}", f"loss={loss}", base=RESNETS)
    assert "takes over weights of the teacher's classifier, whose classes are not" in said


def test_concepts_may_be_learned_one_sample_at_a_time():
    plan("scheme=concepts", "scheme.map=digits_even_odd", "recipe.batch_size=1")


def test_a_body_is_not_shared_where_all_of_the_head_is_frozen_or_replaced():
    words = ("scheme=shared_body", "scheme.learn=[logits]")
    said = refusal(*words, "student.freeze=[fc]", base=RESNETS)
    assert "nothing would learn" in said and "student.freeze=['fc']" in said
    said = refusal(*words, "loss=simkd", base=RESNETS)
    assert "no body is shared" in said


def test_terms_that_never_count_are_told_before_the_start():
    words = ("scheme=moving_teacher", "loss=attention")
    plan(*words, "scheme.start=1", base=RESNETS)
    said = refusal(*words, "scheme.start=480", base=RESNETS)
    assert "only labels would count" in said and "in each of the 2 epochs" in said


ONE = "recipe.epochs=1"
SHORTER = (
    "a warm-up of 20 epochs is longer than the training of 1; it takes 0.0833 epochs, its share of"
    " 240; for another, set weight={value: 1, warmup: EPOCHS} of the loss"
)
SOONER = (
    "the copy would begin to teach in epoch 1, after the training of 1; it begins in epoch 0;"
    " another: scheme.start=EPOCH"
)


@pytest.mark.parametrize(
    ("words", "warning"),
    [
        (("loss=dkd",), SHORTER),
        (("loss=review_kd",), SHORTER),
        (("loss=combined", "loss.terms={dkd: {}, review_kd: {}}"), SHORTER),
        (("scheme=moving_teacher", "loss=kd"), SOONER),
    ],
)
def test_a_first_try_of_one_epoch_has_a_shorter_warmup_and_a_warning(words, warning):
    notes = plan(*words, ONE, base=RESNETS).notes
    assert [note for note in notes if "warning" in note] == [f"warning: distill: {warning}"]


@pytest.mark.parametrize(
    "words",
    [
        ("loss=dkd", "recipe.epochs=20"),
        ("loss=dkd", "loss.weight={value: 1, warmup: 1}", ONE),
        ("scheme=moving_teacher", "recipe.epochs=2"),
    ],
)
def test_a_warmup_that_fits_is_as_it_was_asked_for(words):
    assert not any("warning" in note for note in plan(*words, base=RESNETS).notes)


@pytest.mark.parametrize(
    "words",
    [
        ("scheme=teachers", "scheme.others=[mlp]", "loss=rkd"),
        ("loss=combined", "loss.terms={kd: {}, rkd: {}}"),
    ],
)
def test_a_batch_has_as_many_samples_as_any_part_needs(words):
    assert "it compares the samples of a batch" in refusal(*words, "recipe.batch_size=1")
