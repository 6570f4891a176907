"""The zoos: what token problems and sentence problems train and evaluate on."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from .bag import Bag
from .recurrent import Recurrent
from .textcnn import TextCNN
from .transformer import Transformer
from .vectors import MLP, Linear

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from ..tokens import TokenSpace

__all__ = ["MLP", "Bag", "Linear", "Recurrent", "TextCNN", "Transformer", "token_zoo", "vector_zoo"]


def token_zoo(space: TokenSpace, classes: int) -> dict[str, Callable[[], nn.Module]]:
    """Constructors by name, "textcnn" first; all read the same table."""
    return {
        "textcnn": partial(TextCNN, space, classes),
        "bag": partial(Bag, space, classes),
        "bilstm": partial(Recurrent, space, classes, cell="lstm"),
        "bigru": partial(Recurrent, space, classes, cell="gru"),
        "transformer": partial(Transformer, space, classes),
    }


def vector_zoo(d: int, classes: int) -> dict[str, Callable[[], nn.Module]]:
    """Constructors by name, "mlp" first: a linear network has no features of its own to match."""
    return {"mlp": partial(MLP, d, classes), "linear": partial(Linear, d, classes)}
