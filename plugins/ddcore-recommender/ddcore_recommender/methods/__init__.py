"""Distillation methods of recommender data: one file each."""
