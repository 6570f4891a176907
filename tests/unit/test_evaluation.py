"""Evaluation: fresh networks, whole splits, baselines beside every score."""

import json
import random
from dataclasses import replace

import pytest
import torch
import toys
from torch import nn

import ddcore
from ddcore import ceilings, evaluation, labels
from ddcore.errors import DataError, NotSupported, OptionError, UnknownName
from ddcore.evaluation import evaluate, protocol, recipe_of, score, train
from ddcore.parametrizations import RealRows, Selected
from ddcore.problem import Metric, Output, Subset
from ddcore.recipes import DECOUPLED, MATCHING, MATCHING_AUGMENTED, Recipe
from ddcore.rows import Classification, RowData, Rows, RowSynthetic, TeacherLabels
from ddcore.seeds import stream

SHORT = Recipe("short@1", epochs=8, size=4, lr=0.1)


@pytest.fixture
def pair():
    return toys.case("image", start=True)


# ---------------------------------------------------------------------------------------------------------------------
# scores


class Auc(Classification):
    metrics = (Metric("auc"),)

    def score(self, pairs):
        x, y = zip(*((o.logits[:, 0], b.y == 0) for o, b in pairs))
        x, y = torch.cat(x), torch.cat(y)
        return {"auc": (x[y][:, None] > x[~y][None]).float().mean().item()}


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


def test_a_split_that_is_not_there(pair):
    for split in ("validation", "val"):
        p, s = toys.case("graph", start=True)
        with pytest.raises(DataError, match=f"graph/toy has no rows in the split '{split}'.*test, train"):
            evaluate(s, p, seeds=1, split=split, protocol=SHORT)


# ---------------------------------------------------------------------------------------------------------------------
# training


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


def mixed(batch, seed):
    """Half of each row and of its label is the next row's."""
    y = labels.one_hot(batch.y, 3) if batch.y.ndim == 1 else batch.y
    return replace(toys.roll(batch, seed), y=(y + y.roll(1, 0)) / 2, x=(batch.x + batch.x.roll(1, 0)) / 2)


def taught(temperature=4.0):
    """A problem that mixes rows, and a set of four of them with a teacher that was trained a little."""
    p = toys.image(augmentations={"train": toys.roll, "mixed": mixed})
    teacher = train(p, RealRows.all(p.data), SHORT, 9, "mlp")
    x = p.data.take([0, 1, 2, 3]).x
    return p, RowSynthetic(
        {0: 2, 1: 1, 2: 1}, x, TeacherLabels(teacher, "mlp", torch.tensor([0, 0, 1, 2]), temperature)
    )


def test_the_decoupled_line_s_protocol():
    """Against a loop of torch's parts: AdamW, its cosine, the divergence from the teacher at its temperature."""
    p, s = taught()
    recipe, t = replace(DECOUPLED, epochs=12, size=3), 4.0
    net = p.new_model(stream(3, "evaluate", "convnet"), "convnet")
    opt = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 12)
    order, divergence = stream(3, "order").getrandbits(31), nn.KLDivLoss(reduction="batchmean")
    for step in range(24):  # four rows in batches of three: two an epoch
        view = s.train_batch(p.training_with("mixed"), step, order, 3)[0]
        with torch.no_grad():
            wanted = (s.labels.teacher(view).logits / t).softmax(1)
        opt.zero_grad()
        (t**2 * divergence((net(view).logits / t).log_softmax(1), wanted)).backward()
        opt.step()
        if step % 2:
            cosine.step()
    found = train(p, s, recipe, 3, "convnet")
    for a, b in zip(found.parameters(), net.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_hard_labels_are_mixed_where_a_protocol_mixes_rows():
    p, s = taught()
    hard = RowSynthetic(s.counts, s.x)
    recipe = replace(DECOUPLED, epochs=5, size=None, schedule=None)
    net = p.new_model(stream(0, "evaluate", "mlp"), "mlp")
    opt = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01)
    own = torch.eye(3)[[0, 0, 1, 2]]
    x, y = (s.x + s.x.roll(1, 0)).detach() / 2, (own + own.roll(1, 0)) / 2
    for _ in range(5):
        opt.zero_grad()
        (-y * net(Rows(x)).logits.log_softmax(1)).sum(1).mean().backward()
        opt.step()
    found = train(p, hard, recipe, 0, "mlp")
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(found.parameters(), net.parameters(), strict=True))


def test_a_set_s_teacher_labels_the_random_rows_beside_it():
    p, s = taught()
    recipe = replace(DECOUPLED, name="decoupled-short@1", epochs=20, lr=0.01)
    report = evaluate(s, p, models=["mlp"], seeds=2, protocol=recipe)
    drawn = [Selected.random(p.data, s.counts, stream(i, "random")) for i in range(2)]
    same = [RowSynthetic(s.counts, rows.batch().x, s.labels) for rows in drawn]
    expected = tuple(score(p, train(p, one, recipe, i, "mlp"))["accuracy"] for i, one in enumerate(same))
    assert report.score(of="baselines").values == expected
    assert "labels: teacher" in str(report)


