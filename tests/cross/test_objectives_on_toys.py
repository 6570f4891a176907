"""Every objective and every core method on every toy modality: none of them knows what a batch is."""

import itertools
import random
import re
import tomllib
import typing
from dataclasses import replace
from functools import partial

import pytest
import torch
import toys

import ddcore
from ddcore.budget import Budget
from ddcore.distillation import plan, resolve_method
from ddcore.errors import NotSupported, OptionError
from ddcore.evaluation import evaluate
from ddcore.loop import optimise
from ddcore.methods.plan import Work
from ddcore.objectives.bayesian import BayesianMatching
from ddcore.objectives.characteristic import CharacteristicMatching
from ddcore.objectives.classwise import ClasswiseMatching
from ddcore.objectives.distribution import DistributionMatching, PooledDistributionMatching
from ddcore.objectives.gradient import DISTANCES, GradientMatching
from ddcore.objectives.kernel import KernelRegression
from ddcore.objectives.layers import AttentionMatching, LayerMatching
from ddcore.objectives.meta import BackpropThroughTraining
from ddcore.objectives.mmd import KernelMatching
from ddcore.objectives.moments import RelationMatching, SemanticMatching
from ddcore.objectives.networks import Fresh, Queue
from ddcore.objectives.quantiles import QuantileMatching
from ddcore.options import to_toml
from ddcore.parametrizations import Selected
from ddcore.plugins import installed

CORE = (
    "acc-dd",
    "att",
    "bacon",
    "cafe",
    "dance",
    "datadam",
    "datm",
    "dc",
    "dcc",
    "dd",
    "dm",
    "dream",
    "dsa",
    "dsdm",
    "egm",
    "frepo",
    "ftd",
    "herding",
    "idc",
    "idm",
    "iid",
    "k-center",
    "k-means",
    "kip",
    "lcmat",
    "ld",
    "lqm",
    "ls",
    "m3d",
    "mct",
    "mtt",
    "ncfm",
    "pad",
    "pdd",
    "pp",
    "random",
    "rat-bptt",
    "rcig",
    "rfad",
    "rtp",
    "seqmatch",
    "sldd",
    "tesla",
    "wmdd",
)
CHEAP = {
    "steps": 3,
    "experts": 1,
    "n_real": 8,
    "epochs": 1,
    "pool": 2,
    "window": 2,
    "longest": 2,
    "query": 4,
    "frequencies": 4,
    "train_steps": 1,
    "train_size": 8,
    "train_epochs": 2,
    "expert_epochs": 1,
    "syn_steps": 2,
    "subset_steps": 2,
    "later_epochs": 2,
    "judges": 1,
    "networks": 2,
    "solve": 2,
    "judged_epochs": 1,
    "unroll": 2,
}
FAR = {"syn_steps": 12, "step_size": 0.2}  # beyond the expert
BUDGET = {"image": {"ipc": 2}, "graph": {"ratio": 0.1}, "text": {"ipc": 2}, "recommender": {"ipc": 6}}
OBJECTIVES = {
    **{f"gradient {d}": (GradientMatching(n_real=32, distance=d), 0.02) for d in DISTANCES},
    "distribution": (DistributionMatching(n_real=64), 0.05),
    "attention": (AttentionMatching(n_real=64), 0.05),
    "layers": (LayerMatching(n_real=64), 0.05),
    "relations": (RelationMatching(n_real=64, centralisation=0), 0.05),
    "semantic": (SemanticMatching(n_real=64, wait=0), 0.05),
    "kernel": (KernelRegression(n_real=64, reg=1e-3), 0.05),
    "meta": (BackpropThroughTraining(steps=3, n_real=64), 0.05),
    "pooled": (PooledDistributionMatching(n_real=64, pool=4, renew=5), 0.05),
    "kernel-mmd": (KernelMatching(n_real=64), 0.05),
    "class-wise": (ClasswiseMatching(n_real=32, networks=Queue(steps=2, size=32)), 0.05),
    "quantiles": (QuantileMatching(n_real=64), 0.05),
    "bayesian": (BayesianMatching(n_real=32, networks=Fresh(), weight=0.0), 0.05),
    "characteristic": (CharacteristicMatching(n_real=64, frequencies=64, learned=False, calibration=0.0), 0.05),
}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path / "cache"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def distance(p, s, objective):
    """The objective's value, over fixed networks and draws."""
    total = 0.0
    for seed in range(8):
        frozen = optimise(p, s, objective, steps=1, optimiser=partial(torch.optim.SGD, lr=0.0), seed=seed)
        total += frozen.history[0]["loss"]
    return total / 8


