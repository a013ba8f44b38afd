"""The training loop on a few digits: phases, stops, parts of a batch, averages, resuming."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from text_data import dataset_node
from torch import Tensor, nn

from kdrun import dataset
from kdrun.core.config import Recipe
from kdrun.core.device import Hardware
from kdrun.core.errors import DamagedFile, Interrupted, NonFinite
from kdrun.core.metrics_log import MetricsLog
from kdrun.core.screen import Screen
from kdrun.core.store import BEST_WEIGHTS, METRICS
from kdrun.core.types import MAIN, Batch, Output, Phase, Progress
from kdrun.dataset.data import Data
from kdrun.engine import loop
from kdrun.engine.checkpoint import load, save
from kdrun.engine.display import Display
from kdrun.engine.interrupt import Interrupt
from kdrun.engine.loop import train
from kdrun.engine.training_spec import Runtime, Trained, TrainingSpec
from kdrun.engine.update import Update
from kdrun.engine.watch import make_watch
from kdrun.engine.weights import read_best
from kdrun.loss.base import Loss
from kdrun.loss.functional import label_loss
from kdrun.loss.logits import KD, CrossEntropy

CONF = Path(__file__).parents[2] / "conf"
CPU = torch.device("cpu")


def settings(group: str, name: str) -> dict:
    return {
        **yaml.safe_load((CONF / group / "_base.yaml").read_text()),
        **yaml.safe_load((CONF / group / f"{name}.yaml").read_text()),
    }


@pytest.fixture(scope="module")
def data() -> Data:
    return dataset.load(dataset_node("digits", root="data", subset=160))


@pytest.fixture
def recipe() -> Recipe:
    tree = settings("recipe", "quick")
    tree.pop("defaults")
    tree |= {"epochs": 2, "batch_size": 16, "warmup_epochs": 0}
    tree["optimizer"] = {"name": "sgd", "momentum": 0.9}
    tree["schedule"] = {"name": "constant"}
    tree |= {"lr": 0.1, "weight_decay": 0.001}
    return Recipe.model_validate(tree)


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    return Runtime(
        seed=0,
        hardware=Hardware(CPU, "fp32", 1, 1, "test"),
        compile=False,
        checkpoint_seconds=1e9,
        display=Display(Screen()),
        interrupt=Interrupt(),
        watch=make_watch("none", tmp_path),
    )


def network(width: int = 16, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))


@pytest.fixture
def learn(
    data: Data, recipe: Recipe, runtime: Runtime, tmp_path: Path
) -> Callable[..., tuple[Trained, nn.Module]]:
    """Train a small network; the recipe's keys and the lesson's parts as arguments."""

    def run(
        folder: str = "stage",
        runtime: Runtime = runtime,
        spec: dict | None = None,
        **keys: object,
    ) -> tuple[Trained, nn.Module]:
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        parts = {"student": network(), "teacher": None, "loss": CrossEntropy(), **(spec or {})}
        whole = Recipe.model_validate({**recipe.model_dump(), **keys})
        task = TrainingSpec(stage="test", model_name="mlp", data=data, recipe=whole, **parts)
        return train(task, runtime, place), task.student

    return run


def curve(folder: Path, name: str = "loss", split: str = "train") -> list[float]:
    return [line[name] for line in MetricsLog(folder / METRICS).read() if line["split"] == split]


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first
    )


def test_training_lowers_the_loss(learn: Callable, tmp_path: Path) -> None:
    trained, _ = learn(epochs=8)
    losses = curve(tmp_path / "stage")
    assert losses[-1] < 0.75 * losses[0]
    assert trained.epochs == 8
    assert trained.validation["accuracy"] > 0.5


def test_the_first_epochs_losses_are_those_of_a_loop_written_out(
    data: Data, learn: Callable, tmp_path: Path
) -> None:
    learn()
    student = network()
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1, momentum=0.9, weight_decay=0.001)
    means = []
    for epoch in range(2):
        losses = []
        for batch in data.train.epoch(epoch=epoch, view=epoch, seed=0, batch_size=16):
            loss = nn.functional.cross_entropy(student(batch.inputs), batch.targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        means.append(sum(losses) / len(losses))
    assert curve(tmp_path / "stage") == pytest.approx(means, rel=1e-5)


@pytest.mark.parametrize("at", [1, 7, 9, 12, 18])
def test_resume_gives_the_same_weights(
    at: int, learn: Callable, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hard = {"epochs": 2, "ema": 0.9, "mixup": 0.3, "cutmix": 0.5, "label_smoothing": 0.1}
    expected, _ = learn("whole", **hard)
    restless = replace(runtime, checkpoint_seconds=1e-9)
    monkeypatch.setattr("kdrun.core.atomic._passes", _Counter())
    monkeypatch.setenv("KDRUN_FAULT", f"step:{at}:raise")
    with pytest.raises(RuntimeError, match="injected"):
        learn("cut", runtime=restless, **hard)
    monkeypatch.delenv("KDRUN_FAULT")
    resumed, _ = learn("cut", runtime=restless, **hard)
    assert same(resumed.weights, expected.weights)
    assert same(resumed.best_weights, expected.best_weights)
    whole, cut = (MetricsLog(tmp_path / name / METRICS).read() for name in ("whole", "cut"))
    assert cut == whole


@pytest.mark.parametrize(
    "change",
    [
        {"position": None},
        {"position": {}},
        {"student": {}},
        {"student": {"1.weight": torch.zeros(1)}},
        {"optimizer": {"state": {}, "param_groups": []}},
        {"optimizer": {"state": {0: {"momentum_buffer": 1}}, "param_groups": [{}]}},
        {"scores": "x"},
        {"sums": [1]},
        {"metrics_offset": "x"},
    ],
    ids=str,
)
def test_a_checkpoint_with_other_contents_is_no_fault(
    change: dict, learn: Callable[..., tuple[Trained, nn.Module]], tmp_path: Path
) -> None:
    learn(epochs=1)
    state = load(tmp_path / "stage", print)
    assert state is not None
    (tmp_path / "stage/checkpoint.pt").unlink()
    save(tmp_path / "stage", {**state, **change})
    with pytest.raises(DamagedFile, match="is no state of this training"):
        learn(epochs=2)


@pytest.mark.parametrize("lost", [[0], [3], [0, 1, 2, 3]], ids=str)
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_checkpoint_that_lacks_the_state_of_a_parameter_is_damaged(
    optimizer: str, lost: list[int], learn: Callable, tmp_path: Path
) -> None:
    settings = {"adamw": {"betas": [0.9, 0.999], "eps": 1e-8}, "sgd": {"momentum": 0.9}}
    recipe = {"optimizer": {"name": optimizer, **settings[optimizer]}}
    learn(epochs=1, **recipe)
    state = load(tmp_path / "stage", print)
    assert state is not None
    for number in lost:
        del state["optimizer"]["state"][number]
    (tmp_path / "stage/checkpoint.pt").unlink()
    save(tmp_path / "stage", state)
    with pytest.raises(DamagedFile, match="parameters lack the state of their optimizer") as caught:
        learn(epochs=2, **recipe)
    assert caught.value.status == 9


def test_measurements_that_no_checkpoint_knows_are_cut_back(
    learn: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that dies between the measurements of an epoch and its checkpoint."""
    learn("whole", epochs=3)
    saves = iter([loop.save, None])
    with monkeypatch.context() as patch, pytest.raises(TypeError, match="not callable"):
        patch.setattr(loop, "save", lambda *given: next(saves)(*given))
        learn("cut", epochs=3)
    whole, cut = (MetricsLog(tmp_path / name / METRICS) for name in ("whole", "cut"))
    assert len(cut.read()) == 4
    learn("cut", epochs=3)
    assert cut.read() == whole.read()


