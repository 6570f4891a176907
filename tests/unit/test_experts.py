"""Experts: plain and flat training against their formulas; a store that is found again, resumed, and never silently wrong."""

import copy
import gc
import json
import os
import pickle
import sys
from dataclasses import replace
from itertools import chain

import pytest
import torch
import toys
from safetensors.torch import load_file, save_file

from ddcore.cache import cache_folder, cached
from ddcore.errors import ArtifactError, Diverged, NotSupported, OptionError
from ddcore.experts import Trajectory, estimate_experts, store, train_experts
from ddcore.experts.flat import flat_gradients
from ddcore.experts.training import Path, Training
from ddcore.inner import grads, trainable
from ddcore.seeds import stream

SHORT = Training(epochs=3, size=64)


def double(**changes):
    return toys.image(data=toys.pictures(dtype=torch.float64), models={"mlp": lambda: toys.MLP().double()}, **changes)


def files(ending="safetensors"):
    return sorted(cache_folder("experts").glob(f"*.{ending}"))


def same(a, b):
    return list(a) == list(b) and all(torch.equal(a[k], b[k]) and a[k].dtype == b[k].dtype for k in a)


def trained(monkeypatch):
    """Epochs that are trained from here on."""
    epochs, advance = [], Path.advance
    monkeypatch.setattr(Path, "advance", lambda self, *steps: (epochs.append(self.seed), advance(self, *steps))[1])
    return epochs


# ---------------------------------------------------------------------------------------------------------------------
# training


def test_a_path_is_that_of_plain_sgd_over_every_row_once_an_epoch():
    data = toys.Drawn(toys.pictures(dtype=torch.float64))
    path = Path(
        replace(double(augmentations={}), data=data), Training(lr=0.1, momentum=0.5, weight_decay=0.01, size=64), 3
    )
    theta = [p.detach().clone() for p in path.params]
    v = [torch.zeros_like(p) for p in theta]
    path.advance()
    path.advance()
    per_epoch = len(data.taken) // 2
    first, second = (list(chain(*part)) for part in (data.taken[:per_epoch], data.taken[per_epoch:]))
    assert sorted(first) == sorted(second) == sorted(data.ids())
    assert first != second, "another order each epoch"
    assert [len(ids) for ids in data.taken[:per_epoch]] == [64, 64, 32]
    names = list(dict(path.net.named_parameters()))
    for ids in list(data.taken):
        theta = [p.requires_grad_() for p in theta]
        g = torch.autograd.grad(path.problem.loss(path.net, data.take(ids), dict(zip(names, theta))), theta)
        v = [0.5 * m + d + 0.01 * p.detach() for m, d, p in zip(v, g, theta)]
        theta = [p.detach() - 0.1 * m for p, m in zip(theta, v)]
    assert all(torch.allclose(a, b, atol=1e-13) for a, b in zip(theta, path.params))


@pytest.mark.parametrize("modality", toys.ALL)
def test_every_modality_has_experts_that_learn(modality):
    problem = toys.ALL[modality]()
    (expert,) = train_experts(problem, 1, Training(epochs=8, lr=0.1, size=64))
    assert isinstance(expert, Trajectory)
    assert (expert.model, expert.stride, len(expert.snapshots)) == (next(iter(problem.models)), 1, 9)
    net, batch = problem.new_model(stream(0)).eval(), problem.data.take(problem.data.ids())
    assert set(expert.teacher) == {name for name, p in net.named_parameters() if p.requires_grad}, "no frozen table"
    start, end = (float(problem.loss(net, batch, expert.snapshots[k])) for k in (0, -1))
    assert end < start


def test_snapshots_are_copies():
    path = Path(toys.image(), SHORT, 0)
    first = path.snapshot()
    kept = copy.deepcopy(first)
    path.advance()
    assert same(first, kept)
    assert not same(first, path.snapshot())


