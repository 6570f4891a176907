"""How networks are trained on a set: by the recipe, by the set, or by themselves."""

import random
from dataclasses import replace

import pytest
import torch
import toys
from torch import nn
from toys import SHORT

from ddcore.errors import DataError
from ddcore.evaluation import evaluate, score, train
from ddcore.problem import Output
from ddcore.recipes import Recipe
from ddcore.rows import RowData
from ddcore.seeds import stream


def by_hand(p, s, recipe, seed, model):
    """`train`, written out: one optimiser, one step a batch, the learning rate a tenth after part of the epochs."""
    net = p.new_model(stream(seed, "evaluate", model), model)
    opt = torch.optim.SGD(net.parameters(), lr=1.0, momentum=0.9, weight_decay=recipe.weight_decay)
    order, n = stream(seed, "order").getrandbits(31), sum(s.counts.values())
    per_epoch = -(-n // recipe.size)
    for epoch in range(recipe.epochs):
        for k in range(per_epoch):
            batch, _ = s.train_batch(p, epoch * per_epoch + k, order, recipe.size)
            opt.param_groups[0]["lr"] = recipe.lr * (0.1 if epoch > 0.5 * recipe.epochs else 1.0)
            opt.zero_grad()
            p.loss(net, batch).backward()
            opt.step()
    return net


@pytest.mark.parametrize("augment", [None, "train"])
def test_a_recipe_is_followed_to_the_last_epoch(pair, augment):
    p, s = pair
    recipe = replace(SHORT, augment=augment)
    found = train(p, s, recipe, 3, "mlp")
    expected = by_hand(p.training_with(augment), s, recipe, 3, "mlp")
    for a, b in zip(found.parameters(), expected.parameters(), strict=True):
        assert torch.allclose(a, b, rtol=1e-5, atol=1e-7)


def test_step_sizes_count_where_the_recipe_has_no_learning_rate(pair):
    p, s = pair
    s.learn_step_size().log_step_size.data = torch.tensor(0.03).log()
    own = train(p, s, replace(SHORT, lr=None), 0, "mlp")
    same = train(p, s, replace(SHORT, lr=0.03, schedule=None), 0, "mlp")
    other = train(p, s, replace(SHORT, lr=0.01, schedule=None), 0, "mlp")
    assert torch.allclose(own.head.weight, same.head.weight, atol=1e-6)
    assert not torch.allclose(own.head.weight, other.head.weight, atol=1e-4)


def test_a_set_that_prescribes_its_steps_ends_training_itself(pair):
    p, s = pair
    asked = []
    inner = s.train_batch

    def train_batch(problem, t, seed, size=None):
        asked.append(t)
        return inner(problem, t, seed, size)

    s.train_batch = train_batch
    s.train_steps = 5
    train(p, s, SHORT, 0)
    assert asked == [0, 1, 2, 3, 4]


def test_a_set_made_for_one_start_is_trained_from_there(pair):
    p, s = pair
    theta = {k: v.clone() for k, v in p.new_model(random.Random(7)).state_dict().items()}
    first = train(p, s, SHORT, 0).state_dict()
    assert any(not torch.equal(v, first[k]) for k, v in train(p, s, SHORT, 1).state_dict().items())

    def begin(net):
        net.load_state_dict(theta)
        return net

    s.begin = begin
    none = replace(SHORT, epochs=1, lr=1e-30)
    for seed in range(2):
        assert all(torch.allclose(theta[k], v) for k, v in train(p, s, none, seed).state_dict().items())


def test_a_network_may_bring_its_own_fit(pair):
    """Kernel regression and trees have no steps."""
    fitted = []

    class Nearest(nn.Module):
        def fit(self, synthetic, problem):
            fitted.append(torch.rand(1).item())
            with torch.no_grad():
                batch = synthetic.batch()
            self.x, self.y = batch.x.flatten(1), problem.task.targets(batch)

        def forward(self, b):
            nearest = torch.cdist(b.x.flatten(1), self.x).argmin(1)
            return Output(self.y[nearest], b.x.flatten(1))

    p, s = pair
    p, before = replace(p, models={"nearest": Nearest}), torch.get_rng_state()
    a = evaluate(s, p, seeds=2, protocol=SHORT)
    assert a.scores == evaluate(s, p, seeds=2, protocol=SHORT).scores
    with torch.no_grad():
        batch, test = s.batch(), p.data.take(p.data.ids(split="test"))
    nearest = torch.cdist(test.x.flatten(1), batch.x.flatten(1)).argmin(1)
    assert a.score().mean == pytest.approx((batch.y[nearest] == test.y).double().mean().item())
    assert torch.equal(before, torch.get_rng_state())
    assert fitted[:4] == fitted[4:8], "its draws are of its seed"
    assert not a.ceilings
    assert evaluate(s, p, seeds=1, protocol=SHORT, ceiling=True).ceilings


def test_a_protocol_may_keep_the_epoch_that_is_best_on_val():
    """Against a plain loop over trainings of every length."""
    p = toys.image()
    s = p.synthetic(toys.COUNTS["image"], p.data.sample(2, p.data.groups, rng=random.Random(0)), random.Random(0))
    recipe = Recipe("toy-val@1", epochs=12, size=2, lr=0.05, schedule=None, keep="val", val_every=2)
    lengths = range(2, 13, 2)
    nets = [train(p, s, replace(recipe, epochs=n, keep="last"), 3) for n in lengths]
    found = [score(p, net, "val")["accuracy"] for net in nets]
    best = nets[found.index(max(found))]
    kept = train(p, s, recipe, 3)
    assert max(found) > found[0] or found[0] > found[-1], "the choice must matter"
    for a, b in zip(kept.parameters(), best.parameters(), strict=True):
        assert torch.equal(a, b)
    without = replace(p, data=RowData(p.data.x, p.data.y, {"train": p.data.ids(), "test": p.data.ids(split="test")}))
    with pytest.raises(DataError, match=r"best on val.*image/toy has no val rows"):
        train(without, s, recipe, 3)
