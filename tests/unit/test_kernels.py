"""Kernels of infinite width equal what wide networks and closed forms say."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import toys
from sklearn.gaussian_process.kernels import DotProduct
from sklearn.kernel_ridge import KernelRidge
from torch import nn
from torch.func import functional_call, jacrev, vmap

from ddcore.kernels import Convolutional, FullyConnected, KernelMachine, PooledConvolutional, one_row_per_class, ridge
from ddcore.kernels.relu import Affine, arc_cosine
from ddcore.rows import RowSynthetic

KINDS = ["ntk", "nngp"]


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def on(kernel):
    """A kernel and rows that it reads: vectors or maps, of different lengths."""
    shape = (5,) if isinstance(kernel, FullyConnected) else (2, 4, 4)
    scale = torch.linspace(0.5, 2, 4, dtype=torch.float64).reshape(4, *[1] * len(shape))
    return scale * draw(4, *shape), draw(3, *shape, seed=1)


EVERY = [make(2, kind) for make in (FullyConnected, Convolutional, PooledConvolutional) for kind in KINDS]


# ---------------------------------------------------------------------------------------------------------------------
# closed forms


def test_the_gaussian_expectations_of_a_relu():
    """Against numerical integration, and at the angles where they are known: 0, 90 and 180 degrees."""
    u, v, s = 1.7, 0.6, 0.4
    grid = torch.linspace(-8, 8, 801, dtype=torch.float64)
    density = torch.exp(-grid.square() / 2) / math.sqrt(2 * math.pi)
    a = math.sqrt(u) * grid[:, None]  # b given a is normal about s a / u
    b = s / u * a + math.sqrt(v - s * s / u) * grid
    weight = density[:, None] * density * (grid[1] - grid[0]) ** 2
    value, slope = arc_cosine(*(torch.tensor(x, dtype=torch.float64) for x in (s, u, v)))
    assert value.item() == pytest.approx((weight * a.relu() * b.relu()).sum().item(), rel=1e-4)
    assert slope.item() == pytest.approx((weight * (a > 0) * (b > 0)).sum().item(), rel=1e-2)
    one = torch.ones(3, dtype=torch.float64)
    value, slope = arc_cosine(torch.tensor([2.0, 0.0, -2.0], dtype=torch.float64), 4 * one, one)
    assert value.tolist() == pytest.approx([2 / 2, 2 / (2 * math.pi), 0.0])
    assert slope.tolist() == pytest.approx([0.5, 0.25, 0.0])


def test_without_hidden_layers_it_is_the_inner_product():
    x, z = draw(6, 5), draw(4, 5, seed=1)
    nngp = FullyConnected(0, "nngp", Affine(2.0, 0.3))(x, z)
    expected = DotProduct(sigma_0=math.sqrt(0.3))(math.sqrt(2 / 5) * x.numpy(), math.sqrt(2 / 5) * z.numpy())
    np.testing.assert_allclose(nngp, expected)
    np.testing.assert_allclose(FullyConnected(0, "ntk", Affine(2.0, 0.3))(x, z), expected)


def test_one_hidden_layer_is_the_arc_cosine_kernel():
    """Cho and Saul 2009, equations 3 to 6, order 1, written with angles."""
    x, z = draw(6, 5), draw(4, 5, seed=1)
    got = FullyConnected(1, "nngp", Affine(2.0, 0.0))(x, z)
    for i in range(6):
        for j in range(4):
            lengths = x[i].norm() * z[j].norm()
            theta = math.acos((x[i] @ z[j] / lengths).item())
            order_1 = lengths / math.pi * (math.sin(theta) + (math.pi - theta) * math.cos(theta))
            assert got[i, j].item() == pytest.approx((2 * order_1 / 5).item())  # sigma_w^2 twice, E[relu relu] is half


@pytest.mark.parametrize("kind", KINDS)
def test_maps_of_one_pixel_are_vectors(kind):
    """One pixel is read by the filter's centre alone, a ninth of its weights."""
    x, z = draw(4, 5), draw(3, 5, seed=1)
    for kernel in (Convolutional, PooledConvolutional):
        options = {"pool": 1} if kernel is PooledConvolutional else {}
        maps = kernel(1, kind, Affine(2.0, 0.0), **options)(x[..., None, None], z[..., None, None])
        torch.testing.assert_close(9 * maps, FullyConnected(1, kind, Affine(2.0, 0.0))(x, z))


