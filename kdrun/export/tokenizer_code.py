"""Python code for how_to_run.md that reads the file of a tokenizer and encodes texts with it."""

from kdrun.core.errors import UserError
from kdrun.dataset.text.tokenizers.own_format import NAMES, SPECIAL
from kdrun.dataset.text.tokenizers.vocabulary import WORD

_READ = """\
saved = json.loads(Path("{file}").read_text(encoding="utf-8"))
"""
_ENTRIES = """\
import re

{read}known = {{entry: number for number, entry in enumerate(saved["entries"], {first})}}
special = {{"before": [], "after": [], "unknown": {unknown}}}

def encode(text):
    text = text.lower() if saved["lowercase"] else text
    text = re.sub(r"\\d", "0", text) if saved["zeros"] else text
    return [known.get(entry, {unknown}) for entry in {split}]

"""
_BYTES = """\
special = {{"before": [], "after": [], "unknown": {unknown}}}

def encode(text):
    return [{first} + byte for byte in text.encode()]

"""
_LIBRARY = """\
from tokenizers import Tokenizer

{read}special, tokenizer = saved["special"], Tokenizer.from_str(json.dumps(saved["tokenizer"]))
tokenizer.encode_special_tokens = True

def encode(text):
    return tokenizer.encode(text, add_special_tokens=False).ids

"""
_WORDS = 'text.replace("\\u2019", "\'")'
_TEMPLATES = {"words": _ENTRIES, "chars": _ENTRIES, "bytes": _BYTES, "tokenizers": _LIBRARY}
_TEXTS = """\
room = {longest} - len(special["before"]) - len(special["after"])
texts = ["A fine text.", "And yours, in place of these."]
texts = [
    [*special["before"], *(encode(text)[:room] or [special["unknown"]]), *special["after"]]
    for text in texts
]
length = max(map(len, texts))
"""


def tokenizer_code(kind: str, file: str, longest: int) -> str:
    """Return code that computes `texts`, lists of ids, and `length`, the most ids of a text.

    Args:
        kind: the kind of the tokenizer, as its file says.
        file: the name of its file.
        longest: the most tokens of a text.

    Raises:
        UserError: there is no such kind.
    """
    if kind not in _TEMPLATES:
        raise UserError(f"there is no code for a tokenizer of the kind {kind!r}.")
    words = f're.findall(r"""{WORD.pattern}""", {_WORDS})'
    encode = _TEMPLATES[kind].format(
        read=_READ.format(file=file),
        first=len(NAMES),
        unknown=SPECIAL.unknown,
        split=words if kind == "words" else "text",
    )
    return encode + _TEXTS.format(longest=longest)
