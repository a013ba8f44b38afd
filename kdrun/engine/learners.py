"""Chooses the parameters that learn in a phase, and the modules that stay in eval mode."""

from fnmatch import fnmatch

from torch import nn

from kdrun.loss.base import Loss


class Learners:
    """The parameters of a student and a loss, chosen by globs.

    Args:
        student: the student; its parameters are called `student.PATH`.
        loss: the loss; its parameters are called `loss.PATH`.
        frozen: globs of the student's module or parameter paths that never learn.
    """

    def __init__(self, student: nn.Module, loss: Loss, frozen: tuple[str, ...]) -> None:
        self.student, self.loss = student, loss
        self._parameters = {f"student.{name}": value for name, value in student.named_parameters()}
        self._parameters |= {f"loss.{name}": value for name, value in loss.named_parameters()}
        names = [name for name, _ in [*student.named_parameters(), *student.named_modules()]]
        self._frozen = {
            f"student.{name}" for name in names if any(covers(pattern, name) for pattern in frozen)
        }
        self._frozen_modules: list[nn.Module] = []

    def choose(self, trains: tuple[str, ...]) -> dict[str, nn.Parameter]:
        """Return the parameters that match a glob in `trains`, by name; freeze all others."""
        learning = {}
        for name, parameter in self._parameters.items():
            learns = name not in self._frozen and any(fnmatch(name, glob) for glob in trains)
            parameter.requires_grad_(learns)
            if learns:
                learning[name] = parameter
        self._frozen_modules = [
            module
            for name, module in self.student.named_modules()
            if f"student.{name}" in self._frozen or _is_frozen(module)
        ]
        return learning

    def train(self) -> None:
        """Set train mode, except for frozen modules, whose statistics must not change."""
        self.student.train()
        self.loss.train()
        for module in self._frozen_modules:
            module.eval()


def covers(pattern: str, path: str) -> bool:
    """Return whether a glob matches a path or the path of a module that contains it."""
    return fnmatch(path, pattern) or fnmatch(path, f"{pattern}.*")


def _is_frozen(module: nn.Module) -> bool:
    """Return whether a module has parameters and none of them learns."""
    parameters = list(module.parameters())
    return bool(parameters) and not any(parameter.requires_grad for parameter in parameters)
