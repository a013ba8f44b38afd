"""A parser for the options of a verb, whose mistakes are sentences."""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import NoReturn

from kdrun.config.verbs import usage
from kdrun.core.errors import UserError


class VerbParser(ArgumentParser):
    """Reads the words that follow a verb.

    Args:
        verb: its name in `VERBS`, whose usage follows each error.
    """

    def __init__(self, verb: str) -> None:
        super().__init__(prog=verb, add_help=False, allow_abbrev=False)

    def read(self, words: Sequence[str]) -> Namespace:
        """The values of the options and arguments, in any order.

        Raises:
            UserError: an option is unknown, or a value is missing or wrong.
        """
        return self.parse_intermixed_args(list(words))

    def error(self, message: str) -> NoReturn:
        """Raise the message as an error for the user."""
        raise UserError(f"{self.prog}: {message}.", *usage(self.prog))
