"""`distill`: from a problem and a method, or an objective of one's own, to an artifact."""

import hashlib
import json
import math
import tomllib
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
import toys

import ddcore
from ddcore import distillation, labels
from ddcore.budget import Budget
from ddcore.distillation import distill, plan, resolve_method
from ddcore.errors import ArtifactError, BudgetError, Diverged, NotSupported, OptionError, UnknownName
from ddcore.methods import Method
from ddcore.methods.coresets import starting_rows
from ddcore.methods.plan import Label, Plan, Synthesise
from ddcore.objectives.distribution import DistributionMatching, PooledDistributionMatching
from ddcore.objectives.gradient import GradientMatching
from ddcore.objectives.networks import TrainedOnSet
from ddcore.options import Options

ADAM = partial(torch.optim.Adam, lr=0.05)


def digest(folder: Path) -> dict[str, str]:
    """Every file that does not hold the clock."""
    files = [f for f in sorted(folder.iterdir()) if f.name != "cost.json"]
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def problem():
    return toys.image(models={"net": toys.dropping})


class Killed(Exception):
    pass


def killing(after):
    left = [after]

    def callback(run):
        left[0] -= 1
        if left[0] == 0:
            raise Killed

    return callback


def soften(work):
    work.synthetic.labels = labels.probabilities(labels.one_hot(work.synthetic.batch().y, 3), learn=True)


def two_stages(problem, counts, options):
    return Plan(
        (
            *starting_rows("real"),
            Synthesise(PooledDistributionMatching(n_real=8, pool=2, renew=2), 4, ADAM),
            Label(soften),
            Synthesise(GradientMatching(8, networks=TrainedOnSet(outer=2)), 5, ADAM),
            Label(lambda work: setattr(work.synthetic, "label_note", "done")),
        )
    )


TWO = Method("two", "Two stages.", "tests", "", Options, two_stages, {"quick": lambda problem, counts: {}})
RUNS = {
    "dm": {"method": "dm", "options": {"steps": 6, "pool": 3, "renew": 2}},
    "dm fresh": {"method": "dm", "options": {"steps": 6, "pool": 0, "n_real": 8}},
    "dc": {"method": "dc", "options": {"steps": 6, "outer": 3, "inner": 2, "n_real": 8}},
    "dsa": {"method": "dsa", "options": {"steps": 4, "n_real": 8}},
    "two stages": {"method": TWO},
    "own": {"objective": DistributionMatching(8), "steps": 5},
}


@pytest.mark.parametrize("name", RUNS)
def test_twice_in_one_process_the_same_bytes(name, tmp_path):
    found = []
    for k in range(2):
        before = torch.get_rng_state()
        distill(problem(), **RUNS[name], ipc=2, out=tmp_path / str(k))
        assert torch.equal(before, torch.get_rng_state())
        torch.rand(3)
        found.append(digest(tmp_path / str(k)))
    assert found[0] == found[1]
    distill(problem(), **RUNS[name], ipc=2, seed=1, out=tmp_path / "other")
    assert digest(tmp_path / "other")["data.safetensors"] != found[0]["data.safetensors"]


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("after", [1, 3, 4])
def test_a_killed_run_that_is_resumed_ends_with_the_same_bytes(name, after, tmp_path, monkeypatch):
    monkeypatch.setattr(distillation, "CHECKPOINT_SECONDS", 0.0)
    distill(problem(), **RUNS[name], ipc=2, out=tmp_path / "whole")
    with pytest.raises(Killed):
        distill(problem(), **RUNS[name], ipc=2, out=tmp_path / "cut", callbacks=[killing(after)])
    assert not (tmp_path / "cut").exists()
    assert (tmp_path / "cut.partial" / "checkpoint-0").is_file()
    resumed = []
    distill(problem(), **RUNS[name], ipc=2, out=tmp_path / "cut", resume=True, callbacks=[resumed.append])
    assert digest(tmp_path / "whole") == digest(tmp_path / "cut")
    assert "history.jsonl" in digest(tmp_path / "cut")
    assert not (tmp_path / "cut.partial").exists()
    if name not in ("dc", "two stages"):  # these have no boundary at every step
        assert len(resumed) == len(ddcore.open(tmp_path / "whole").history) - after + 1, (
            "it went on from the checkpoint"
        )


