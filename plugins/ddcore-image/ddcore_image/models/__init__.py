"""The zoo: the networks that image problems train and evaluate on."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from .alexnet import AlexNet
from .convnet import ConvNet, check_depth
from .lenet import LeNet
from .mlp import MLP
from .network import Shape, framed
from .resnet import ResNet
from .vgg import VGG11
from .vit import ViT

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

__all__ = ["MLP", "VGG11", "AlexNet", "ConvNet", "LeNet", "ResNet", "ViT", "zoo"]


def zoo(shape: Shape, classes: int, *, depth: int = 3, width: int = 128) -> dict[str, Callable[[], nn.Module]]:
    """Constructors by name, "convnet" first; networks that images of this size are too small for are left out.

    A plain name has the normalisation of the code of Zhao et al. (2021): instance for ConvNet, VGG and ResNet, none for
    LeNet and AlexNet. "-bn" is batch normalisation, "-ap" average pooling in place of strides. The "convnet-..."
    entries are that paper's pools, which vary the ConvNet's width, depth, activation, pooling or normalisation.

    Args:
        shape: Channels, height and width of the images, e.g. (3, 32, 32).
        classes: Number of logits.
        depth: Blocks of the default ConvNet.
        width: Channels of the default ConvNet.

    Raises:
        OptionError: the images are too small for a ConvNet of this depth.
    """
    check_depth(shape, depth)
    side = min(framed(shape)[1:])
    convnet = partial(ConvNet, shape, classes, depth=depth, width=width)
    resnet18 = partial(ResNet, shape, classes)
    resnet50 = partial(ResNet, shape, classes, stages=(3, 4, 6, 3), bottleneck=True)
    resnet101 = partial(ResNet, shape, classes, stages=(3, 4, 23, 3), bottleneck=True)
    smallest: dict[str, tuple[int, Callable[[], nn.Module]]] = {  # the side in pixels from which a network works
        "convnet": (1, convnet),
        "convnet-bn": (1, partial(convnet, norm="batch")),
        "mlp": (1, partial(MLP, shape, classes)),
        "lenet": (16, partial(LeNet, shape, classes)),
        "alexnet": (8, partial(AlexNet, shape, classes)),
        "alexnet-bn": (8, partial(AlexNet, shape, classes, norm="batch")),
        "vgg11": (32, partial(VGG11, shape, classes)),
        "vgg11-bn": (32, partial(VGG11, shape, classes, norm="batch")),
        "resnet18": (9, resnet18),
        "resnet18-bn": (8, partial(resnet18, norm="batch")),
        "resnet18-ap": (16, partial(resnet18, average_pool=True)),
        "resnet18-bn-ap": (8, partial(resnet18, norm="batch", average_pool=True)),
        "resnet50": (9, resnet50),
        "resnet50-bn": (8, partial(resnet50, norm="batch")),
        "resnet50-ap": (16, partial(resnet50, average_pool=True)),
        "resnet50-bn-ap": (8, partial(resnet50, norm="batch", average_pool=True)),
        "resnet101": (9, resnet101),
        "resnet101-bn": (8, partial(resnet101, norm="batch")),
        "resnet101-ap": (16, partial(resnet101, average_pool=True)),
        "resnet101-bn-ap": (8, partial(resnet101, norm="batch", average_pool=True)),
        "vit": (8, partial(ViT, shape, classes)),
        **{f"convnet-w{w}": (1, partial(convnet, width=w)) for w in (32, 64, 128, 256)},
        **{f"convnet-d{d}": (2**d, partial(convnet, depth=d)) for d in (1, 2, 3, 4)},
        "convnet-sigmoid": (1, partial(convnet, activation="sigmoid")),
        "convnet-leaky": (1, partial(convnet, activation="leaky")),
        "convnet-swish": (1, partial(convnet, activation="swish")),
        "convnet-swish-bn": (1, partial(convnet, activation="swish", norm="batch")),
        "convnet-no-pool": (1, partial(convnet, pooling="none")),
        "convnet-max-pool": (1, partial(convnet, pooling="max")),
        "convnet-no-norm": (1, partial(convnet, norm="none")),
        "convnet-layer-norm": (1, partial(convnet, norm="layer")),
        "convnet-group-norm": (1, partial(convnet, norm="group")),
    }
    return {name: make for name, (least, make) in smallest.items() if side >= least}
