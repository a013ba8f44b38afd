"""Stores the teacher's outputs for the training samples, once for all runs that use them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kdrun.core.config import Config, Network, TeacherOutputs
from kdrun.core.errors import UserError
from kdrun.core.instructions import instruction_set
from kdrun.core.records.artefact import ArtefactRecord
from kdrun.core.taps import TappedNetwork
from kdrun.dataset.data import Data, Split
from kdrun.engine.frozen import freeze
from kdrun.engine.outputs import Layout, Writer
from kdrun.engine.training_spec import Runtime
from kdrun.loss.base import losses_in
from kdrun.stage.artefact import describe_data, write_record
from kdrun.stage.base import Stage, StageContext, StageInfo
from kdrun.stage.train import Train

_OFF = "teacher_outputs=off"


@dataclass(frozen=True)
class StoreOutputs:
    """Store the teacher's logits for every view of every training sample; see `Stage`.

    Attributes:
        info: the name of the stage, its folder, and the stage that it reads.
        learner: the stage that learns from the outputs.
        how: the number of views, and the format of the logits.
    """

    info: StageInfo
    learner: Train
    how: TeacherOutputs

    @property
    def teacher(self) -> Stage:
        return self.learner.teachers[0]

    @property
    def role(self) -> str:
        return self.teacher.role

    @property
    def network(self) -> Network:
        return self.teacher.network

    def layout(self, data: Data) -> Layout:
        """Return the format of the stored outputs."""
        train = self.learner.samples(data).train
        views = self.learner.epochs_of(data) if self._is_augmented(train) else 1
        assert self.how.dtype is not None  # the config has a type if outputs are stored
        return Layout(
            views=min(views, self.how.views or views),
            samples=train.size,
            classes=train.num_classes,
            dtype=self.how.dtype,
            top_k=self.how.top_k,
        )

    def _is_augmented(self, train: Split) -> bool:
        """Return whether a sample has another view in each epoch."""
        return self.learner.recipe.augment and train.feed.draw_columns > 0

    def identity(self, config: Config, data: Data, runtime: Runtime) -> dict[str, Any]:
        """Return all that determines the teacher's inputs and the format of its outputs."""
        environment = self.learner.environment_identity(config, data, runtime)
        if not self._is_augmented(self.learner.samples(data).train):
            environment["seed"] = None  # which decides the augmentation alone
        # The last bits of an output may depend on the batch that its sample is part of.
        return {
            "stage": "outputs",
            **environment,
            "layout": asdict(self.layout(data)),
            "batch_size": self.learner.recipe.batch_size,
        }

    def execute(self, context: StageContext, folder: Path, fingerprint: str) -> None:
        started = time.monotonic()
        artefact = context.artefacts[self.teacher.info.name]
        data = self.learner.samples(context.data)
        layout = self.layout(context.data)
        writer = Writer(folder, layout)
        complete_views = writer.begin()
        inputs = next(iter(data.train.batches(self.learner.recipe.batch_size))).inputs
        teacher, note = freeze(artefact.network(), (), context.runtime.hardware, inputs)
        run_teacher = TappedNetwork(teacher, {}, context.runtime.compile)
        for view in range(complete_views, layout.views):
            context.screen.note(f"{self.info.name}: view {view + 1} of {layout.views}")
            writer.append(self._logits_of_view(run_teacher, data, view, context))
        record: ArtefactRecord = {
            "fingerprint": fingerprint,
            "instructions": [instruction_set()],
            "stage": self.info.name,
            "model": artefact.record["model"],
            "data": describe_data(data),
            "layout": asdict(layout),
            "epochs": None,
            "seconds": time.monotonic() - started,
            "notes": [note],
            "said": f"{layout} ({time.monotonic() - started:.1f} s)",
        }
        write_record(folder, record, writer.names)

    @torch.no_grad()
    def _logits_of_view(
        self, run_teacher: TappedNetwork, data: Data, view: int, context: StageContext
    ) -> Tensor:
        """Return the logits (N, C) of a view.

        Augmented samples are computed in the batches of the view's first epoch, others in those of
        an evaluation.

        Raises:
            UserError: a logit is too large for the type.
        """
        hardware, recipe = context.runtime.hardware, self.learner.recipe
        logits = torch.empty(data.train.size, data.train.num_classes, device=hardware.device)
        batches = data.train.batches(recipe.batch_size, hardware.dtype)
        if self._is_augmented(data.train):
            batches = data.train.epoch(
                epoch=view,
                view=view,
                seed=context.runtime.seed,
                batch_size=recipe.batch_size,
                dtype=hardware.dtype,
                whole=True,
            )
        for batch in batches:
            context.runtime.interrupt.check(self.info.name)
            logits[batch.index] = run_teacher(batch.inputs).logits.float()
        logits = logits.cpu()
        largest = logits.abs().max().item()
        if self.how.dtype == "fp16" and not largest <= torch.finfo(torch.float16).max:
            raise UserError(
                f"the teacher's largest logit is {largest:.3g}, which fp16 can't hold.",
                "  teacher_outputs.dtype=fp32",
            )
        return logits