def test_killed_in_the_second_of_two_stages(tmp_path, monkeypatch):
    monkeypatch.setattr(distillation, "CHECKPOINT_SECONDS", 0.0)
    distill(problem(), TWO, ipc=2, out=tmp_path / "whole")
    assert len(ddcore.open(tmp_path / "whole").history) == 9
    for after in (7, 1):  # twice, the second time at once
        with pytest.raises(Killed):
            distill(problem(), TWO, ipc=2, out=tmp_path / "cut", resume=True, callbacks=[killing(after)])
    distill(problem(), TWO, ipc=2, out=tmp_path / "cut", resume=True)
    assert digest(tmp_path / "whole") == digest(tmp_path / "cut")


def test_checkpoints_are_written_every_so_often(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(distillation.checkpoint, "save", lambda path, tree: written.append(tree["run"]["step"]))
    clock = [0.0]
    monkeypatch.setattr(distillation.time, "monotonic", lambda: clock[0])

    def tick(run):
        clock[0] += 6.0

    distill(problem(), "dm", ipc=1, options={"steps": 12, "pool": 0, "n_real": 4}, out=tmp_path / "a", callbacks=[tick])
    assert written == [4, 8]


def test_resuming_what_is_finished_opens_it(tmp_path):
    made = distill(problem(), "random", ipc=2, out=tmp_path / "a")
    ran = []
    again = distill(problem(), "random", ipc=2, out=tmp_path / "a", resume=True, callbacks=[ran.append])
    assert again.manifest == made.manifest
    assert not ran
    with pytest.raises(ArtifactError, match="is there already"):
        distill(problem(), "random", ipc=2, seed=1, out=tmp_path / "a", resume=True)


def test_resuming_what_never_began_starts(tmp_path):
    a = distill(problem(), "dm", ipc=1, steps=2, out=tmp_path / "a", resume=True)
    (tmp_path / "b.partial").mkdir()  # killed before the first file
    b = distill(problem(), "dm", ipc=1, steps=2, out=tmp_path / "b", resume=True)
    assert a.manifest["files"] == b.manifest["files"]


def test_resuming_another_run_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(distillation, "CHECKPOINT_SECONDS", 0.0)
    with pytest.raises(Killed):
        distill(problem(), "dm", ipc=1, steps=4, out=tmp_path / "a", callbacks=[killing(2)])
    with pytest.raises(
        OptionError, match=r"a.partial is of another run \(options.steps was 4, is 5\): resume as it was"
    ):
        distill(problem(), "dm", ipc=1, steps=5, out=tmp_path / "a", resume=True)
    with pytest.raises(OptionError, match="method was dm, is random"):
        distill(problem(), "random", ipc=1, out=tmp_path / "a", resume=True)
    distill(problem(), "dm", ipc=1, steps=5, out=tmp_path / "a")  # anew


def test_a_run_that_fails_before_its_first_checkpoint_leaves_nothing(tmp_path):
    with pytest.raises(Killed):
        distill(problem(), "dm", ipc=1, steps=4, out=tmp_path / "a", callbacks=[killing(2)])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"seed": "x"}, "seed = 'x': expected an integer"),
        ({"options": [1]}, r"options = \[1\]: expected a mapping"),
        ({"preset": 3}, "preset = 3: expected a preset's name"),
        ({"out": 3}, "out = 3: expected a folder"),
        ({"device": 3}, "device = 3: expected auto, cpu, cuda"),
        ({"method": 3}, "method = 3: expected a method's name"),
    ],
)
def test_arguments_of_another_type_are_one_error(wrong, message):
    with pytest.raises(OptionError, match=message):
        distill(problem(), **{"method": "random", "ipc": 1, **wrong})


