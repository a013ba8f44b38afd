"""Controls of texts: padding never counts, and files of strangers do no harm."""

from .control import Control

_PADDING = "loss/test_properties.py::test_the_padding_of_texts_does_not_count"
_METHODS = "loss/test_text_methods.py::"
_READERS = "dataset/text/test_text_readers.py::"
_STRANGERS = "dataset/text/test_stranger_tokenizers.py::"

CONTROLS: list[Control] = [
    Control(
        "T1",
        "loss/adapters.py",
        "return features[output.mask][:, :, None, None]",
        "return features.flatten(0, 1)[:, :, None, None]",
        f"{_PADDING}[fitnet, first_epochs=0, texts]",
        f"{_PADDING}[vid, texts]",
        f"{_METHODS}test_distilbert_is_its_formula",
    ),
    Control(
        "T1",
        "loss/adapters.py",
        "return features.where(output.mask[:, :, None], 0)",
        "return features",
        f"{_PADDING}[rkd]",
        f"{_PADDING}[sp, texts]",
        f"{_PADDING}[attention, power=2.0, texts]",
    ),
    Control(
        "T1",
        "loss/adapters.py",
        "without_padding(output, tap).sum(dim=1) / output.mask.sum(dim=1, keepdim=True)",
        "without_padding(output, tap).mean(dim=1)",
        f"{_PADDING}[adversarial]",
        f"{_PADDING}[srrl]",
    ),
    Control(
        "T1",
        "loss/attention_relations.py",
        "scores.masked_fill(~mask[:, None, None], torch.finfo(scores.dtype).min).log_softmax(3)",
        "scores.log_softmax(3)",
        f"{_PADDING}[minilm, texts]",
        f"{_METHODS}test_minilmv2_is_its_formula_with_heads_that_differ",
    ),
    Control(
        "T1",
        "loss/masked_language.py",
        "is_guessed = (chosen < _SHARE) & ~torch.isin(words, special)",
        "is_guessed = chosen < _SHARE",
        f"{_METHODS}test_masking_hides_words_alone_and_in_the_published_shares",
    ),
    Control(
        "T2",
        "loss/tap_pairs.py",
        "if has_tokens and len(kinds) > 1:",
        "if False:",
        f"{_METHODS}test_two_tokenizers_are_refused_where_tokens_are_compared[minilm]",
        f"{_METHODS}test_two_tokenizers_are_refused_where_tokens_are_compared[fitnet]",
    ),
    Control(
        "T3",
        "dataset/text/text_files.py",
        "content.decode(encoding)",
        'content.decode(encoding, "replace")',
        f"{_READERS}test_a_damaged_table_is_named_with_its_line[invalid byte]",
    ),
    Control(
        "T4",
        "dataset/text/tokenizers/stranger_json.py",
        "if pattern is not None and pattern not in KNOWN_PATTERNS:",
        "if False:",
        f"{_STRANGERS}test_an_evil_regular_expression_in_a_saved_tokenizer_is_refused",
    ),
    Control(
        "T5",
        "dataset/text/table_rows.py",
        "if column not in self.values:",
        "if False:",
        f"{_READERS}test_a_damaged_table_is_named_with_its_line[a missing column]",
    ),
    Control(
        "T6",
        "dataset/data.py",
        "order = self.feed.arrange(order[:end], batch_size, random)[start_step * batch_size :]",
        "order = self.feed.arrange(order[start_step * batch_size : end], batch_size, random)",
        "dataset/text/test_text_batches.py::test_an_epoch_is_resumed_exactly_from_every_step",
    ),
]
