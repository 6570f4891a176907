"""Encoders: states of every word and the attention between them; small ones of our own, and those of transformers."""

from __future__ import annotations

import copy
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ddcore.imports import transformers

from ..checkpoints import pretrained

if TYPE_CHECKING:
    from ..tokens import TokenSpace

__all__ = ["Encoder", "HFEncoder", "from_checkpoint", "from_config"]


class Encoder(nn.Module):
    """A pre-norm Transformer encoder (Vaswani et al. 2017): a projection of the vectors, learned positions, the layers and a
    norm. Attention is a plain product and softmax: fused kernels lack second derivatives, and their maps are not to be had."""

    def __init__(self, space: TokenSpace, *, d: int = 128, depth: int = 2, heads: int = 2, hidden: int = 512) -> None:
        super().__init__()
        self.d = d
        self.project = nn.Linear(space.width, d)
        self.positions = nn.Parameter(nn.init.trunc_normal_(torch.empty(space.length, d), std=0.02))
        self.layers = nn.ModuleList(_Layer(d, heads, hidden) for _ in range(depth))
        self.norm = nn.LayerNorm(d)

    def forward(self, e: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """States (n, t, d) and attention maps (n, layers, heads, t, t)."""
        x = self.project(e) + self.positions[: e.shape[1]]
        maps = []
        for layer in self.layers:
            x, weights = layer(x, mask)
            maps.append(weights)
        return self.norm(x), torch.stack(maps, 1)


class _Layer(nn.Module):
    def __init__(self, d: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.before, self.attention = nn.LayerNorm(d), _Attention(d, heads)
        self.mlp = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, hidden), nn.GELU(), nn.Linear(hidden, d))

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:  # (n, t, d), (n, t)
        mixed, weights = self.attention(self.before(x), mask)
        x = x + mixed
        return x + self.mlp(x), weights


class _Attention(nn.Module):
    def __init__(self, d: int, heads: int) -> None:
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(d, 3 * d), nn.Linear(d, d)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:  # (n, t, d), (n, t)
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each (n, heads, t, d / heads)
        scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
        weights = scores.masked_fill(~mask[:, None, None], torch.finfo(scores.dtype).min).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).flatten(2)), weights


class HFEncoder(nn.Module):
    """A network of transformers behind its table: what is learned is everything but the table. Vectors are brought to its own
    scale and, where its width is another, projected."""

    def __init__(self, space: TokenSpace, net: Any) -> None:
        super().__init__()
        self.net, self.scale = net, space.scale
        self.d: int = net.config.hidden_size
        table = net.get_input_embeddings()
        inner: int = table.embedding_dim  # less than d in ELECTRA and ALBERT
        self.project = nn.Identity() if space.width == inner else nn.Linear(space.width, inner)
        table.requires_grad_(False)

    def forward(self, e: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """States (n, t, d) and attention maps (n, layers, heads, t, t)."""
        out = self.net(inputs_embeds=self.project(e * self.scale), attention_mask=mask.long(), output_attentions=True)
        return out.last_hidden_state, torch.stack(out.attentions, 1)


def from_checkpoint(space: TokenSpace) -> HFEncoder:
    """The pretrained network that the table is of; dropout is off, as distillation wants it."""
    assert space.checkpoint is not None, "a table of the corpus has no checkpoint"
    return HFEncoder(space, copy.deepcopy(_loaded(space.checkpoint)))


@lru_cache(maxsize=2)
def _loaded(place: str) -> Any:
    net = pretrained(place)
    for part in net.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    return net


def from_config(space: TokenSpace, kind: str) -> HFEncoder:
    """A random BERT, DistilBERT or GPT-2 of two layers, 128 wide with two heads (BERT-tiny, Turc et al. 2019)."""
    hf = transformers()
    most = max(space.length, 16)
    sizes: dict[str, dict[str, Any]] = {
        "bert": {
            "hidden_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 512,
            "max_position_embeddings": most,
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
        },
        "distilbert": {
            "dim": 128,
            "n_layers": 2,
            "n_heads": 2,
            "hidden_dim": 512,
            "max_position_embeddings": most,
            "dropout": 0.0,
            "attention_dropout": 0.0,
        },
        "gpt2": {
            "n_embd": 128,
            "n_layer": 2,
            "n_head": 2,
            "n_positions": most,
            "bos_token_id": None,
            "eos_token_id": None,
            "resid_pdrop": 0.0,
            "embd_pdrop": 0.0,
            "attn_pdrop": 0.0,
        },
    }
    config = hf.AutoConfig.for_model(kind, vocab_size=8, **sizes[kind])
    return HFEncoder(space, hf.AutoModel.from_config(config, attn_implementation="eager"))
