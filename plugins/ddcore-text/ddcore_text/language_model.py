"""A small language model of the corpus: what it finds likely, and what it writes."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddcore.seeds import generator, stream, torch_seeded

from .store import kept, key_of

if TYPE_CHECKING:
    from .corpus import Corpus
    from .tokens import TokenSpace

__all__ = ["LanguageModel", "corpus_language_model", "masked_mean_loss", "train_language_model"]

ROWS = 32


class LanguageModel(nn.Module):
    """A GRU that begins with a vector of the class, as DiLM's generator begins with `<bos_class>`, and names the next token by a
    table that starts as the problem's, with a bias for every token and class. The end of a text is the token of padding."""

    def __init__(self, space: TokenSpace, classes: int, hidden: int = 256, dropout: float = 0.3) -> None:
        super().__init__()
        self.end = space.pad
        self.table = nn.Parameter(space.table.clone())
        nn.init.normal_(self.table.data[self.end])  # 0 in the problem's
        self.forbidden = sorted(space.special - {space.pad})
        self.classes = nn.Embedding(classes, space.width)
        self.gru = nn.GRU(space.width, hidden, batch_first=True)
        self.out = nn.Linear(hidden, space.width)
        self.bias = nn.Parameter(torch.zeros(classes, len(space.table)))
        self.drop = nn.Dropout(dropout)

    def logits(self, states: Tensor, y: Tensor) -> Tensor:  # (n, hidden), (n,) -> (n, V)
        """Of the next token."""
        found: Tensor = self.out(self.drop(states)) @ self.table.T + F.embedding(y, self.bias)
        return found

    def losses(self, ids: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:  # (n, t) bare texts, (n,)
        """The negative log-likelihood of each token and of the end, (n, t + 1), and which of them count."""
        n = len(ids)
        following = torch.cat([ids, ids.new_full((n, 1), self.end)], 1)
        counts = torch.cat([ids.new_ones((n, 1), dtype=torch.bool), ids != self.end], 1)  # up to the first end
        e = torch.cat([self.classes(y).unsqueeze(1), F.embedding(ids, self.table)], 1)
        with torch.backends.cudnn.flags(enabled=False):
            states, _ = self.gru(self.drop(e))
        classes = y.unsqueeze(1).expand_as(counts)[counts]
        found = F.cross_entropy(self.logits(states[counts], classes), following[counts], reduction="none")
        return torch.zeros_like(counts, dtype=found.dtype).masked_scatter(counts, found), counts

    def rates(self, ids: Tensor, y: Tensor) -> Tensor:  # (n,)
        """The mean loss of each text's tokens."""
        return masked_mean_loss(*self.losses(ids, y))

    @torch.no_grad()
    def sample(
        self, y: Tensor, length: int, rng: random.Random, top_p: float = 0.95
    ) -> Tensor:  # (n,) -> (n, t), padded at the end
        """Texts of the classes y, of one token or more, by nucleus sampling (Holtzman et al. 2020); marks are never written."""
        noise = generator(rng)
        e, state, written = self.classes(y).unsqueeze(1), None, []
        done = torch.zeros(len(y), dtype=torch.bool, device=y.device)
        for t in range(length):
            out, state = self.gru(e, state)
            logits = self.logits(out[:, 0], y)
            logits[:, self.forbidden] = -torch.inf
            if t == 0:
                logits[:, self.end] = -torch.inf
            token = _nucleus(logits, top_p, noise)
            token = torch.where(done, torch.full_like(token, self.end), token)
            done |= token == self.end
            if bool(done.all()):
                break
            written.append(token)
            e = self.table[token].unsqueeze(1)
        return torch.stack(written, 1)


def _nucleus(logits: Tensor, top_p: float, noise: torch.Generator) -> Tensor:  # (n, V) -> (n,)
    """A token of the fewest that have the probability `top_p` together."""
    p, order = logits.softmax(-1).sort(-1, descending=True)
    p = p * (p.cumsum(-1) - p < top_p)
    chosen = torch.multinomial(p.cpu(), 1, generator=noise).to(order.device)
    return order.gather(1, chosen).squeeze(1)


def masked_mean_loss(every: Tensor, counts: Tensor) -> Tensor:  # (n, t), (n, t) bool -> (n,)
    """The mean over the positions that count: padding adds nothing to the sum, nor to what it is divided by."""
    weights = counts.to(every.dtype)
    return (every * weights).sum(1) / weights.sum(1)


def train_language_model(model: LanguageModel, ids: Tensor, y: Tensor, steps: int, lr: float = 5e-3) -> list[float]:
    """Trains the model, in place, on texts (n, t) of the classes y; AdamW, the rate falls as a cosine. Returns the losses. It is
    left without dropout."""
    rng = stream("language model")
    model.train()
    opt = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, steps)
    losses = []
    for _ in range(steps):
        at = rng.choices(range(len(ids)), k=ROWS)
        batch = ids[at]
        batch = batch[:, : max(int((batch != model.end).sum(1).max()), 1)]
        loss = model.rates(batch, y[at]).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        schedule.step()
        losses.append(loss.item())
    model.eval()
    return losses


def corpus_language_model(space: TokenSpace, corpus: Corpus, steps: int) -> LanguageModel:
    """The model of a corpus's training texts: trained at its first use, then read from the cache."""
    classes = len(corpus.class_names)

    def make() -> dict[str, Tensor]:
        with torch.enable_grad(), torch_seeded("language model"):
            model = LanguageModel(space, classes)
            y = torch.tensor([corpus.y[i] for i in corpus.splits["train"]])
            train_language_model(model, space.bare(space.encode(corpus.train)), y, steps)
        return {name: x.detach() for name, x in model.state_dict().items()}

    model = LanguageModel(space, classes).eval()
    key = key_of("gru-lm@4", space.name, corpus.digest, steps)
    model.load_state_dict(kept(key, "language model of the corpus", make))
    return model
