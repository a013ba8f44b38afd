"""Losses on the layers of text encoders, against their formulas in plain float64 lines."""

import math
from dataclasses import replace

import pytest
import torch
from given import AT, B, bare, node, shapes
from given_texts import (
    CLS,
    ENCODING,
    MASK,
    PADDING,
    SEP,
    STUDENT,
    TEACHER,
    TEXTS,
    text_batch,
    text_inputs,
    transformer,
)
from plain import Rows, kl, mean, softmax
from torch import Tensor, nn

from kdrun import model
from kdrun.core.attention_heads import attention_heads
from kdrun.core.errors import UserError
from kdrun.core.taps import TappedNetwork, resolve_taps, tap_shapes
from kdrun.core.types import Output, TapShapes
from kdrun.loss.attention_relations import relation_divergence, relation_scores
from kdrun.loss.base import Loss
from kdrun.loss.logits import soft_loss
from kdrun.loss.masked_language import mask_tokens
from kdrun.loss.table import build_loss

LENGTHS = text_inputs()["mask"].sum(1).tolist()
WIDE = transformer(depth=4, width=12)  # a teacher of the student's width


def bind(loss: Loss, student: dict = STUDENT, teacher: dict = TEACHER) -> tuple[Output, Output]:
    """Bind a loss to two transformers; return their outputs on texts, in float64."""
    torch.manual_seed(0)
    taps, outputs, request = [], [], loss.taps()
    for role, config, query in (
        ("student", student, request.student),
        ("teacher", teacher, request.teacher),
    ):
        network = model.build(config, TEXTS).eval()
        paths = resolve_taps(role, query, model.module_roles(network), network, TEXTS)
        taps.append(TapShapes(tap_shapes(network, paths, TEXTS), network, paths))
        with torch.no_grad():
            output = TappedNetwork(network, paths)(text_inputs())
        values = {name: tap.double() / tap.std() for name, tap in output.taps.items()}
        outputs.append(Output(10 * output.logits.double(), values, output.mask))
    loss.bind(*taps, TEXTS)
    loss.double()
    return outputs[0], outputs[1]


def terms(loss: Loss, outputs: tuple[Output, Output], phase: str = "main") -> dict[str, float]:
    with torch.no_grad():
        values = loss(*outputs, text_batch(), replace(AT, phase=phase))
    return {name: value.item() for name, value in values.items()}


def texts(tap: Tensor) -> list[Rows]:
    """The vectors of each text's tokens, without padding."""
    return [text[:length].tolist() for text, length in zip(tap, LENGTHS, strict=True)]


def tokens(tap: Tensor) -> Rows:
    return [token for text in texts(tap) for token in text]


def dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def squares(a: list[float], b: list[float]) -> list[float]:
    return [(x - y) ** 2 for x, y in zip(a, b, strict=True)]


def score_rows(first: Tensor, second: Tensor, heads: int) -> list[list[float]]:
    """For each text, head and token i: the scores of i with all tokens j of the text."""
    size = first.shape[2] // heads
    return [
        [dot(one[head], other[head]) / math.sqrt(size) for other in ys]
        for xs, ys in zip(heads_of(first, heads, size), heads_of(second, heads, size), strict=True)
        for head in range(heads)
        for one in xs
    ]


def heads_of(tap: Tensor, heads: int, size: int) -> list[list[list[list[float]]]]:
    """Channels of each head of each token of each text."""
    return [
        [[token[h * size : (h + 1) * size] for h in range(heads)] for token in text]
        for text in texts(tap)
    ]


def relation(student: Output, teacher: Output, first: str, second: str, heads: int) -> float:
    pairs = zip(
        score_rows(student.taps[first], student.taps[second], heads),
        score_rows(teacher.taps[first], teacher.taps[second], heads),
        strict=True,
    )
    return mean([kl(softmax(t), softmax(s)) for s, t in pairs])


def test_minilm_is_its_formula():
    loss = bare("minilm")
    student, teacher = bind(loss)
    assert terms(loss, (student, teacher)) == pytest.approx(
        {
            "minilm_attention": relation(student, teacher, "queries", "keys", 2),
            "minilm_values": relation(student, teacher, "values", "values", 2),
        },
        rel=1e-9,
    )


def test_minilmv2_is_its_formula_with_heads_that_differ():
    loss = bare("minilmv2", relation_heads=3, teacher_layer=1)
    student, teacher = bind(loss, transformer(heads=4), transformer(depth=4, width=18, heads=2))
    assert terms(loss, (student, teacher)) == pytest.approx(
        {
            f"minilm_{name}": relation(student, teacher, name, name, 3)
            for name in ("queries", "keys", "values")
        },
        rel=1e-9,
    )