def test_a_path_that_is_loaded_goes_on_bit_for_bit():
    """With momentum, dropout and BatchNorm."""
    problem = toys.image(models={"net": lambda: toys.ConvNet(drop=0.5, batch_norm=True)})
    training = Training(epochs=4, momentum=0.9)
    whole, half = Path(problem, training, 5), Path(problem, training, 5)
    for _ in range(4):
        whole.advance()
    half.advance()
    half.advance()
    state = copy.deepcopy(half.state())
    torch.rand(1)
    again = Path(problem, training, 5)
    again.load(state)
    again.advance()
    again.advance()
    assert same(whole.snapshot(), again.snapshot())
    assert same(dict(whole.net.named_buffers()), dict(again.net.named_buffers()))


@pytest.mark.parametrize(
    "given", [{"epochs": -1}, {"stride": 2, "epochs": 3}, {"first": 9, "epochs": 3}, {"size": 0}, {"rho": -1.0}]
)
def test_a_training_that_makes_no_sense_is_refused(given):
    with pytest.raises(OptionError, match="got"):
        Training(**given)


def test_a_diverging_expert_stops_and_is_not_stored():
    with pytest.raises(Diverged, match="learning rate 1e\\+30: lower it"):
        train_experts(toys.image(), 1, Training(epochs=3, lr=1e30))
    assert not files()


def test_a_network_that_trains_itself_is_refused():
    class Tree(toys.MLP):
        def fit(self, synthetic, problem):
            """Its own."""

    with pytest.raises(NotSupported, match="trains itself"):
        train_experts(toys.image(models={"tree": Tree}), 1, SHORT)


# ---------------------------------------------------------------------------------------------------------------------
# flat training


def written_out(net, loss, rho, alpha):
    """Adaptive GSAM over one flat vector."""
    params = trainable(net)
    theta = torch.cat([p.detach().flatten() for p in params])

    def gradient(at):
        with torch.no_grad():
            torch.nn.utils.vector_to_parameters(at, params)
        return torch.cat([g.flatten() for g in torch.autograd.grad(loss(), params)])

    g = gradient(theta)
    h = gradient(theta + rho * theta**2 * g / (theta * g).norm())
    torch.nn.utils.vector_to_parameters(theta, params)
    unit = h / h.norm()
    return h - alpha * (g - (g @ unit) * unit)


@pytest.mark.parametrize(("rho", "alpha"), [(0.01, 0.4), (0.5, 0.0), (0.1, 1.0)])
def test_flat_gradients_are_those_of_the_formula(rho, alpha):
    problem = double()
    net, batch = problem.new_model(stream(1)), problem.data.take(range(40))
    before = copy.deepcopy(net.state_dict())
    found = flat_gradients(net, trainable(net), lambda: problem.loss(net, batch), rho=rho, alpha=alpha)
    assert same(before, net.state_dict()), "the parameters are back where they were, bit for bit"
    expected = written_out(net, lambda: problem.loss(net, batch), rho, alpha)
    assert torch.allclose(torch.cat([x.flatten() for x in found]), expected, rtol=1e-9, atol=1e-12)
    plain = torch.cat([x.flatten() for x in grads(problem.loss(net, batch), trainable(net))])
    assert not torch.allclose(expected, plain, rtol=1e-4)


def test_without_a_radius_flat_gradients_are_plain_ones_bit_for_bit():
    problem = double()
    net, batch = problem.new_model(stream(1)), problem.data.take(range(40))

    def loss():
        return problem.loss(net, batch)

    plain = grads(loss(), trainable(net))
    assert all(torch.equal(a, b) for a, b in zip(plain, flat_gradients(net, trainable(net), loss, rho=0.0, alpha=0.0)))


def test_flat_training_without_a_radius_is_plain_training_bit_for_bit(monkeypatch):
    problem, plain, flat = toys.image(), Path(toys.image(), SHORT, 0), Path(toys.image(), replace(SHORT, rho=1.0), 0)
    inner = store.Path._step.__globals__["flat_gradients"]
    monkeypatch.setitem(
        Path._step.__globals__,
        "flat_gradients",
        lambda net, params, loss, rho, alpha: inner(net, params, loss, rho=0.0, alpha=0.0),
    )
    for path in (plain, flat):
        path.advance()
    assert same(plain.snapshot(), flat.snapshot())
    assert (
        train_experts(problem, 1, replace(SHORT, rho=0.0, alpha=0.0))[0].seed
        == train_experts(problem, 1, SHORT)[0].seed
    )
    assert len(files()) == 1


