"""Graphs for ddcore: node and graph classification."""
