"""The step that sets single weights to 0."""

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt
from torch import nn

from kdrun.compress.masks import prunable, sparsity_of
from kdrun.compress.step_inputs import StepInputs
from kdrun.compress.structure_changes import CompressionResult, zeros_change
from kdrun.compress.weight_pruning import WeightPruning
from kdrun.compress.weight_scores import magnitude
from kdrun.core.errors import UserError
from kdrun.core.ranges import UnitAboveZero, UnitBelowOne
from kdrun.core.types import DataInfo
from kdrun.stage.base import Stage
from kdrun.step.context import Quantizes, StepContext
from kdrun.step.strength import Strength

Pattern = Annotated[list[PositiveInt], Field(min_length=2, max_length=2)]


class PruneWeights:
    """Set the weights with the lowest scores to 0, at once or during further training.

    Args:
        sparsity: share of the weights to prune.
        score: how weights are scored.
        scope: rank the weights of all layers together, or prune the same share of each layer.
        pattern: [kept, of], keep so many weights of each group of `of` inputs; replaces `sparsity`.
        layers: a glob of module paths.
        schedule: prune at once, or during further training.
        rises: number of times that the sparsity rises during training.
        until: share of the training after which the full sparsity is reached.
        lr_share: factor of the recipe's learning rate in that training.
        recipe: keys that differ from the run's recipe in that training.
    """

    quantizes: Quantizes | None = None
    strength: Strength | None = Strength("sparsity", 0.0, 0.99, excludes=("pattern",))

    def __init__(
        self,
        sparsity: UnitBelowOne,
        score: Literal["magnitude", "taylor", "random", "movement"],
        scope: Literal["global", "layer"],
        pattern: Pattern | None,
        layers: str,
        schedule: Literal["one_shot", "iterative", "cubic"],
        rises: PositiveInt,
        until: UnitAboveZero,
        lr_share: PositiveFloat,
        recipe: dict[str, Any] | None,
    ) -> None:
        pair = (pattern[0], pattern[1]) if pattern else None
        self.pruning = WeightPruning(sparsity, score, scope, pair, layers, schedule, rises, until)
        self.lr_share, self.recipe = lr_share, recipe
        self.needs_labels = "score=taylor" if score == "taylor" else ""

    def check(self, network: nn.Module, info: DataInfo) -> nn.Module:
        """Check that the settings agree, and that layers match the glob.

        Raises:
            UserError: the settings don't agree, or no layer matches.
        """
        weights = prunable(network, self.pruning.layers)
        if self.pruning.pattern is not None:
            _check_pattern(*self.pruning.pattern, [weight.shape[1] for weight in weights.values()])
        if self.pruning.scope == "layer":
            self.pruning.masks(magnitude(weights), self.pruning.sparsity)
        if self.pruning.schedule == "one_shot":
            self._check_one_shot()
        else:
            self._check_gradual()
        return network

    def _check_one_shot(self) -> None:
        if self.pruning.score == "movement":
            raise UserError(
                "score=movement is computed from gradients during training.",
                "  prune while training: schedule=cubic; or take score=taylor",
            )

    def _check_gradual(self) -> None:
        if self.pruning.pattern or self.pruning.score in ("taylor", "random"):
            setting = "a pattern" if self.pruning.pattern else f"score={self.pruning.score}"
            raise UserError(
                f"{setting} works only with schedule=one_shot, and this is"
                f" schedule={self.pruning.schedule}.",
                "  take schedule=one_shot, or score=magnitude or movement without a pattern",
            )

    def stages(self, context: StepContext) -> list[Stage]:
        """Return one stage, which prunes the network at once or during training.

        Raises:
            UserError: `compress.target` is set, but this pruning needs training.
        """
        if self.pruning.schedule == "one_shot":
            return [context.compress(self)]
        if context.config.compress.target is not None:
            raise UserError(
                f"prune_weights has schedule={self.pruning.schedule}, and compress.target tries"
                " steps that are done at once.",
                "  take schedule=one_shot, or compress.target=null",
            )
        recipe = context.recipe(self.lr_share, self.recipe)
        if context.teacher is None and not getattr(context.origin, "teachers", ()):
            return [replace(context.finetune(recipe), pruning=self.pruning)]
        return [replace(context.distill(None, recipe), pruning=self.pruning)]

    def apply(self, network: nn.Module, step_inputs: StepInputs) -> CompressionResult:
        """Prune the network to its full sparsity."""
        masks = self.pruning.prune_at_once(network, step_inputs)
        unpruned = sorted(set(prunable(network, self.pruning.layers)) - set(masks))
        notes = [f"{sparsity_of(masks):.1%} of the weights of {len(masks)} layers are 0"]
        if unpruned:
            notes.append(
                f"not pruned, as their inputs don't form whole groups: {', '.join(unpruned)}"
            )
        return CompressionResult(network, [zeros_change(list(masks))], notes)


def _check_pattern(kept: int, of: int, input_counts: list[int]) -> None:
    """Check that a pattern prunes some weights of layers with these numbers of inputs."""
    if kept >= of:
        raise UserError(
            f"pattern=[{kept}, {of}] prunes nothing.",
            "  the first number, how many stay, must be the smaller: [2, 4]",
        )
    if all(count % of for count in input_counts):
        raise UserError(
            f"no layer has a multiple of {of} inputs, as pattern=[{kept}, {of}] asks.",
            "  take a smaller group, or a sparsity",
        )