@pytest.mark.parametrize("name", toys.ALL)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_an_objective_brings_its_distance_down(name, objective):
    """From noise, measured with networks that it did not see."""
    p, s = toys.case(name)
    made, lr = OBJECTIVES[objective]
    before = distance(p, s, made)
    optimise(p, s, made, steps=40, optimiser=partial(torch.optim.Adam, lr=lr), seed=100)
    after = distance(p, s, made)
    assert after < before
    assert all(q.isfinite().all() for q in s.parameters())


def test_the_core_has_these_methods():
    assert {entry.name for entry in installed().entries("method") if "/" not in entry.name} == set(CORE)


def cheap(method, p):
    """Three steps of little work, whatever the method calls them."""
    fields = resolve_method(method, p).options.model_fields
    return {k: v for k, v in CHEAP.items() if k in fields}


@pytest.mark.parametrize("name", toys.ALL)
@pytest.mark.parametrize("method", CORE)
@pytest.mark.parametrize("preset", ["quick", "paper"])
def test_a_method_runs_or_says_why_not(name, method, preset, tmp_path):
    p = toys.ALL[name]()
    if (reason := resolve_method(method, p).refuses(p)) is not None:
        with pytest.raises(NotSupported, match=f"{method} has no meaning on {p.name}: {reason.partition('(')[0]}"):
            ddcore.distill(p, method, **BUDGET[name], preset=preset)
        return
    made = ddcore.distill(p, method, **BUDGET[name], preset=preset, options=cheap(method, p), out=tmp_path / "a")
    assert ddcore.open(tmp_path / "a").manifest["method"] == made.manifest["method"]
    assert made.manifest["method"]["preset"] == preset
    assert made.rows == sum(made.manifest["counts"].values())
    assert all(x.isfinite().all() for x in made.tensors.values() if x.is_floating_point())
    subsets = made.manifest["method"]["options"].get("subsets", 1)
    assert len(made.history) == (0 if method in ("random", "herding", "k-center", "k-means", "ls") else 3 * subsets)


@pytest.mark.parametrize("method", ["random", "herding", "k-center", "k-means"])
@pytest.mark.parametrize("name", toys.ALL)
def test_a_coreset_is_real_rows_that_score(name, method):
    p = toys.ALL[name]()
    made = ddcore.distill(p, method, **BUDGET[name], options=cheap(method, p))
    s = made.synthetic(p)
    assert isinstance(s, Selected)
    for g, n in s.counts.items():
        rows = [s.chosen[i] for i in s.ids(g)]
        assert len(set(rows)) == n
        assert set(rows) <= set(p.data.ids(g))
    assert evaluate(made, p, seeds=1).score().values


@pytest.mark.parametrize("method", CORE)
def test_presets_resolve_to_what_the_options_know(method):
    p = toys.image()
    found = resolve_method(method, p)
    assert set(found.presets) == {"quick", "paper"}
    assert found.summary
    assert method == "random" or re.search(r"(19|20)\d\d$", found.paper), "the paper ends in its year"
    for name, field in found.options.model_fields.items():
        may_be_none = type(None) in typing.get_args(field.annotation)
        assert not may_be_none or field.default is None, (
            f"{name}: TOML has no None, so a value could not be switched off"
        )
    for preset in found.presets:
        for counts in ({0: 1}, {0: 10, 1: 10}, {0: 7, 1: 50}, {0: 200}):
            resolved = found.resolve(p, counts, preset)
            assert found.options.model_validate(resolved.model_dump()) == resolved
            written = tomllib.loads(to_toml(resolved.model_dump(mode="json")))
            assert found.resolve(p, counts, preset, written) == resolved
            assert found.plan(p, counts, resolved).stages
    with pytest.raises(OptionError, match=f"method {method}: no option 'learning_rate'"):
        found.resolve(p, {0: 1}, "quick", {"learning_rate": 0.1})
    with pytest.raises(OptionError, match=f"{method} has no preset 'slow'"):
        found.resolve(p, {0: 1}, "slow")


