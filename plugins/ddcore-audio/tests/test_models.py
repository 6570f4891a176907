"""Every network of the zoo, on every frontend: shapes, second derivatives, what the papers say of their size."""

from __future__ import annotations

import random

import pytest
import torch
import toy
from ddcore_audio.frontend import Features, Frontend
from ddcore_audio.models import DSCNN, M5, BCResNet, ConvNet, zoo

from ddcore.errors import OptionError
from ddcore.inner import grads, trainable
from ddcore.rows import Rows

KEYWORDS = (1, 40, 101)  # 40 bands, 1 s at 16 kHz, a hop of 10 ms


def size(net):
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize("kind", ["log-mel", "mfcc"])
@pytest.mark.parametrize("waveforms", [False, True])
def test_every_network_has_outputs_layers_and_second_derivatives(kind, waveforms):
    problem = toy.problem(kind, waveforms=waveforms)
    x = problem.data.take([0, 20, 40, 1]).x
    assert ("m5" in problem.models) == waveforms
    for name in problem.models:
        net = problem.new_model(random.Random(0), name)
        rows = x.clone().requires_grad_()
        out = net(Rows(rows))
        assert out.logits.shape == (4, 3), name
        assert all(len(layer) == 4 for layer in out.layers), name
        assert len(out.layers) > 1, name
        found = grads(out.logits.square().sum(), trainable(net), create_graph=True)
        (d,) = torch.autograd.grad(sum(g.square().sum() for g in found if g is not None), rows)
        assert d.isfinite().all(), name
        assert d.any(), name


@pytest.mark.parametrize("rows", [16, 20, 40, 64, 80])
def test_networks_take_maps_of_any_height(rows):
    for make in (BCResNet, DSCNN, ConvNet):
        assert make((1, rows, 32), 5)(Rows(torch.zeros(2, 1, rows, 32))).logits.shape == (2, 5)


def test_sizes_are_those_of_the_papers():
    assert size(BCResNet(KEYWORDS, 12)) == pytest.approx(9_200, rel=0.1)  # table 2: 9.2k
    assert size(DSCNN((1, 10, 49), 12)) == pytest.approx(24_000, rel=0.1)  # Hello Edge: 22.7k of weights, small
    assert size(M5(8000, 10, width=128)) == pytest.approx(558_000, rel=0.02)  # table 1: 0.5M


def test_a_waveform_network_is_the_network_of_maps_behind_the_frontend():
    waves, maps = toy.problem(waveforms=True), toy.problem()
    net, plain = (p.new_model(random.Random(3)).eval() for p in (waves, maps))
    ids = list(maps.data.ids())[:5]
    a, b = net(waves.data.take(ids)), plain(maps.data.take(ids))
    assert torch.allclose(a.logits, b.logits, atol=1e-5)


def test_networks_do_not_share_their_frontend():
    problem = toy.problem(waveforms=True)
    net = problem.new_model(random.Random(0)).double()
    assert net.frontend.mean.dtype == torch.float64
    assert problem.synthetic.features.mean.dtype == torch.float32


def test_networks_that_do_not_fit():
    features = Features(toy.frontend())
    with pytest.raises(OptionError, match="can be halved 4 times"):
        zoo(features, 3, depth=5)
    with pytest.raises(OptionError, match="4,000 samples or more"):
        M5(3000, 10)
    short = Features(Frontend("log-mel", 8000, 3000, 512, 320, 160, 16, 20.0, 4000.0))
    assert "m5" not in zoo(short, 3, scale=1.0, depth=2)
