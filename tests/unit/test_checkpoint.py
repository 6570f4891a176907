import errno
import math
import os
import random

import numpy as np
import pytest
import torch
from torch import nn

from ddcore import checkpoint
from ddcore.errors import ArtifactError


def same(a, b):
    """Equal in type and in bits, all the way down."""
    if isinstance(a, torch.Tensor):
        assert type(b) is torch.Tensor
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        raw = [x.detach().contiguous().flatten().view(torch.uint8) for x in (a, b)]
        return torch.equal(*raw)
    assert type(a) is type(b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(type(j) is type(k) and same(a[j], b[k]) for j, k in zip(a, b, strict=True))
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    return a == b


def round_trip(tmp_path, tree):
    checkpoint.save(tmp_path / "c", tree)
    return checkpoint.load(tmp_path / "c")


@pytest.mark.parametrize(
    "tree",
    [
        None,
        True,
        2**100,
        [1, 1.0, True, "1", None],
        [math.nan, math.inf, -math.inf, -0.0, 0.1, 5e-324],
        {"a": (1, [2, (3,)], {}), 1: "int key", "1": "str key", False: 0, (1, "b"): 0, None: ()},
        {"tensor": 0, "tuple": [1], "dict": [], "tree": "é\ud800\n"},
        random.Random(5).getstate(),
    ],
)
def test_plain_values_come_back_with_their_types(tmp_path, tree):
    assert same(tree, round_trip(tmp_path, tree))


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16", "int64", "uint8", "bool", "complex64"])
@pytest.mark.parametrize("shape", [(), (3,), (0, 2), (2, 3, 4)])
def test_tensors_come_back_bit_for_bit(tmp_path, dtype, shape):
    x = (torch.randn(shape) * 3).to(getattr(torch, dtype))
    assert same([x], round_trip(tmp_path, [x]))


def test_nan_payloads_shared_and_strided_tensors(tmp_path):
    x = torch.tensor([0x7FC00001, 0x7F800000, -1], dtype=torch.int32).view(torch.float32)
    big = torch.arange(12.0).reshape(3, 4)
    tree = {
        "nan": x,
        "whole": big,
        "same": big,
        "transposed": big.t(),
        "row": big[1],
        "expanded": torch.ones(1).expand(5),
    }
    assert same(tree, round_trip(tmp_path, tree))


def test_a_restored_training_goes_on_as_if_it_had_never_stopped(tmp_path):
    def make():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
        return net, torch.optim.Adam(net.parameters(), lr=0.1, amsgrad=True), random.Random(3)

    def train(net, opt, rng, steps):
        for _ in range(steps):
            x = torch.tensor([[rng.random() for _ in range(4)] for _ in range(6)])
            opt.zero_grad()
            net(x).square().sum().backward()
            opt.step()

    net, opt, rng = make()
    train(net, opt, rng, 3)
    state = {"net": net.state_dict(), "opt": opt.state_dict(), "rng": rng.getstate(), "torch": torch.get_rng_state()}
    again = round_trip(tmp_path, state)
    train(net, opt, rng, 3)

    other, other_opt, other_rng = make()
    other.load_state_dict(again["net"])
    other_opt.load_state_dict(again["opt"])
    other_rng.setstate(again["rng"])
    torch.set_rng_state(again["torch"])
    train(other, other_opt, other_rng, 3)
    assert same(dict(net.state_dict()), dict(other.state_dict()))


def test_the_same_tree_is_the_same_bytes(tmp_path):
    tree = {"b": torch.ones(2), "a": {1: torch.zeros(3)}, "c": [0.1]}
    for name in "xy":
        checkpoint.save(tmp_path / name, tree)
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()


@pytest.mark.parametrize("value", [object(), {1}, np.float32(1), b"x", nn.Linear(1, 1)])
def test_what_cannot_be_kept_is_refused_with_its_place(tmp_path, value):
    with pytest.raises(TypeError, match=r"tree\['state'\]\[1\] is a .*checkpoint holds"):
        checkpoint.save(tmp_path / "c", {"state": [0, value]})
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_is_told_wherever_the_damage_is(tmp_path):
    file = tmp_path / "c"
    checkpoint.save(file, {"x": torch.arange(4.0), "y": [1, "two"]})
    whole = file.read_bytes()
    for cut in range(0, len(whole), 7):
        file.write_bytes(whole[:cut])
        with pytest.raises(ArtifactError, match="cut short or altered"):
            checkpoint.load(file)
    header = 8 + int.from_bytes(whole[:8], "little")
    for at in range(header, len(whole)):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(ArtifactError, match="cut short or altered"):
            checkpoint.load(file)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ArtifactError, match="No such file"):
        checkpoint.load(tmp_path / "none")


def test_a_crash_leaves_the_previous_checkpoint(tmp_path, monkeypatch):
    file = tmp_path / "c"
    checkpoint.save(file, [1])

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ArtifactError, match="no space"):
        checkpoint.save(file, [2])
    assert checkpoint.load(file) == [1]
    assert [p.name for p in tmp_path.iterdir()] == ["c"]
