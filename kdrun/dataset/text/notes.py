"""Sentences for the user about the texts of a dataset."""

from collections.abc import Iterator, Mapping

import numpy as np

from kdrun.core.number_format import many
from kdrun.dataset.splits import Splits
from kdrun.dataset.text.encode import Encoded
from kdrun.dataset.text.texts import Texts
from kdrun.dataset.text.tokenizers.tokenizer import Tokenizer


def describe_texts(splits: Splits[Texts], split_seed: int, versions: int) -> str:
    """Return a sentence on the number of texts.

    Args:
        splits: the splits.
        split_seed: the seed of the carved ones.
        versions: how many of the training texts were made of others.
    """
    counts = ", ".join(
        f"{len(split.ids):,} for {name}"
        + ("" if split.source == name else f" (carved with split_seed {split_seed})")
        for name, split in splits.items()
        if name != "train"
    )
    made = f", {versions:,} of them augmented and without labels," if versions else ""
    return f"{many(len(splits['train'].ids), 'text')} for training{made} {counts}".replace(
        "training ", "training, ", 1 if not versions else 0
    )


def describe_encoding(name: str, tokenizer: Tokenizer, train: Encoded) -> str:
    """Return a sentence on the tokens of the training texts."""
    lengths = train.tokens.lengths
    median, most = np.quantile(lengths, [0.5, 0.95], method="higher")
    unknown = float(np.mean(train.tokens.ids == tokenizer.special.unknown))
    return (
        f"tokenizer {name}: {tokenizer.size:,} ids, {median} tokens in the median training text,"
        f" {most} or fewer in 95 % of them, {100 * unknown:.1f} % unknown"
    )


def note_lengths(name: str, splits: Mapping[str, Encoded], longest: int, cut: str) -> Iterator[str]:
    """Yield notes on texts that were cut."""
    counts = {split: int(encoded.cut.sum()) for split, encoded in splits.items()}
    if any(counts.values()):
        listed = ", ".join(f"{count:,} of {split}" for split, count in counts.items() if count)
        kept = {"head": "first", "tail": "last", "both": "first and last"}[cut]
        yield (
            f"texts that are longer than {longest} tokens of {name} were cut to their {kept} ones:"
            f" {listed}; dataset.longest and dataset.cut change that"
        )


def note_empty(splits: Mapping[str, Encoded]) -> Iterator[str]:
    """Yield a note on texts without a token."""
    counts = {split: int(encoded.empty.sum()) for split, encoded in splits.items()}
    if any(counts.values()):
        listed = ", ".join(f"{count:,} of {split}" for split, count in counts.items() if count)
        yield f"empty texts have one unknown token: {listed}"


def note_duplicates(splits: Splits[Texts]) -> Iterator[str]:
    """Yield a note on texts that two splits have, whatever their case and spaces."""
    keys = {name: list(map(_fold, _samples(split.samples))) for name, split in splits.items()}
    for held_out in ("validation", "test"):
        for other in ("train", "validation"):
            if other == held_out or (held_out, other) == ("validation", "validation"):
                continue
            known = set(keys[other])
            shared = sum(key in known for key in keys[held_out])
            share = 100 * shared / len(keys[held_out])
            if shared:
                yield (
                    f"{many(shared, 'text')} of {held_out} ({share:.1f} %)"
                    f" {'is' if shared == 1 else 'are'} in {other} as well, but for case and"
                    f" spaces: scores of {held_out} are too good by what is remembered"
                )


def _samples(texts: Texts) -> Iterator[str]:
    return map(texts.shown, range(len(texts)))


def _fold(text: str) -> str:
    return " ".join(text.casefold().split())
