"""Stages that train one network: the teacher, the controls, the distilled student."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kdrun import model
from kdrun.compress.weight_pruning import WeightPruning
from kdrun.core.config import Config, Lora, Network, Node, Recipe, StopWhen
from kdrun.core.errors import UserError
from kdrun.core.records.artefact import ArtefactRecord
from kdrun.core.seeds import seed_of
from kdrun.core.taps import module_path
from kdrun.dataset.data import Data
from kdrun.engine import checkpoint
from kdrun.engine.frozen import freeze
from kdrun.engine.loop import train
from kdrun.engine.outputs import StoredOutputs
from kdrun.engine.training_spec import Runtime, Trained, TrainingSpec
from kdrun.loss.base import Loss, losses_in, revisions_of
from kdrun.loss.table import build_loss
from kdrun.model.image.torchvision_models import load_pretrained
from kdrun.stage.artefact import describe_data, write_artefact
from kdrun.stage.base import Stage, StageContext, StageInfo
from kdrun.stage.given_teacher import WeightsSource, write_untrained
from kdrun.stage.invert import train_on
from kdrun.stage.start import (
    Start,
    build_network,
    copy_shared_modules,
    copy_teacher_weights,
    load_start,
    shared_modules,
    start_from_stage,
)
from kdrun.stage.start_files import file_digests
from kdrun.stage.tap_binding import Member, bind_loss, bind_taps, stage_revisions
from kdrun.stage.teacher_layers import chosen_layers
from kdrun.stage.validation_rules import good_enough, stop_identity, weak_teacher_warnings
from kdrun.task import CLASSIFICATION


@dataclass(frozen=True)
class Train:
    """Train a network with a loss; see `Stage`.

    Attributes:
        info: the name of the stage, its folder, and the stages that it reads.
        role: the config key of the network that learns.
        network: the config of that network.
        loss: the config node of the loss.
        recipe: optimizer, schedule, epochs, batch size, augmentation.
        teachers: the stages that make the teachers, if the loss uses any.
        init: `scratch`, `teacher`, or the name of weights of torchvision.
        frozen: globs of module paths that don't learn.
        stop: the validation score at which training ends early.
        images: the stage that makes the training images; None: the dataset's images are used.
        layers: the teacher's layers that the student's start from; empty: those of the same names.
        lora: the low-rank adapters through which a new network learns; None: all weights learn.
        fresh: roles or module paths whose weights are not copied if `init` is `teacher`.
        seeded_as: the name that seeds the starting weights; empty: the role.
        members: for a committee, the config key and the config of each member.
        source: the stage whose network is trained further; empty: a new network is built.
        pruning: how weights become 0 during training; weights that are 0 in the source stay 0.
        views: the number of views (augmented versions) of each image, which epochs show in turn;
            None: every epoch shows a new view.
        outputs: the stage that stores the teacher's outputs; None: the teacher runs in training.
    """

    info: StageInfo
    role: str
    network: Network
    loss: Mapping[str, Any]
    recipe: Recipe
    teachers: tuple[Stage, ...] = ()
    init: str = "scratch"
    frozen: tuple[str, ...] = ()
    stop: StopWhen | None = None
    images: Stage | None = None
    layers: tuple[int, ...] = ()
    lora: Lora | None = None
    fresh: tuple[str, ...] = ()
    seeded_as: str = ""
    members: tuple[Member, ...] = ()
    source: str = ""
    pruning: WeightPruning | None = None
    views: int | None = None
    outputs: Stage | None = None

    @cached_property
    def unbound_loss(self) -> Loss:
        """A loss of this config, for its static properties; training builds another."""
        return build_loss(self.loss)

    def samples(self, data: Data) -> Data:
        """Return the data to learn from: without a teacher, only the labeled samples.

        Raises:
            UserError: labels are needed, and no sample has one.
        """
        if data.train.labeled is None or not self.unbound_loss.needs_labels:
            return data
        labeled = data.labeled_only(self.recipe.repeat_labeled)
        if not labeled.train.size:
            raise UserError(
                "what learns without a teacher needs labels, and no training sample has one.",
                "  take a loss with a teacher, e.g. loss=kd, and a trained one without controls:",
                "  teacher.run=RUN controls=[]; or leave some labels: a smaller dataset.unlabeled",
            )
        return labeled

    def epochs_of(self, data: Data) -> int:
        """Return the number of epochs of the longest phase."""
        steps = self.samples(data).train.steps(self.recipe.batch_size)
        phases = (phase.epochs or self.recipe.epochs for phase in self.unbound_loss.phases())
        return max(self.recipe.within(epochs, steps) for epochs in phases)

    def shortened(self, data: Data) -> list[str]:
        """Return sentences on what the loss's settings put after the end of the training."""
        epochs = self.recipe.epochs_of(self.samples(data).train.steps(self.recipe.batch_size))
        texts = (text for loss in losses_in(self.unbound_loss) for text in loss.shortened(epochs))
        return list(dict.fromkeys(texts))

    def revisions(self, data: Data) -> dict[str, int]:
        """Return what computes other values than before with the same settings -> its revision."""
        loss, networks = self.unbound_loss, [network for _, network in self.members]
        networks += [self.network, *(teacher.network for teacher in self.teachers)]
        changed = {"first phases": len(loss.phases()) > 1, "warm-ups": bool(self.shortened(data))}
        others = {name: 2 for name, is_changed in changed.items() if is_changed}
        return revisions_of(loss) | stage_revisions(loss, networks) | others

    def identity(self, config: Config, data: Data, runtime: Runtime) -> dict[str, Any]:
        networks = (self.network, *dict(self.members).values())
        revisions = self.revisions(data)
        files = file_digests(self.network.node)
        return {
            "stage": "train",
            "role": self.role,
            "seeded_as": self.seeded_as,
            "model": self.network.node,
            "taps": [network.taps.identity() for network in networks],
            "loss": dict(self.loss),
            # The digest of the data tells whether samples are repeated.
            "recipe": self.recipe.model_dump(exclude={"repeat_labeled"}),
            "init": self.init,
            "frozen": list(self.frozen),
            "fresh": list(self.fresh),
            "stop": stop_identity(self.stop, data),
            **({"pruning": self.pruning and asdict(self.pruning)} if self.source else {}),
            **({"views": self.views} if self.views else {}),
            **({"layers": list(self.layers)} if self.layers else {}),
            **({"lora": self.lora.model_dump()} if self.lora else {}),
            **({"files": files} if files else {}),
            **({"revisions": revisions} if revisions else {}),
            **self.environment_identity(config, data, runtime),
        }

    def environment_identity(self, config: Config, data: Data, runtime: Runtime) -> dict[str, Any]:
        """Return the part of the identity that describes the data and the machine."""
        return {
            "data": self.samples(data).digest,
            "augment": data.augment if self.recipe.augment else None,
            "seed": runtime.seed,
            "precision": runtime.hardware.precision,
            "device": runtime.hardware.device.type,
            # The order of sums, and so the last bits, depends on device and threads.
            "threads": runtime.hardware.threads if runtime.hardware.device.type == "cpu" else None,
            "torch": torch.__version__,
            "deterministic": config.deterministic,
            "compile": runtime.compile,
            **({} if data.task.name == CLASSIFICATION else {"task": data.task.name}),
        }

    def execute(self, context: StageContext, folder: Path, fingerprint: str) -> None:
        data = self.samples(context.data).for_networks(self._nodes())
        context = replace(context, data=data)
        if self.images is not None:
            images = context.artefacts[self.images.info.name]
            context = replace(context, data=train_on(context.data, images))
        start = self._start(context)
        if self.lora is not None and not self.source:
            torch.manual_seed(seed_of(context.runtime.seed, "lora", self.seeded_as or self.role))
            start = start.adapted(self.lora)
        if start.complete:
            source = WeightsSource(f"weights {self.init}")
            write_untrained(context, folder, start.network, self.network, source, fingerprint)
            return
        for note in start.notes:
            context.screen.say(f"{self.info.name}: {note}")
        binding_notes: list[str] = []
        spec = self._training_spec(context, start, binding_notes)
        for note in binding_notes:
            context.screen.note(f"{self.info.name}: {note}")
        notes = [*start.notes, *binding_notes]
        trained = train(spec, context.runtime, folder)
        best = self.recipe.select == "best"
        write_artefact(
            folder,
            {
                **self._record(context, start.network, trained, notes, fingerprint),
                "changes": list(start.changes),
            },
            start.stored(trained.best_weights if best else trained.weights),
            None if best else start.stored(trained.best_weights),
        )
        checkpoint.clear(folder)

    def _nodes(self) -> list[Node]:
        """Return the config nodes of the networks that run in the training."""
        teachers = [] if self.outputs is not None else [stage.network for stage in self.teachers]
        networks = [self.network, *(network for _, network in self.members), *teachers]
        return [network.node for network in networks]

    def _start(self, context: StageContext) -> Start:
        """Return the network that learns, with its starting weights."""
        if self.source:
            return start_from_stage(context.artefacts[self.source], self.pruning)
        seeded_as = self.seeded_as or self.role
        network = build_network(self.network.node, context.data, context.runtime.seed, seeded_as)
        if shared_modules(network):
            teacher = context.artefacts[self.teachers[0].info.name]
            copy_shared_modules(network, teacher.network())
        if self.init == "scratch":
            return Start(network, notes=load_start(network, self.network.node, context.data))
        if self.init == "teacher":
            notes = copy_teacher_weights(network, self._teacher_weights(network, context))
            if self.layers:
                notes.append(f"its layers are the teacher's {', '.join(map(str, self.layers))}")
            return Start(network, notes=notes)
        untouched = load_pretrained(network, self.network.name, self.init)
        exception = f", but for {', '.join(untouched)}" if untouched else ""
        notes = [f"started from {self.init}{exception}"]
        return Start(network, notes=notes, complete=not untouched)

    def _teacher_weights(self, network: nn.Module, context: StageContext) -> dict[str, Tensor]:
        """Return the teacher's weights of the chosen layers, without the modules in `fresh`."""
        request = {query: query for query in self.fresh}
        paths = bind_taps(self.role, self.network, network, request, context.data).paths.values()
        prefixes = tuple(f"{module_path(path)}." if path else "" for path in paths)
        weights = context.artefacts["teacher"].weights()
        if self.layers:
            weights = chosen_layers(network, weights, self.layers)
        return {name: value for name, value in weights.items() if not name.startswith(prefixes)}

    def _training_spec(self, context: StageContext, start: Start, notes: list[str]) -> TrainingSpec:
        """Bind the loss to student and teacher, and add sentences on that to `notes`."""
        student = start.network
        torch.manual_seed(seed_of(context.runtime.seed, "loss", self.info.name))
        networks = [context.artefacts[stage.info.name].network() for stage in self.teachers]
        loss = build_loss(self.loss)
        taps = bind_loss(loss, self, student, networks, context.data)
        teacher = None
        if taps.teacher is not None:
            for sentence in weak_teacher_warnings(self.teachers, context):
                context.screen.warn(f"{self.info.name}: {sentence}")
                notes.append(sentence)
        if taps.teacher is not None and self.outputs is None:
            inputs = next(iter(context.data.train.batches(self.recipe.batch_size))).inputs
            network, paths = taps.teacher.network, taps.teacher.paths.values()
            teacher, note = freeze(network, paths, context.runtime.hardware, inputs)
            notes.append(note)
        for note in loss.notes():
            context.screen.say(f"{self.info.name}: {note}")
            notes.append(note)
        outputs = self._outputs(context, notes)
        return TrainingSpec(
            stage=self.info.name,
            model_name=model.main_model(self.network.node),
            student=student,
            teacher=teacher,
            loss=loss,
            data=context.data,
            recipe=self.recipe,
            student_paths=taps.student.paths,
            teacher_paths=taps.teacher.paths if taps.teacher else {},
            frozen=(*self.frozen, *shared_modules(student), *start.frozen),
            good_enough=good_enough(self.stop, context),
            frozen_zeros=start.frozen_zeros,
            views=outputs.layout.views if outputs else self.views,
            outputs=outputs,
            training=context.training,
            revisions=self.revisions(context.data),
        )

    def _outputs(self, context: StageContext, notes: list[str]) -> StoredOutputs | None:
        if self.outputs is None:
            return None
        artefact = context.artefacts[self.outputs.info.name]
        device = context.runtime.hardware.device
        outputs = StoredOutputs.read(artefact.folder, artefact.record, device)
        notes.append(f"teacher's outputs are stored: {outputs.layout}")
        return outputs

    def _record(
        self,
        context: StageContext,
        network: nn.Module,
        trained: Trained,
        notes: list[str],
        fingerprint: str,
    ) -> ArtefactRecord:
        best_scores = trained.best.scores or trained.validation
        best = best_scores if self.recipe.select == "best" else None
        return {
            "fingerprint": fingerprint,
            "stage": self.info.name,
            "model": model.rebuildable(self.network.node, network),
            "data": describe_data(context.data),
            "source": "trained",
            "epochs": trained.epochs,
            "first_epochs": trained.first_epochs,
            "steps": trained.steps,
            "epochs_planned": self.recipe.epochs_of(
                context.data.train.steps(self.recipe.batch_size)
            ),
            "select": self.recipe.select,
            "best_epoch": trained.best.epoch,
            "best_validation_accuracy": best_scores[context.data.task.leading().name],
            "validation": best or trained.validation,
            "seconds": trained.seconds,
            "images_per_second": trained.images_per_second,
            "stopped": trained.stopped,
            "hardware": context.runtime.hardware.reason,
            "instructions": list(trained.instructions),
            "notes": [*notes, *trained.notes],
        }
