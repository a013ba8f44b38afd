"""Stored answers of the teacher stand for the teacher, and never for another one's."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plans import plan, prints, reads, refusal, run_to
from safetensors.torch import load_file
from tiny import TINY, Run

from kdrun.core import atomic
from kdrun.engine import outputs
from kdrun.engine.outputs import Layout, StoredOutputs, Writer
from kdrun.stage import train

CROPPED = ("dataset.augment.crop=1", "recipe.augment=true", "recipe.epochs=4")
STORED = (*CROPPED, "teacher_outputs=stored", "teacher_outputs.dtype=fp32")
ASKING = "outputs-distill"


def student(folder: Path) -> dict[str, Any]:
    """The weights of the distilled student, and what was measured while it learned."""
    weights = load_file(folder / "student" / "weights.safetensors")
    lines = (folder / "student" / "metrics.jsonl").read_text()
    return {**{name: value.tolist() for name, value in weights.items()}, "metrics": lines}


def stages(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run.json").read_text())["stages"]


def answers(folder: Path, views: int, dtype: Any) -> np.ndarray:
    """The stored logits (V, N, C) of 256 images of 10 classes."""
    data = (folder / ASKING / "outputs-logits.bin").read_bytes()
    return np.frombuffer(data, dtype).reshape(views, 256, 10)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three runs and their store; `taken` has the teacher of `off`."""
    folder = tmp_path_factory.mktemp("first")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run_to(folder / "off", *CROPPED)
        run_to(folder / "stored", *STORED)
        run_to(folder / "taken", *STORED, "teacher.run=off")
    return folder


