"""Protocols: what goes by their names, and where they do not fit."""

from dataclasses import replace

import pytest
import toys
from toys import SHORT

from ddcore import evaluation
from ddcore.errors import DataError, NotSupported, OptionError, UnknownName
from ddcore.evaluation import evaluate, protocol, recipe_of
from ddcore.recipes import MATCHING, MATCHING_AUGMENTED


def test_protocols_by_name():
    assert protocol("matching@1") is protocol("matching") is MATCHING
    assert protocol("matching-augmented") is MATCHING_AUGMENTED
    with pytest.raises(UnknownName, match=r"no protocol 'matchin'. Did you mean .*matching@1"):
        protocol("matchin")
    with pytest.raises(UnknownName, match="no protocol 'matching@99'"):
        protocol("matching@99")


def test_the_problem_s_own_recipe_goes_by_its_name(pair):
    """Though no plugin declares it."""
    p, s = pair
    p = replace(p, recipe=SHORT)
    a, b = (evaluate(s, p, seeds=1, models=["mlp"], protocol=name) for name in (None, "short@1"))
    assert (a.protocol, a.scores) == ("short@1", b.scores)


def test_what_goes_by_a_protocol_s_name_is_that_protocol(pair):
    p, s = pair
    other = replace(MATCHING, epochs=2, lr=0.1)
    for problem, asked in ((replace(p, recipe=other), None), (replace(p, recipe=other), "matching@1"), (p, other)):
        with pytest.raises(OptionError, match=r"called matching@1 is not .* another epochs, lr\. Give it a name"):
            evaluate(s, problem, seeds=1, protocol=asked)
    assert recipe_of(replace(MATCHING), p) == MATCHING


def test_no_rate_is_searched_where_training_is_prescribed(pair):
    """By the set, or by a network that trains itself; random rows on a common network have theirs."""

    class Still(toys.MLP):
        def fit(self, synthetic, problem):
            pass

    p, s = pair
    p, s.train_steps = replace(p, models={"mlp": toys.MLP, "still": Still}, recipe=SHORT), 3
    report = evaluate(s, p, seeds=1, models=["mlp", "still"], search_lr=True)
    found = [(m, kind, "was best on val" in note) for note in report.notes for m, kind, *_ in [note[6:].split(", ", 2)]]
    assert [(m, kind.partition(":")[0], searched) for m, kind, searched in found if m in ("mlp", "still")] == [
        ("mlp", "scores", False),
        ("mlp", "baselines", True),
        ("still", "scores", False),
        ("still", "baselines", False),
    ]


@pytest.mark.parametrize("name", ["val", "mixed"])
def test_a_protocol_that_does_not_fit_is_refused_before_anything_is_trained(name, monkeypatch):
    recipe = replace(SHORT, **({"keep": "val"} if name == "val" else {"augment": "mixed"}))
    monkeypatch.setattr(evaluation, "train", lambda *_: pytest.fail("a network was trained"))
    p, s = toys.case("graph", start=True)
    with pytest.raises((DataError, NotSupported), match=r"graph/toy has no (val rows|augmentation 'mixed')"):
        evaluate(s, p, seeds=1, protocol=recipe, ceiling=True)
