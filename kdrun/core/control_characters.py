"""Makes control characters visible; in a record from elsewhere they could steer the terminal."""

import json
import re

# All of Unicode's Cc (but tab and newline), the Cf that reorder or hide text, Zl, Zp and Cs.
_CONTROLS = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\xad\\u061c\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e"
    "\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb\\ud800-\\udfff\\U000e0000-\\U000e007f]"
)


def show_controls(text: str) -> str:
    r"""Return the text with each control character as JSON writes it: `\u001b` for escape.

    So JSON text stays the same value; other text can't move the cursor, or change what was printed.
    """
    return _CONTROLS.sub(lambda match: json.dumps(match[0])[1:-1], text)


def one_line(text: str) -> str:
    r"""Return the text as one line: newlines are written as `\n`, too.

    Otherwise a name in a record from elsewhere could look like further lines of kdrun's own.
    """
    return show_controls(text).replace("\n", "\\n")
