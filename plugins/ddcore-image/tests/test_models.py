"""The zoo: published sizes, exact functions, second derivatives."""

from __future__ import annotations

import pickle
from functools import partial
from math import prod

import pytest
import torch
import torch.nn.functional as F
from ddcore_image.models import MLP, VGG11, AlexNet, ConvNet, LeNet, ResNet, ViT, zoo
from torch import nn

from ddcore.errors import NotSupported, OptionError
from ddcore.rows import Rows

CIFAR, MNIST, DIGITS, IMAGENET = (3, 32, 32), (1, 28, 28), (1, 8, 8), (3, 224, 224)


def size(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def images(shape: tuple[int, int, int], n: int = 4, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


@pytest.mark.parametrize(
    ("make", "published"),
    [
        (partial(ConvNet, CIFAR, 10), 320_010),  # DC, DM and MTT's ConvNetD3
        (partial(ConvNet, MNIST, 10), 317_706),  # the same on a 28-px image: two channels fewer in the first layer
        (partial(LeNet, MNIST, 10), 61_706),  # LeNet-5
        (partial(LeNet, CIFAR, 10), 62_006),
        (partial(VGG11, CIFAR, 10, norm="batch"), 9_231_114),
        (partial(ResNet, CIFAR, 10, norm="batch"), 11_173_962),
        (partial(ResNet, CIFAR, 10), 11_173_962),  # instance normalisation has as many parameters
        (partial(ResNet, CIFAR, 10, stages=(3, 4, 6, 3), bottleneck=True, norm="batch"), 23_520_842),
        (partial(ResNet, CIFAR, 10, stages=(3, 4, 23, 3), bottleneck=True, norm="batch"), 42_512_970),
        (partial(ResNet, IMAGENET, 1000, norm="batch"), 11_689_512),
        (partial(ResNet, IMAGENET, 1000, stages=(3, 4, 6, 3), bottleneck=True, norm="batch"), 25_557_032),
        (partial(ResNet, IMAGENET, 1000, stages=(3, 4, 23, 3), bottleneck=True, norm="batch"), 44_549_160),
        (partial(ViT, IMAGENET, 1000), 5_717_416),  # DeiT-Ti
    ],
)
def test_parameter_counts_are_the_published_ones(make, published):
    with torch.device("meta"):
        assert size(make()) == published


def test_parameter_counts_in_closed_form():
    linear = lambda i, o: i * o + o  # noqa: E731
    conv = lambda i, o, k: i * o * k * k + o  # noqa: E731
    assert size(MLP(CIFAR, 10)) == linear(3072, 128) + linear(128, 128) + linear(128, 10)
    widths = [(3, 128, 5), (128, 192, 5), (192, 256, 3), (256, 192, 3), (192, 192, 3)]
    alexnet = sum(conv(*w) for w in widths) + linear(192 * 16, 10)
    assert size(AlexNet(CIFAR, 10)) == alexnet
    assert size(AlexNet(CIFAR, 10, norm="batch")) == alexnet + 2 * sum(o for _, o, _ in widths)
    ap = ResNet(CIFAR, 10, average_pool=True)  # the classifier reads 4x4 maps
    assert size(ap) == 11_173_962 + 15 * 512 * 10


@pytest.mark.parametrize(
    ("shape", "depth", "d"),
    [
        (CIFAR, 3, 2048),
        (MNIST, 3, 2048),  # framed to 32
        ((3, 64, 64), 4, 2048),
        ((3, 128, 128), 5, 2048),
        (IMAGENET, 6, 128 * 3 * 3),
        (DIGITS, 3, 128),
        ((1, 8, 24), 2, 128 * 2 * 6),
    ],
)
def test_convnet_embeds_as_in_the_matching_literature(shape, depth, d):
    out = ConvNet(shape, 7, depth=depth)(Rows(images(shape, 2)))
    assert out.features.shape == (2, d)
    assert out.logits.shape == (2, 7)


@pytest.mark.parametrize("shape", [DIGITS, MNIST, CIFAR, (3, 64, 64), (3, 20, 33)], ids=str)
def test_every_network_of_a_zoo_runs_at_its_size(shape):
    for name, make in zoo(shape, 5, width=32).items():
        if name.startswith(("resnet50", "resnet101")) and (shape != CIFAR or name.startswith("resnet101-bn")):
            continue  # deep ones at one size, and the deepest under one normalisation
        net = make()
        with torch.no_grad():
            out = net(Rows(images(shape, 2)))
        assert out.logits.shape == (2, 5), name
        assert torch.allclose(net.classifier(out.features), out.logits), name
        assert out.extras["layers"], name
        assert all(len(layer) == 2 for layer in out.extras["layers"]), name


@pytest.mark.parametrize("side", [128, 224])
def test_large_images_get_the_imagenet_stem_and_bounded_features(side):
    shape = (3, side, side)
    models = zoo(shape, 3, depth=5, width=16)
    for name, layers in {"resnet18": side // 4, "resnet18-ap": side // 4}.items():
        out = models[name]()(Rows(images(shape, 1)))
        assert out.extras["layers"][0].shape == (1, 64, layers, layers)
    for name, most in {"resnet18": 512, "resnet18-ap": 512 * 16, "alexnet": 192 * 16, "vgg11": 512, "vit": 192}.items():
        with torch.no_grad():
            assert models[name]()(Rows(images(shape, 1))).features.shape[1] <= most


def test_zoo_leaves_out_what_the_images_are_too_small_for():
    digits, cifar = zoo(DIGITS, 10), zoo(CIFAR, 10)
    assert next(iter(digits)) == next(iter(cifar)) == "convnet"
    named = (
        "convnet-bn mlp lenet alexnet vgg11 vgg11-bn resnet18 resnet18-bn resnet18-ap resnet18-bn-ap resnet50-bn vit"
    )
    assert {*named.split(), "resnet101-bn", "alexnet-bn"} <= cifar.keys()
    assert set(cifar) - set(digits) == {
        *("lenet", "vgg11", "vgg11-bn", "resnet18", "resnet18-ap", "resnet50", "resnet50-ap", "resnet101"),
        *("resnet101-ap", "convnet-d4"),
    }


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (partial(ConvNet, DIGITS, 10, depth=4), "depth from 1 to 3"),
        (partial(zoo, DIGITS, 10, depth=4), "depth from 1 to 3"),
        (partial(ConvNet, CIFAR, 10, width=30, norm="group"), "multiple of 4"),
    ],
)
def test_options_that_do_not_fit_say_which_do(make, words):
    with pytest.raises(OptionError, match=words):
        make()


@pytest.mark.parametrize("make", [LeNet, VGG11, ResNet, partial(ResNet, average_pool=True)])
def test_networks_refuse_images_they_cannot_see(make):
    with pytest.raises(NotSupported, match="8x8"):
        make(DIGITS, 10)


ACTIVATIONS = {
    "relu": F.relu,
    "sigmoid": torch.sigmoid,
    "leaky": partial(F.leaky_relu, negative_slope=0.01),
    "swish": lambda x: x * torch.sigmoid(x),
    "softplus": lambda x: torch.logaddexp(x, torch.zeros_like(x)),
}
POOLINGS = {
    "avg": lambda x: x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).mean((3, 5)),
    "max": lambda x: x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).amax((3, 5)),
    "none": lambda x: x,
}


