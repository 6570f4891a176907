"""Scores: of whole splits, by networks in evaluation mode, and under corruption."""

import random
from dataclasses import replace

import pytest
import torch
import toys
from toys import SHORT, Auc

from ddcore.errors import DataError
from ddcore.evaluation import evaluate, score, train


def test_a_score_is_of_the_whole_split():
    p = toys.image(task=Auc(3))
    net = p.new_model(random.Random(0))
    whole, cut = score(p, net, size=10**6), score(p, net, size=7)
    parts = [p.task.score([(net.eval()(b), b)])["auc"] for b in p.data.batches("test", 7)]
    assert whole == cut
    assert sum(parts) / len(parts) != pytest.approx(whole["auc"], abs=1e-3)


def test_a_network_is_scored_in_evaluation_mode():
    p = toys.image()
    net = toys.ConvNet(drop=0.9).train()
    assert score(p, net) == score(p, net)
    assert not net.training


def test_the_split_that_is_scored():
    p, net = toys.image(), toys.ConvNet()
    for split in ("val", "test", "train"):
        batch = p.data.take(p.data.ids(split=split))
        hits = (net(batch).logits.argmax(1) == batch.y).double().mean().item()
        assert score(p, net, split) == {"accuracy": pytest.approx(hits)}


def test_a_split_that_is_not_there():
    for split in ("validation", "val"):
        p, s = toys.case("graph", start=True)
        with pytest.raises(DataError, match=f"graph/toy has no rows in the split '{split}'.*test, train"):
            evaluate(s, p, seeds=1, split=split, protocol=SHORT)


def test_scores_under_corruption_stand_beside_those_of_clean_rows(pair):
    p, s = pair
    p = replace(p, recipe=SHORT, corruptions={"darkness": lambda batch, seed: replace(batch, x=0 * batch.x)})
    report = evaluate(s, p, models=["mlp"], seeds=2, corrupted=True)
    clean, dark = report.score("accuracy"), report.score("accuracy under darkness")
    nets = [train(p, s, SHORT, seed, "mlp") for seed in range(2)]
    assert clean.values == tuple(score(p, net)["accuracy"] for net in nets)
    blind = [nets[i](replace(p.data.take([0]), x=torch.zeros(1, 1, 8, 8))).logits.argmax().item() for i in range(2)]
    test = p.data.take(p.data.ids(split="test")).y
    assert dark.values == pytest.approx([(test == guess).double().mean().item() for guess in blind])
    assert report.score("accuracy under darkness", of="baselines").values
    assert [x.metric for x in report.ceilings] == ["accuracy"]
    assert "names no corruptions" in str(
        evaluate(s, replace(p, corruptions={}), models=["mlp"], seeds=1, corrupted=True)
    )
