"""Pages: what was found, as one self-contained file of HTML that needs neither server nor network."""

from .comparison import comparison_page
from .run import run_page

__all__ = ["comparison_page", "run_page"]