def test_the_second_look_moves_no_statistics():
    problem = toys.image(models={"net": lambda: toys.ConvNet(batch_norm=True)})
    net, twin, batch = problem.new_model(stream(1)), problem.new_model(stream(1)), problem.data.take(range(40))
    flat_gradients(net, trainable(net), lambda: problem.loss(net, batch), rho=0.5, alpha=0.4)
    twin(batch)
    assert same(dict(net.named_buffers()), dict(twin.named_buffers()))


def test_a_parameter_that_the_loss_bypasses_is_left_alone():
    net = torch.nn.ModuleDict({"used": torch.nn.Linear(2, 1), "bypassed": torch.nn.Linear(2, 1)})
    found = flat_gradients(
        net, trainable(net), lambda: net["used"](torch.ones(3, 2)).square().mean(), rho=0.1, alpha=0.4
    )
    assert [g is None for g in found] == [False, False, True, True]


# ---------------------------------------------------------------------------------------------------------------------
# the store


def test_experts_are_trained_once(monkeypatch):
    problem, epochs, told = toys.image(), trained(monkeypatch), []
    first = train_experts(problem, 2, SHORT, progress=lambda *said: told.append(said))
    assert told == [("experts", done, 6) for done in range(7)]
    assert len(epochs) == 6
    again = train_experts(problem, 2, SHORT, progress=lambda *said: told.append(said))
    assert (len(epochs), len(told)) == (6, 7), "read, and nothing is said"
    assert [e.seed for e in first] == [e.seed for e in again]
    assert all(same(a, b) for x, y in zip(first, again) for a, b in zip(x.snapshots, y.snapshots))
    assert not same(first[0].snapshots[0], first[1].snapshots[0])
    more = train_experts(problem, 3, SHORT)
    assert [e.seed for e in more[:2]] == [e.seed for e in first], "a larger number starts with the smaller one"
    assert len(epochs) == 9


def test_what_an_expert_depends_on_is_its_address():
    problem = toys.image()
    train_experts(problem, 1, SHORT)
    others = [
        {"problem": problem, "seed": 1},
        {"problem": problem, "model": "mlp"},
        *(
            {"problem": problem, "training": replace(SHORT, **change)}
            for change in ({"lr": 0.02}, {"stride": 3}, {"half": True}, {"first": 1}, {"rho": 0.1}, {"augment": None})
        ),
        {"problem": toys.image(data=toys.pictures(n=290))},
        {"problem": toys.image(models={"convnet": lambda: toys.ConvNet(drop=0.1)})},
        {"problem": toys.image(models={"convnet": toys.MLP})},
    ]
    for number, other in enumerate(others, start=2):
        train_experts(other.pop("problem"), 1, other.pop("training", SHORT), **other)
        assert len(files()) == number
    train_experts(toys.image(), 1, Training(epochs=3, size=64))
    assert len(files()) == len(others) + 1


def test_the_file_beside_an_expert_says_what_it_is():
    train_experts(toys.image(), 1, replace(SHORT, rho=0.1))
    (manifest,) = files("json")
    said = json.loads(manifest.read_text())
    assert (said["problem"], said["model"], said["what"]) == ("image/toy", "convnet", "3 epochs, flat")
    assert said["training"]["lr"] == 0.01
    assert said["bytes"] == files()[0].stat().st_size
    assert 0 <= said["val"]["accuracy"] <= 1
    assert manifest.stem == files()[0].stem
    assert not files("partial")