def test_a_checkpoint_of_another_revision_is_not_continued(
    learn: Callable, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An objective that was corrected meanwhile never ends what the old one began."""
    expected, _ = learn("whole")
    monkeypatch.setattr("kdrun.core.atomic._passes", _Counter())
    monkeypatch.setenv("KDRUN_FAULT", "step:12:raise")
    with pytest.raises(RuntimeError, match="injected"):
        learn(
            "cut",
            runtime=replace(runtime, checkpoint_seconds=1e-9),
            spec={"student": network(seed=9)},
        )
    monkeypatch.delenv("KDRUN_FAULT")
    resumed, _ = learn("cut", spec={"revisions": {"DIST": 2}})
    assert same(resumed.weights, expected.weights)
    (note,) = resumed.notes
    assert note == (
        "test begins anew: its checkpoint is of another version of kdrun, which computed other"
        " values (DIST)"
    )


def test_measurements_after_the_last_checkpoint_are_made_again(
    learn: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies after the lines of the second epoch and before their checkpoint."""
    expected, _ = learn("whole", epochs=3)
    saves = []

    def die(folder: Path, state: dict) -> int:
        saves.append(state["position"]["epoch"])
        if len(saves) == 2:
            raise RuntimeError("injected")
        return save(folder, state)

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="injected"):
        patch.setattr("kdrun.engine.loop.save", die)
        learn("cut", epochs=3)
    assert saves == [1, 2]
    assert MetricsLog(tmp_path / "cut" / METRICS).read()[-1]["epoch"] == 2
    resumed, _ = learn("cut", epochs=3)
    assert same(resumed.weights, expected.weights)
    whole, cut = (MetricsLog(tmp_path / name / METRICS).read() for name in ("whole", "cut"))
    assert cut == whole


