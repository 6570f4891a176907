"""Distribution matching in every layer: spatial attention (DataDAM), features with discrimination (CAFE)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from ..loop import Run
from ..problem import Output
from .features import FeatureMatching, Seen, mean_distance

__all__ = ["AttentionMatching", "LayerMatching", "attention"]


def attention(layer: Tensor, power: float = 1.0) -> Tensor:  # (rows, channels, ...) -> (rows, positions)
    r"""How strongly each position of a layer answers: \sum_c |A_c|^p, of unit length per row. Channels are second; a layer that
    has no positions, (rows, channels), answers by its channels."""
    answer = layer.abs() if power == 1 else layer.abs().pow(power)
    return F.normalize(answer.sum(1).flatten(1) if answer.ndim > 2 else answer)


@dataclass(frozen=True)
class AttentionMatching(FeatureMatching):
    r"""DataDAM (Sajedi et al., ICCV 2023, eq. 4 to 6; weights as in its code):

        \sum_g  w_a \sum_{l < L} \| mean z_l(T_g) - mean z_l(S_g) \|^2  +  w_o \| mean \phi(T_g) - mean \phi(S_g) \|^2

    with z_l the attention of layer l. The last layer is compared by its features alone, so that a network which reports no layers
    has no attention term: DM. With w_a = 0 and w_o = 1 it is DM.
    """

    attention: float = 100.0  # w_a
    output: float = 1.0  # w_o; the code's 100 * 0.01
    power: float = 1.0  # p

    def look(self, out: Output) -> Seen:
        return (out.features, *(attention(layer, self.power) for layer in out.layers[:-1]))

    def distance(self, real: Seen, fake: Seen, g: int, run: Run) -> Tensor:  # ()
        output, *layers = (mean_distance(a, b) for a, b in zip(real, fake, strict=True))
        total = self.output * output
        return total + self.attention * torch.stack(layers).sum() if layers else total


@dataclass(frozen=True)
class LayerMatching(FeatureMatching):
    r"""CAFE (Wang et al., CVPR 2022, eq. 4 to 8; weights as in its code): the means of every layer agree, and the synthetic class
    means tell the real rows apart:

        \sum_g ( w_L \| mean \phi(T_g) - mean \phi(S_g) \|^2  +  w_l \sum_{l < L} \| mean \phi_l(T_g) - mean \phi_l(S_g) \|^2 )
            +  \beta \sum_g \sum_{x \in T_g} CE( \phi(x) \bar\phi(S)^T, g )

    with \bar\phi(S) the (groups, d) means of the synthetic rows. With w_L = 1 and the other weights 0 it is DM.
    """

    last: float = 2.0  # w_L
    earlier: float = 0.1  # w_l
    discrimination: float = 0.01  # beta
    one_by_one: bool = field(default=False, init=False)  # every real row is compared with the means of all groups

    def look(self, out: Output) -> Seen:
        return (out.features, *out.layers[:-1])

    def distance(self, real: Seen, fake: Seen, g: int, run: Run) -> Tensor:  # ()
        last, *earlier = (mean_distance(a, b) for a, b in zip(real, fake, strict=True))
        total = self.last * last
        return total + self.earlier * torch.stack(earlier).sum() if earlier else total

    def matched(self, real: Mapping[int, Seen], fake: Mapping[int, Seen], run: Run) -> Tensor:  # ()
        centres = torch.stack([s[0].mean(0) for s in fake.values()])  # (groups, d)
        own = torch.cat(
            [torch.full((len(t[0]),), i, device=centres.device) for i, t in enumerate(real.values())]
        )  # (n,)
        logits = torch.cat([t[0] for t in real.values()]) @ centres.T  # (n, groups)
        return super().matched(real, fake, run) + self.discrimination * F.cross_entropy(logits, own, reduction="sum")