def test_a_protocol_that_mixes_rows_is_refused_where_nothing_does(pair):
    p, s = pair
    with pytest.raises(NotSupported, match=r"image/toy has no augmentation 'mixed'.*Valid choices: match, train"):
        evaluate(s, p, seeds=1, protocol="decoupled")


def test_labels_of_each_epoch_go_with_no_mixed_rows():
    p, s = taught()
    stored = torch.softmax(torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0)), -1)
    s = RowSynthetic(s.counts, s.x, labels.per_epoch(stored))
    with pytest.raises(NotSupported, match="mixes rows"):
        train(p, s, replace(DECOUPLED, epochs=1), 0, "mlp")
    train(p, s, SHORT, 0, "mlp")
    train(p, s, replace(SHORT, augment="train"), 0, "mlp")


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


def test_random_rows_are_as_many_as_the_set_is_stored_as(pair, monkeypatch):
    p, s = pair
    packed = type("Packed", (type(s),), {"stored_counts": property(lambda self: dict.fromkeys(self.counts, 1))})
    s.__class__ = packed
    drawn = []
    monkeypatch.setattr(evaluation, "_train_and_score", lambda p, s, *_: drawn.append(s) or {"accuracy": 0.5})
    evaluate(s, p, seeds=2)
    assert [list(d.counts.values()) for d in drawn if isinstance(d, Selected)] == [[1] * len(s.counts)] * 2


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


# ---------------------------------------------------------------------------------------------------------------------
# reports


def test_a_report(pair):
    p, s = pair
    report = evaluate(s, p, models=["convnet", "mlp"], seeds=3, protocol=SHORT)
    assert [(x.model, x.metric, x.protocol) for x in report.scores] == [
        ("convnet", "accuracy", "short@1"),
        ("mlp", "accuracy", "short@1"),
    ]
    for scores in (report.scores, report.baselines):
        assert all(len(x.values) == 3 for x in scores)
        assert any(len(set(x.values)) > 1 for x in scores)
    for seed in range(3):
        value = score(p, train(p, s, SHORT, seed, "mlp"))["accuracy"]
        assert report.score(model="mlp").values[seed] == value
    again = evaluate(s, p, models=["mlp"], seeds=3, protocol=SHORT)
    assert again.score().values == report.score(model="mlp").values, "another model changes no network"
    assert again.score(of="baselines").values == report.score(model="mlp", of="baselines").values
    assert (report.problem, report.rows, report.bytes) == ("image/toy", 6, 6 * (64 * 4 + 8))
    assert (report.split, report.epoch_rule, report.label_kind) == ("test", "last", "ids")
    assert json.loads(json.dumps(report.to_json()))["scores"][0]["metric"] == "accuracy"
    assert "accuracy" in str(report)


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


def test_a_packed_set_s_other_selections_are_as_many_as_it_is_stored_as(pair, monkeypatch):
    p, s = pair
    packed = type("Packed", (type(s),), {"stored_counts": property(lambda self: dict.fromkeys(self.counts, 1))})
    s.__class__ = packed
    drawn = []
    monkeypatch.setattr(evaluation, "_train_and_score", lambda p, s, *_: drawn.append(s) or {"accuracy": 0.5})
    evaluate(s, p, seeds=1, baselines=["herding"])
    assert [list(d.counts.values()) for d in drawn if isinstance(d, Selected)] == [[1] * len(s.counts)] * 2


def test_baselines_are_selection_methods(pair):
    p, s = pair
    with pytest.raises(UnknownName, match=r"no selection method 'hearding' for image/toy. Did you mean herding"):
        evaluate(s, p, baselines=["hearding"])
    with pytest.raises(UnknownName, match=r"no selection method 'dm'.*Valid choices:.*k-center"):
        evaluate(s, p, baselines=["dm"])


