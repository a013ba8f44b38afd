"""Masked language modeling: tokens are hidden in a batch of texts, and a head guesses them.

Devlin et al. 2018 (arXiv:1810.04805), section 3.1.
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.inputs.text import Encoding, tokens_of
from kdrun.core.taps import module_path
from kdrun.core.types import Batch, Output, TapShapes
from kdrun.loss.functional import to_float32

_GUESSED = "guessed"  # name of the targets in a batch: ids (B, T), IGNORED where nothing is guessed
_IGNORED = -100
_SHARE, _HIDDEN, _REPLACED = 0.15, 0.8, 0.9  # of all tokens; of the guessed ones, cumulated


def mask_tokens(batch: Batch, encoding: Encoding) -> Batch:
    """Return a batch of texts in which tokens are hidden, with the ids to guess.

    Of the tokens, 15 % are to be guessed: 80 % of these become the mask token, 10 % a random token,
    10 % stay. Padding and special tokens are never guessed. What is drawn depends on the tokens'
    order alone, and not on the padding.

    Args:
        batch: a batch of texts.
        encoding: the tokenizer of both networks.
    """
    if isinstance(batch.inputs, Tensor) or encoding.mask is None:
        raise TypeError("only texts whose tokenizer has a mask token can be masked")
    ids, mask = tokens_of(batch.inputs, encoding)
    special = torch.tensor([encoding.padding, encoding.mask, *encoding.special], device=ids.device)
    words = ids[mask]
    chosen, kind = torch.rand(2, len(words), device=ids.device)
    is_guessed = (chosen < _SHARE) & ~torch.isin(words, special)
    random = torch.randint(encoding.size, words.shape, device=ids.device)
    masked = words.where(kind >= _REPLACED, random).where(kind >= _HIDDEN, encoding.mask)
    name, _ = encoding.keys
    changes = {
        name: ids.masked_scatter(mask, masked.where(is_guessed, words)),
        _GUESSED: torch.full_like(ids, _IGNORED).masked_scatter(
            mask, words.where(is_guessed, _IGNORED)
        ),
    }
    return replace(batch, inputs={**batch.inputs, **changes})


def guessed_ids(batch: Batch) -> Tensor:
    """Return the ids (B, T) that `mask_tokens` put into a batch."""
    if isinstance(batch.inputs, Tensor):
        raise TypeError("the batch has no texts")
    return batch.inputs[_GUESSED]


class TokenHead(nn.Module):
    """Predicts tokens from hidden states, with the weights of the student's embedding.

    Attributes:
        encoding: the student's tokenizer.

    Args:
        student: the student with its taps.
        tap: the name of the tap on its embedding of tokens.
        width: channels of the hidden states.

    Raises:
        UserError: the tokenizer has no mask token, or the student no embedding at the tap.
    """

    def __init__(self, student: TapShapes, tap: str, width: int) -> None:
        super().__init__()
        encoding = student.network.encoding
        if not isinstance(encoding, Encoding) or encoding.mask is None:
            raise UserError(
                "the tokenizer has no token for hidden ones, which masked language modeling needs.",
                "  set loss.mlm=0, or take a tokenizer that has one: wordpiece",
            )
        self.encoding = encoding
        embedding = find_embedding(student.network, student.paths[tap], encoding.size)
        # In a list, so that the loss does not save the layer, which belongs to the student.
        self._embedding = [embedding]
        self.transform = nn.Sequential(
            nn.Linear(width, embedding.embedding_dim),
            nn.GELU(),
            nn.LayerNorm(embedding.embedding_dim),
        )
        self.bias = nn.Parameter(torch.zeros(embedding.num_embeddings))

    def loss(self, student: Output, tap: str, guessed: Tensor) -> Tensor:
        """Return the cross-entropy with the guessed ids (B, T); 0 if there is none to guess.

        Args:
            student: the student's output.
            tap: the name of its hidden states (B, T, C).
            guessed: the ids, as `mask_tokens` gives them.
        """
        is_guessed = guessed != _IGNORED
        hidden = to_float32(student.taps[tap])[is_guessed]
        logits = F.linear(self.transform(hidden), self._embedding[0].weight, self.bias)
        losses = F.cross_entropy(to_float32(logits), guessed[is_guessed], reduction="sum")
        return losses / is_guessed.sum().clamp(min=1)


def find_embedding(network: nn.Module, path: str, size: int) -> nn.Embedding:
    """Return the embedding of tokens in the module at a tap path.

    Args:
        network: a network of texts.
        path: the tap path of the role `tokens`.
        size: the number of ids.

    Raises:
        UserError: the module contains none.
    """
    for module in network.get_submodule(module_path(path)).modules():
        if isinstance(module, nn.Embedding) and module.num_embeddings >= size:
            return module
    raise UserError(
        f"{path!r} contains no embedding of {size} tokens, whose weights would guess hidden ones.",
        "  set loss.mlm=0",
    )