@pytest.fixture
def run_after(first: Path, run_words: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command's words after those runs, with their store."""
    monkeypatch.chdir(first)
    return run_words


def test_a_run_from_stored_answers_is_the_live_run_bit_for_bit(first: Path) -> None:
    assert student(first / "stored") == student(first / "off")


def test_so_it_is_for_networks_of_convolutions_and_parts_of_batches(run_words: Run) -> None:
    nets = ("teacher=resnet8", "student=resnet8", "student.widths=[8,8,16,16]")
    small = (*(word for word in TINY if not word.startswith(("teacher", "student"))), *nets)
    words = ("dataset=fake", "recipe.epochs=2", "recipe.augment=true", "controls=[]")
    stored = ("teacher_outputs=stored", "teacher_outputs.dtype=fp32")
    found = run_words("stored", *words, *stored, before=small)
    assert student(found) == student(run_words("off", *words, before=small))


def test_two_views_in_turn_are_those_of_a_live_teacher(first: Path, run_after: Run) -> None:
    stored = student(run_after("stored", *STORED, "teacher_outputs.views=2"))
    live = student(run_after("live", *CROPPED, "teacher_outputs=live", "teacher_outputs.views=2"))
    assert stored == live
    assert stored != student(first / "off")


def test_half_precision_is_off_by_its_rounding_alone(first: Path, run_after: Run) -> None:
    exact = answers(first / "stored", 4, np.float32)
    words = [word for word in STORED if "dtype" not in word]
    assert np.array_equal(answers(run_after("half", *words), 4, np.float16), exact.astype("f2"))
    assert len({view.tobytes() for view in exact}) == 4  # each view is of other images


def test_the_teacher_is_not_run_where_its_answers_are_stored(
    run_after: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def freeze(*given: Any) -> None:
        raise AssertionError("the teacher was set up")

    monkeypatch.setattr(train, "freeze", freeze)
    second = run_after("second", *STORED, "loss.temperature=2")
    assert {name: stage["from_store"] for name, stage in stages(second).items()} == {
        "teacher": True,
        "alone": True,
        ASKING: True,
        "distill": False,
        "evaluate": False,
    }
    with pytest.raises(AssertionError):
        run_after("third", *CROPPED, "loss.temperature=2")


@pytest.mark.parametrize(
    "change",
    [
        "teacher.hidden=[16]",
        "teacher.recipe={epochs: 1}",
        "recipe.lr=0.01",  # the teacher's too
        "dataset.split_seed=1",
        "dataset.validation=0.2",
        "dataset.augment.crop=2",
        "dataset.test=0.3",
        "recipe.augment=false",
        "recipe.batch_size=32",
        "seed=1",
    ],
)
def test_what_another_teacher_answered_is_never_read(change: str, run_after: Run) -> None:
    after = run_after("after", *STORED, change)
    assert not stages(after)[ASKING]["from_store"]
    assert student(after) == student(run_after("off", *CROPPED, change))


@pytest.mark.parametrize(
    "change", ["seed=1", "recipe.augment=false", "dataset.augment.crop=2", "recipe.batch_size=32"]
)
def test_a_teacher_that_stays_is_asked_again_about_other_images(
    change: str, run_after: Run
) -> None:
    after = run_after("after", *STORED, "teacher.run=off", change)
    assert not stages(after)[ASKING]["from_store"]
    assert student(after) == student(run_after("off", *CROPPED, "teacher.run=off", change))


def test_samples_that_are_not_augmented_have_one_view_for_all_epochs_and_seeds(
    run_after: Run,
) -> None:
    words = (*CROPPED, "teacher.run=off", "recipe.augment=false")
    stored = run_after("once", *words, *STORED[len(CROPPED) :])
    assert answers(stored, 1, np.float32).shape == (1, 256, 10)
    assert student(stored) == student(run_after("not-stored", *words))
    again = run_after("again", *words, *STORED[len(CROPPED) :], "seed=1")
    assert stages(again)[ASKING]["from_store"]
    assert student(again) != student(stored)


@pytest.mark.parametrize(
    "change", ["loss.temperature=2", "loss.alpha=0.3", "student.hidden=[6]", "loss=dkd"]
)
def test_what_the_student_does_changes_nothing_of_the_answers(change: str) -> None:
    own, other = prints(plan(*STORED)), prints(plan(*STORED, change))
    assert own[ASKING] == other[ASKING]
    assert own["distill"] != other["distill"]


@pytest.mark.parametrize(
    "change", ["views=2", "dtype=fp16", "top_k=3"], ids=lambda word: word.partition("=")[0]
)
def test_how_answers_are_kept_tells_students_apart(change: str) -> None:
    own, other = prints(plan(*STORED)), prints(plan(*STORED, f"teacher_outputs.{change}"))
    assert own[ASKING] != other[ASKING]
    assert own["distill"] != other["distill"]


def test_without_storing_the_fingerprints_are_those_of_before() -> None:
    off, live = plan(*CROPPED), plan(*CROPPED, "teacher_outputs=live")
    assert prints(off) == prints(live)
    assert ASKING not in reads(off)


def test_each_stage_with_a_teacher_has_answers_of_its_own() -> None:
    words = ("scheme=assistants", "scheme.assistants=[{name: mlp, hidden: [16], dropout: 0.0}]")
    found = reads(plan(*STORED, *words))
    asked = {name: own for name, own in found.items() if name.startswith("outputs-")}
    assert len(asked) == 2
    assert len(set(asked.values())) == 2


def test_a_step_that_distills_again_reads_the_same_answers(run_after: Run) -> None:
    run = run_after("run", *STORED, "compress=prune")
    assert stages(run)["outputs-compress-2-recover"]["from_store"]


def test_an_interrupted_writer_goes_on_after_its_last_whole_view(
    run_words: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run_words("whole", *STORED)
    written = answers(whole, 4, np.float32)
    (shared,) = Path("outputs/.store").glob("*/outputs-logits.bin")
    record = shared.with_name("artefact.json")
    record.unlink()
    torn = written.tobytes()[: int(2.5 * written[0].nbytes)]
    shared.write_bytes(torn)
    appended: list[int] = []
    append = Writer.append

    def count(writer: Writer, logits: torch.Tensor) -> None:
        appended.append(1)
        append(writer, logits)

    monkeypatch.setattr(Writer, "append", count)
    again = run_words("again", *STORED)
    assert len(appended) == 2
    assert np.array_equal(answers(again, 4, np.float32), written)
    assert student(again) == student(whole)


def test_a_kill_between_two_views_loses_none(
    first: Path, run_words: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atomic, "_passes", type(atomic._passes)())
    monkeypatch.setenv("KDRUN_FAULT", "outputs:2:raise")
    with pytest.raises(RuntimeError, match="injected"):
        run_words("cut", *STORED)
    monkeypatch.setenv("KDRUN_FAULT", "")
    (there,) = Path("outputs/.store").glob("*/outputs-logits.bin")
    assert there.stat().st_size == 2 * 256 * 10 * 4
    assert student(run_words("cut", *STORED)) == student(first / "off")


def test_damaged_answers_are_asked_for_again_and_that_is_told(
    first: Path, run_words: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = run_words("damaged", *STORED)
    (shared,) = Path("outputs/.store").glob("*/outputs-logits.bin")
    data = bytearray(shared.read_bytes())
    data[1000] ^= 1
    shared.write_bytes(data)
    second = run_words("second", *STORED, "loss.temperature=2")
    told = capsys.readouterr()
    assert "is damaged; it is kept as" in told.out + told.err
    assert not stages(second)[ASKING]["from_store"]
    assert student(second) == student(run_words("off", *CROPPED, "loss.temperature=2"))
    assert student(damaged) == student(first / "off")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("loss=fitnet",), "loss 'fitnet' reads the teacher's features (stages"),
        (("loss=crd",), "loss 'crd' reads the teacher's features (embedding)"),
        (("recipe.mixup=0.2",), "recipe.mixup makes other images of each batch"),
        (("recipe.cutmix=1",), "recipe.cutmix makes other images of each batch"),
        (("scheme=moving_teacher",), "uses no teacher whose outputs stay the same"),
        (("scheme=zskt",), "makes the images that the teacher sees"),
        (
            ("scheme=teachers", "scheme.others=[{name: mlp, hidden: [16]}]"),
            "teachers are used, and only the outputs of one can be stored",
        ),
        (("teacher_outputs.top_k=10",), "is 10, and there are 10 classes"),
        (("teacher_outputs.max_gb=1.0e-6",), "is 1e-06, and there would be 1 view of 256 samples"),
        (("teacher_outputs.views=0",), "teacher_outputs.views"),
        (("teacher_outputs.dtype=int8",), "teacher_outputs.dtype"),
    ],
    ids=lambda given: given[0] if isinstance(given, tuple) else "",
)
def test_what_can_not_be_stored_says_why(words: tuple[str, ...], sentence: str) -> None:
    nets = ("teacher=resnet8", "student=resnet8") if words[0].startswith("loss") else ()
    base = [word for word in TINY if not (nets and word.startswith(("teacher", "student")))]
    assert sentence in refusal("teacher_outputs=stored", *nets, *words, base=base)


def test_a_plan_says_how_much_it_will_store() -> None:
    words = ("teacher_outputs=stored", "teacher_outputs.top_k=3")
    told = "outputs-distill: 1 view of 256 samples, the top 3 logits in fp16: 3.6 kB, once"
    assert any(note.startswith(told) for note in plan(*words).notes)


def test_the_top_logits_keep_their_probabilities_and_the_rest_its_mass() -> None:
    logits = torch.randn(50, 20, generator=torch.Generator().manual_seed(0)) * 3
    layout = Layout(views=1, samples=50, classes=20, dtype="fp32", top_k=4)
    packed = {field: torch.from_numpy(values) for field, values in layout.pack(logits).items()}
    found = layout.unpack(packed).softmax(1).double()
    wanted = logits.double().softmax(1)
    best = wanted.topk(4).indices
    torch.testing.assert_close(found.gather(1, best), wanted.gather(1, best), rtol=1e-5, atol=1e-7)
    others = found.scatter(1, best, torch.nan)
    assert all(row[~row.isnan()].std() < 1e-7 for row in others)


def test_a_view_that_lacks_one_of_its_fields_is_written_again(tmp_path: Path) -> None:
    logits = torch.randn(3, 30, 8, generator=torch.Generator().manual_seed(0))
    layout = Layout(views=3, samples=30, classes=8, dtype="fp16", top_k=2)
    writer = Writer(tmp_path, layout)
    writer.begin()
    for view in logits:
        writer.append(view)
    whole = {name: (tmp_path / name).read_bytes() for name in writer.names}
    assert len(whole) == 3
    for name in writer.names[1:]:  # as a kill between two fields of the second view leaves them
        (tmp_path / name).write_bytes(whole[name][: len(whole[name]) // 3 + 1])
    assert writer.begin() == 1
    for view in logits[1:]:
        writer.append(view)
    assert {name: (tmp_path / name).read_bytes() for name in writer.names} == whole


def test_answers_too_large_for_the_device_are_read_by_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits = torch.randn(2, 30, 5, generator=torch.Generator().manual_seed(0))
    layout = Layout(views=2, samples=30, classes=5, dtype="fp32", top_k=None)
    writer = Writer(tmp_path, layout)
    assert writer.begin() == 0
    for view in logits:
        writer.append(view)
    monkeypatch.setattr(outputs, "_RESIDENT", 10)
    there = StoredOutputs(tmp_path, layout, torch.device("cpu"))
    index = torch.tensor([7, 3, 29])
    for view in (1, 0, 1):
        assert torch.equal(there.look_up(view, index).logits, logits[view, index])


def test_a_logit_beyond_half_precision_is_refused_with_what_to_do(
    run_words: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kdrun.core.errors import UserError
    from kdrun.stage.outputs import StoreOutputs

    ask = StoreOutputs._logits_of_view

    def large(stage: StoreOutputs, network: Any, *given: Any) -> torch.Tensor:
        def louder(inputs: torch.Tensor) -> Any:
            output = network(inputs)
            output.logits *= 1e6
            return output

        return ask(stage, louder, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(StoreOutputs, "_logits_of_view", large)
    with pytest.raises(UserError, match="fp16 can't hold") as refused:
        run_words("loud", "teacher_outputs=stored")
    assert "teacher_outputs.dtype=fp32" in str(refused.value)