def standardise(x, dims):
    return (x - x.mean(dims, keepdim=True)) / (x.var(dims, correction=0, keepdim=True) + 1e-5).sqrt()


NORMS = {
    "instance": lambda x: standardise(x, (2, 3)),
    "batch": lambda x: standardise(x, (0, 2, 3)),
    "layer": lambda x: standardise(x, (1, 2, 3)),
    "group": lambda x: standardise(x.unflatten(1, (4, -1)), (2, 3, 4)).flatten(1, 2),
    "none": lambda x: x,
}


@pytest.mark.parametrize(
    ("norm", "activation", "pooling"),
    [(norm, "relu", "avg") for norm in NORMS]
    + [("instance", activation, "avg") for activation in ACTIVATIONS if activation != "relu"]
    + [("instance", "relu", pooling) for pooling in POOLINGS if pooling != "avg"],
)
@pytest.mark.parametrize("shape", [MNIST, (3, 16, 16)], ids=str)
def test_convnet_is_the_function_it_is_said_to_be(shape, norm, activation, pooling):
    torch.manual_seed(1)
    net = ConvNet(shape, 5, width=8, norm=norm, activation=activation, pooling=pooling).double()
    for p in net.parameters():
        p.data += 0.1 * torch.randn_like(p)
    p = list(net.parameters())
    x = images(shape, 4, torch.float64)
    h = F.pad(x, (2, 2, 2, 2)) if shape == MNIST else x
    for _ in range(3):
        h = NORMS[norm](F.conv2d(h, p.pop(0), p.pop(0), padding=1))
        if norm != "none":
            weight, bias = (p.pop(0).view(-1, 1, 1) if norm != "layer" else p.pop(0) for _ in range(2))
            h = h * weight + bias
        h = POOLINGS[pooling](ACTIVATIONS[activation](h))
    out = net(Rows(x))
    torch.testing.assert_close(out.features, h.flatten(1))
    torch.testing.assert_close(out.extras["layers"][-1], h)
    torch.testing.assert_close(out.logits, h.flatten(1) @ p[0].T + p[1])


