"""What a dataset of each modality is checked by and made with."""

from collections.abc import Callable
from typing import Any, NamedTuple

from kdrun.core.registry import resolve
from kdrun.dataset.table import DATASETS

_ROOM = "kdrun.dataset."


class Modality(NamedTuple):
    """The functions of a modality, each as "module:attribute".

    Attributes:
        settings: the class of the keys that each of its datasets has.
        outline: describes a dataset before its files are read.
        check_raw: compares what a reader returned with the settings.
        prepare: makes a dataset from splits.
        check: returns the faults of the nodes inside a node; empty if there are none.
    """

    settings: str
    outline: str
    check_raw: str
    prepare: str
    check: str = ""

    def function(self, name: str) -> Callable[..., Any]:
        """Import and return one of the functions, or the class of the settings."""
        return resolve(name, {name: getattr(self, name)}, name)


MODALITIES = {
    "image": Modality(
        settings="kdrun.dataset.image.settings:ImageSettings",
        outline="kdrun.dataset.image.original:outline",
        check_raw="kdrun.dataset.image.original:check_original",
        prepare="kdrun.dataset.image.prepare:prepare_images",
    ),
    "text": Modality(
        settings="kdrun.dataset.text.settings:TextSettings",
        outline="kdrun.dataset.text.prepare:outline",
        check_raw="kdrun.dataset.text.prepare:check_raw",
        prepare="kdrun.dataset.text.prepare:prepare_texts",
        check="kdrun.dataset.text.prepare:check_tokenizer",
    ),
}


def modality_of(dataset: str) -> Modality:
    """Return the modality of a dataset: that of its reader's folder.

    The reader of a plugin may have an attribute `modality`; without it its samples are images.

    Raises:
        UserError: there is no such dataset, or its reader can't be imported.
    """
    reader = resolve("dataset", DATASETS, dataset)
    name = reader.__module__.removeprefix(_ROOM).partition(".")[0]
    if not reader.__module__.startswith(_ROOM):
        name = getattr(reader, "modality", "image")
    return MODALITIES[name]
