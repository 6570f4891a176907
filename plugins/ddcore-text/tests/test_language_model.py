"""A language model of the corpus, trained by several threads."""

from __future__ import annotations

import torch
from ddcore_text.data import token_space
from ddcore_text.language_model import LanguageModel


def test_gradients_are_the_same_whatever_the_threads_do(tokens):
    torch.manual_seed(0)
    model = LanguageModel(token_space(tokens()), 2, hidden=32, dropout=0.0)
    texts, y = torch.randint(5, len(model.table), (200, 12)), torch.randint(2, (200,))
    threads, found = torch.get_num_threads(), []
    torch.set_num_threads(4)
    try:
        for _ in range(3):
            found.append(torch.autograd.grad(model.rates(texts, y).mean(), [model.bias, model.table]))
    finally:
        torch.set_num_threads(threads)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))
