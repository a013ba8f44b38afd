"""A parser for the options of a verb, which reports mistakes in sentences."""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import NoReturn

from kdrun.config.verbs import usage
from kdrun.core.errors import UserError


class VerbParser(ArgumentParser):
    """Parses the words after a verb.

    Args:
        verb: name of the verb in `VERBS`; error messages end with its usage.
    """

    def __init__(self, verb: str) -> None:
        super().__init__(prog=verb, add_help=False, allow_abbrev=False)

    def read(self, words: Sequence[str]) -> Namespace:
        """Parse options and arguments, in any order.

        Raises:
            UserError: an option is unknown, or a value is missing or wrong.
        """
        return self.parse_intermixed_args(list(words))

    def error(self, message: str) -> NoReturn:
        """Raise a UserError with the message and the usage of the verb."""
        raise UserError(f"{self.prog}: {message}.", *usage(self.prog))
