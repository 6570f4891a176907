"""The layers that are torch's with cheaper derivatives: values and derivatives are torch's."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call, grad, jvp, vmap
from torch.nn import functional as F

from ddcore.errors import NotSupported
from ddcore.layers import HalvingPool2d, InstanceNorm


def maps(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()


def norm():
    """Scales and shifts of all signs, one of them zero."""
    layer = InstanceNorm(4).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([0.0, -1.5, 0.5, 2.0]))
        layer.bias.copy_(torch.tensor([1.0, 0.0, -0.5, 0.25]))
    return layer


def normalised(x, weight, bias):
    return functional_call(norm(), {"weight": weight, "bias": bias}, (x,))


@pytest.mark.parametrize("spatial", [(3, 2), (5,)])
def test_the_norm_s_first_and_second_derivatives_equal_finite_differences(spatial):
    given = maps(2, 4, *spatial), *norm().parameters()
    assert gradcheck(normalised, given, check_forward_ad=True)
    assert gradgradcheck(normalised, given)


def test_the_norm_is_torch_s_group_norm_with_one_channel_a_group():
    x, layer = maps(3, 4, 6, 5), norm()
    expected = F.group_norm(x, 4, layer.weight, layer.bias)
    assert torch.equal(layer(x), expected)
    assert torch.equal(layer(x.detach().to(memory_format=torch.channels_last)), expected)
    assert list(layer.state_dict()) == ["weight", "bias"]


def test_a_constant_map_has_finite_second_derivatives():
    x = torch.full((2, 4, 3, 3), 0.5, dtype=torch.float64, requires_grad=True)
    (g,) = torch.autograd.grad((norm()(x) ** 3).sum(), x, create_graph=True)
    assert torch.isfinite(torch.autograd.grad(g.square().sum(), x)[0]).all()


def test_a_derivative_along_a_tangent_can_be_differentiated():
    x, layer = maps(2, 4, 3, 3), norm()
    t = torch.linspace(-1, 1, x.numel(), dtype=torch.float64).view_as(x)

    def of(f):
        return torch.autograd.grad(jvp(f, (x,), (t,))[1].square().sum(), x)[0]

    assert torch.allclose(of(layer), of(lambda x: F.group_norm(x, 4, layer.weight, layer.bias)))


def test_third_derivatives_of_the_norm_are_refused_instead_of_wrong():
    x = maps(1, 4, 3, 3)
    (g,) = torch.autograd.grad((norm()(x) ** 3).sum(), x, create_graph=True)
    (h,) = torch.autograd.grad(g.square().sum(), x, create_graph=True)
    with pytest.raises(NotSupported, match="third derivatives"):
        torch.autograd.grad(h.square().sum(), x)


@pytest.mark.parametrize("sides", [(4, 6), (5, 3), (2, 7)])
def test_the_pool_is_torch_s_average_of_squares(sides):
    x, pool = maps(2, 3, *sides), HalvingPool2d()
    assert torch.allclose(pool(x), F.avg_pool2d(x, 2))
    assert gradcheck(pool, (x,), check_forward_ad=True)
    assert gradgradcheck(lambda x: pool(x) ** 3, (x,))


@pytest.mark.parametrize("layer", [HalvingPool2d(), norm()], ids=["pool", "norm"])
def test_several_networks_can_be_stacked(layer):
    x = torch.stack([maps(2, 4, 4, 4).detach() * k for k in (1, 2)])

    def loss(x):
        return (layer(x) ** 3).sum()

    assert torch.allclose(vmap(grad(loss))(x), torch.stack([grad(loss)(one) for one in x]))
