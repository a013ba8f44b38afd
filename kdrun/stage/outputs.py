"""What the teacher answers to the training images, asked once for all runs that learn from it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kdrun.core.config import Config, Network, TeacherOutputs
from kdrun.core.errors import UserError
from kdrun.core.records.artefact import ArtefactRecord
from kdrun.core.taps import TappedNetwork
from kdrun.dataset.data import Data
from kdrun.engine.frozen import freeze
from kdrun.engine.outputs import Layout, Writer, layout_record
from kdrun.engine.training_spec import Runtime
from kdrun.loss.base import losses_in
from kdrun.stage.artefact import describe_data, write_record
from kdrun.stage.base import Stage, StageContext, StageInfo
from kdrun.stage.train import Train

_LIVE = "teacher_outputs=off"


@dataclass(frozen=True)
class AskTeacher:
    """Store the teacher's logits for every view of every training image; see `Stage`.

    Attributes:
        info: where the stage stands.
        learner: the stage that learns from them.
        how: which views, and how they are kept.
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
        """How what the teacher answers will lie on the disk."""
        train = self.learner.samples(data).train
        views = self.learner.epochs_of(data)
        assert self.how.dtype is not None  # the config has one wherever outputs are stored
        return Layout(
            views=min(views, self.how.views or views),
            samples=train.size,
            classes=train.num_classes,
            dtype=self.how.dtype,
            top_k=self.how.top_k,
        )

    def identity(self, config: Config, data: Data, runtime: Runtime) -> dict[str, Any]:
        """As the learner's, but for what does not change what the teacher is asked."""
        own = self.learner.surroundings(config, data, runtime)
        recipe = self.learner.recipe
        layout = layout_record(self.layout(data))
        # The sums of an answer may depend on the batch that it is part of.
        return {"stage": "outputs", **own, **layout, "batch_size": recipe.batch_size}

    def execute(self, context: StageContext, folder: Path, fingerprint: str) -> None:
        started = time.monotonic()
        artefact = context.artefacts[self.teacher.info.name]
        data = self.learner.samples(context.data)
        layout = self.layout(context.data)
        writer = Writer(folder, layout)
        done = writer.begin()
        images = next(iter(data.train.batches(self.learner.recipe.batch_size))).inputs
        teacher, how = freeze(artefact.network(), (), context.runtime.hardware, images)
        ask = TappedNetwork(teacher, {}, context.runtime.compile)
        for view in range(done, layout.views):
            context.screen.note(f"{self.info.name}: view {view + 1} of {layout.views}")
            writer.append(self._answers(ask, data, view, context))
        record: ArtefactRecord = {
            "fingerprint": fingerprint,
            "stage": self.info.name,
            "model": artefact.record["model"],
            "data": describe_data(data),
            "layout": asdict(layout),
            "epochs": None,
            "seconds": time.monotonic() - started,
            "notes": [how],
            "said": f"{layout} ({time.monotonic() - started:.1f} s)",
        }
        write_record(folder, record, writer.names)

    @torch.no_grad()
    def _answers(self, ask: TappedNetwork, data: Data, view: int, context: StageContext) -> Tensor:
        """Logits (N, C) of every image in a view, asked in the batches of the view's first epoch.

        Raises:
            UserError: a logit is beyond what the type can hold.
        """
        hardware, recipe = context.runtime.hardware, self.learner.recipe
        found = torch.empty(data.train.size, data.train.num_classes, device=hardware.device)
        batches = data.train.epoch(
            epoch=view,
            view=view,
            seed=context.runtime.seed,
            batch_size=recipe.batch_size,
            augment=recipe.augment,
            dtype=hardware.dtype,
            whole=True,
        )
        for batch in batches:
            context.runtime.interrupt.check(self.info.name)
            found[batch.index] = ask(batch.inputs).logits.float()
        found = found.cpu()
        largest = found.abs().max().item()
        if self.how.dtype == "fp16" and not largest <= torch.finfo(torch.float16).max:
            raise UserError(
                f"the teacher's largest logit is {largest:.3g}, which fp16 can't hold.",
                "  teacher_outputs.dtype=fp32",
            )
        return found


def with_outputs(config: Config, stages: Sequence[Stage]) -> list[Stage]:
    """The stages, those with a teacher led to what `teacher_outputs` asks for.

    Raises:
        UserError: none has a teacher whose answers can be stored, or one needs more than logits.
    """
    how = config.teacher_outputs
    if how.name == "off":
        return list(stages)
    found: list[Stage] = []
    for stage in stages:
        taught = isinstance(stage, Train) and stage.unbound_loss.uses_teacher
        found += _led(stage, how) if isinstance(stage, Train) and taught else [stage]
    if all(one is stage for one, stage in zip(found, stages, strict=False)):
        raise UserError(
            f"scheme={config.scheme['name']} with loss={config.loss['name']} asks no teacher whose"
            " answers stay the same.",
            f"  {_LIVE}",
        )
    return found


def _led(stage: Train, how: TeacherOutputs) -> list[Stage]:
    reason = _why_not(stage)
    if reason:
        raise UserError(f"in stage {stage.info.name!r} {reason}.", f"  {_LIVE}")
    stage = replace(stage, views=how.views)
    if how.name == "live":
        return [stage]
    teacher = stage.teachers[0].info
    name = f"outputs-{stage.info.name}"
    info = StageInfo(name, name, "", shared=True, reads=(teacher.name,), data=stage.info.data)
    asking = AskTeacher(info, stage, how)
    reads = replace(stage.info, reads=(*stage.info.reads, name))
    return [asking, replace(stage, info=reads, outputs=asking)]


def _why_not(stage: Train) -> str:
    """Why a stage's teacher has to answer anew each time; empty where it need not."""
    loss, name = stage.unbound_loss, stage.loss["name"]
    asked = loss.taps().teacher
    if len(stage.teachers) > 1:
        return f"{len(stage.teachers)} teachers answer, and the outputs of one are stored"
    if asked:
        return (
            f"loss {name!r} reads the teacher's features ({', '.join(asked.values())}), and only"
            " logits are stored"
        )
    if any(part.generates_images for part in losses_in(loss)):
        return f"loss {name!r} makes the images that the teacher sees"
    if stage.images is not None:
        return "the images are made in the run itself"
    mixed = [key for key in ("mixup", "cutmix") if getattr(stage.recipe, key)]
    if mixed:
        return f"recipe.{mixed[0]} makes other images of each batch"
    return ""


def told(stages: Sequence[Stage], datasets: Mapping[str, Data]) -> list[str]:
    """A sentence on what each stage will store."""
    return [
        f"{stage.info.name}: {stage.layout(datasets[stage.info.data])}, once for all runs"
        for stage in stages
        if isinstance(stage, AskTeacher)
    ]
