"""An encoder of the corpus's own, pretrained on the training texts without their classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddcore.seeds import generator, stream, torch_seeded

from .models.encoders import Encoder
from .store import kept, key_of
from .tokens import MASKED

if TYPE_CHECKING:
    from .corpus import Corpus
    from .tokens import TokenSpace

__all__ = ["CorpusEncoder", "masked_language_model"]

STEPS, ROWS, RATE = 400, 64, 0.15


@dataclass(frozen=True, eq=False)
class CorpusEncoder:
    """The pretrained encoder of a corpus: trained at its first use, then read from the cache."""

    corpus: Corpus
    steps: int = STEPS

    def __call__(self, space: TokenSpace) -> Encoder:
        encoder = Encoder(space)
        key = key_of("mlm@1", space.name, self.corpus.digest, self.steps)
        found = kept(key, "encoder pretrained on the corpus", lambda: self._trained(space))
        encoder.load_state_dict(found)
        return encoder

    def _trained(self, space: TokenSpace) -> dict[str, Tensor]:
        with torch.enable_grad(), torch_seeded("mlm"):
            encoder = Encoder(space)
            masked_language_model(encoder, space, space.encode(self.corpus.train), self.steps)
        return {name: x.detach() for name, x in encoder.state_dict().items()}


def masked_language_model(encoder: Encoder, space: TokenSpace, ids: Tensor, steps: int) -> list[float]:  # ids: (n, t)
    """Trains the encoder, in place, to name the words that were replaced by [MASK] (Devlin et al. 2019, whose other replacements
    are left out), by the table itself; AdamW 0.001. Returns the loss of each step."""
    rng, hole = stream("mlm"), space.tokenizer.token_to_id(MASKED)
    back = nn.Linear(encoder.d, space.width)
    opt = torch.optim.AdamW([*encoder.parameters(), *back.parameters()], lr=1e-3)
    special = torch.tensor(sorted(space.special))
    losses = []
    for _ in range(steps):
        batch = ids[rng.choices(range(len(ids)), k=ROWS)]
        batch = batch[:, : max(int((batch != space.pad).sum(1).max()), 1)]
        hidden = torch.rand(batch.shape, generator=generator(rng)) < RATE
        hidden &= ~torch.isin(batch, special)
        if not hidden.any():
            continue
        e = space.table[torch.where(hidden, hole, batch)]
        states, _ = encoder(e, batch != space.pad)
        loss = F.cross_entropy(back(states[hidden]) @ space.table.T, batch[hidden])
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    return losses