@pytest.mark.parametrize("kind", KINDS)
def test_pooling_over_one_position_is_no_pooling(kind):
    x, z = on(Convolutional())
    torch.testing.assert_close(PooledConvolutional(2, kind, pool=1)(x, z), Convolutional(2, kind)(x, z))


# ---------------------------------------------------------------------------------------------------------------------
# finite networks


class Wide(nn.Module):
    """A finite network in the NTK parametrization: weights are standard normal, scales stand in the forward."""

    def __init__(self, kernel, fan_in, width, readout):
        super().__init__()
        self.kernel, size = kernel, () if isinstance(kernel, FullyConnected) else (3, 3)
        widths = [fan_in, *[width] * kernel.depth]
        shapes = [(b, a, *size) for a, b in zip(widths, widths[1:])] + [(1, readout)]
        self.weights = nn.ParameterList([nn.Parameter(torch.randn(s, dtype=torch.float64)) for s in shapes])
        self.biases = nn.ParameterList([nn.Parameter(torch.randn(s[0], dtype=torch.float64)) for s in shapes])

    def forward(self, x):
        affine = self.kernel.affine
        for w, b in zip(self.weights, self.biases):
            maps = w.ndim == 4
            x = x if maps else x.flatten(1)
            w = math.sqrt(affine.weight / w[0].numel()) * w
            b = math.sqrt(affine.bias) * b
            x = F.conv2d(x, w, b, padding=1) if maps else F.linear(x, w, b)
            if len(x.shape) == 4 or x.shape[1] > 1:
                x = F.relu(x)
            if isinstance(self.kernel, PooledConvolutional) and maps:
                x = F.avg_pool2d(x, self.kernel.pool)
        return x.squeeze(1)


def monte_carlo(kernel, x, networks, width):
    """The mean over finite networks and its standard error: products of outputs, or of gradients."""
    side = 1 if isinstance(kernel, FullyConnected) else x.shape[2]
    side //= 2**kernel.depth if isinstance(kernel, PooledConvolutional) else 1
    found = []
    for seed in range(networks):
        torch.manual_seed(seed)
        net = Wide(kernel, x.shape[1], width, width * side * side)
        params = {k: p.detach() for k, p in net.named_parameters()}
        trained = params  # the NNGP is what the readout's weights alone contribute, and the variance of its bias
        if kernel.kind == "nngp":
            trained = {k: params[k] for k in (f"weights.{kernel.depth}", f"biases.{kernel.depth}")}
        jacobian = vmap(lambda row: jacrev(lambda p: functional_call(net, {**params, **p}, (row[None],))[0])(trained))(
            x
        )
        flat = torch.cat([j.flatten(1) for j in jacobian.values()], 1)
        found.append(flat @ flat.T)
    every = torch.stack(found)
    return every.mean(0), every.std(0) / math.sqrt(networks)


@pytest.mark.parametrize("kernel", EVERY, ids=lambda k: f"{type(k).__name__} {k.kind}")
def test_the_kernel_is_the_mean_of_wide_networks(kernel):
    """Within five standard errors, and the bias of order depth / width that finite networks have."""
    width = 256 if isinstance(kernel, FullyConnected) else 48
    x, _ = on(kernel)
    mean, error = monte_carlo(kernel, x, 20, width)
    exact = kernel(x, x)
    assert ((mean - exact).abs() < 5 * error + 2 * kernel.depth / width * exact.diagonal().max()).all()
    assert error.mean() < 0.1 * exact.mean()  # else nothing was measured


# ---------------------------------------------------------------------------------------------------------------------
# properties


@pytest.mark.parametrize("kernel", EVERY, ids=lambda k: f"{type(k).__name__} {k.kind}")
def test_symmetric_positive_and_differentiable(kernel):
    x, z = on(kernel)
    k = kernel(x, x)
    torch.testing.assert_close(k, k.T)
    assert torch.linalg.eigvalsh(k)[0] > 0
    torch.testing.assert_close(kernel(x, z), kernel(z, x).T)
    row = x[:2].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda t: kernel(t, z[:2]), (row,), fast_mode=True)
    assert torch.autograd.gradcheck(lambda t: kernel(t, t), (row,), fast_mode=True)  # with the kink of the diagonal