@pytest.mark.parametrize(
    ("method", "off"),
    [("ftd", {"ema_decay": 0}), ("mtt", {"batch_syn": 0}), ("egm", {"gap": 0}), ("datm", {"ema_decay": 0})],
)
def test_what_a_preset_sets_can_be_switched_off_and_stays_so_when_a_run_is_repeated(method, off):
    p, counts = toys.image(), {0: 10, 1: 10}
    found = resolve_method(method, p)
    chosen = found.resolve(p, counts, "quick", off)
    assert chosen != found.resolve(p, counts, "quick")
    assert found.resolve(p, counts, "quick", tomllib.loads(to_toml(chosen.model_dump(mode="json")))) == chosen


def test_a_problem_adjusts_quick_presets_alone():
    p, counts = replace(toys.image(), quick={"dc": {"lr": 0.5}}), {0: 1}
    dc = resolve_method("dc", p)
    rates = {preset: dc.resolve(p, counts, preset).lr for preset in dc.presets}
    assert rates == {"quick": 0.5, "paper": 0.1}
    assert dc.resolve(p, counts, "quick", {"lr": 0.7}).lr == 0.7
    assert resolve_method("dsa", p).resolve(p, counts).lr == 0.1
    with pytest.raises(OptionError, match="method dc: no option 'rate'"):
        dc.resolve(replace(p, quick={"dc": {"rate": 0.5}}), counts)


def test_the_papers_settings():
    """DC: table of loops in the appendix and its code; DM: section 4.1."""
    p = toys.image()
    for ipc, loops in {1: (1, 1), 10: (10, 50), 50: (50, 10)}.items():
        dc = resolve_method("dc", p).resolve(p, {0: ipc}, "paper")
        assert (dc.outer, dc.inner, dc.steps) == (*loops, 1000 * loops[0])
        assert (dc.lr, dc.lr_net, dc.n_real, dc.start, dc.distance) == (0.1, 0.01, 256, "noise", "layer-cosine")
    dsa = resolve_method("dsa", p).resolve(p, {0: 10}, "paper")
    assert (dsa.start, dsa.augment) == ("real", "match")
    dm = resolve_method("dm", p).resolve(p, {0: 10}, "paper")
    assert (dm.steps, dm.lr, dm.pool, dm.augment, dm.start) == (20_000, 1.0, 0, "match", "real")
    rates = {
        n: resolve_method("dm", p).resolve(replace(p, name=n), {0: 100}, "paper").lr for n in ("any", "image/cifar100")
    }
    assert rates == {"any": 10.0, "image/cifar100": 1.0}
    idm = {
        (name, ipc): resolve_method("idm", p).resolve(replace(p, name=name), {0: ipc}, "paper")
        for name, ipc in (
            ("image/cifar10", 10),
            ("image/cifar100", 10),
            ("image/cifar100", 1),
            ("image/imagenette", 10),
        )
    }
    assert [(o.weight, o.train_steps, o.n_real) for o in idm.values()] == [
        (0.5, 10, 256), (0.1, 50, 256), (0.5, 10, 5000), (3.0, 10, 256)
    ]  # fmt: skip


def test_dm_may_start_from_centres():
    """Those that the coreset picks in a random network; it hardly moves in one tiny step."""
    p, still = toys.image(), {"steps": 1, "lr": 1e-9, "pool": 1, "n_real": 8}
    moved = ddcore.distill(p, "dm", ipc=2, options={"start": "k-means", **still}).tensors["x"]
    assert torch.allclose(moved, ddcore.distill(p, "k-means", ipc=2, options={"epochs": 0}).tensors["x"], atol=1e-6)
    assert not torch.allclose(moved, ddcore.distill(p, "dm", ipc=2, options=still).tensors["x"], atol=1e-6)


