"""Prepares texts for training: encodes them for the tokenizer of each network."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import numpy as np

from kdrun.core.errors import Fault, UserError
from kdrun.core.inputs.text import Encoding, TextInputs, tokenizer_key
from kdrun.core.registry import build, check_node, resolve
from kdrun.core.types import DataInfo
from kdrun.dataset.class_selection import describe_classes
from kdrun.dataset.data import Data, Split
from kdrun.dataset.record import digest
from kdrun.dataset.samples import RawDataset
from kdrun.dataset.splits import Splits
from kdrun.dataset.text.encode import Encoded, encode
from kdrun.dataset.text.feed import AsItIs, EncodedSplit, TextFeed
from kdrun.dataset.text.more_texts import add_texts
from kdrun.dataset.text.notes import (
    describe_encoding,
    describe_texts,
    note_duplicates,
    note_empty,
    note_lengths,
)
from kdrun.dataset.text.settings import TextSettings
from kdrun.dataset.text.texts import Texts
from kdrun.dataset.text.tokenizers.table import GIVEN, TOKENIZERS
from kdrun.dataset.text.tokenizers.tokenizer import Tokenizer, content_digest

KEY = "dataset.tokenizer"


def check_tokenizer(node: Mapping[str, Any]) -> list[Fault]:
    """Return the faults of the tokenizer of a dataset's config node."""
    return tokenizer_faults(KEY, node["tokenizer"])


def tokenizer_faults(where: str, node: Mapping[str, Any]) -> list[Fault]:
    """Return the faults of a tokenizer's config node.

    Args:
        where: the dotted key of the node.
        node: the node.
    """
    try:
        make = resolve("tokenizer", TOKENIZERS, str(node.get("name")))
    except UserError as error:
        return [Fault(where, str(error))]
    return check_node(where, node, make, GIVEN)


def outline(settings: TextSettings) -> DataInfo | None:
    """Return None: only the files tell the classes, and the size of a vocabulary."""
    return None


def check_raw(settings: TextSettings, raw: RawDataset[Texts]) -> None:
    """Texts have no description before they are read that could differ from them."""


def prepare_texts(
    classes: tuple[str, ...],
    splits: Splits[Texts],
    settings: TextSettings,
    origin: dict[str, Any],
    notes: Sequence[str],
    networks: Sequence[Mapping[str, Any]],
) -> Data:
    """Make a dataset from splits of texts.

    Args:
        classes: class names in the order of the labels.
        splits: the texts as they were read.
        settings: how they are encoded.
        origin: which dataset this is and how it is split.
        notes: sentences for the user about how the dataset was read.
        networks: config nodes of the tokenizers of networks.

    Raises:
        UserError: a tokenizer can't be made, or unlabeled texts can't be read.
    """
    tokenizers, names = make_tokenizers(settings.tokenizer, networks, splits["train"].samples)
    duplicates = tuple(note_duplicates(splits))
    train, labeled, versions = add_texts(splits["train"], settings, classes)
    splits = {**splits, "train": train}
    encoded = {
        name: _encode(tokenizer, splits, settings, versions)
        for name, tokenizer in tokenizers.items()
    }
    encodings = tuple(
        _encoding(name, tokenizer, settings.longest) for name, tokenizer in tokenizers.items()
    )
    length = int(np.quantile(encoded[""]["train"].tokens.lengths, 0.5, method="higher"))
    ready = {
        split: Split(
            source=part.source,
            ids=part.ids,
            targets=part.targets,
            num_classes=len(classes),
            feed=_feed(part.samples, encodings, {name: encoded[name][split] for name in encoded}),
            normalize=AsItIs(),
            labels=part.targets,
        )
        for split, part in splits.items()
    }
    of_encodings = [f"{e.name} {e.digest} {e.longest} {settings.cut}" for e in encodings]
    labeled_splits = splits
    if labeled is not None:
        labeled_splits = {**splits, "train": train.select(labeled.nonzero().squeeze(1))}
    return Data(
        info=DataInfo(classes, TextInputs(encodings, names, length), len(train.ids)),
        train=replace(ready["train"], labeled=labeled),
        validation=ready["validation"],
        test=ready["test"],
        augment={},
        digest=_with(digest(classes, splits, (), (), labeled), of_encodings),
        origin=origin,
        notes=(
            describe_classes(classes),
            describe_texts(splits, settings.split_seed, versions),
            *notes,
            *_note_tokens(tokenizers, encoded, settings),
            *note_empty(encoded[""]),
            *duplicates,
        ),
        tokenizers=tokenizers,
        labeled_digest=None
        if labeled is None
        else _with(digest(classes, labeled_splits, (), ()), of_encodings),
    )


