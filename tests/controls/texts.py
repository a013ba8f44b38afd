"""Controls of texts: padding never counts, in no loss."""

from .control import Control

_PADDING = "loss/test_properties.py::test_the_padding_of_texts_does_not_count"
_METHODS = "loss/test_text_methods.py::"

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
]
