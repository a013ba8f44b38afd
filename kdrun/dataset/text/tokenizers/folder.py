"""The tokenizer in the folder of a Hugging Face network."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kdrun.core import limits
from kdrun.core.errors import UserError
from kdrun.core.hub_folder import hub_folder
from kdrun.core.reading import open_named, read_all
from kdrun.dataset.text.tokenizers.hugging_face import HuggingFace, prepared
from kdrun.dataset.text.tokenizers.library import tokenizers_library
from kdrun.dataset.text.tokenizers.stranger_json import check_tokenizer_json
from kdrun.dataset.text.tokenizers.tokenizer import Special

_PADDING = ("[PAD]", "<pad>", "<|pad|>", "<|padding|>")
_UNKNOWN = ("[UNK]", "<unk>")
_MASK = ("[MASK]", "<mask>")
_END = ("[SEP]", "</s>", "<|endoftext|>", "<|end_of_text|>", "<eos>")


def read_folder(texts: Sequence[str], path: str) -> HuggingFace:
    """folder: the tokenizer in a folder of a Hugging Face network.

    Needs:
        - The extra text: pip install 'kdrun[text]'.

    Notes:
        - The folder has tokenizer.json, or vocab.txt (WordPiece), or vocab.json and merges.txt
          (byte pairs). Only data is read: no code of the folder, no template.
        - Its regular expressions must be among the known ones, as others can take hours.
        - Both texts of a pair get the same type, as no ids of types are passed to networks.
    """
    folder = hub_folder(path)
    inner = _read(folder)
    return _with_special(inner, _named_tokens(folder), folder)


def parse_tokenizer(text: str, name: str) -> Any:
    """Return the `tokenizers.Tokenizer` of a text that may be a stranger's.

    Args:
        text: content of a `tokenizer.json`.
        name: the file's name, for messages.

    Raises:
        UserError: it is damaged, or could take all time or memory.
    """
    check_tokenizer_json(text, name)
    return _guarded(lambda: tokenizers_library().Tokenizer.from_str(text), name)


def _read(folder: Path) -> Any:
    """Return the `tokenizers.Tokenizer` in a folder."""
    file = folder / "tokenizer.json"
    if file.exists():
        return parse_tokenizer(_text(file), str(file))
    library = tokenizers_library()
    words, pairs, merges = (folder / name for name in ("vocab.txt", "vocab.json", "merges.txt"))
    if words.exists():
        entries = [line.rstrip("\r") for line in _text(words).rstrip("\n").split("\n")]
        inner = _guarded(lambda: _wordpiece(library, entries, _lowercase(folder)), str(words))
    elif pairs.exists() and merges.exists():
        ids, lines = _json(pairs), _text(merges).split("\n")
        inner = _guarded(lambda: _byte_pairs(library, ids, lines), str(pairs))
    else:
        raise UserError(
            f"the folder {str(folder)!r} has no tokenizer.",
            "  it needs tokenizer.json, or vocab.txt, or vocab.json with merges.txt",
        )
    check_tokenizer_json(inner.to_str(), str(folder))
    return inner


def _wordpiece(library: Any, entries: list[str], lowercase: bool) -> Any:
    """Return BERT's tokenizer with these pieces."""
    vocabulary = {entry: number for number, entry in enumerate(entries)}
    inner = library.Tokenizer(library.models.WordPiece(vocabulary, unk_token="[UNK]"))
    inner.normalizer = library.normalizers.BertNormalizer(lowercase=lowercase)
    inner.pre_tokenizer = library.pre_tokenizers.BertPreTokenizer()
    inner.decoder = library.decoders.WordPiece()
    ends = [(name, vocabulary[name]) for name in ("[SEP]", "[CLS]") if name in vocabulary]
    if len(ends) == 2:
        inner.post_processor = library.processors.BertProcessing(*ends)
    names = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    inner.add_special_tokens([name for name in names if name in vocabulary])
    return inner


