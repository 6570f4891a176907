"""Estimates: whole, of the run that was asked for, and without a trace."""

import copy
from functools import partial

import pytest
import torch
import toys

from ddcore import estimation
from ddcore.cache import cache_folder
from ddcore.distillation import distill
from ddcore.errors import BudgetError, OptionError
from ddcore.estimation import estimate
from ddcore.experts import Training
from ddcore.methods import Method
from ddcore.methods.plan import Experts, Plan, Synthesise
from ddcore.options import Options


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(estimation, "MEASURED_SECONDS", 0.05)


def test_an_estimate_is_of_the_run_that_was_asked_for():
    found = estimate(toys.image(), "dm", ipc=2, steps=500, options={"lr": 0.5})
    assert (found.problem, found.method, found.steps, found.device) == (toys.image().name, "dm", 500, "cpu")
    assert 5 < found.measured_steps < 500, "a few steps are measured, not the run"
    assert found.seconds_per_step > 0
    assert found.seconds == pytest.approx(found.setup_seconds + 500 * found.seconds_per_step)
    assert found.memory_bytes > 2**20
    record = found.to_json()
    assert record["seconds"] == found.seconds
    assert all(isinstance(v, str | int | float) for v in record.values())


def test_the_preset_sets_the_steps():
    quick, paper = (estimate(toys.image(), "dm", ipc=1, preset=p) for p in ("quick", "paper"))
    assert (quick.steps, paper.steps) == (300, 20_000)


@pytest.mark.parametrize("method", ["dm", "random"])
def test_the_disk_is_that_of_the_artifact(tmp_path, method):
    found = estimate(toys.image(), method, ipc=20, **({"steps": 30} if method == "dm" else {}))
    distill(toys.image(), method, ipc=20, out=tmp_path / "a", **({"steps": 30} if method == "dm" else {}))
    real = sum(f.stat().st_size for f in (tmp_path / "a").rglob("*") if f.is_file())
    assert found.disk_bytes == pytest.approx(real, rel=0.2)


def test_a_coreset_has_no_steps():
    found = estimate(toys.image(), "herding", ipc=2)
    assert found.steps == found.measured_steps == 0
    assert found.seconds == found.setup_seconds


def test_it_leaves_no_trace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    problem = toys.image()
    before = copy.deepcopy(problem.data.x)
    estimate(problem, "dm", ipc=1, steps=50)
    assert not list(tmp_path.iterdir())
    assert (problem.data.x == before).all()


def test_bad_input_is_that_of_distill():
    with pytest.raises(OptionError, match="lrr"):
        estimate(toys.image(), "dm", ipc=1, options={"lrr": 1})
    with pytest.raises(BudgetError):
        estimate(toys.image(), "dm", ipc=10_000)


def test_the_table_reads_well():
    from rich.console import Console

    console = Console(width=70)
    with console.capture() as capture:
        console.print(estimate(toys.image(), "dm", ipc=1, steps=10).table())
    text = capture.get()
    assert all(word in text for word in ("time", "memory", "disk", "10 steps"))


class Following:
    """The loss of an expert's first snapshots on the set."""

    def __init__(self, work):
        self.experts = work.results["experts"]

    def losses(self, problem, synthetic, run):
        while True:
            run.boundary()
            expert = run.rng.choice(self.experts)
            yield problem.loss(
                problem.new_model(run.rng, expert.model), synthetic.batch(), run.rng.choice(expert.snapshots)
            )


class Steps(Options):
    steps: int = 300


FOLLOW = Method(
    name="follow",
    summary="A method that needs experts.",
    family="toy",
    paper="none",
    options=Steps,
    plan=lambda problem, counts, options: Plan(
        (
            Experts(3, Training(epochs=6, size=64)),
            Synthesise(lambda work: Following(work), options.steps, partial(torch.optim.SGD, lr=0.1)),
        )
    ),
    presets={"quick": lambda problem, counts: {}},
    needs=("experts",),
)


def test_experts_are_estimated_and_not_trained():
    found = estimate(toys.image(), FOLLOW, ipc=1)
    assert not list(cache_folder("experts").iterdir()), "measured, not kept"
    assert found.experts == 3
    assert found.experts_seconds > 0
    assert 5 < found.measured_steps < 300, "the run is measured with stand-ins"
    assert found.seconds == pytest.approx(found.experts_seconds + found.setup_seconds + 300 * found.seconds_per_step)
    told = []
    distill(toys.image(), FOLLOW, ipc=1, steps=2, progress=lambda *said: told.append(said))
    assert told[-1] == ("experts", 18, 18)
    size = sum(f.stat().st_size for f in cache_folder("experts").glob("*.safetensors"))
    assert found.experts_bytes == pytest.approx(size, rel=0.5)
    again = estimate(toys.image(), FOLLOW, ipc=1)
    assert (again.experts, again.experts_seconds, again.experts_bytes) == (0, 0.0, 0)


def test_experts_of_later_stages_count_when_the_first_is_cut_short():
    """SeqMatch trains as many for each subset; at steps that are measured in part."""
    few = {"experts": 3, "train_epochs": 4, "later_epochs": 4, "subset_steps": 2, "subsets": 2, "syn_steps": 2}
    found = estimate(toys.image(), "seqmatch", ipc=2, steps=300, options=few)
    assert found.measured_steps < 300
    assert found.steps == 600
    assert found.experts == 6
    one = estimate(toys.image(), "seqmatch", ipc=2, steps=300, options={**few, "subsets": 1})
    assert (one.experts, 2 * one.experts_bytes) == (3, found.experts_bytes)
    told = []
    distill(toys.image(), "seqmatch", ipc=2, steps=1, options=few, progress=lambda *said: told.append(said))
    assert sum(done == total for _, done, total in told) == 2  # both times all of them


def test_the_table_tells_of_experts():
    from rich.console import Console

    console = Console(width=90)
    with console.capture() as capture:
        console.print(estimate(toys.image(), FOLLOW, ipc=1).table())
    assert "3 to train" in capture.get()
