"""Recommender data for ddcore: users and what they chose, sequences of choices, clicks."""
