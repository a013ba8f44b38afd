"""Cuts the embedding of a network of texts to the tokens that texts have."""

from typing import Any

import torch
from torch import Tensor, nn

from kdrun.core.errors import UserError


class TokenRows(nn.Module):
    """Maps the ids of a tokenizer to the rows of a smaller embedding.

    The tokenizer stays as it is: ids whose rows were cut get the row of the unknown token.

    Args:
        size: number of ids.
    """

    rows: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        # Floats, because averages of a network's weights average all buffers, and round integers.
        self.register_buffer("rows", torch.zeros(size))

    def forward(self, ids: Tensor) -> Tensor:
        return self.rows[ids].long()


def token_embedding_path(network: nn.Module, size: int) -> str:
    """Return the path of the embedding of tokens: the first that has a row for each id.

    Args:
        network: the network to search.
        size: number of ids of its tokenizer.

    Raises:
        UserError: there is none.
    """
    pruned = any(isinstance(module, TokenRows) for module in network.modules())
    for path, layer in () if pruned else network.named_modules():
        if type(layer) is nn.Embedding and layer.num_embeddings >= size:
            return path
    raise UserError(
        f"this network has no embedding in float of the {size:,} tokens of its tokenizer.",
        "  a vocabulary is pruned once, in a network of texts",
    )


def vocabulary_structure(network: nn.Module, layer: str, size: int, rows: int) -> nn.Module:
    """Replace an embedding by an empty one with fewer rows and the map to them, in place.

    Args:
        network: the network.
        layer: path of the embedding.
        size: number of ids.
        rows: number of rows that are kept.
    """
    embedding: Any = network.get_submodule(layer)
    options = {"device": embedding.weight.device, "dtype": embedding.weight.dtype}
    smaller = nn.Embedding(rows, embedding.embedding_dim, **options)
    token_rows = TokenRows(size).to(embedding.weight.device)
    network.set_submodule(layer, nn.Sequential(token_rows, smaller))
    return network


@torch.no_grad()
def prune_vocabulary(network: nn.Module, layer: str, kept: Tensor, unknown: int) -> None:
    """Keep some rows of the embedding of tokens, in place.

    Args:
        network: the network.
        layer: path of the embedding.
        kept: (size,) bool, true for ids whose rows are kept, the unknown token's among them.
        unknown: the id of the unknown token.
    """
    embedding: Any = network.get_submodule(layer)
    vocabulary_structure(network, layer, len(kept), int(kept.sum()))
    pair: Any = network.get_submodule(layer)
    rows = kept.cumsum(0) - 1
    pair[0].rows.copy_(rows.where(kept, rows[unknown]))
    pair[1].weight.copy_(embedding.weight[: len(kept)][kept])
