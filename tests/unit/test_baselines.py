"""Baselines: random rows and other selections, as many as the set has, beside every score."""

import pytest
import torch
import toys
from toys import SHORT

import ddcore
from ddcore import ceilings, evaluation
from ddcore.errors import UnknownName
from ddcore.evaluation import evaluate, score, train
from ddcore.parametrizations import RealRows, Selected
from ddcore.problem import Subset
from ddcore.rows import RowData, RowSynthetic


@pytest.mark.parametrize(("seeds", "baselines"), [(2, []), (1, ["herding"])])
def test_baselines_are_as_many_rows_as_the_set_is_stored_as(pair, monkeypatch, seeds, baselines):
    p, s = pair
    packed = type("Packed", (type(s),), {"stored_counts": property(lambda self: dict.fromkeys(self.counts, 1))})
    s.__class__ = packed
    drawn = []
    monkeypatch.setattr(evaluation, "_train_and_score", lambda p, s, *_: drawn.append(s) or {"accuracy": 0.5})
    evaluate(s, p, seeds=seeds, baselines=baselines)
    assert [list(d.counts.values()) for d in drawn if isinstance(d, Selected)] == [[1] * len(s.counts)] * 2


def test_random_rows_are_another_draw_for_each_network_under_the_same_recipe(pair, monkeypatch):
    p, s = pair
    s = RowSynthetic({0: 1, 1: 3, 2: 2}, s.x)
    seen = []
    inner = evaluation.train

    def spy(problem, synthetic, recipe, seed, model=None):
        seen.append((synthetic, recipe, seed))
        return inner(problem, synthetic, recipe, seed, model)

    monkeypatch.setattr(evaluation, "train", spy)
    monkeypatch.setattr(ceilings, "CEILING_SECONDS", 0.0)
    evaluate(s, p, seeds=3, protocol=SHORT)
    real = [(x, recipe, seed) for x, recipe, seed in seen if isinstance(x, RealRows) and recipe == SHORT]
    assert {seed for _, _, seed in real} == {0, 1, 2}
    assert all(x.counts == {0: 1, 1: 3, 2: 2} for x, _, _ in real)
    assert len({tuple(x.chosen) for x, _, _ in real}) == 3
    assert {recipe for _, recipe, _ in seen if recipe.epochs > 1} == {SHORT}
    assert all(set(x.chosen) <= set(p.data.ids()) for x, _, _ in real)


def test_rows_of_other_selections_stand_beside_the_random_ones(pair):
    p, s = pair
    report = evaluate(
        s, p, models=["convnet", "mlp"], seeds=2, protocol=SHORT, baselines=["herding", "random", "k-means"]
    )
    names = ["random", "herding", "k-means"]
    assert [(x.method, x.model) for x in report.baselines] == [(n, m) for n in names for m in ("convnet", "mlp")]
    for name in names[1:]:
        sets = [ddcore.distill(p, name, ipc=2, seed=i).synthetic(p) for i in range(2)]
        expected = tuple(score(p, train(p, one, SHORT, i, "mlp"))["accuracy"] for i, one in enumerate(sets))
        assert report.score(model="mlp", of="baselines", method=name).values == expected
    alone = evaluate(s, p, models=["convnet", "mlp"], seeds=2, protocol=SHORT)
    assert report.baselines[:2] == alone.baselines
    assert report.scores == alone.scores
    assert report.score(of="baselines").method == "random"
    assert [b["method"] for b in report.to_json()["baselines"]] == [n for n in names for _ in range(2)]
    assert all(text in str(report) for text in ("k-means", "above herding", "above random rows"))


def test_baselines_are_selection_methods(pair):
    p, s = pair
    with pytest.raises(UnknownName, match=r"no selection method 'hearding' for image/toy. Did you mean herding"):
        evaluate(s, p, baselines=["hearding"])
    with pytest.raises(UnknownName, match=r"no selection method 'dm'.*Valid choices:.*k-center"):
        evaluate(s, p, baselines=["dm"])


def test_the_random_baseline_is_stored_alone_and_the_ceiling_is_not():
    """Data whose rows are worth less without the others: what is kept forgets them."""

    class Lonely(RowData):
        def kept(self, ids):
            return RowData(torch.zeros_like(self.x), self.y, self.splits)

    whole = toys.pictures()
    p = toys.image(data=Lonely(whole.x, whole.y, whole.splits))
    ids = {0: [0, 3], 1: [1], 2: [2]}
    chosen = Selected(p.data, ids)
    for alone in (
        chosen,
        Selected.restore(p, chosen.config(), chosen.stored()),
        Selected(Subset(p.data, range(30)), ids),
    ):
        assert not alone.batch().x.any()
    assert Selected(p.data.to(torch.device("cpu")), ids).batch().x.device.type == "cpu"
    everything = [i for g in whole.groups for i in whole.ids(g)]
    assert torch.equal(RealRows.all(p.data).batch().x, whole.take(everything).x)