def _byte_pairs(library: Any, ids: Mapping[str, int], lines: Iterable[str]) -> Any:
    """Return GPT-2's tokenizer with these tokens and merges; RoBERTa's if it has `<s>`."""
    pairs = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]
    inner = library.Tokenizer(library.models.BPE(dict(ids), pairs))
    inner.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = library.decoders.ByteLevel()
    if "<s>" in ids and "</s>" in ids:
        ends = [(name, ids[name]) for name in ("</s>", "<s>")]
        inner.post_processor = library.processors.RobertaProcessing(*ends)
    names = ("<pad>", "<unk>", "<mask>", "<s>", "</s>", "<|endoftext|>")
    inner.add_special_tokens([name for name in names if name in ids])
    return inner


def _with_special(inner: Any, named: Mapping[str, str], folder: Path) -> HuggingFace:
    """Return the tokenizer with the special tokens that its files name, or usual ones."""

    def find(key: str, usual: Sequence[str]) -> int | None:
        names = [*([named[key]] if key in named else []), *usual]
        return next((i for name in names if (i := inner.token_to_id(name)) is not None), None)

    end, unknown = find("eos_token", _END), find("unk_token", _UNKNOWN)
    padding, notes = find("pad_token", _PADDING), list[str]()
    if padding is None:
        padding = next((i for i in (end, unknown) if i is not None), 0)
        notes.append(
            f"the tokenizer of {str(folder)!r} has no padding token: texts are filled up with the"
            f" id {padding} ({inner.id_to_token(padding)!r}), which masks hide from the network"
        )
    unknown = next(i for i in (unknown, end, padding) if i is not None)
    around = _guarded(lambda: _around(inner), str(folder))
    special = Special(padding, unknown, find("mask_token", _MASK), *around)
    return prepared(inner, special, tuple(notes))


def _around(inner: Any) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Return the ids that the tokenizer puts before a text, between two, and after a text."""
    inner.no_padding()
    inner.no_truncation()
    one, two = inner.encode("a"), inner.encode("a", "a")
    text = inner.encode("a", add_special_tokens=False).ids
    kinds = list(one.special_tokens_mask)
    start = kinds.index(0) if 0 in kinds else 0
    before, after = one.ids[:start], one.ids[start + len(text) :]
    end = len(two.ids) - len(after) - len(text)
    return tuple(before), tuple(two.ids[start + len(text) : end]), tuple(after)


def _named_tokens(folder: Path) -> dict[str, str]:
    """Return the special tokens that the folder's files name: `pad_token` -> `[PAD]`."""
    names: dict[str, str] = {}
    for file in ("tokenizer_config.json", "special_tokens_map.json"):
        record = _json(folder / file) if (folder / file).exists() else {}
        for key, value in record.items():
            content = value.get("content") if isinstance(value, dict) else value
            if key.endswith("_token") and isinstance(content, str):
                names[key] = content
    return names


def _lowercase(folder: Path) -> bool:
    """Return whether the folder's settings say that capital letters become small ones."""
    file = folder / "tokenizer_config.json"
    return bool(_json(file).get("do_lower_case", True)) if file.exists() else True


def _json(file: Path) -> dict[str, Any]:
    try:
        record = json.loads(_text(file))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{str(file)!r} is no JSON: {error}.") from error
    if not isinstance(record, dict):
        raise UserError(f"{str(file)!r} holds no mapping.")
    return record


def _text(file: Path) -> str:
    try:
        return read_all(open_named(file), limits.TOKENIZER).decode()
    except OSError as error:
        raise UserError(f"{str(file)!r} can't be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{str(file)!r} is no UTF-8: {error.reason}.") from error


def _guarded(make: Any, name: str) -> Any:
    """Return the result of a function that calls the package, whose errors have no class."""
    try:
        return make()
    except UserError:
        raise
    except BaseException as error:
        # An assertion of the package that fails is no `Exception`, and is not public.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise UserError(f"the tokenizer of {name!r} can't be used: {error}.") from error
