"""What holds for every loss of the table: half precision, gradients, permutations of the batch.

Each loss reads two small networks of images, and of texts if it serves them, and is tried in every
form that its settings give it. The padding of texts changes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import given_texts
import pytest
import torch
import yaml
from given import AT, INFO, B, C, batch, node
from given_texts import padded_batch, padded_output, text_batch
from torch import Tensor, nn

from kdrun import model
from kdrun.config.choices import conf_folder
from kdrun.core.errors import UserError
from kdrun.core.inputs.image import ImageInputs
from kdrun.core.inputs.types import take
from kdrun.core.taps import TappedNetwork, resolve_taps, tap_shapes
from kdrun.core.types import Batch, DataInfo, Output, TapShapes
from kdrun.loss.base import Loss
from kdrun.loss.table import LOSSES, build_loss
from kdrun.stage.start import copy_shared_modules

STUDENT, TEACHER = (
    {"name": "resnet8", "depth": 8, "widths": [4, 4, last, last]} for last in (6, 8)
)
TINY = DataInfo(INFO.classes, ImageInputs(3, (16, 16)), INFO.train_size)

# The forms in which a loss is tried, beside that of its YAML file: settings, and `phase`.
FORMS: dict[str, list[dict[str, Any]]] = {
    "ab": [{"first_epochs": 0}, {"first_epochs": 1, "phase": "first"}],
    "attention": [{"power": power} for power in (1.0, 2.0, 3.0)],
    "cc": [{"form": "neighbours"}, {"form": "kernel"}],
    "combined": [{"terms": {"kd": node("kd"), "sp": node("sp")}}],
    "distilbert": [{}, {"mlm": 2.0}],
    "crd": [{"negatives": 20, "mode": mode} for mode in ("exact", "relax")],
    "fitnet": [{"first_epochs": 0}, {"first_epochs": 1, "phase": "first"}],
    "fsp": [{"first_epochs": 0}, {"first_epochs": 1, "phase": "first"}],
    "ft": [{}, {"phase": "paraphraser"}],
    "jsd": [{"beta": beta} for beta in (0.0, 0.3, 1.0)],
    "kd": [{}, {"alpha": 0.0}, {"alpha": 1.0}],
    "layer_fusion": [{"merge": "concat"}, {"merge": "sum"}],
    "lskd": [{"base": "kd"}, {"base": "dkd"}],
    "mgd": [{"drop": "channels"}, {"drop": "pixels"}, {"masked": 0.0}],
    "minilmv2": [{"relation_heads": 6}],
    "mse": [{}, {"alpha": 1.0}],
    "parameters": [{"distance": distance} for distance in ("squared", "kl")],
    "patient_kd": [{"strategy": "skip"}, {"strategy": "last"}],
    "semckd": [{"samples": 8}],
    "tinybert": [{"first_epochs": 0}, {"first_epochs": 1, "phase": "first"}],
    "tf_kd": [{"source": "virtual"}, {"source": "self"}],
}
SAME_WIDTHS = ("fsp",)  # takes networks of equal widths only
NO_IMAGES = ("distilbert", "minilm", "minilmv2", "patient_kd", "tinybert")

# Losses that refuse texts -> the sentence of the refusal.
NO_TEXTS = {
    "cat_kd": "is no average of feature maps over pixels",
    "kdsvd": "those of a text of few tokens are arbitrary",
    "mgd, drop=pixels": "takes each token of a text by itself",
}

# Exempt from a property -> why.
NO_STUDENT_GRADIENT = {
    ("ft", "paraphraser"): "the first phase trains the paraphraser on the teacher's maps alone",
    ("parameters", "main"): "its terms depend on the student's weights, not on its outputs",
}
DEPENDS_ON_ORDER = {
    "cc, form=neighbours": "compares each sample with the next one of the batch",
    "crd, negatives=20, mode=exact": "draws other negatives for each row of the batch",
    "crd, negatives=20, mode=relax": "draws other negatives for each row of the batch",
    "mgd, drop=channels": "draws another mask for each row of the batch; masked=0 draws none",
    "mgd, drop=pixels": "draws another mask for each row of the batch; masked=0 draws none",
    "semckd, samples=8": "a small network reads a row's products in the order of the batch",
}
OVERFLOWING_GRADIENT = {
    ("fsp", torch.float16): "its gradients are products of three maps, above 65504 for these",
    ("tinybert", torch.float16): "its gradients are products of three projections, as large",
}
# Losses whose learned modules run in full precision under autocast too.
EXACT = ("adversarial", "cc", "crd", "layer_fusion", "pkt", "rkd", "srrl")
NOT_SETTINGS = ("phase", "kind", "student")
HALF = 2e-2  # of float32, where learned modules run in half precision
FULL = 1e-4


@dataclass
class Case:
    """A loss in one of its forms, bound to two networks, and their outputs on a batch."""

    loss: Loss
    phase: str
    student: Output
    teacher: Output
    networks: tuple[nn.Module, nn.Module]
    batch: Batch = field(default_factory=batch)

    def terms(self) -> dict[str, Tensor]:
        torch.manual_seed(0)  # of what a loss draws
        teacher = self.teacher if self.loss.uses_teacher else None
        after_warmup = replace(AT, phase=self.phase, epoch=100, step=100 * 100)
        return self.loss(self.student, teacher, self.batch, after_warmup)

    def change(self, change: Callable[[Tensor], Tensor]) -> None:
        """Change the logits and taps of both networks."""
        for output in (self.student, self.teacher):
            output.logits = change(output.logits)
            output.taps = {name: change(tap) for name, tap in output.taps.items()}


def title(name: str, form: dict[str, Any]) -> str:
    settings = ", ".join(
        f"{k}={v}" for k, v in form.items() if k not in ("terms", "kind", "student")
    )
    return f"{name}, {settings}" if settings else name


def serves(name: str, form: dict[str, Any], kind: str) -> bool:
    return name not in NO_IMAGES if kind == "images" else title(name, form) not in NO_TEXTS


FORMS_OF_ALL = [(name, form) for name in sorted(LOSSES) for form in FORMS.get(name, [{}])]
CASES = [
    pytest.param(name, {**form, "kind": kind}, id=f"{title(name, form)}, {kind}")
    for name, form in FORMS_OF_ALL
    for kind in ("images", "texts")
    if serves(name, form, kind)
]
# Outputs of extreme size overflow learned modules that autocast runs in half precision.
WITH_AND_WITHOUT_AUTOCAST = [
    pytest.param(*case.values, autocast, id=f"{case.id}{', autocast' if autocast else ''}")
    for case in CASES
    for autocast in ([False, True] if case.values[0] in EXACT else [False])
]
every = pytest.mark.parametrize(("name", "form"), CASES)
half = pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])


def build(name: str, form: dict[str, Any]) -> Loss:
    return build_loss(
        node(name, **{key: value for key, value in form.items() if key not in NOT_SETTINGS})
    )


def is_on_logits(name: str, form: dict[str, Any]) -> bool:
    return name != "parameters" and not build(name, form).taps().teacher


def make(name: str, form: dict[str, Any]) -> Case:
    """A bound loss with outputs, whose maps have the deviation 30 and whose logits have 3."""
    torch.manual_seed(0)
    loss = build(name, form)
    is_text = form.get("kind") == "texts"
    given = text_batch() if is_text else batch()
    data = given_texts.TEXTS if is_text else TINY
    nodes = (STUDENT, TEACHER)
    if is_text:
        nodes = (form.get("student", given_texts.STUDENT), given_texts.TEACHER)
    teacher = model.build(nodes[name not in SAME_WIDTHS], data).eval()
    student = model.build(loss.student_node(*nodes), data).eval()
    if name == "simkd":
        copy_shared_modules(student, teacher)
    bound, inputs = [], given.inputs if is_text else torch.randn(B, 3, 16, 16)
    for role, network, request in (
        ("student", student, loss.taps().student),
        ("teacher", teacher, loss.taps().teacher),
    ):
        paths = resolve_taps(role, request, model.module_roles(network), network, data)
        shapes = TapShapes(tap_shapes(network, paths, data), network, paths)
        with torch.no_grad():
            bound.append((shapes, scaled(TappedNetwork(network, paths)(inputs))))
    loss.bind(bound[0][0], bound[1][0], data)
    phase = form.get("phase", AT.phase)
    given = loss.prepare(given, replace(AT, phase=phase))
    return Case(loss.train(), phase, bound[0][1], bound[1][1], (student, teacher), given)


def scaled(output: Output) -> Output:
    taps = {name: 30 * tap / tap.std() for name, tap in output.taps.items()}
    return Output(3 * output.logits / output.logits.std(), taps, output.mask)


def inputs(output: Output) -> list[Tensor]:
    """The logits and taps of a network, as leaves of a graph."""
    output.logits = output.logits.detach().requires_grad_()
    output.taps = {name: tap.detach().requires_grad_() for name, tap in output.taps.items()}
    return [output.logits, *output.taps.values()]


@half
@every
def test_mixed_precision_gives_the_terms_of_float32(name, form, dtype):
    expected, case = make(name, form).terms(), make(name, form)
    learned = any(isinstance(part, nn.Conv2d | nn.Linear) for part in case.loss.modules())
    rtol = HALF if learned and name not in EXACT else FULL
    leaves = inputs(case.student)
    with torch.autocast("cpu", dtype=dtype):
        terms = case.terms()
    assert terms.keys() == expected.keys()
    for term, value in terms.items():
        assert (value.dtype, value.shape) == (torch.float32, ()) and value.isfinite()
        torch.testing.assert_close(value, expected[term], rtol=rtol, atol=1e-6)
    torch.stack(list(terms.values())).sum().backward()
    assert all(leaf.grad.isfinite().all() for leaf in leaves if leaf.grad is not None)


@half
@pytest.mark.parametrize(("name", "form", "autocast"), WITH_AND_WITHOUT_AUTOCAST)
def test_extreme_outputs_in_half_precision_give_finite_terms_and_gradients(
    name, form, dtype, autocast
):
    case = make(name, form)
    case.change(lambda tensor: (1e4 * tensor).clamp(-6e4, 6e4).to(dtype))
    leaves = inputs(case.student)
    with torch.autocast("cpu", dtype=dtype, enabled=autocast):
        terms = case.terms()
    for value in terms.values():
        assert value.dtype == torch.float32 and value.isfinite()
    torch.stack(list(terms.values())).sum().backward()
    gradients = [leaf.grad for leaf in leaves if leaf.grad is not None]
    assert all(gradient.dtype == dtype for gradient in gradients)
    finite = all(gradient.isfinite().all() for gradient in gradients)
    assert finite != ((name, dtype) in OVERFLOWING_GRADIENT)


@every
def test_every_term_has_a_gradient_to_the_student_and_none_to_the_teacher(name, form):
    case = make(name, form)
    students, teachers = inputs(case.student), inputs(case.teacher)
    weights = list(case.networks[1].parameters())
    assert name in ("ce", "kd", "mse") or case.terms().keys() - {"ce", "kd"}
    for term, value in case.terms().items():
        if value.item() == 0 and term in ("ce", "kd"):
            continue  # of weight 0
        reached = torch.autograd.grad(value, students, retain_graph=True, allow_unused=True)
        exempt = (name, case.phase) in NO_STUDENT_GRADIENT and term != "ce"
        assert any(gradient is not None and gradient.any() for gradient in reached) != exempt
    torch.stack(list(case.terms().values())).sum().backward()
    assert all(tensor.grad is None for tensor in (*teachers, *weights))


@every
def test_the_order_of_the_batch_does_not_matter(name, form):
    order = torch.randperm(B, generator=torch.Generator().manual_seed(1))
    case, moved = make(name, form), make(name, form)
    for each in (case, moved):
        each.loss.double()
        each.networks[0].double()
        each.change(torch.Tensor.double)
    moved.change(lambda tensor: tensor[order])
    for output in (moved.student, moved.teacher):
        output.mask = None if output.mask is None else output.mask[order]
    given = moved.batch
    inputs = take(given.inputs, order)
    moved.batch = Batch(inputs, given.targets[order], given.index[order], given.view)
    expected, terms = case.terms(), moved.terms()
    same = all(torch.allclose(terms[t], expected[t], rtol=1e-9, atol=1e-12) for t in expected)
    assert same != (title(name, form) in DEPENDS_ON_ORDER)


@pytest.mark.parametrize(("name", "form"), [case for case in CASES if is_on_logits(*case.values)])
def test_the_order_of_the_classes_does_not_matter_to_losses_on_logits(name, form):
    case, moved = make(name, form), make(name, form)
    order = torch.randperm(C, generator=torch.Generator().manual_seed(1))
    for each in (case, moved):
        each.change(torch.Tensor.double)
    for output in (moved.student, moved.teacher):
        output.logits = output.logits[:, order]
    moved.batch = replace(moved.batch, targets=order.argsort()[moved.batch.targets])
    for term, value in moved.terms().items():
        torch.testing.assert_close(value, case.terms()[term], rtol=1e-9, atol=1e-12)


# Networks of texts that are no transformers -> the losses that they have no layers for.
NO_STAGES = {
    "ab",
    "attention",
    "combined",
    "distilbert",
    "fitnet",
    "fsp",
    "ft",
    "hidden_mse",
    "ickd",
}
NO_STAGES |= {"layer_fusion", "mgd", "minilm", "minilmv2", "nst", "ofd", "patient_kd", "review_kd"}
NO_STAGES |= {"semckd", "sp", "tinybert", "vid"}
ONE_STAGE = {"fitnet", "fsp", "minilm", "minilmv2", "patient_kd", "tinybert"}
UNFIT = {"text_bag": NO_STAGES, "text_cnn": ONE_STAGE, "text_lstm": ONE_STAGE}

# Losses on embeddings, which average over the tokens of a layer.
AVERAGING = [
    pytest.param(name, {**form, "pairs": [("stages[-1]", "stages[-1]")], "kind": "texts"}, id=name)
    for name in ("adversarial", "cc", "cosine", "crd", "pkt", "rkd")
    for form in FORMS.get(name, [{}])[-1:]
]
SRRL = pytest.param("srrl", {"place": "stages[-1]", "kind": "texts"}, id="srrl")


@pytest.mark.parametrize(
    ("name", "form"),
    [*(case for case in CASES if case.values[1]["kind"] == "texts"), *AVERAGING, SRRL],
)
def test_the_padding_of_texts_does_not_count(name, form):
    require_that_padding_does_not_count(name, form)


@pytest.mark.parametrize("network", UNFIT)
@pytest.mark.parametrize(
    ("name", "form"),
    [
        pytest.param(name, form, id=title(name, form))
        for name, form in FORMS_OF_ALL
        if serves(name, form, "texts")
    ],
)
def test_the_padding_of_texts_does_not_count_with_other_students(network, name, form):
    text = (conf_folder() / "model" / f"{network}.yaml").read_text("utf-8")
    form = {**form, "kind": "texts", "student": {**yaml.safe_load(text), "width": 10}}
    if name not in UNFIT[network]:
        require_that_padding_does_not_count(name, form)
        return
    with pytest.raises(UserError):
        make(name, form)


def require_that_padding_does_not_count(name: str, form: dict[str, Any]) -> None:
    case, padded = make(name, form), make(name, form)
    for each in (case, padded):
        each.loss.double()
        each.networks[0].double()
        each.change(lambda tensor: tensor.double() / 30)  # no softmax has a single value above 0
    leaves, padded_leaves = inputs(case.student), inputs(padded.student)
    padded.student, padded.teacher = (padded_output(o, 3) for o in (padded.student, padded.teacher))
    padded.batch = padded_batch(padded.batch, 3)
    expected, terms = case.terms(), padded.terms()
    for term, value in terms.items():
        torch.testing.assert_close(value, expected[term], rtol=1e-5, atol=1e-12)
    gradients, padded_gradients = (
        torch.autograd.grad(torch.stack(list(of.values())).sum(), tensors, allow_unused=True)
        for of, tensors in ((expected, leaves), (terms, padded_leaves))
    )
    for gradient, changed in zip(gradients, padded_gradients, strict=True):
        if gradient is not None:
            largest = gradient.abs().max().item()
            torch.testing.assert_close(changed, gradient, rtol=1e-5, atol=1e-5 * largest)


@pytest.mark.parametrize(
    ("name", "form"), [case for case in FORMS_OF_ALL if not serves(*case, "texts")]
)
def test_losses_that_do_not_serve_texts_say_why(name, form):
    with pytest.raises(UserError, match=NO_TEXTS[title(name, form)]):
        make(name, {**form, "kind": "texts"})


@pytest.mark.parametrize("name", NO_IMAGES)
def test_losses_on_texts_refuse_images(name):
    with pytest.raises(UserError, match=r"tokens of texts|for the role 'queries'|'tokens'"):
        make(name, {**FORMS.get(name, [{}])[0], "kind": "images"})