def test_workers_change_nothing(pair, monkeypatch):
    """One thread there as here: with others, sums are in another order."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    p, s = pair
    one, two = (evaluate(s, p, seeds=2, models=["mlp"], protocol=SHORT, jobs=jobs) for jobs in (1, 2))
    for kind in ("scores", "baselines", "ceilings"):
        assert getattr(one, kind) == getattr(two, kind)


def test_progress_is_told(pair):
    p, s = pair
    told = []
    evaluate(s, p, seeds=2, models=["mlp"], protocol=SHORT, progress=lambda *what: told.append(what))
    assert told == [("evaluate", k, 5) for k in (1, 2, 3, 4, 5)], "two sets, two draws, all rows"


def test_soft_labels_are_named_in_the_report(pair):
    p, s = pair
    soft = RowSynthetic(s.counts, s.x, labels.probabilities(torch.full((6, 3), 1 / 3)))
    report = evaluate(soft, p, seeds=1, protocol=SHORT)
    assert report.label_kind == "probabilities"
    assert report.bytes == 6 * (64 * 4 + 3 * 4)


@pytest.mark.parametrize("name", toys.ALL)
def test_every_modality(name):
    p, s = toys.case(name, start=True)
    report = evaluate(s, p, seeds=2)
    assert [x.metric for x in report.scores] == [m.name for m in p.task.metrics]
    assert report.protocol == "toy@1"
    assert report.ceilings
    assert report.ceilings[0].mean >= report.baselines[0].mean - 0.05


# ---------------------------------------------------------------------------------------------------------------------
# ceilings


def test_a_ceiling_is_computed_once_and_cached(pair, cache, monkeypatch):
    p, s = pair
    first = evaluate(s, p, seeds=2, models=["mlp"], protocol=SHORT)
    assert len(list(cache.rglob("*.json"))) == 1
    everything = RealRows.all(p.data)
    assert first.ceilings[0].values == (score(p, train(p, everything, SHORT, 0, "mlp"))["accuracy"],)
    sizes = []
    inner = evaluation.train

    def spy(problem, synthetic, *rest):
        sizes.append(sum(synthetic.counts.values()))
        return inner(problem, synthetic, *rest)

    monkeypatch.setattr(evaluation, "train", spy)
    again = evaluate(s, p, seeds=2, models=["mlp"], protocol=SHORT)
    assert again.ceilings == first.ceilings
    assert max(sizes) == 6, "no network is trained on all rows again"
    assert evaluate(s, p, seeds=2, models=["mlp"], protocol=SHORT, ceiling=1).ceilings == first.ceilings
    asked = evaluate(s, p, seeds=2, models=["mlp"], protocol=SHORT, ceiling=2)
    assert asked.ceilings[0].values[0] == first.ceilings[0].values[0]
    assert len(asked.ceilings[0].values) == 2
    assert sizes.count(160) == 1, "one more network, for the one that was missing"


def test_a_ceiling_that_costs_too_much_is_a_hint(pair, cache, monkeypatch):
    p, s = pair
    monkeypatch.setattr(ceilings, "CEILING_SECONDS", 0.0)
    report = evaluate(s, p, seeds=1, protocol=SHORT)
    assert report.ceilings == ()
    assert "--ceiling" in report.ceiling_hint
    assert "--ceiling" in str(report)
    assert not list(cache.rglob("*.json"))
    assert evaluate(s, p, seeds=1, protocol=SHORT, ceiling=True).ceiling_hint == ""
    assert evaluate(s, p, seeds=1, protocol=SHORT).ceilings, "cached now"


@pytest.mark.parametrize("what", ["recipe", "model", "data", "split", "metrics"])
def test_another_recipe_model_split_data_or_way_to_judge_has_a_ceiling_of_its_own(pair, cache, what):
    p, s = pair
    evaluate(s, p, seeds=1, models=["mlp"], protocol=SHORT)
    changes = {"seeds": 1, "models": ["mlp"], "protocol": SHORT}
    if what == "recipe":
        changes["protocol"] = replace(SHORT, lr=0.2)
    if what == "model":
        changes["models"] = ["convnet"]
    if what == "split":
        changes["split"] = "val"
    if what == "data":
        p = replace(p, data=Subset(p.data, range(100)))
    if what == "metrics":
        p = replace(p, task=Auc(3))
    found = evaluate(s, p, **changes).ceilings
    assert [c.metric for c in found] == [m.name for m in p.task.metrics]
    assert len(list(cache.rglob("*.json"))) == 2


# ---------------------------------------------------------------------------------------------------------------------
# protocols, and what is refused


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


def test_bad_input(pair):
    p, s = pair
    with pytest.raises(UnknownName, match=r"no model 'convnat' in image/toy. Did you mean convnet"):
        evaluate(s, p, models=["convnat"])
    with pytest.raises(UnknownName, match="no protocol"):
        evaluate(s, p, protocol="nonsense")
    with pytest.raises(OptionError, match="seeds must be at least 1, got 0"):
        evaluate(s, p, seeds=0)
    with pytest.raises(OptionError, match="needs the problem"):
        evaluate(s)


# ---------------------------------------------------------------------------------------------------------------------
# artifacts


def test_an_artifact_scores_like_the_set_it_came_from(tmp_path):
    p = toys.image()
    made = ddcore.distill(p, "dm", ipc=2, steps=3, out=tmp_path / "a")
    report = evaluate(made, p, seeds=2, protocol=SHORT)
    assert report.method == "dm"
    assert not report.notes
    s = made.synthetic(p)
    assert report.scores == evaluate(s, p, seeds=2, protocol=SHORT).scores
    assert report.scores == evaluate(ddcore.open(tmp_path / "a"), p, seeds=2, protocol=SHORT).scores
    with pytest.raises(OptionError, match="needs the problem"):
        evaluate(made)


def test_an_artifact_of_other_data_is_noted():
    p = toys.image()
    made = ddcore.distill(p, "random", ipc=2)
    other = toys.image(preprocessing=replace(p.preprocessing, name="normalise"))
    assert "fingerprints differ" in " ".join(evaluate(made, other, seeds=1, protocol=SHORT).notes)


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
