"""Tokenizers of subwords, trained on the training split."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, PositiveInt

from kdrun.dataset.text.tokenizers.hugging_face import HuggingFace, prepared
from kdrun.dataset.text.tokenizers.library import tokenizers_library
from kdrun.dataset.text.tokenizers.own_format import NAMES, SPECIAL

SubwordCount = Annotated[int, Field(ge=300, le=1_000_000)]  # 256 bytes and special tokens at least


def train_bpe(
    texts: Sequence[str], size: SubwordCount, min_count: PositiveInt, lowercase: bool
) -> HuggingFace:
    """bpe: byte pair encoding over the bytes of words, trained on the training split.

    Paper:
        Sennrich, Haddow, Birch 2016, ACL, arXiv:1508.07909, algorithm 1; over bytes: Radford et al.
        2019, section 2.2.

    Needs:
        - The extra text: pip install 'kdrun[text]'.

    Notes:
        - Any text has its tokens: what the training split does not have is spelled in bytes.
    """
    library = tokenizers_library()
    inner = library.Tokenizer(library.models.BPE())
    if lowercase:
        inner.normalizer = library.normalizers.Lowercase()
    inner.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = library.decoders.ByteLevel()
    trainer = library.trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=min_count,
        special_tokens=list(NAMES),
        initial_alphabet=sorted(library.pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    inner.train_from_iterator(texts, trainer)
    return prepared(inner, SPECIAL)


def train_wordpiece(
    texts: Sequence[str], size: SubwordCount, min_count: PositiveInt, lowercase: bool
) -> HuggingFace:
    """wordpiece: BERT's subwords, whose continuations begin with ##, trained on the training split.

    Paper:
        Devlin et al. 2019, NAACL, arXiv:1810.04805, section 3; as the package tokenizers trains it,
        which merges the most frequent pairs of pieces.

    Needs:
        - The extra text: pip install 'kdrun[text]'.

    Notes:
        - A word with a character that the training split does not have is one unknown token.
    """
    library = tokenizers_library()
    inner = _wordpiece(library, library.models.WordPiece(unk_token=NAMES[1]), lowercase)
    # The trainer numbers pieces of one character in an order that differs from process to process,
    # and ties between pairs depend on it. What it takes for special tokens keeps its order.
    characters = sorted(set("".join(map(inner.normalizer.normalize_str, texts))) - set(" \t\n\r"))
    alphabet = [*characters, *(f"##{character}" for character in characters)]
    trainer = library.trainers.WordPieceTrainer(
        vocab_size=size,
        min_frequency=min_count,
        special_tokens=[*NAMES, *alphabet[: size - len(NAMES)]],
        limit_alphabet=0,
        show_progress=False,
    )
    inner.train_from_iterator(texts, trainer)
    model = library.models.WordPiece(_in_order(inner.get_vocab()), unk_token=NAMES[1])
    final = _wordpiece(library, model, lowercase)
    final.add_special_tokens(list(NAMES))
    return prepared(final, SPECIAL)


def _wordpiece(library: Any, model: Any, lowercase: bool) -> Any:
    """Return a tokenizer with BERT's normalization and words."""
    inner = library.Tokenizer(model)
    inner.normalizer = library.normalizers.BertNormalizer(lowercase=lowercase)
    inner.pre_tokenizer = library.pre_tokenizers.BertPreTokenizer()
    inner.decoder = library.decoders.WordPiece()
    return inner


def _in_order(vocabulary: dict[str, int]) -> dict[str, int]:
    return dict(sorted(vocabulary.items(), key=lambda entry: entry[1]))