@pytest.mark.parametrize("name", ["convnet", "convnet-bn", "alexnet", "vgg11", "resnet18-ap", "vit", "mlp"])
def test_forward_without_grad_is_the_same_function(name):
    net = zoo(CIFAR, 4, width=16)[name]().double().eval()
    batch = Rows(images(CIFAR, 3, torch.float64))
    with torch.no_grad():
        plain = net(batch)
    torch.testing.assert_close(plain.logits, net(batch).logits)
    torch.testing.assert_close(plain.features, net(batch).features)


LIGHT = (
    "convnet convnet-bn mlp lenet alexnet alexnet-bn vgg11 vgg11-bn resnet18 resnet18-bn resnet18-ap resnet18-bn-ap vit"
)
VARIANTS = ["sigmoid", "leaky", "swish", "swish-bn", "no-pool", "max-pool", "no-norm", "layer-norm", "group-norm"]


@pytest.mark.parametrize(
    ("shape", "name"),
    [(MNIST, name) for name in [*LIGHT.split(), "resnet50-bn", *(f"convnet-{v}" for v in VARIANTS)]]
    + [(DIGITS, name) for name in ("convnet", "mlp", "alexnet", "resnet18-bn", "resnet18-bn-ap", "vit")],
)
def test_gradients_can_be_matched(shape, name):
    """The gradient of a gradient's norm reaches the images: what every matching objective needs."""
    torch.manual_seed(0)
    net = zoo(shape, 3, width=16)[name]()
    x = images(shape, 3).requires_grad_()
    loss = F.cross_entropy(net(Rows(x)).logits, torch.tensor([0, 1, 2]))
    norm = sum(g.square().sum() for g in torch.autograd.grad(loss, list(net.parameters()), create_graph=True))
    (second,) = torch.autograd.grad(norm, x)
    assert torch.isfinite(second).all()
    assert (second.flatten(1).abs().amax(1) > 0).all()


@pytest.mark.parametrize("name", ["convnet", "vgg11", "resnet18", "resnet18-ap", "vit", "convnet-layer-norm"])
def test_rows_do_not_see_each_other(name):
    net = zoo(CIFAR, 4, width=16)[name]().double()
    x = images(CIFAR, 5, torch.float64)
    torch.testing.assert_close(net(Rows(x)).logits[1:3], net(Rows(x[1:3])).logits)


def test_batch_normalisation_does_see_the_batch():
    net = zoo(CIFAR, 4, width=16)["convnet-bn"]()
    x = images(CIFAR, 5)
    assert not torch.allclose(net(Rows(x)).logits[1:3], net(Rows(x[1:3])).logits)


@pytest.mark.parametrize("name", ["mlp", "vit"])
def test_pixels_keep_their_order_whatever_the_memory_layout(name):
    net = zoo(CIFAR, 4)[name]()
    x = images(CIFAR)
    with torch.no_grad():
        torch.testing.assert_close(net(Rows(x.to(memory_format=torch.channels_last))).logits, net(Rows(x)).logits)


def test_constructors_travel_to_other_processes():
    for name, make in zoo(CIFAR, 10).items():
        with torch.device("meta"):
            original, copy = make(), pickle.loads(pickle.dumps(make))()
        shapes = {k: v.shape for k, v in original.state_dict().items()}
        assert {k: v.shape for k, v in copy.state_dict().items()} == shapes, name
        assert prod(shapes["classifier.weight"]) == 10 * original.classifier.in_features


def test_parameters_are_contiguous():
    """So that they can be stored as safetensors and viewed as one vector."""
    for make in zoo(DIGITS, 10, width=16).values():
        net = make()
        with torch.no_grad():
            net(Rows(images(DIGITS)))
        assert all(v.is_contiguous() for v in net.state_dict().values())
