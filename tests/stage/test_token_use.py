"""Which tokens the training split has: in every encoding, those of unlabeled texts among them."""

from collections import Counter

import pytest
import torch
from text_data import dataset_node, texts_of

from kdrun import dataset
from kdrun.stage.step_inputs import token_use

BYTES = {"name": "bytes"}


@pytest.mark.parametrize("unlabeled", [0, 0.5])
def test_tokens_are_counted_in_all_training_texts_and_in_no_others(unlabeled):
    data = dataset.load(dataset_node("docstrings", unlabeled=unlabeled, longest=4096), [BYTES])
    dataset_encoding, other_encoding = data.info.inputs.encodings
    for encoding in (dataset_encoding, other_encoding):
        tokenizer = data.tokenizers[encoding.name]
        counts, unknown = token_use(data, encoding)
        expected = Counter(tokenizer.encode(texts_of(data)).ids.tolist())
        assert unknown == tokenizer.special.unknown
        assert counts.shape == (encoding.size,)
        assert {i: n for i, n in enumerate(counts.tolist()) if n} == expected
    assert torch.count_nonzero(counts) < encoding.size
