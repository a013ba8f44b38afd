"""Which parameters learn in a phase, and which modules stay as they are."""

from fnmatch import fnmatch

from torch import nn

from kdrun.loss.base import Loss


class Learners:
    """The parameters of a student and a loss, chosen by globs.

    Args:
        student: its parameters are called `student.PATH`.
        loss: its own parameters are called `loss.PATH`.
        frozen: globs of the student's module or parameter paths that never learn.
    """

    def __init__(self, student: nn.Module, loss: Loss, frozen: tuple[str, ...]) -> None:
        self.student, self.loss = student, loss
        self._named = {f"student.{name}": value for name, value in student.named_parameters()}
        self._named |= {f"loss.{name}": value for name, value in loss.named_parameters()}
        named = [name for name, _ in [*student.named_parameters(), *student.named_modules()]]
        self._frozen = {
            f"student.{name}" for name in named if any(covers(pattern, name) for pattern in frozen)
        }
        self._still: list[nn.Module] = []

    def choose(self, trains: tuple[str, ...]) -> dict[str, nn.Parameter]:
        """The parameters that learn, by name; gradients are switched off for all others."""
        chosen = {}
        for name, parameter in self._named.items():
            learns = name not in self._frozen and any(fnmatch(name, glob) for glob in trains)
            parameter.requires_grad_(learns)
            if learns:
                chosen[name] = parameter
        self._still = [
            module
            for name, module in self.student.named_modules()
            if f"student.{name}" in self._frozen or _is_frozen(module)
        ]
        return chosen

    def train(self) -> None:
        """Train mode, but for modules without a learning parameter: their statistics stay too."""
        self.student.train()
        self.loss.train()
        for module in self._still:
            module.eval()


def covers(pattern: str, path: str) -> bool:
    """Whether a glob names this path or a module above it."""
    return fnmatch(path, pattern) or fnmatch(path, f"{pattern}.*")


def _is_frozen(module: nn.Module) -> bool:
    parameters = list(module.parameters())
    return bool(parameters) and not any(parameter.requires_grad for parameter in parameters)