def test_relations_of_equal_networks_are_zero():
    for name, heads in (("minilm", {}), ("minilmv2", {"relation_heads": 3})):
        loss = bare(name, **heads)
        student, _ = bind(loss)
        assert max(abs(value) for value in terms(loss, (student, student)).values()) < 1e-12


@pytest.mark.parametrize("name", ["minilm", "tinybert"])
def test_other_heads_are_refused_with_the_loss_that_takes_them(name):
    with pytest.raises(UserError, match="the student has 3 heads, the teacher 2") as error:
        bind(bare(name), transformer(heads=3))
    assert "loss=minilmv2" in str(error.value)


def test_relation_heads_must_divide_both_widths():
    with pytest.raises(
        UserError, match="12 channels of the student and 18 of the teacher"
    ) as error:
        bind(bare("minilmv2"))
    assert "loss.relation_heads=1,2,3,6" in str(error.value)


@pytest.mark.parametrize(("strategy", "layers"), [("skip", [1, 3]), ("last", [3, 4])])
def test_patient_kd_is_its_formula(strategy, layers):
    loss = bare("patient_kd", strategy=strategy)
    student, teacher = bind(loss, transformer(depth=3), transformer(depth=6, width=12))
    layers = {"skip": [1, 3], "last": [3, 4]}[strategy]
    errors = []
    for own, other in enumerate(layers):
        for text in range(B):
            s, t = (
                taps[f"layer[{layer}]"][text, 0].tolist()
                for taps, layer in ((student.taps, own), (teacher.taps, other))
            )
            s, t = ([x / math.sqrt(dot(v, v)) for x in v] for v in (s, t))
            errors += squares(s, t)
    expected = {"patient_kd": pytest.approx(mean(errors), rel=1e-9)}
    assert terms(loss, (student, teacher)) == expected


def test_patient_kd_has_the_soft_targets_and_labels_of_its_yaml():
    loss = build_loss(node("patient_kd"))
    student, teacher = bind(loss)
    given = terms(loss, (student, teacher))
    soft = 0.5 * soft_loss(student.logits, teacher.logits, 5.0).item()
    assert given.keys() == {"ce", "kd", "patient_kd"}
    assert given["kd"] == pytest.approx(soft)


@pytest.mark.parametrize(("student", "teacher"), [(1, 4), (5, 4)])
def test_patient_kd_refuses_depths_without_a_layer_to_learn(student, teacher):
    with pytest.raises(UserError, match=f"the student has {student}, the teacher {teacher}"):
        bind(bare("patient_kd"), transformer(depth=student), transformer(depth=teacher))


def tinybert_terms(
    student: Output, teacher: Output, maps: dict[str, nn.Linear]
) -> dict[str, float]:
    def error(own: str, other: str, linear: nn.Linear) -> float:
        weight, bias = linear.weight.tolist(), linear.bias.tolist()
        mapped = [
            [dot(row, token) + b for row, b in zip(weight, bias, strict=True)]
            for token in tokens(student.taps[own])
        ]
        pairs = zip(mapped, tokens(teacher.taps[other]), strict=True)
        return mean([value for pair in pairs for value in squares(*pair)])

    def attention(own: int, other: int) -> float:
        pairs = zip(
            score_rows(student.taps[f"queries[{own}]"], student.taps[f"keys[{own}]"], 2),
            score_rows(teacher.taps[f"queries[{other}]"], teacher.taps[f"keys[{other}]"], 2),
            strict=True,
        )
        return mean([value for pair in pairs for value in squares(*pair)])

    layers = [(0, 1), (1, 3)]  # of 2 layers and 4
    hidden = [error(f"layer[{own}]", f"layer[{other}]", maps["hidden"]) for own, other in layers]
    return {
        "tinybert_embeddings": error("tokens", "tokens", maps["embedding"]),
        "tinybert_hidden": sum(hidden),
        "tinybert_attention": sum(attention(*layer) for layer in layers),
    }


def test_tinybert_is_its_formula_in_the_first_phase_and_has_soft_targets_in_the_main_one():
    loss = build_loss(node("tinybert"))
    student, teacher = bind(loss)
    maps = {"embedding": loss.embedding_map, "hidden": loss.hidden_map}
    expected = tinybert_terms(student, teacher, maps)
    assert terms(loss, (student, teacher), "first") == pytest.approx(expected, rel=1e-9)
    soft = soft_loss(student.logits, teacher.logits, 1.0).item()
    assert terms(loss, (student, teacher)) == pytest.approx({"kd": soft})
    assert [phase.epochs for phase in loss.phases()] == [20, None]