def test_an_artifact_is_not_overwritten_unless_asked(tmp_path):
    distill(problem(), "random", ipc=1, out=tmp_path / "a")
    with pytest.raises(ArtifactError, match="is there already: choose another --out"):
        distill(problem(), "random", ipc=2, out=tmp_path / "a")
    assert ddcore.open(tmp_path / "a").rows == 3
    distill(problem(), "random", ipc=2, out=tmp_path / "a", overwrite=True)
    assert ddcore.open(tmp_path / "a").rows == 6


def test_a_place_that_cannot_be_written_is_told_before_the_run(tmp_path):
    (tmp_path / "file").write_text("")
    ran = []
    with pytest.raises(ArtifactError, match="cannot write"):
        distill(problem(), "dm", ipc=1, steps=2, out=tmp_path / "file" / "a", callbacks=[ran.append])
    assert not ran


# ---------------------------------------------------------------------------------------------------------------------
# what is recorded


def test_the_record_of_a_run(tmp_path):
    made = distill(problem(), "dm", ipc=2, options={"steps": 3, "lr": 0.5}, seed=7, out=tmp_path / "a")
    run = tomllib.loads((tmp_path / "a" / "run.toml").read_text())
    assert (run["problem"], run["method"], run["preset"], run["seed"]) == ("image/toy", "dm", "quick", 7)
    assert run["budget"] == {"ipc": 2}
    assert run["options"]["steps"] == 3
    assert run["options"]["lr"] == 0.5
    assert run["options"]["start"] == "real", "what was not given is there too"
    assert [record["step"] for record in made.history] == [0, 1, 2]
    assert all(math.isfinite(record["loss"]) for record in made.history)
    cost = json.loads((tmp_path / "a" / "cost.json").read_text())
    assert cost["seconds"] > 0
    assert made.manifest["method"]["name"] == "dm"
    assert "WACV 2023" in made.manifest["method"]["paper"]


def test_the_recorded_options_reproduce_the_run(tmp_path):
    distill(problem(), "dc", ipc=2, steps=3, seed=5, out=tmp_path / "a")
    run = tomllib.loads((tmp_path / "a" / "run.toml").read_text())
    distill(problem(), run["method"], **run["budget"], options=run["options"], seed=run["seed"], out=tmp_path / "b")
    assert digest(tmp_path / "a") == digest(tmp_path / "b")


def test_a_budget_may_be_a_ratio_or_bytes():
    assert distill(problem(), "random", ratio=0.05).manifest["counts"] == {"0": 3, "1": 3, "2": 2}
    assert distill(problem(), "random", bytes=264 * 4).rows == 4
    assert distill(toys.recommender(), "random", ipc=9).rows == 9


# ---------------------------------------------------------------------------------------------------------------------
# objects instead of names


def test_an_objective_of_one_s_own():
    p = problem()
    made = distill(p, objective=DistributionMatching(8), steps=3, optimiser=partial(torch.optim.SGD, lr=1.0), ipc=1)
    assert made.manifest["method"]["name"] == "DistributionMatching"
    assert len(made.history) == 3


def test_a_set_of_one_s_own_is_where_it_starts_and_stays_as_it_was():
    p, s = toys.case("image")
    before = s.x.detach().clone()
    still = {"objective": DistributionMatching(8), "steps": 1, "synthetic": s}
    made = distill(p, **still, ipc=2, optimiser=partial(torch.optim.SGD, lr=0.0))
    assert torch.equal(made.synthetic(p).x, before)
    first, again = (distill(p, **still, ipc=2).tensors["x"] for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, before)
    assert torch.equal(s.x, before)


def test_a_set_of_one_s_own_brings_its_budget():
    p, s = toys.case("image")
    made = distill(p, objective=DistributionMatching(8), steps=1, synthetic=s)
    assert made.rows == 6
    with pytest.raises(BudgetError, match=r"has 6 rows.*asks for 3"):
        distill(p, objective=DistributionMatching(8), steps=1, synthetic=s, ipc=1)


