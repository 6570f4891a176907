"""Pictures: what is plotted, not how it looks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ddcore_recommender.clicks import ClickSet
from ddcore_recommender.ctr import click_problem
from ddcore_recommender.sequences import SequenceSet
from ddcore_recommender.sequential import sequential_problem
from ddcore_recommender.table import named, split_table
from ddcore_recommender.users import UserSet

import ddcore


@pytest.fixture
def plotted(monkeypatch, tmp_path):
    """(problem, set) -> of each panel the values of its lines, by name; and the file's name. Nothing is painted."""
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    panels, plot = {}, Axes.plot

    def noted(self, x, y, *style, label, **look):
        panels.setdefault(self, {})[label] = y
        return plot(self, x, y, *style, label=label, **look)

    def draw(problem, synthetic):
        panels.clear()
        page = problem.render(synthetic, tmp_path)
        return [*panels.values(), page.name]

    monkeypatch.setattr(Axes, "plot", noted)
    monkeypatch.setattr(Figure, "savefig", lambda *args, **how: None)
    return draw


def test_the_same_set_gives_the_same_bytes(small, tmp_path):
    made = UserSet({0: 2}, torch.rand(2, 24, generator=torch.Generator().manual_seed(0)))
    first, second = (small.render(made, tmp_path).read_bytes() for _ in range(2))
    assert first == second
    assert b"<svg" in first


def test_users_by_item_and_by_length(small, plotted):
    x = torch.rand(4, 24, generator=torch.Generator().manual_seed(0)) * (torch.arange(24) < 20)
    share, length, file = plotted(small, UserSet({0: 4}, x))
    real = small.data.train.toarray()
    order = np.argsort(-real.sum(0), kind="stable")
    assert file == "users.svg"
    assert share["real"] == pytest.approx((real.sum(0) / real.sum())[order])
    assert share["weights"] == pytest.approx((x.sum(0) / x.sum()).numpy()[order])
    assert length["real"].tolist() == sorted(real.sum(1), reverse=True)
    assert length["weights"] == pytest.approx(sorted(x.sum(1).tolist(), reverse=True))
    assert share["discrete"].sum() == pytest.approx(1)
    assert (length["discrete"] == length["discrete"].round()).all()


def test_histories_of_ones_are_drawn_once(small, plotted):
    share, _, _ = plotted(small, ddcore.distill(small, "random", ipc=5).synthetic(small))
    assert set(share) == {"real", "weights"}


def test_sequences_are_of_the_items_that_models_see(plotted):
    users, items = np.repeat(list("abc"), (7, 5, 4)), np.array([*"vwxyzvw", *"wxyzw", *"xyxv"])
    table = split_table(named(users, items, time=np.arange(16)), "leave-one-out")
    problem = sequential_problem(table, length=3, cuts=(2,), dim=4)
    w = torch.zeros(2, 4, 5)
    w[0, 2:, 1], w[1, 3, 4] = 1, 1  # of two items and of one
    share, length, file = plotted(problem, SequenceSet({0: 2}, w))
    assert file == "sequences.svg"
    # in training the latest 4 of vwxyz, wxy and xy; v w x y z are
    assert share["real"] == pytest.approx(np.array([3, 3, 2, 1, 0]) / 9)  # x y w z v
    assert share["weights"] == pytest.approx(np.array([0, 0, 2, 1, 0]) / 3)
    assert length["real"].tolist() == [4, 3, 2]
    assert length["weights"].tolist() == [2, 1]


def test_clicks_are_of_the_values_of_all_fields(plotted):
    fields = {"a": np.array([0, 0, 0, 1] * 2), "b": np.array([2, 0, 1, 2] * 2)}
    clicked = np.array([1, 0, 0, 1, 0, 1, 1, 0], bool)
    problem = click_problem(fields, clicked, split=np.repeat([0, 2], 4))
    x = torch.tensor([[1, 0, 0.5, 0.5, 0], [0.5, 0.5, 0, 0, 1]])
    share, rate, file = plotted(problem, ClickSet({0: 1, 1: 1}, (2, 3), x))
    assert file == "clicks.svg"
    # a = 0 in 3 rows of 4, b = 2 in 2, the others in 1
    assert share["real"].tolist() == [0.75, 0.5, 0.25, 0.25, 0.25]
    assert rate["real"] == pytest.approx([1 / 3, 1, 1, 0, 0])
    assert share["weights"].tolist() == [0.75, 0.5, 0.25, 0.25, 0.25]
    assert rate["weights"] == pytest.approx([1 / 3, 1, 1, 0, 0])


@pytest.mark.parametrize("kind", ["sequences", "clicks"])
def test_real_rows_are_drawn_like_their_weights(kind, plotted, tastes):
    """`random` keeps numbers of items and values, others weights."""
    if kind == "sequences":
        problem = sequential_problem(split_table(tastes(), "leave-one-out"), length=4, cuts=(2,), dim=4)
    else:
        n = np.arange(40)
        problem = click_problem({"a": n % 5, "b": n % 3}, n % 2 == 0)
    counts = {g: len(problem.data.ids(g)) for g in problem.data.groups}
    made = ddcore.distill(problem, "random", ipc=min(counts.values()) if kind == "clicks" else counts[0])
    for panel in plotted(problem, made.synthetic(problem))[:2]:
        assert panel["weights"] == pytest.approx(panel["real"])
