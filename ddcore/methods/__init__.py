"""Named methods: a recipe of the literature each, from objectives, parametrizations and defaults. Importing one imports no
torch, so that lists answer at once."""

from .base import Method

__all__ = ["Method"]