def with_teacher_outputs(config: Config, stages: Sequence[Stage]) -> list[Stage]:
    """Apply the config's `teacher_outputs` to the stages that have a teacher.

    Raises:
        UserError: no stage has a teacher whose outputs can be stored, or a stage needs more than
            logits.
    """
    how = config.teacher_outputs
    if how.name == "off":
        return list(stages)
    planned_stages: list[Stage] = []
    for stage in stages:
        has_teacher = isinstance(stage, Train) and stage.unbound_loss.uses_teacher
        planned_stages += (
            _use_outputs(stage, how) if isinstance(stage, Train) and has_teacher else [stage]
        )
    if all(planned is stage for planned, stage in zip(planned_stages, stages, strict=False)):
        raise UserError(
            f"scheme={config.scheme['name']} with loss={config.loss['name']} uses no teacher whose"
            " outputs stay the same.",
            f"  {_OFF}",
        )
    return planned_stages


def _use_outputs(stage: Train, how: TeacherOutputs) -> list[Stage]:
    """Limit a stage's views; if outputs are stored, add the stage that stores them before it."""
    reason = _reason_against(stage)
    if reason:
        raise UserError(f"in stage {stage.info.name!r} {reason}.", f"  {_OFF}")
    stage = replace(stage, views=how.views)
    if how.name == "live":
        return [stage]
    teacher = stage.teachers[0].info
    name = f"outputs-{stage.info.name}"
    info = StageInfo(
        name=name, folder=name, label="", shared=True, reads=(teacher.name,), data=stage.info.data
    )
    storing_stage = StoreOutputs(info, stage, how)
    learner_info = replace(stage.info, reads=(*stage.info.reads, name))
    return [storing_stage, replace(stage, info=learner_info, outputs=storing_stage)]


def _reason_against(stage: Train) -> str:
    """Return why the teacher's outputs can't be stored; empty if they can."""
    loss, name = stage.unbound_loss, stage.loss["name"]
    teacher_taps = loss.taps().teacher
    if len(stage.teachers) > 1:
        return f"{len(stage.teachers)} teachers are used, and only the outputs of one can be stored"
    if teacher_taps:
        return (
            f"loss {name!r} reads the teacher's features ({', '.join(teacher_taps.values())}),"
            " and only logits are stored"
        )
    if any(part.generates_images for part in losses_in(loss)):
        return f"loss {name!r} makes the images that the teacher sees"
    if stage.images is not None:
        return "the images are made in the run itself"
    mixed = [key for key in ("mixup", "cutmix") if getattr(stage.recipe, key)]
    if mixed:
        return f"recipe.{mixed[0]} makes other images of each batch"
    return ""


def storage_notes(stages: Sequence[Stage], datasets: Mapping[str, Data]) -> list[str]:
    """Return a sentence on what each stage will store."""
    return [
        f"{stage.info.name}: {stage.layout(datasets[stage.info.data])}, once for all runs"
        for stage in stages
        if isinstance(stage, StoreOutputs)
    ]
