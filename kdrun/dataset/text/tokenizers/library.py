"""Imports the package `tokenizers`, an extra."""

import os
from types import ModuleType

from kdrun.core.errors import UserError


def tokenizers_library() -> ModuleType:
    """Return the package.

    Raises:
        UserError: it is not installed.
    """
    # Unset, the package warns when a process is forked after it encoded texts in threads.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    try:
        import tokenizers
    except ImportError as error:
        raise UserError(
            "tokenizers of subwords need an extra.",
            "  pip install 'kdrun[text]', or dataset.tokenizer=words",
        ) from error
    return tokenizers