@pytest.fixture
def cut(
    learn: Callable, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Path]:
    """Begin a training and break it off in its second epoch."""

    def begin(training: str) -> Path:
        monkeypatch.setattr("kdrun.core.atomic._passes", _Counter())
        monkeypatch.setenv("KDRUN_FAULT", "step:12:raise")
        with pytest.raises(RuntimeError, match="injected"):
            learn(
                "cut",
                runtime=replace(runtime, checkpoint_seconds=1e-9),
                spec={"student": network(seed=9), "training": training},
            )
        monkeypatch.delenv("KDRUN_FAULT")
        return tmp_path / "cut"

    return begin


def test_a_checkpoint_of_another_training_is_not_continued(
    learn: Callable, cut: Callable[..., Path]
) -> None:
    """With other pictures, settings or teachers a stage begins anew, and says so."""
    cut("before")
    resumed, _ = learn("cut", spec={"training": "after"})
    assert same(resumed.weights, learn("whole")[0].weights)
    (note,) = resumed.notes
    assert note.startswith("checkpoint.pt: it is of another training")


def test_a_stage_whose_checkpoints_were_deleted_says_that_it_begins_anew(
    learn: Callable, cut: Callable[..., Path]
) -> None:
    for path in cut("same").glob("checkpoint*"):
        path.unlink()
    resumed, _ = learn("cut", spec={"training": "same"})
    assert same(resumed.weights, learn("whole")[0].weights)
    assert resumed.notes == ("test begins anew: measurements of it are there, but no checkpoint",)


