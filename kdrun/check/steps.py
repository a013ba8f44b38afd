"""Whether each step of compression can be done, and what learns on after it: tried beforehand."""

from collections.abc import Mapping
from functools import partial

from torch import nn

from kdrun import model
from kdrun.check.losses import join
from kdrun.compress.quantize.calibration import check_inputs
from kdrun.compress.weight_pruning import WeightPruning
from kdrun.core.config import Config
from kdrun.core.errors import Fault, UserError, collect
from kdrun.dataset.data import Data
from kdrun.model.table import COMPOSED
from kdrun.stage.base import Stage
from kdrun.stage.compress import Compress
from kdrun.stage.repeated import make_protocol
from kdrun.stage.step_inputs import calibration_batches
from kdrun.stage.train import Train
from kdrun.step.base import Quantizes, Step
from kdrun.step.plan import PlannedStep, origin_of, plan_steps


def compressible(
    config: Config,
    datasets: Mapping[str, Data],
    built: dict[str, nn.Module],
    stages: list[Stage],
) -> list[Fault]:
    """Whether each step of compression can be done with the network that it is for."""
    planned: list[PlannedStep] = []
    faults = collect(lambda: planned.extend(plan_steps(config, stages)), "compress")
    computing = [one for _, _, own in planned for one in own if isinstance(one, Compress)]
    if not faults and not computing:
        faults += _in_vain(config)
    if not planned:
        return faults
    origin = origin_of(config, stages)
    network, data = built.get(origin.role), datasets[origin.info.data]
    if network is None or origin.network.name in COMPOSED:
        network = model.build(origin.network.node, data.info)
    learner = network
    if any(step.quantizes == "network" for _, step, _ in planned):
        drawn = calibration_batches(data, config.seed, config.compress.calibration)
        faults += collect(lambda: check_inputs([images for images, _ in drawn]), "dataset")
    rounded: Quantizes | None = None
    for key, step, own in planned:
        made: list[nn.Module] = []
        found = collect(partial(_refuse_twice, key, rounded, step.quantizes), f"compress.{key}")
        found += collect(partial(_check_step, step, network, data, made), f"compress.{key}")
        faults += found
        if found:
            return faults  # what comes after it would be judged by another network
        rounded = step.quantizes or rounded
        learner = made[0] if step.quantizes or not isinstance(own[-1], Train) else learner
        if not step.quantizes:  # a step after quantization works on what the numbers stand for
            network = made[0]
        for stage in own:
            if isinstance(stage, Train):
                faults += collect(partial(join, stage, built, data, learner), f"compress.{key}")
            if isinstance(stage, Train) and stage.pruning is not None:
                faults += collect(partial(_check_growth, stage.pruning, learner), f"compress.{key}")
    return faults


def split_again(config: Config, data: Data) -> None:
    """Split the validation split as the protocol has it, to see whether that can be done.

    Raises:
        UserError: it can't.
    """
    if config.evaluate.protocol is not None:
        for _ in make_protocol(config.evaluate.protocol).parts(
            data.validation.targets.numpy(), config.seed
        ):
            pass


def _refuse_twice(key: str, before: Quantizes | None, now: Quantizes | None) -> None:
    """Refuse to round a network where layers were, or layers where a network was: it undoes it."""
    if before and now and before != now:
        what = {"layers": "the weights of layers", "network": "the whole network"}
        raise UserError(
            f"{key} rounds {what[now]}, and a step before it rounded {what[before]} already.",
            "  take one of them: quantize_static or qat, or else quantize_weights and"
            " quantize_dynamic",
        )


def _in_vain(config: Config) -> list[Fault]:
    """Settings that are about steps which change a network at once, where there is none."""
    asked = {
        "compress.target": config.compress.target,
        "evaluate.protocol": config.evaluate.protocol,
    }
    what = "is about steps of compression, and none here chooses anything; see kdrun list steps"
    return [Fault(key, what) for key, value in asked.items() if value is not None]


def _check_growth(pruning: WeightPruning, learner: nn.Module) -> None:
    pruning.gradual(learner)


def _check_step(step: Step, network: nn.Module, data: Data, made: list[nn.Module]) -> None:
    made.append(step.check(network, data.info))