def test_stride_window_and_half_precision():
    problem = toys.image()
    (whole,) = train_experts(problem, 1, Training(epochs=4, size=64))
    (some,) = train_experts(problem, 1, Training(epochs=4, size=64, stride=2))
    (late,) = train_experts(problem, 1, Training(epochs=4, size=64, first=3))
    (half,) = train_experts(problem, 1, Training(epochs=4, size=64, half=True))
    assert (len(some.snapshots), some.stride) == (3, 2)
    assert all(same(a, b) for a, b in zip(some.snapshots, whole.snapshots[::2]))
    assert len(late.snapshots) == 5
    assert all(same(late.snapshots[k], whole.snapshots[k]) for k in (3, 4, -1))
    with pytest.raises(NotSupported, match="epoch 2 was not kept"):
        late.snapshots[2]
    for a, b in zip(half.snapshots, whole.snapshots):
        assert all(x.dtype == torch.float32 for x in a.values()), "they come back as the network is"
        assert same(a, {k: x.half().float() for k, x in b.items()})
    sizes = {json.loads(f.with_suffix(".json").read_text())["training"]["half"]: f.stat().st_size for f in files()}
    assert sizes[True] < 0.7 * max(f.stat().st_size for f in files())
    with pytest.raises(IndexError):
        whole.snapshots[5]


def test_a_teacher_brings_its_statistics():
    """So that a network it is loaded into scores on val as the teacher did."""
    problem = toys.image(models={"net": lambda: toys.ConvNet(batch_norm=True)})
    (expert,) = train_experts(problem, 1, Training(epochs=8, lr=0.1, size=64))
    net = problem.new_model(stream(0)).eval()
    net.load_state_dict({**expert.teacher, **expert.buffers})
    batch = problem.data.take(problem.data.ids(split="val"))
    said = json.loads(files("json")[0].read_text())["val"]
    assert problem.task.score([(net(batch), batch)]) == pytest.approx(said)


def test_what_is_read_can_be_changed_without_harm():
    (expert,) = train_experts(toys.image(), 1, SHORT)
    before = copy.deepcopy(expert.teacher)
    for x in expert.teacher.values():
        x.zero_()
    assert same(expert.teacher, before)


def test_experts_travel_to_other_processes():
    (expert,) = train_experts(toys.image(), 1, SHORT)
    sent = pickle.dumps(expert)
    assert len(sent) < 5000, "the path of the file, not its content"
    assert same(pickle.loads(sent).teacher, expert.teacher)


def test_processes_share_the_training(monkeypatch):
    told = []
    alone = train_experts(toys.image(), 3, SHORT)
    monkeypatch.setenv("DDCORE_CACHE", str(cache_folder("elsewhere")))
    assert not files()
    shared = train_experts(toys.image(), 3, SHORT, jobs=2, progress=lambda *said: told.append(said))
    assert told == [("experts", done, 9) for done in (0, 3, 6, 9)]
    for a, b in zip(alone, shared):
        assert all(torch.allclose(x[k], y[k], atol=1e-5) for x, y in zip(a.snapshots, b.snapshots) for k in x)


def test_ray_is_asked_for_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray.util.joblib", None)
    with pytest.raises(NotSupported, match="pip install"):
        train_experts(toys.image(), 2, SHORT, jobs=2, backend="ray")


def test_ray_trains_the_same_experts(monkeypatch):
    ray = pytest.importorskip("ray", reason="Ray is not installed")
    alone = train_experts(toys.image(), 2, SHORT)
    monkeypatch.setenv("DDCORE_CACHE", str(cache_folder("elsewhere")))
    there = {"env_vars": {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}}  # the toys of this test
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env=there)
    try:
        shared = train_experts(toys.image(), 2, SHORT, jobs=2, backend="ray")
    finally:
        ray.shutdown()
    for a, b in zip(alone, shared):
        assert all(torch.allclose(x[k], y[k], atol=1e-5) for x, y in zip(a.snapshots, b.snapshots) for k in x)


# ---------------------------------------------------------------------------------------------------------------------
# interruptions and damage