def test_tinybert_in_one_phase_has_all_terms():
    loss = build_loss(node("tinybert", first_epochs=0))
    assert terms(loss, bind(loss)).keys() == {
        "kd",
        "tinybert_embeddings",
        "tinybert_hidden",
        "tinybert_attention",
    }


def test_equal_widths_have_no_learned_maps():
    loss = bare("tinybert")
    bind(loss, teacher=WIDE)
    assert not list(loss.parameters())


def test_distilbert_is_its_formula():
    loss = build_loss(node("distilbert"))
    student, teacher = bind(loss, teacher=WIDE)
    cosines = [
        dot(s, t) / math.sqrt(dot(s, s) * dot(t, t))
        for s, t in zip(tokens(student.taps["hidden"]), tokens(teacher.taps["hidden"]), strict=True)
    ]
    given = terms(loss, (student, teacher))
    assert given["cosine"] == pytest.approx(1 - mean(cosines), rel=1e-9)
    soft = 5 * soft_loss(student.logits, teacher.logits, 2.0).item()
    assert given["kd"] == pytest.approx(soft)
    assert given.keys() == {"ce", "kd", "cosine"}


def test_hidden_mse_is_the_mean_over_the_tokens_of_each_pair():
    loss = bare("hidden_mse", pairs=[("stages[0]", "stages[1]"), ("stages[1]", "stages[3]")])
    student, teacher = bind(loss, teacher=WIDE)
    expected = [
        mean(
            [
                value
                for pair in zip(tokens(student.taps[tap]), tokens(teacher.taps[tap]), strict=True)
                for value in squares(*pair)
            ]
        )
        for tap in ("tap0", "tap1")
    ]
    assert terms(loss, (student, teacher)) == {"hidden_mse": pytest.approx(sum(expected))}


def test_masking_hides_words_alone_and_in_the_published_shares():
    torch.manual_seed(0)
    batch = text_batch()
    tokens, mask = batch.inputs["tokens"], batch.inputs["mask"]
    kinds = dict.fromkeys(("hidden", "other", "same"), 0)
    words = 0
    for _ in range(400):
        masked = mask_tokens(batch, ENCODING).inputs
        guessed = masked["guessed"]
        is_guessed = guessed != -100
        assert torch.equal(masked["tokens"][~is_guessed], tokens[~is_guessed])
        assert torch.equal(guessed[is_guessed], tokens[is_guessed])
        assert not torch.isin(tokens[is_guessed], torch.tensor([PADDING, CLS, SEP])).any()
        assert mask[is_guessed].all()
        shown = masked["tokens"][is_guessed]
        kinds["hidden"] += (shown == MASK).sum().item()
        kinds["same"] += (shown == tokens[is_guessed]).sum().item()
        kinds["other"] += ((shown != MASK) & (shown != tokens[is_guessed])).sum().item()
        words += (mask & (tokens > SEP)).sum().item()
    total = sum(kinds.values())
    assert total / words == pytest.approx(0.15, abs=0.01)
    shares = {kind: count / total for kind, count in kinds.items()}
    assert shares == pytest.approx({"hidden": 0.8, "other": 0.1, "same": 0.1}, abs=0.03)


def test_masked_language_modeling_is_its_formula_and_learns_through_the_embedding():
    loss = build_loss(node("distilbert", mlm=2.0))
    student, teacher = bind(loss)
    torch.manual_seed(1)
    batch = loss.prepare(text_batch(), AT)
    head, embedding = loss.head, loss.head._embedding[0].double()
    value = loss(student, teacher, batch, AT)["mlm"]
    losses = []
    for text, position in (batch.inputs["guessed"] != -100).nonzero().tolist():
        vector = head.transform(student.taps["hidden"][text, position])
        logits = [
            dot(row, vector.tolist()) + bias
            for row, bias in zip(embedding.weight.tolist(), head.bias.tolist(), strict=True)
        ]
        losses.append(-math.log(softmax(logits)[batch.inputs["guessed"][text, position]]))
    assert value.item() == pytest.approx(2 * mean(losses), rel=1e-9)
    value.backward()
    assert embedding.weight.grad.abs().sum() > 0
    assert not any(name.startswith("head._embedding") for name in loss.state_dict())


