"""Pages: what was found, as one self-contained file of HTML that needs neither server nor network."""

from .comparison import comparison_page
from .matrix import matrix
from .run import run_page

__all__ = ["comparison_page", "matrix", "run_page"]