def test_a_training_resumed_on_another_cpu_has_the_instructions_of_both(
    learn: Callable, cut: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    cut("same")
    before = learn("whole")[0].instructions
    monkeypatch.setattr("kdrun.engine.loop.instruction_set", lambda: "another CPU's")
    assert learn("cut", spec={"training": "same"})[0].instructions == (*before, "another CPU's")


class _Counter(dict):
    def __missing__(self, key: str) -> int:
        return 0


def test_parts_of_a_batch_add_up_to_the_whole(learn: Callable) -> None:
    whole, _ = learn("whole", epochs=1)
    parts, _ = learn("parts", epochs=1, accumulate=3)
    for name, value in whole.weights.items():
        torch.testing.assert_close(parts.weights[name], value, rtol=1e-4, atol=1e-6)


def test_a_batch_is_prepared_once_before_it_is_mixed_and_parted(learn: Callable) -> None:
    class Redrawn(CrossEntropy):
        def __init__(self) -> None:
            super().__init__()
            self.prepared, self.seen = 0, []

        def prepare(self, batch: Batch, progress: Progress) -> Batch:
            assert len(batch.targets) == 16 and batch.soft_targets is None
            self.prepared += 1
            return replace(batch, targets=torch.full_like(batch.targets, 3))

        def forward(self, student, teacher, batch, at) -> dict[str, Tensor]:
            self.seen.append(batch.soft_targets)
            return super().forward(student, teacher, batch, at)

    loss = Redrawn()
    learn(spec={"loss": loss}, epochs=1, accumulate=3, label_smoothing=0.1, mixup=0.5)
    assert len(loss.seen) == 3 * loss.prepared > 3
    assert all((soft.argmax(1) == 3).all() and (soft > 0).all() for soft in loss.seen)


def test_averaged_weights_follow_the_last_ones(learn: Callable) -> None:
    trained, student = learn(epochs=1, ema=0.5)
    last = student.state_dict()
    moved = [not torch.equal(trained.weights[name], last[name]) for name in last]
    assert all(moved)
    start = network().state_dict()
    for name in last:
        to_last = (trained.weights[name] - last[name]).norm()
        to_start = (trained.weights[name] - start[name]).norm()
        assert to_last < to_start


def test_early_stopping_waits_for_its_patience(learn: Callable) -> None:
    trained, _ = learn(epochs=30, lr=1e-9, patience=3)
    assert trained.epochs == 4
    assert trained.best.epoch == 1
    assert "3 epochs" in trained.stopped


def test_training_stops_when_it_is_good_enough(learn: Callable) -> None:
    trained, _ = learn(epochs=30, spec={"good_enough": lambda scores: scores["accuracy"] >= 0.5})
    assert trained.epochs < 30
    assert trained.validation["accuracy"] >= 0.5
    assert trained.stopped.startswith("good enough")


def test_a_stopped_stage_stays_stopped_when_resumed(
    learn: Callable, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = {"good_enough": lambda scores: True}
    first, _ = learn(epochs=5, spec=stop)
    again, _ = learn(epochs=5, spec=stop)
    assert (first.epochs, again.epochs) == (1, 1)
    assert same(first.weights, again.weights)


def test_best_weights_are_those_of_the_best_epoch(learn: Callable, tmp_path: Path) -> None:
    trained, _ = learn(epochs=6, lr=0.5)
    accuracies = curve(tmp_path / "stage", "accuracy", "validation")
    assert trained.best.scores["accuracy"] == max(accuracies)
    assert trained.best.epoch == accuracies.index(max(accuracies)) + 1


def test_frozen_modules_keep_their_weights(learn: Callable) -> None:
    trained, _ = learn(spec={"frozen": ("1",)})
    start = network().state_dict()
    assert torch.equal(trained.weights["1.weight"], start["1.weight"])
    assert not torch.equal(trained.weights["3.weight"], start["3.weight"])


class Poisoned(Loss):
    """Cross-entropy beside a term that breaks at a step."""

    uses_teacher = False

    def __init__(self, at: int, value: float) -> None:
        super().__init__()
        self.at, self.value = at, value

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        term = student.logits.sum() * (self.value if progress.step == self.at else 0.0)
        return {"ce": label_loss(student.logits, batch), "hint": term}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_term_that_is_no_number_stops_before_the_update(
    value: float, learn: Callable, runtime: Runtime, tmp_path: Path
) -> None:
    with pytest.raises(NonFinite, match="'hint'") as caught:
        learn(epochs=3, spec={"loss": Poisoned(12, value)})
    assert caught.value.status == 6
    state = load(tmp_path / "stage", print)
    assert state is not None
    assert state["position"]["epoch"] == 1
    assert all(torch.isfinite(weight).all() for weight in state["student"].values())


class TwoPhases(Loss):
    """An adapter learns alone for an epoch, then the student does."""

    uses_teacher = False

    def __init__(self) -> None:
        super().__init__()
        self.adapter = nn.Linear(10, 10)

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("adapter", epochs=1, trains=("loss.adapter.*",)), MAIN)

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        if progress.phase == "adapter":
            return {"hint": label_loss(self.adapter(student.logits), batch)}
        return {"ce": label_loss(student.logits, batch)}


@pytest.mark.parametrize("at", [None, 4, 13])
def test_a_first_phase_trains_its_own_parameters(
    at: int | None,
    learn: Callable,
    runtime: Runtime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: dict[str, list[Tensor]] = {"adapter": [], "main": []}

    class Watched(TwoPhases):
        def forward(
            self, student: Output, teacher: object, batch: Batch, progress: Progress
        ) -> dict:
            seen[progress.phase].append(learner[1].weight.detach().clone())
            return super().forward(student, teacher, batch, progress)

    torch.manual_seed(1)
    first, second = Watched(), Watched()
    second.load_state_dict(first.state_dict())
    learner = network()
    restless = replace(runtime, checkpoint_seconds=1e-9)
    if at is not None:
        monkeypatch.setattr("kdrun.core.atomic._passes", _Counter())
        monkeypatch.setenv("KDRUN_FAULT", f"step:{at}:raise")
        with pytest.raises(RuntimeError, match="injected"):
            learn(runtime=restless, spec={"loss": first, "student": learner})
        monkeypatch.delenv("KDRUN_FAULT")
        learner = network()
    learn(runtime=restless, spec={"loss": second, "student": learner})
    start = network()[1].weight
    assert all(torch.equal(weight, start) for weight in seen["adapter"])
    assert not torch.equal(seen["main"][-1], start)
    phases = [line["phase"] for line in MetricsLog(tmp_path / "stage" / METRICS).read()]
    assert phases == ["adapter"] * 2 + ["main"] * 4


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_low_precision_learns_too(precision: str, learn: Callable, runtime: Runtime) -> None:
    low = replace(runtime, hardware=Hardware(CPU, precision, 1, 1, "test"))
    trained, _ = learn(runtime=low, epochs=5)
    assert trained.validation["accuracy"] > 0.5
    assert all(value.dtype == torch.float32 for value in trained.weights.values())


def test_a_student_learns_from_its_teacher_alone(learn: Callable, data: Data) -> None:
    _, teacher = learn("teacher", epochs=10)
    teacher.eval().requires_grad_(False).zero_grad()
    loss = KD(alpha=1.0, temperature=4.0)
    _, student = learn("student", epochs=10, lr=0.01, spec={"teacher": teacher, "loss": loss})
    batch = next(data.validation.batches(1000))
    agreement = (student(batch.inputs).argmax(1) == teacher(batch.inputs).argmax(1)).float().mean()
    assert agreement > 0.5
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_a_signal_ends_training_after_a_step(
    learn: Callable, runtime: Runtime, tmp_path: Path
) -> None:
    runtime.interrupt.signal = 15
    with pytest.raises(Interrupted) as caught:
        learn()
    assert caught.value.status == 143
    state = load(tmp_path / "stage", print)
    assert state is not None
    assert state["position"]["step"] == 1


@pytest.mark.parametrize("warmup", [0, 1])
def test_a_first_phase_keeps_the_rate_and_the_main_phase_has_the_schedule(
    warmup: int, learn: Callable, tmp_path: Path
) -> None:
    class Longer(TwoPhases):
        def phases(self) -> tuple[Phase, ...]:
            return (replace(super().phases()[0], epochs=3), MAIN)

    cosine = {"name": "cosine", "last": 0.0}
    learn(spec={"loss": Longer()}, epochs=4, schedule=cosine, warmup_epochs=warmup)
    rates = curve(tmp_path / "stage", "lr")
    assert rates[:3] == pytest.approx([0.1, 0.1, 0.1])
    assert rates[3] > rates[4] > rates[5] > rates[6]
    assert rates[6] < 0.02


class SteepLoss(Loss):
    """Cross-entropy plus 0, which has an infinite gradient to one parameter at one step."""

    uses_teacher = False

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at
        self.steep = nn.Parameter(torch.ones(()))

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        zero = self.steep - self.steep.detach()
        term = zero.sqrt() if progress.step == self.at else zero
        return {"ce": label_loss(student.logits, batch), "hint": term}


EPOCH = 10  # steps of an epoch of these digits


@pytest.mark.parametrize("reads_each_step", [True, False])
@pytest.mark.parametrize(
    ("at", "kept"), [(EPOCH - 1, 0), (EPOCH + 3, 1), (2 * EPOCH - 1, 1), (3 * EPOCH - 1, 2)]
)
def test_an_infinite_gradient_of_a_finite_loss_is_never_saved(
    at: int,
    kept: int,
    reads_each_step: bool,
    learn: Callable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Update, "reads_each_step", reads_each_step)
    student = network()
    with pytest.raises(NonFinite, match=r"'loss\.steep'") as caught:
        learn(epochs=3, spec={"loss": SteepLoss(at), "student": student})
    assert caught.value.status == 6
    message = caught.value.lines[0]
    assert "'test'" in message and f"epoch {at // EPOCH + 1}" in message
    if reads_each_step:
        assert f"at step {at + 1} " in message
        assert all(torch.isfinite(weight).all() for weight in student.parameters())
    state = load(tmp_path / "stage", print)
    assert (state is not None) == bool(kept)
    if state is not None:
        assert state["position"]["epoch"] == kept
        saved = (*state["student"].values(), *state["loss"].values())
        assert all(torch.isfinite(weight).all() for weight in saved)
    if (tmp_path / "stage" / BEST_WEIGHTS).exists():
        best = read_best(tmp_path / "stage").values()
        assert all(torch.isfinite(weight).all() for weight in best)


def test_weights_that_the_last_step_made_infinite_are_never_saved(
    learn: Callable, tmp_path: Path
) -> None:
    with pytest.raises(NonFinite, match="the norm of the parameter 'student"):
        learn(epochs=1, batch_size=160, lr=1e38)
    assert load(tmp_path / "stage", print) is None


class OverflowingLoss(CrossEntropy):
    """Cross-entropy whose gradient is too large for fp16's first scale at one step."""

    def forward(self, student, teacher, batch, progress) -> dict[str, Tensor]:
        terms = super().forward(student, teacher, batch, progress)
        zero = student.logits.float().sum() * (1e35 if progress.step == 3 else 0.0)
        return {**terms, "hint": zero - zero.detach()}


def test_fp16_skips_a_step_whose_gradient_overflows(
    learn: Callable, runtime: Runtime, tmp_path: Path
) -> None:
    low = replace(runtime, hardware=Hardware(CPU, "fp16", 1, 1, "test"))
    trained, _ = learn(runtime=low, epochs=5, spec={"loss": OverflowingLoss()})
    assert trained.validation["accuracy"] > 0.5
    assert all(0 < norm < 10 for norm in curve(tmp_path / "stage", "grad_norm"))


def test_the_mean_norm_of_the_gradient_is_recorded(learn: Callable, tmp_path: Path) -> None:
    norms = []

    class Watched(CrossEntropy):
        def prepare(self, batch: Batch, progress: Progress) -> Batch:
            if progress.step:
                norms.append(nn.utils.get_total_norm([p.grad for p in student.parameters()]))
            return batch

    student = network()
    learn(epochs=1, spec={"loss": Watched(), "student": student})
    norms.append(nn.utils.get_total_norm([p.grad for p in student.parameters()]))
    (recorded,) = curve(tmp_path / "stage", "grad_norm")
    assert recorded == pytest.approx(torch.stack(norms).mean().item())


def test_clipping_is_that_of_pytorch_to_the_bit(learn: Callable, data: Data) -> None:
    clipped, _ = learn(epochs=1, clip_norm=0.5, weight_decay=0.0)
    student = network()
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1, momentum=0.9, fused=True)
    for batch in data.train.epoch(epoch=0, view=0, seed=0, batch_size=16):
        optimizer.zero_grad()
        nn.functional.cross_entropy(student(batch.inputs), batch.targets).backward()
        nn.utils.clip_grad_norm_(student.parameters(), 0.5)
        optimizer.step()
    assert same(clipped.weights, student.state_dict())