def test_masked_language_modeling_needs_a_mask_token():
    loss = build_loss(node("distilbert", mlm=2.0))
    network = model.build(STUDENT, TEXTS)
    network.encoding = replace(ENCODING, mask=None)
    taps = TapShapes(
        {"hidden": (2, 9, 12), "tokens": (2, 9, 12)}, network, {"hidden": "", "tokens": "tokens"}
    )
    with pytest.raises(UserError, match="no token for hidden ones"):
        loss.bind(taps, taps, TEXTS)


@pytest.mark.parametrize(
    "name", ["distilbert", "minilm", "minilmv2", "patient_kd", "tinybert", "hidden_mse", "fitnet"]
)
def test_two_tokenizers_are_refused_where_tokens_are_compared(name):
    loss = build_loss(node(name))
    student, teacher = (model.build(config, TEXTS) for config in (STUDENT, WIDE))
    teacher.encoding = replace(ENCODING, digest="others")
    taps = [
        TapShapes(dict.fromkeys(loss.taps().student, (2, 9, 12)), network, {})
        for network in (student, teacher)
    ]
    taps = [replace(each, paths={name: name for name in each.shapes}) for each in taps]
    with pytest.raises(UserError, match="two tokenizers"):
        loss.bind(*taps, TEXTS)


@pytest.mark.parametrize("name", ["rkd", "cosine", "sp", "ickd", "kd"])
def test_losses_that_compare_no_tokens_take_two_tokenizers(name):
    loss = build_loss(node(name))
    other = replace(ENCODING, digest="others")
    networks = [model.build(STUDENT, TEXTS), model.build(WIDE, TEXTS)]
    networks[1].encoding = other
    taps = [shapes({"tap": (9, 12)}, network) for network in networks]
    loss.bind(*taps, TEXTS)


def test_a_vector_is_not_compared_with_tokens():
    loss = bare("hidden_mse", pairs=[("embedding", "stages[-1]")])
    with pytest.raises(UserError, match="token by token, and head:in"):
        bind(loss)


def test_the_number_of_heads_is_found_around_the_projection_or_in_the_config():
    network = model.build(transformer(heads=3), TEXTS)
    assert attention_heads(network, "layers.1.attention.query") == 3
    plain = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(UserError, match="how many attention heads"):
        attention_heads(plain, "0")
    plain.config = type("Config", (), {"num_attention_heads": 5})()
    assert attention_heads(plain, "0") == 5


def test_relations_are_the_attention_of_transformers():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=ENCODING.size,
        hidden_size=12,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=8,
        attn_implementation="eager",
    )
    bert = transformers.BertModel(config).double().eval()
    given, taps = text_inputs(), {}
    attention = bert.encoder.layer[1].attention.self
    for name, module in (("queries", attention.query), ("keys", attention.key)):
        module.weight.data.mul_(50)  # far from a uniform attention
        module.register_forward_hook(lambda *call, name=name: taps.update({name: call[2]}))
    with torch.no_grad():
        ids, mask = given["tokens"], given["mask"]
        expected = bert(ids, attention_mask=mask.long(), output_attentions=True).attentions[1]
    output = Output(torch.zeros(B, 1), taps, mask)
    heads = attention_heads(bert, "encoder.layer.1.attention.self.query")
    scores = relation_scores(output, "queries", "keys", heads)
    rows = mask[:, None, :, None].expand_as(expected)
    attended = scores.masked_fill(~mask[:, None, None], float("-inf")).softmax(3)
    assert heads == 3
    torch.testing.assert_close(attended[rows], expected[rows])
    # The divergence between these scores and uniform ones, from the probabilities of transformers.
    p = expected.where(mask[:, None, None], 0)
    entropies = (p * p.clamp_min(1e-300).log()).sum(3) + mask.sum(1).log()[:, None, None]
    divergence = relation_divergence(torch.zeros_like(scores), scores, mask)
    assert divergence.item() == pytest.approx(entropies[rows[..., 0]].mean().item(), rel=1e-5)


def test_the_cosine_of_distilbert_is_that_of_its_published_code():
    """Its code takes torch's cosine embedding loss of the tokens, with the target 1."""
    loss = bare("distilbert")
    student, teacher = bind(loss, teacher=WIDE)
    s, t = (
        torch.tensor(tokens(output.taps["hidden"]), dtype=torch.float64)
        for output in (student, teacher)
    )
    published = nn.functional.cosine_embedding_loss(s, t, torch.ones(len(s)))
    assert terms(loss, (student, teacher))["cosine"] == pytest.approx(published.item())
