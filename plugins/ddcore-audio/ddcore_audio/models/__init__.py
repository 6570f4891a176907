"""The zoo: the networks that audio problems train and evaluate on."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from .bc_resnet import BCResNet
from .conformer import Conformer
from .convnet import ConvNet
from .ds_cnn import DSCNN
from .m5 import M5, SHORTEST
from .network import Listening

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from ..frontend import Features

__all__ = ["M5", "BCResNet", "Conformer", "ConvNet", "DSCNN", "Listening", "zoo"]


def zoo(
    features: Features, classes: int, *, scale: float | None = None, depth: int = 3, width: int = 128
) -> dict[str, Callable[[], nn.Module]]:
    """Constructors by name, "convnet" first, which has this depth and width. Where rows are waveforms, in units of `scale`, the
    networks of maps stand behind the frontend, and "m5" reads the samples themselves.

    Raises:
        OptionError: the maps are too small for a ConvNet of this depth.
    """
    shape = features.frontend.shape
    ConvNet(shape, classes, depth=depth, width=1)  # an error at once where it does not fit
    maps: dict[str, Callable[[], nn.Module]] = {
        "convnet": partial(ConvNet, shape, classes, depth=depth, width=width),
        "convnet-bn": partial(ConvNet, shape, classes, depth=depth, width=width, norm="batch"),
        "ds-cnn": partial(DSCNN, shape, classes),
        "bc-resnet": partial(BCResNet, shape, classes),
        "conformer": partial(Conformer, shape, classes),
    }
    if scale is None:
        return maps
    found: dict[str, Callable[[], nn.Module]] = {
        k: partial(Listening, features, scale, make) for k, make in maps.items()
    }
    samples = features.frontend.samples
    return found | ({"m5": partial(M5, samples, classes)} if samples >= SHORTEST else {})
