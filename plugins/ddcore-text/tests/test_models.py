"""Networks of tokens: padding is worth nothing, and every family has second derivatives."""

import random
from dataclasses import replace
from functools import partial

import pytest
import torch
from ddcore_text.batch import Sentences
from ddcore_text.data import token_space
from ddcore_text.models import Encoded, FrozenEncoderCNN, Recurrent, token_zoo
from ddcore_text.models.encoders import Encoder, from_config
from ddcore_text.pretraining import CorpusEncoder, masked_language_model
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ddcore.inner import grads, trainable

NETWORKS = ["textcnn", "bag", "bilstm", "bigru", "transformer", "bert", "distilbert", "gpt2", "encoder-cnn"]


@pytest.fixture(scope="module")
def problem(tokens):
    found = tokens(length=24)
    space, corpus = token_space(found), found.data.corpus
    return replace(found, models=token_zoo(space, 3, CorpusEncoder(corpus, steps=2)))


@torch.no_grad()
@pytest.mark.parametrize("name", NETWORKS)
def test_more_padding_changes_nothing(problem, name):
    net = problem.new_model(random.Random(0), name).eval()
    space, batch = token_space(problem), problem.data.take(list(problem.data.ids())[:6])
    n, t = batch.x.shape
    before, e = net(batch), space.table[batch.x]
    longer = Sentences(
        torch.cat([batch.x, torch.full((n, 5), space.pad)], 1),
        batch.y,
        mask=torch.cat([batch.mask, torch.zeros(n, 5, dtype=torch.bool)], 1),
    )
    assert torch.allclose(net(longer).logits, before.logits, atol=1e-5)
    noise = torch.randn(n, t + 5, space.width, generator=torch.Generator().manual_seed(0))
    noise[:, :t][batch.mask] = e[batch.mask]  # vectors at padding are not seen
    assert torch.allclose(net(replace(longer, x=noise)).logits, before.logits, atol=1e-5)
    for i in range(n):
        alone = problem.data.take([list(problem.data.ids())[i]])
        assert torch.allclose(net(alone).logits, before.logits[i : i + 1], atol=1e-5)


def test_both_directions_are_those_of_torch(problem):
    space = token_space(problem)
    torch.manual_seed(0)
    net, oracle = Recurrent(space, 3, hidden=7), nn.LSTM(space.width, 7, bidirectional=True, batch_first=True)
    for name, p in net.forwards.named_parameters():
        getattr(oracle, name).data.copy_(p)
    for name, p in net.backwards.named_parameters():
        getattr(oracle, f"{name}_reverse").data.copy_(p)
    batch = problem.data.take(list(problem.data.ids())[:5])
    lengths = batch.mask.sum(1)
    packed = pack_padded_sequence(space.table[batch.x], lengths, batch_first=True, enforce_sorted=False)
    states, _ = pad_packed_sequence(oracle(packed)[0], batch_first=True)
    assert torch.allclose(net(batch).features, states.sum(1) / lengths.unsqueeze(1), atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("name", ["transformer", "bert", "distilbert", "encoder-cnn"])
def test_attention_is_a_distribution_over_the_words(problem, name):
    net, batch = problem.new_model(random.Random(0), name).eval(), problem.data.take(list(problem.data.ids())[:4])
    maps = net(batch).extras["attention"]
    assert maps.shape == (4, 2, 2, batch.x.shape[1], batch.x.shape[1])
    assert torch.allclose(maps.sum(-1), torch.ones(maps.shape[:-1]), atol=1e-5)
    assert maps.masked_select(~batch.mask[:, None, None, None]).abs().max() < 1e-6


@pytest.mark.parametrize("kind", ["bert", pytest.param("distilbert", marks=pytest.mark.paper)])
def test_second_derivatives_of_transformers_equal_finite_differences(problem, kind):
    space = token_space(problem)
    torch.manual_seed(0)
    net = Encoded(space, 3, partial(from_config, kind=kind)).double().eval()
    x = torch.randn(3, 5, space.width, dtype=torch.float64, requires_grad=True)
    batch = Sentences(x, torch.arange(3))
    direction = torch.randn_like(x)

    def squared_gradient(x):
        loss = problem.task.loss(net(replace(batch, x=x)), batch)
        return torch.stack(
            [g.square().sum() for g in grads(loss, trainable(net), create_graph=True) if g is not None]
        ).sum()

    (slope,) = torch.autograd.grad(squared_gradient(x), x)
    ends = [float(squared_gradient((x + h * direction).detach()).detach()) for h in (1e-5, -1e-5)]
    assert float((slope * direction).sum()) == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-4)


def test_only_what_is_behind_a_frozen_encoder_is_trained(problem):
    net = problem.new_model(random.Random(0), "encoder-cnn")
    assert isinstance(net, FrozenEncoderCNN)
    assert all(name.startswith(("windows", "classifier")) for name, p in net.named_parameters() if p.requires_grad)
    again = problem.new_model(random.Random(1), "encoder-cnn")
    for a, b in zip(net.encoder.parameters(), again.encoder.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_masked_words_are_learned(problem):
    space = token_space(problem)
    torch.manual_seed(0)
    losses = masked_language_model(Encoder(space, d=16, hidden=32), space, space.encode(problem.data.corpus.train), 60)
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])
