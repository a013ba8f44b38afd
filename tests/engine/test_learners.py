"""What learns in a phase, and what stays as it is."""

import pytest
import torch
from torch import Tensor, nn

from kdrun.core.types import MAIN
from kdrun.engine.learners import Learners, covers
from kdrun.loss.base import Loss


class Student(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))
        self.layer2 = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.layer10 = nn.Conv2d(4, 4, 1)
        self.fc = nn.Linear(4, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.layer10(self.layer2(self.layer1(images))).mean((2, 3)))


class Adapting(Loss):
    """A loss with two trainable parts of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.adapter = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8))
        self.decoder = nn.Linear(8, 4)


@pytest.fixture
def student() -> Student:
    torch.manual_seed(0)
    return Student()


def all_names(student: nn.Module, loss: nn.Module) -> set[str]:
    return {f"student.{name}" for name, _ in student.named_parameters()} | {
        f"loss.{name}" for name, _ in loss.named_parameters()
    }


def test_all_of_student_and_loss_learn_in_the_main_phase(student):
    loss = Adapting()
    learners = Learners(student, loss, ())
    chosen = learners.choose(MAIN.trains)
    assert set(chosen) == all_names(student, loss)
    assert all(parameter.requires_grad for parameter in chosen.values())


@pytest.mark.parametrize(
    ("frozen", "still"),
    [
        (("layer1",), {"layer1.0.weight", "layer1.0.bias", "layer1.1.weight", "layer1.1.bias"}),
        (("layer1.*",), {"layer1.0.weight", "layer1.0.bias", "layer1.1.weight", "layer1.1.bias"}),
        (("layer1.0",), {"layer1.0.weight", "layer1.0.bias"}),
        (("layer2.1.weight",), {"layer2.1.weight"}),
        (("*.bias",), {f"{path}.bias" for path in (
            "layer1.0", "layer1.1", "layer2.0", "layer2.1", "layer10", "fc")}),
        (("layer[12]",), {f"layer{n}.{m}.{kind}" for n in "12" for m in "01"
                          for kind in ("weight", "bias")}),
        (("fc", "layer10"), {"fc.weight", "fc.bias", "layer10.weight", "layer10.bias"}),
        (("nothing",), set()),
    ],
)  # fmt: skip
def test_frozen_paths_never_learn(student, frozen, still):
    learners = Learners(student, Adapting(), frozen)
    for trains in (MAIN.trains, ("student.*",), ("*",)):
        chosen = set(learners.choose(trains))
        assert not chosen & {f"student.{name}" for name in still}
    assert {name for name, value in student.named_parameters() if not value.requires_grad} == still


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("layer1", "layer1.0.weight", True),
        ("layer1", "layer10.weight", False),
        ("layer1", "layer1", True),
        ("layer*", "layer10.weight", True),
        ("*.1", "layer1.1.weight", True),
        ("1", "layer1.1.weight", False),
        ("layer1.0.weight", "layer1.0.weight", True),
        ("fc", "other.fc.weight", False),
    ],
)
def test_a_glob_covers_a_path_and_all_below_it(pattern, path, expected):
    assert covers(pattern, path) is expected


def test_a_phase_of_the_loss_alone_leaves_the_student(student):
    loss = Adapting()
    learners = Learners(student, loss, ())
    chosen = set(learners.choose(("loss.adapter.*",)))
    assert chosen == {f"loss.adapter.{n}.{kind}" for n in "01" for kind in ("weight", "bias")}
    assert not any(parameter.requires_grad for parameter in student.parameters())


def test_a_phase_may_train_a_part_of_the_student(student):
    learners = Learners(student, Adapting(), ("layer1.0",))
    chosen = set(learners.choose(("student.layer1.*", "loss.*")))
    assert {name for name in chosen if name.startswith("student")} == {
        "student.layer1.1.weight",
        "student.layer1.1.bias",
    }


def test_the_next_phase_learns_again_what_the_last_one_left(student):
    loss = Adapting()
    learners = Learners(student, loss, ())
    learners.choose(("loss.*",))
    assert set(learners.choose(MAIN.trains)) == all_names(student, loss)
    learners.train()
    assert all(module.training for module in student.modules())


def test_a_frozen_norm_keeps_its_statistics_while_others_go_on(student):
    learners = Learners(student, Adapting(), ("layer1",))
    learners.choose(MAIN.trains)
    learners.train()
    still, moving = student.layer1[1], student.layer2[1]
    before = still.running_mean.clone(), moving.running_mean.clone()
    student(torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)) + 3)
    assert torch.equal(still.running_mean, before[0])
    assert not torch.equal(moving.running_mean, before[1])
    assert still.num_batches_tracked == 0


def test_a_frozen_norm_without_weights_keeps_its_statistics_too(student):
    student.layer1[1] = nn.BatchNorm2d(4, affine=False)
    learners = Learners(student, Adapting(), ("layer1.1",))
    learners.choose(MAIN.trains)
    learners.train()
    before = student.layer1[1].running_mean.clone()
    student(torch.randn(2, 3, 8, 8))
    assert torch.equal(student.layer1[1].running_mean, before)
    assert student.layer2[1].running_mean.any()


def test_a_frozen_part_has_no_dropout(student):
    learners = Learners(student, Adapting(), ("layer1",))
    learners.choose(MAIN.trains)
    learners.train()
    images = torch.ones(2, 3, 8, 8)
    assert torch.equal(student.layer1(images), student.layer1(images))


def test_a_frozen_weight_alone_leaves_its_module_training(student):
    learners = Learners(student, Adapting(), ("layer1.1.weight",))
    learners.choose(MAIN.trains)
    learners.train()
    assert student.layer1[1].training


def test_a_phase_without_the_student_leaves_its_statistics(student):
    learners = Learners(student, Adapting(), ())
    learners.choose(("loss.*",))
    learners.train()
    assert not any(module.training for module in student.modules())
    assert learners.loss.training


def test_train_restores_what_an_evaluation_changed(student):
    learners = Learners(student, Adapting(), ("layer1",))
    learners.choose(MAIN.trains)
    for _ in range(2):
        learners.train()
        modes = [module.training for module in student.modules()]
        student.eval()
    learners.train()
    assert [module.training for module in student.modules()] == modes
    assert not student.layer1[1].training
    assert student.layer2[1].training


def test_only_what_learns_gets_a_gradient(student):
    learners = Learners(student, Adapting(), ("layer1",))
    learners.choose(("student.*",))
    learners.train()
    student(torch.randn(4, 3, 8, 8)).sum().backward()
    assert all(value.grad is None for value in student.layer1.parameters())
    assert all(value.grad is not None for value in student.layer2.parameters())