def test_an_interrupted_training_goes_on_bit_for_bit(monkeypatch):
    training = Training(epochs=5, size=64, momentum=0.9, half=True)
    whole = [e.snapshots[:] for e in train_experts(toys.image(), 2, training)]
    monkeypatch.setenv("DDCORE_CACHE", str(cache_folder("elsewhere")))
    monkeypatch.setattr(store, "SAVE_SECONDS", 0.0)

    def stop(what, done, total):
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_experts(toys.image(), 2, training, progress=stop)
    assert len(files()) == len(files("partial")) == 1
    assert sorted(c.what for c in cached()) == ["5 epochs", "unfinished: epoch 2 of 5"]
    assert {c.problem for c in cached()} == {"image/toy"}
    epochs = trained(monkeypatch)
    again = train_experts(toys.image(), 2, training)
    assert len(epochs) == 3, "the second, from its last saved epoch"
    assert not files("partial")
    assert all(same(a, b) for x, y in zip(whole, again) for a, b in zip(x, y.snapshots))


def test_what_another_process_finished_meanwhile_is_taken(monkeypatch):
    monkeypatch.setattr(store, "SAVE_SECONDS", 0.0)
    problem, told, other = toys.image(), [], []

    def meanwhile(what, done, total):
        told.append(done)
        if done == 1 and not other:
            other.extend(train_experts(problem, 1, Training(epochs=9, size=64)))

    (expert,) = train_experts(problem, 1, Training(epochs=9, size=64), progress=meanwhile)
    assert told == [0, 1, 9]
    assert same(expert.teacher, other[0].teacher)
    assert not files("partial")


def test_a_damaged_save_starts_the_path_anew(monkeypatch):
    monkeypatch.setattr(store, "SAVE_SECONDS", 0.0)
    (whole,) = train_experts(toys.image(), 1, SHORT)
    before, (data,) = whole.snapshots[:], files()
    data.unlink()
    data.with_suffix(".partial").write_bytes(b"cut")
    (again,) = train_experts(toys.image(), 1, SHORT)
    assert all(same(a, b) for a, b in zip(before, again.snapshots))


@pytest.mark.parametrize("ending", ["safetensors", "json"])
@pytest.mark.parametrize("damage", ["missing", "cut", "empty", "other"])
def test_a_file_that_cannot_be_read_is_made_again(ending, damage, monkeypatch):
    (expert,) = train_experts(toys.image(), 1, SHORT)
    before, (file,) = expert.snapshots[:], files(ending)
    del expert
    gc.collect()
    if damage == "missing":
        file.unlink()
    else:
        data = file.read_bytes()
        file.write_bytes({"cut": data[: len(data) // 2], "empty": b"", "other": b"[1, 2, 3]"}[damage])
    epochs = trained(monkeypatch)
    (again,) = train_experts(toys.image(), 1, SHORT)
    assert len(epochs) == 3
    assert all(same(a, b) for a, b in zip(before, again.snapshots))


def test_an_altered_snapshot_is_an_error_that_says_what_to_do():
    train_experts(toys.image(), 1, SHORT)
    (file,) = files()
    tensors = load_file(file)
    tensors["00002.conv.bias"][0] += 1e-3
    save_file(tensors, file)
    (expert,) = train_experts(toys.image(), 1, SHORT)
    assert expert.snapshots[1]
    with pytest.raises(ArtifactError, match=f"altered.*ddcore cache prune {file.stem[:12]}"):
        expert.snapshots[2]


# ---------------------------------------------------------------------------------------------------------------------
# what they cost


def test_the_cost_is_told_before_and_nothing_is_stored():
    problem = toys.image()
    cost, (stand_in, _) = estimate_experts(problem, 2, Training(epochs=40, size=64))
    assert not files()
    assert cost.missing == 2
    assert cost.seconds > 0
    assert len(stand_in.snapshots) == 41
    assert not same(stand_in.snapshots[3], stand_in.snapshots[4])
    experts = train_experts(problem, 2, Training(epochs=40, size=64))
    assert cost.bytes == pytest.approx(sum(f.stat().st_size for f in files()), rel=0.3)
    assert same(stand_in.snapshots[0], experts[0].snapshots[0])
    free, found = estimate_experts(problem, 2, Training(epochs=40, size=64))
    assert (free.missing, free.seconds, free.bytes) == (0, 0.0, 0)
    assert same(found[1].teacher, experts[1].teacher)
    partly, _ = estimate_experts(problem, 3, Training(epochs=40, size=64))
    assert partly.missing == 1
