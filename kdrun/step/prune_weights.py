"""Single weights become 0."""

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt
from torch import nn

from kdrun.compress.apply_step import Changed
from kdrun.compress.masks import prunable, sparsity_of
from kdrun.compress.step_inputs import StepInputs
from kdrun.compress.structure_changes import zeros
from kdrun.compress.weight_pruning import Pruning
from kdrun.compress.weight_scores import magnitude
from kdrun.core.errors import UserError
from kdrun.core.ranges import UnitAboveZero, UnitBelowOne
from kdrun.core.types import DataInfo
from kdrun.stage.base import Stage
from kdrun.step.base import Before, Rounds

Pattern = Annotated[list[PositiveInt], Field(min_length=2, max_length=2)]


class PruneWeights:
    """Set weights to 0 by their scores, at once or while the network learns on.

    Args:
        sparsity: the share that becomes 0.
        score: the lowest go.
        scope: over all weights together, or the same share of each layer's.
        pattern: kept weights, of how many in a row; instead of a sparsity.
        layers: a glob of module paths.
        schedule: at once, or while the network learns on.
        rises: how often the sparsity rises then.
        until: the share of that training by which all of it is reached.
        lr_share: of the recipe's learning rate.
        recipe: keys that differ from the run's recipe.
    """

    rounds: Rounds = ""

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
        kept = (pattern[0], pattern[1]) if pattern else None
        self.plan = Pruning(sparsity, score, scope, kept, layers, schedule, rises, until)
        self.lr_share, self.recipe = lr_share, recipe

    def check(self, network: nn.Module, info: DataInfo) -> nn.Module:
        """Look for the layers, and whether the settings go together.

        Raises:
            UserError: they don't, or no layer has such a path.
        """
        known = prunable(network, self.plan.layers)
        if self.plan.pattern is not None:
            _check_pattern(*self.plan.pattern, [one.shape[1] for one in known.values()])
        if self.plan.scope == "layer":
            self.plan.masks(magnitude(known), self.plan.sparsity)
        if self.plan.schedule == "one_shot":
            self._check_at_once()
        else:
            self._check_over_time()
        return network

    def _check_at_once(self) -> None:
        if self.plan.score == "movement":
            raise UserError(
                "score=movement looks at where training takes the weights.",
                "  prune while training: schedule=cubic; or take score=taylor",
            )

    def _check_over_time(self) -> None:
        if self.plan.pattern or self.plan.score in ("taylor", "random"):
            what = "a pattern" if self.plan.pattern else f"score={self.plan.score}"
            raise UserError(
                f"{what} is for pruning at once, and schedule={self.plan.schedule}.",
                "  take schedule=one_shot, or score=magnitude or movement without a pattern",
            )

    def stages(self, before: Before) -> list[Stage]:
        """One stage: in which the network is changed, or learns on.

        Raises:
            UserError: it is to learn on, and to be searched.
        """
        if self.plan.schedule == "one_shot":
            return [before.changed_by(self)]
        if before.config.compress.target is not None:
            raise UserError(
                f"prune_weights has schedule={self.plan.schedule}, and compress.target tries steps"
                " that are done at once.",
                "  take schedule=one_shot, or compress.target=null",
            )
        recipe = before.recipe(self.lr_share, self.recipe)
        if before.teacher is None and not getattr(before.origin, "teachers", ()):
            return [replace(before.alone(recipe), pruning=self.plan)]
        return [replace(before.taught(None, recipe), pruning=self.plan)]

    def apply(self, network: nn.Module, material: StepInputs) -> Changed:
        """Prune the network, all of it now."""
        masks = self.plan.at_once(network, material)
        whole = sorted(set(prunable(network, self.plan.layers)) - set(masks))
        notes = [f"{sparsity_of(masks):.1%} of the weights of {len(masks)} layers are 0"]
        if whole:
            notes.append(f"without whole groups, and left alone: {', '.join(whole)}")
        return Changed(network, [zeros(list(masks))], notes)


def _check_pattern(kept: int, of: int, inputs: list[int]) -> None:
    if kept >= of:
        raise UserError(
            f"pattern=[{kept}, {of}] leaves nothing out.",
            "  the first number, of those that stay, is the smaller: [2, 4]",
        )
    if all(count % of for count in inputs):
        raise UserError(
            f"no layer has a multiple of {of} inputs, as pattern=[{kept}, {of}] asks.",
            "  take a smaller group, or a sparsity",
        )