def make_tokenizers(
    node: Mapping[str, Any], networks: Sequence[Mapping[str, Any]], train: Texts
) -> tuple[dict[str, Tokenizer], dict[str, str]]:
    """Make the tokenizers that the networks of a run need, each once.

    Args:
        node: the config node of the dataset's own tokenizer.
        networks: the config nodes of the tokenizers of networks.
        train: the training texts, from which tokenizers learn.

    Returns:
        Name of each encoding -> its tokenizer, the dataset's own one first, called ""; and key of
        a network's tokenizer -> name of its encoding.
    """
    texts = train.all_texts()
    made: dict[str, Tokenizer] = {"": build("tokenizer", TOKENIZERS, node, texts=texts)}
    by_content = {content_digest(made[""]): ""}
    names: dict[str, str] = {}
    for other in networks:
        tokenizer: Tokenizer = build("tokenizer", TOKENIZERS, other, texts=texts)
        content = content_digest(tokenizer)
        if content not in by_content:
            by_content[content] = _new_name(other["name"], made)
            made[by_content[content]] = tokenizer
        names[tokenizer_key({"name": "", "tokenizer": other})] = by_content[content]
    return made, names


def _new_name(name: str, taken: Mapping[str, Any]) -> str:
    """Return a name that is not taken: `bpe`, `bpe2`, ..."""
    names = [name, *(f"{name}{number}" for number in range(2, len(taken) + 2))]
    return next(new for new in names if new not in taken)


def _encoding(name: str, tokenizer: Tokenizer, longest: int) -> Encoding:
    special, content = tokenizer.special, content_digest(tokenizer)
    around = (*special.before, *special.between, *special.after)
    return Encoding(name, tokenizer.size, special.padding, special.mask, longest, content, around)


def _encode(
    tokenizer: Tokenizer, splits: Splits[Texts], settings: TextSettings, versions: int
) -> dict[str, Encoded]:
    """Return each split in one encoding; the last `versions` training texts are augmented."""
    longest, cut = settings.longest, settings.cut
    return {
        name: encode(tokenizer, split.samples, longest, cut, versions if name == "train" else 0)
        for name, split in splits.items()
    }


def _feed(texts: Texts, encodings: Sequence[Encoding], encoded: Mapping[str, Encoded]) -> TextFeed:
    splits = [EncodedSplit.of(one, encoded[one.name].tokens) for one in encodings]
    return TextFeed(texts, tuple(splits))


def _note_tokens(
    tokenizers: Mapping[str, Tokenizer],
    encoded: Mapping[str, Mapping[str, Encoded]],
    settings: TextSettings,
) -> list[str]:
    """Return sentences on each encoding."""
    notes: list[str] = []
    for name, tokenizer in tokenizers.items():
        called = name or settings.tokenizer["name"]
        notes.append(describe_encoding(called, tokenizer, encoded[name]["train"]))
        notes += tokenizer.notes
        notes += note_lengths(called, encoded[name], settings.longest, settings.cut)
    return notes


def _with(content: str, encodings: Sequence[str]) -> str:
    """Return a hash of a dataset's content and its encodings."""
    return blake2b(" ".join([content, *encodings]).encode(), digest_size=20).hexdigest()
