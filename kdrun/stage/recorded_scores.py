"""Measures whether a stored network still has the validation scores that its record has.

Its weights may be whole, and the code that computes with them another one: that of kdrun, or of a
package from which the network comes.
"""

from collections.abc import Mapping
from math import isclose, isnan

from kdrun.compress.structure_changes import is_quantized
from kdrun.core.metrics import SHARE
from kdrun.core.records.artefact import validation_score
from kdrun.engine.evaluate import score
from kdrun.stage.artefact import Artefact, explain_other_record
from kdrun.stage.base import StageContext
from kdrun.task.base import Task

# The largest differences of the leading metric, and of the NLL relative to its size, that other
# kernels, batch sizes or devices explain, with room to spare. Of resnet20 and resnet8 on 5,000
# images, other batch sizes and memory formats changed neither; 16 bits in place of 32 changed
# accuracy by up to 0.0006 and the NLL by up to 0.0006 of it. The integers of a quantized network
# enlarge a difference in the last bits of an activation to a step of up to 1 %.
_FP32, _ROUNDED = 0.005, 0.03
_SAMPLES = 3  # so many decisions may differ, however few samples there are


def score_again(artefact: Artefact, context: StageContext) -> str:
    """Measure a stored network on the validation split once more.

    Returns:
        How its scores differ from those in its record; empty if they agree, or if the artefact is
        no network, as stored outputs and images are.
    """
    if "validation" not in artefact.record or "said" in artefact.record:
        return ""
    hardware, batch_size = context.runtime.hardware, context.config.evaluate.batch_size
    network = artefact.network().to(hardware.device)
    scores = score(network, context.data.validation, hardware, batch_size)
    rounded = hardware.precision != "fp32" or is_quantized(artefact.changes)
    return score_difference(artefact, scores, rounded, context.data.task)


def score_difference(
    artefact: Artefact, scores: Mapping[str, float], rounded: bool, task: Task
) -> str:
    """Return how scores of a network differ from those in its record; empty if they agree.

    Args:
        artefact: the network, with scores in its record.
        scores: its scores as measured now, on the same samples.
        rounded: whether it was computed in 16 bits or in integers, now or for its record.
        task: what the network answers.
    """
    tolerance = _ROUNDED if rounded else _FP32
    fewest = max(tolerance, _SAMPLES / scores["n"])
    leading = task.leading()
    tolerances = {leading.name: fewest if leading.unit is SHARE else tolerance}
    if "nll" in task.scores:
        tolerances["nll"] = tolerance
    for name, absolute in tolerances.items():
        with explain_other_record(artefact.folder):
            recorded, now = validation_score(artefact.record, name), scores[name]
        if isnan(recorded) and isnan(now):
            continue
        if not isclose(recorded, now, rel_tol=tolerance, abs_tol=absolute):
            metric = task.scores[name]
            value, sign = metric.unit.text, metric.unit.sign
            return (
                f"has a validation {metric.label} of {value(now)}{sign}, and its record says"
                f" {value(recorded)}{sign}: the code that computes with its weights is another one"
            )
    return ""
