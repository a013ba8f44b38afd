"""Makes more texts of the training texts, for a student to learn from its teacher."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from kdrun.core.seeds import generator
from kdrun.dataset.text.settings import TextAugment
from kdrun.dataset.text.texts import MASK, Texts
from kdrun.dataset.text.token_lists import offsets_of


def more_texts(texts: Texts, augment: TextAugment, seed: int) -> Texts:
    """Return new versions of texts, without labels; those that are there already are left out.

    Tang et al. 2019, arXiv:1903.12136, section 3.3. For each word of a text a number is drawn, X
    uniform in [0, 1):

    - X < mask: the word becomes the mask token;
    - mask <= X < mask + swap: it becomes another word, drawn from all words of the training texts
      as often as they have it. The paper draws one of the same part of speech; no tagger is needed
      here, and some versions are no sentences, which only the teacher judges.

    Then with probability `ngram` only n words in a row are kept, n uniform in 1 .. longest_ngram.
    Words are what spaces separate. Of a pair each text is changed for itself.

    Args:
        texts: the training texts.
        augment: the probabilities, and the number of versions of each text.
        seed: decides all that is random.
    """
    seen = set(_keys(texts))
    made: list[tuple[str, ...]] = []
    parts = [texts.first, *([texts.second] if texts.second is not None else [])]
    for copy in range(augment.copies):
        versions = [
            _versions(part, augment, generator(seed, "texts", number, copy))
            for number, part in enumerate(parts)
        ]
        for version in zip(*versions, strict=True):
            if version not in seen and any(version):
                seen.add(version)
                made.append(version)
    columns = [tuple(column) for column in zip(*made, strict=True)] or [()] * len(parts)
    second = columns[1] if len(columns) > 1 else None
    return Texts(columns[0], second, torch.zeros(len(made), dtype=torch.int64))


def _keys(texts: Texts) -> Iterator[tuple[str, ...]]:
    """Yield each sample with single spaces between its words, as versions have them."""
    parts = [texts.first, *([texts.second] if texts.second is not None else [])]
    for sample in zip(*parts, strict=True):
        yield tuple(" ".join(text.split()) for text in sample)


def _versions(texts: Sequence[str], augment: TextAugment, random: torch.Generator) -> Iterator[str]:
    """Yield a version of each text."""
    words_of = [text.split() for text in texts]
    words = np.array([word for text in words_of for word in text], dtype=object)
    offsets = offsets_of(np.array([len(text) for text in words_of], np.int64))
    draws = torch.rand(len(words), generator=random).numpy()
    others = words[torch.randint(max(1, len(words)), (len(words),), generator=random).numpy()]
    changed = np.where(draws < augment.mask + augment.swap, others, words)
    changed[draws < augment.mask] = MASK
    is_ngram, length, place = torch.rand(3, len(texts), generator=random).numpy()
    sizes = np.diff(offsets)
    kept = np.minimum(1 + (length * augment.longest_ngram).astype(np.int64), sizes)
    kept = np.where(is_ngram < augment.ngram, kept, sizes)
    starts = offsets[:-1] + (place * (sizes - kept + 1)).astype(np.int64)
    for start, count in zip(starts.tolist(), kept.tolist(), strict=True):
        yield " ".join(changed[start : start + count])
