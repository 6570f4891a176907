"""A constant sparse matrix that multiplies dense ones: the structure of a real graph, and features that are mostly zero."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor

__all__ = ["Sparse", "constants"]


@contextmanager
def constants() -> Iterator[None]:
    """In here are constants, made outside of what torch.func transforms: it wraps tensors, and CSR ones it cannot."""
    with torch.no_grad(), torch._C._DisableFuncTorch():
        yield


class Sparse:
    """M, an (n, m) matrix of which only the other entries than zero are kept, with its transpose. `M @ h` is differentiable in
    h as often as asked for; M is a constant."""

    def __init__(self, m: Tensor, mt: Tensor) -> None:  # CSR, (n, m) and (m, n)
        self.m, self.mt = m, mt

    @classmethod
    def of(cls, row: Tensor, column: Tensor, value: Tensor, shape: tuple[int, int]) -> Sparse:
        """From its entries, each (E,); equal places add up in products."""
        n, m = shape
        return cls(_csr(row, column, value.detach(), n, m), _csr(column, row, value.detach(), m, n))

    @classmethod
    def of_dense(cls, x: Tensor) -> Sparse:  # (n, m)
        """The entries of `x` that are not zero."""
        row, column = x.nonzero(as_tuple=True)
        return cls.of(row, column, x[row, column], (x.shape[0], x.shape[1]))

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m)."""
        n, m = self.m.shape
        return n, m

    def t(self) -> Sparse:
        """The transpose."""
        return Sparse(self.mt, self.m)

    def __matmul__(self, h: Tensor) -> Tensor:  # (m, d) -> (n, d)
        return cast(Tensor, _Product.apply(self, h))  # type: ignore[no-untyped-call]


def _csr(row: Tensor, column: Tensor, value: Tensor, n: int, m: int) -> Tensor:
    order = row.argsort(stable=True)
    start = torch.cat([row.new_zeros(1), torch.bincount(row, minlength=n).cumsum(0)])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse", UserWarning)  # CSR is in beta
        return torch.sparse_csr_tensor(start, column[order], value[order], (n, m), check_invariants=False)


class _Product(torch.autograd.Function):
    """M h. It is linear in h, so its derivatives are products with M and with its transpose."""

    @staticmethod
    def forward(m: Sparse, h: Tensor) -> Tensor:
        return m.m @ h

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Sparse, Tensor], output: Tensor) -> None:
        ctx.matrix = inputs[0]

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[None, Tensor]:
        return None, ctx.matrix.t() @ g

    @staticmethod
    def jvp(ctx: Any, _: None, dh: Tensor) -> Tensor:
        return cast(Tensor, ctx.matrix @ dh)