@pytest.mark.parametrize("kernel", [Convolutional, PooledConvolutional])
def test_blocks_change_nothing(kernel):
    x, z = on(kernel())
    x.requires_grad_()
    whole = kernel(2)(x, z)
    (g,) = torch.autograd.grad(whole.square().sum(), x)
    for pairs in (1, 2, 5):
        positions = 16 if kernel is Convolutional else 256
        blocks = kernel(2, at_once=pairs * positions)(x, z)
        torch.testing.assert_close(blocks, whole)
        torch.testing.assert_close(torch.autograd.grad(blocks.square().sum(), x)[0], g)


def test_single_precision_stays_near_double():
    x, z = on(FullyConnected())
    for kernel in (FullyConnected(3), FullyConnected(3, "nngp")):
        torch.testing.assert_close(kernel(x.float(), z.float()).double(), kernel(x, z), rtol=1e-4, atol=1e-4)
        row, exact = x.float().requires_grad_(), x.clone().requires_grad_()
        (g,), (h,) = (torch.autograd.grad(kernel(r, r).square().sum(), r) for r in (row, exact))
        torch.testing.assert_close(g.double(), h, rtol=1e-3, atol=1e-2)


# ---------------------------------------------------------------------------------------------------------------------
# ridge regression


def test_ridge_is_scikit_learns():
    x, t, y = draw(12, 5), draw(7, 5, seed=1), draw(12, 3, seed=2)
    kernel = FullyConnected(2)
    k = kernel(x, x)
    reg = 0.01
    lam = reg * k.diagonal().mean().item()
    theirs = KernelRidge(alpha=lam, kernel="precomputed").fit(k.numpy(), y.numpy()).predict(kernel(t, x).numpy())
    np.testing.assert_allclose(kernel(t, x) @ ridge(k, y, reg), theirs, rtol=1e-8)


@pytest.mark.parametrize("lam", [0.0, 1e-3, 5e-3])
def test_one_row_per_class_holds_the_whole_solution(lam):
    """Linear and random ReLU features of 60 rows: ridge regression on three made rows has the solution of all, and predicts the
    same; scikit-learn says so, too."""
    x, y = draw(60, 5), draw(60, 3, seed=2)
    random_features = torch.relu(x @ draw(5, 20, seed=3))
    labels = torch.eye(3, dtype=torch.float64) - 0.25
    for phi in (x, random_features):
        d = phi.shape[1]
        w = torch.linalg.solve(phi.T @ phi + torch.eye(d, dtype=torch.float64), phi.T @ y)  # (d, 3)
        rows = one_row_per_class(w, labels, lam)
        coefficients = torch.linalg.solve(rows @ rows.T + lam * torch.eye(3, dtype=torch.float64), labels)
        torch.testing.assert_close(rows.T @ coefficients, w)
        theirs = KernelRidge(alpha=max(lam, 1e-12)).fit(rows.numpy(), labels.numpy()).predict(phi.numpy())
        np.testing.assert_allclose(theirs, phi @ w, rtol=1e-6, atol=1e-8)
    with pytest.raises(ValueError, match=r"no rows give this solution with lam=1000"):
        one_row_per_class(w, labels, 1000.0)


def test_ridge_scores_a_set_as_a_network_does():
    """All rows of the toy as the set: better than chance, and equal to the solve on them."""
    p = toys.image(data=toys.pictures(dtype=torch.float64))

    def kernel(a, b):
        return FullyConnected()(a.x.flatten(1), b.x.flatten(1))

    ids = list(p.data.ids())[:30]
    s = RowSynthetic(dict.fromkeys(range(3), 10), p.data.x[sorted(ids, key=lambda i: i % 3)])
    machine = KernelMachine(kernel, 1e-3)
    machine.fit(s, p)
    test = p.data.take(list(p.data.ids(split="test")))
    y = F.one_hot(torch.arange(30) // 10, 3).double() - 1 / 3
    k = FullyConnected()(s.x.detach().flatten(1), s.x.detach().flatten(1))
    expected = FullyConnected()(test.x.flatten(1), s.x.detach().flatten(1)) @ ridge(k, y, 1e-3)
    torch.testing.assert_close(machine(test).logits, expected)
    assert (machine(test).logits.argmax(1) == test.y).double().mean() > 0.8
