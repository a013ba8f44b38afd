"""Tries each step of compression, and the training after it, before the run starts."""

from collections.abc import Sequence

from kdrun import model
from kdrun.check.built import BuiltRun
from kdrun.check.losses import check_loss
from kdrun.compress.quantize.calibration import check_inputs
from kdrun.compress.step_inputs import without_labels
from kdrun.core.errors import UserError
from kdrun.dataset.data import Data
from kdrun.model.table import COMPOSED
from kdrun.stage.base import MAIN
from kdrun.stage.compress import Compress
from kdrun.stage.repeated import make_protocol
from kdrun.stage.step_inputs import calibration_batches
from kdrun.stage.train import Train
from kdrun.step.context import Quantizes, Step
from kdrun.step.plan import PlannedStep, origin_of, plan_steps


def check_steps(run: BuiltRun) -> None:
    """Plan the steps of compression and try each, if there are no other faults."""
    if not run.stages or run.faults:
        return
    with run.faults.under("compress"):
        steps = plan_steps(run.config, run.stages)
        if not any(isinstance(stage, Compress) for _, _, stages in steps for stage in stages):
            _refuse_unused_settings(run)
        if steps:
            _try_steps(run, steps)


def check_protocol(run: BuiltRun) -> None:
    """Check that the validation split can be divided as the protocol divides it."""
    if run.faults or "evaluate" not in run.sound or run.config.evaluate.protocol is None:
        return
    targets = run.datasets[MAIN].validation.targets.numpy()
    with run.faults.under("evaluate.protocol"):
        for _ in make_protocol(run.config.evaluate.protocol).splits(targets, run.config.seed):
            pass


def _try_steps(run: BuiltRun, steps: Sequence[PlannedStep]) -> None:
    """Change the network step by step, and try the training after each step with the result."""
    origin = origin_of(run.config, run.stages)
    network, data = run.modules.get(origin.role), run.datasets[origin.info.data]
    if network is None or origin.network.name in COMPOSED:
        network = model.build(origin.network.node, data.info)
    if any(step.quantizes == "network" for _, step, _ in steps):
        _check_calibration(run, data)
    learner = network
    quantized: Quantizes | None = None
    for key, step, stages in steps:
        count_before = len(run.faults)
        with run.faults.under(f"compress.{key}"):
            _refuse_second_quantization(key, quantized, step.quantizes)
        with run.faults.under(f"compress.{key}"):
            changed = step.check(network, data.info)
            _require_labels(step, data)
        if len(run.faults) > count_before:
            return  # later steps would be tried with another network than in the run
        quantized = step.quantizes or quantized
        if step.quantizes or not isinstance(stages[-1], Train):
            learner = changed
        if not step.quantizes:  # a step after quantization works on the weights in float
            network = changed
        for stage in stages:
            if isinstance(stage, Train):
                with run.faults.under(f"compress.{key}"):
                    check_loss(stage, run.modules, data, learner)
            if isinstance(stage, Train) and stage.pruning is not None:
                with run.faults.under(f"compress.{key}"):
                    stage.pruning.gradual(learner)


def _check_calibration(run: BuiltRun, data: Data) -> None:
    count = run.config.compress.calibration
    with run.faults.under("dataset"):
        batches = calibration_batches(data, run.config.seed, count)
        check_inputs([inputs for inputs, _ in batches])


def _require_labels(step: Step, data: Data) -> None:
    """Refuse a step with a setting that needs labels, if no training sample has one."""
    setting = getattr(step, "needs_labels", "")
    if setting and not data.labeled_only().train.size:
        raise without_labels(setting)


def _refuse_second_quantization(
    key: str, earlier: Quantizes | None, current: Quantizes | None
) -> None:
    """Refuse to quantize layers after the network, or the reverse: the second undoes the first.

    Args:
        key: the step's name in the config.
        earlier: what an earlier step quantizes: `layers`, `network`, or nothing.
        current: what this step quantizes.
    """
    if earlier and current and earlier != current:
        names = {"layers": "the weights of layers", "network": "the whole network"}
        raise UserError(
            f"{key} rounds {names[current]}, and a step before it rounded {names[earlier]}"
            " already.",
            "  take one of them: quantize_static or qat, or else quantize_weights and"
            " quantize_dynamic",
        )


def _refuse_unused_settings(run: BuiltRun) -> None:
    """Refuse settings that no step uses: they are for steps that change a network at once."""
    settings: dict[str, object] = {"compress.target": run.config.compress.target}
    if "evaluate" in run.sound:
        settings["evaluate.protocol"] = run.config.evaluate.protocol
    for key, value in settings.items():
        if value is not None:
            message = "is for compression steps that choose something, and this run has none"
            run.faults.add(key, f"{message}; see kdrun list steps")
