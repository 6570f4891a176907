"""Condensed graphs: what is learned of them."""