@pytest.mark.parametrize("method", ["dm", "dc"])
def test_what_is_recorded_is_what_was_done(method):
    """A problem without siamese augmentation has no set that was made under it."""
    made = ddcore.distill(toys.graph(), method, ipc=2, options=cheap(method, toys.graph()))
    assert made.manifest["method"]["options"]["augment"] == "none"
    with pytest.raises(NotSupported, match=r"graph/toy has no augmentation 'match'"):
        ddcore.distill(toys.graph(), method, ipc=2, options={**cheap(method, toys.graph()), "augment": "match"})


@pytest.mark.parametrize("method", ["dm", "dc"])
@pytest.mark.parametrize("name", ["image", "text"])  # random nodes keep the whole toy graph around them
def test_distilled_rows_beat_random_ones(name, method):
    """A few seconds of the quick preset; averaged over draws and networks of the same budget."""
    p = toys.ALL[name]()
    steps = {"dm": {"steps": 200, "lr": 0.2 if name != "image" else 1.0}, "dc": {"steps": 60, "n_real": 32}}[method]
    budget = Budget(ipc=1)
    stages, _ = plan(p, method, budget, options=steps)
    made = Work(p, budget.counts(p.data)).perform(stages)
    report = evaluate(made, p, seeds=5)
    assert report.score().mean > report.score(of="baselines").mean


def test_starts(tmp_path):
    p = toys.image()
    real = ddcore.distill(p, "dm", ipc=2, options={"steps": 1, "lr": 1e-9, "start": "real"}).tensors["x"]
    noise = ddcore.distill(p, "dm", ipc=2, options={"steps": 1, "lr": 1e-9, "start": "noise"}).tensors["x"]
    rows = {tuple(x.flatten().tolist()) for x in p.data.x[list(p.data.ids())]}
    close = [any(torch.allclose(x.flatten(), torch.tensor(r), atol=1e-5) for r in rows) for x in real]
    assert all(close)
    assert not any(torch.allclose(noise[0].flatten(), torch.tensor(r), atol=1e-2) for r in rows)


def test_the_permuted_problem_has_the_permuted_set():
    """Selection is by group: herding of a class does not depend on which others there are, or in which order."""
    p = toys.image()
    net_of = partial(resolve_method("herding", p).options, epochs=0)
    stages = resolve_method("herding", p).plan(p, {0: 3}, net_of())
    (select,) = stages.stages
    one = select.choose(p, {0: 3}, random.Random(5))
    all_ = select.choose(p, {2: 3, 0: 3, 1: 3}, random.Random(5))
    assert one.chosen == [all_.chosen[i] for i in all_.ids(0)]


@pytest.fixture(scope="module")
def losses(tmp_path_factory):
    """Of every method that learns, by family: a few updates of one seed on pictures."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DDCORE_CACHE", str(tmp_path_factory.mktemp("cache")))
        p = toys.image()
        for name in CORE:
            method = resolve_method(name, p)
            if method.family != "selection" and method.refuses(p) is None:
                far = {k: v for k, v in FAR.items() if k in method.options.model_fields}
                history = ddcore.distill(p, method, ipc=2, options={**cheap(name, p), **far}, seed=3).history
                found.setdefault(method.family, {})[name] = [record["loss"] for record in history]
    return found


@pytest.mark.parametrize(
    "family",
    ["distribution matching", "gradient matching", "kernel regression", "meta-learning", "trajectory matching"],
)
def test_no_method_is_another_by_another_name(family, losses):
    for (a, x), (b, y) in itertools.combinations(losses[family].items(), 2):
        assert x != pytest.approx(y, rel=1e-6, nan_ok=True), f"{a} and {b} have the same losses"
    assert len(losses[family]) > 3
