"""The zoos: what token problems and sentence problems train and evaluate on."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from .bag import Bag
from .encoded import Encoded, FrozenEncoderCNN
from .encoders import Encoder, from_checkpoint, from_config
from .recurrent import Recurrent
from .textcnn import TextCNN
from .vectors import MLP, Linear

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from ..tokens import TokenSpace
    from .encoded import MakeEncoder

__all__ = ["MLP", "Bag", "Encoded", "FrozenEncoderCNN", "Linear", "Recurrent", "TextCNN", "token_zoo", "vector_zoo"]


def token_zoo(space: TokenSpace, classes: int, own: MakeEncoder) -> dict[str, Callable[[], nn.Module]]:
    """Constructors by name, "textcnn" first; all read the same table. `own` makes the corpus's pretrained encoder.

    `encoder-cnn` is a TextCNN behind a frozen encoder: the checkpoint's where the table is of one, else `own`. A checkpoint's
    network is also there whole, as `checkpoint`.
    """
    zoo: dict[str, Callable[[], nn.Module]] = {
        "textcnn": partial(TextCNN, space, classes),
        "bag": partial(Bag, space, classes),
        "bilstm": partial(Recurrent, space, classes, cell="lstm"),
        "bigru": partial(Recurrent, space, classes, cell="gru"),
        "transformer": partial(Encoded, space, classes, Encoder),
        "bert": partial(Encoded, space, classes, partial(from_config, kind="bert")),
        "distilbert": partial(Encoded, space, classes, partial(from_config, kind="distilbert")),
        "gpt2": partial(Encoded, space, classes, partial(from_config, kind="gpt2")),
        "encoder-cnn": partial(FrozenEncoderCNN, space, classes, own if space.checkpoint is None else from_checkpoint),
    }
    if space.checkpoint is not None:
        zoo["checkpoint"] = partial(Encoded, space, classes, from_checkpoint)
    return zoo


def vector_zoo(d: int, classes: int) -> dict[str, Callable[[], nn.Module]]:
    """Constructors by name, "mlp" first: a linear network has no features of its own to match."""
    return {"mlp": partial(MLP, d, classes), "linear": partial(Linear, d, classes)}