class Breaks:
    def losses(self, problem, synthetic, run):
        while True:
            run.boundary()
            yield (synthetic.x - 1).square().mean() * (math.nan if run.step == 30 else 1.0)


def test_a_run_that_diverges_hands_over_its_last_good_state(tmp_path):
    p = problem()
    with pytest.raises(Diverged, match="diverged at step 30") as raised:
        distill(p, objective=Breaks(), steps=100, ipc=1, out=tmp_path / "a")
    kept = raised.value.artifact
    assert kept.rows == 3
    assert kept.tensors["x"].isfinite().all()
    start = distill(p, "random", ipc=1).tensors["x"]
    assert (kept.tensors["x"] - 1).square().mean() < (start - 1).square().mean()
    assert not (tmp_path / "a").exists()
    kept.save(tmp_path / "kept")
    assert ddcore.open(tmp_path / "kept").synthetic(p).x.isfinite().all()


# ---------------------------------------------------------------------------------------------------------------------
# bad input


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"ipc": 1}, OptionError, "give either a method by name or an objective"),
        ({"ipc": 1, "method": "dm", "objective": Breaks()}, OptionError, "not both"),
        ({"ipc": 1, "objective": Breaks()}, OptionError, "needs steps="),
        ({"ipc": 1, "objective": Breaks(), "steps": 1, "options": {"lr": 1}}, OptionError, "options= are a method's"),
        ({"ipc": 1, "method": "dm", "optimiser": ADAM}, OptionError, "a method brings its own"),
        ({"method": "dm"}, BudgetError, "got none of them"),
        ({"method": "dm", "ipc": 1, "ratio": 0.1}, BudgetError, "got ipc and ratio"),
        ({"method": "dm", "ipc": 55}, BudgetError, "the largest ipc that every group can fill is 53"),
        ({"method": "dn", "ipc": 1}, UnknownName, r"no method 'dn'. Did you mean .*dm"),
        ({"method": "dm", "ipc": 1, "preset": "fast"}, OptionError, r"dm has no preset 'fast'.*paper, quick"),
        ({"method": "dm", "ipc": 1, "options": {"stepz": 3}}, OptionError, r"method dm: no option 'stepz'.*steps"),
        ({"method": "dm", "ipc": 1, "options": {"lr": "high"}}, OptionError, r"method dm: lr = \"high\": expected"),
        ({"method": "dm", "ipc": 1, "steps": 0}, OptionError, "steps = 0: expected"),
        ({"method": "dm", "ipc": 1, "options": {"model": "resnet"}}, UnknownName, "no model 'resnet' in image/toy"),
        ({"method": "dm", "ipc": 1, "device": "gpu"}, OptionError, "no device 'gpu'"),
        ({"method": "random", "ipc": 1, "steps": 3}, OptionError, "no option 'steps'"),
    ],
)
def test_bad_input(given, error, said):
    with pytest.raises(error, match=said):
        distill(problem(), **given)


def test_a_method_that_has_no_meaning_says_why():
    never = replace(TWO, name="never", refuses=lambda problem: "it has no labels")
    with pytest.raises(NotSupported, match="never has no meaning on image/toy: it has no labels"):
        distill(problem(), never, ipc=1)


def test_methods_by_name():
    p = problem()
    assert resolve_method("dm", p).name == "dm"
    assert resolve_method(TWO, p) is TWO
    stages, record = plan(p, "dm", Budget(ipc=2), "paper")
    assert stages.steps == 20_000
    assert record["preset"] == "paper"


def test_callbacks_see_every_step():
    seen = []
    distill(problem(), "dm", ipc=1, steps=4, callbacks=[lambda run: seen.append((run.step, len(run.history)))])
    assert seen == [(1, 1), (2, 2), (3, 3), (4, 4)]
