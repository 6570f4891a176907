"""The plugin's methods, and the core's on sound: what they make, and that they refuse what has no meaning."""

from __future__ import annotations

import random

import pytest
import torch
import toy
from ddcore_audio.problems import frontend_of

import ddcore
from ddcore.errors import NotSupported, OptionError
from ddcore.evaluation import train
from ddcore.parametrizations import Selected
from ddcore.recipes import Recipe

SHORT = {
    "audio/distrack": {"steps": 2, "n_real": 8},
    "audio/kws-idc": {"steps": 4, "n_real": 4, "inner": 1},
    "audio/ddfad": {"steps": 2, "experts": 1, "train_epochs": 2, "syn_steps": 2, "max_start_epoch": 1},
    "audio/ser-bptt": {"steps": 2, "n_real": 16},
    "dm": {"steps": 2, "pool": 2},
    "dc": {"steps": 2, "n_real": 8},
    "dsa": {"steps": 2, "n_real": 8},
    "mtt": {"steps": 2, "experts": 1, "train_epochs": 2, "syn_steps": 2, "max_start_epoch": 1},
    "dd": {"steps": 2, "n_real": 16},
    "frepo": {"steps": 2},
    "kip": {"steps": 2},
    "rat-bptt": {"steps": 2, "unroll": 3, "window": 2},
    "random": {},
    "herding": {"epochs": 1},
    "k-center": {"epochs": 1},
}
NEEDS = {"audio/ddfad": {"kind": "mfcc"}}


pytestmark = pytest.mark.usefixtures("cache")


@pytest.mark.parametrize("method", list(SHORT))
def test_every_method_runs_twice_alike_and_its_set_is_stored(method, tmp_path):
    problem = toy.problem(**NEEDS.get(method, {}))
    made = [ddcore.distill(problem, method, ipc=2, seed=3, options=SHORT[method]) for _ in range(2)]
    assert all(torch.equal(x, made[1].tensors[k]) for k, x in made[0].tensors.items())
    made[0].save(tmp_path / "set")
    again = ddcore.open(tmp_path / "set")
    a, b = (m.synthetic(problem).train_batch(problem, 1, 5)[0].x for m in (made[0], again))
    assert torch.allclose(a, b)
    assert a.isfinite().all()


@pytest.mark.parametrize("method", ["dm", "dc", "dsa", "mtt", "frepo", "kip", "audio/distrack", "audio/ser-bptt"])
def test_waveforms_are_moved_too(method):
    problem = toy.problem(waveforms=True, floor=0.1)
    x = ddcore.distill(problem, method, ipc=1, options=SHORT[method] | {"start": "real"}).tensors["x"]
    start = ddcore.distill(problem, "random", ipc=1).tensors["x"]  # of this seed: what every method starts from
    assert x.shape == start.shape
    assert x.isfinite().all()
    assert ((x - start).norm(dim=1) > 1e-6 * start.norm(dim=1)).all(), "every row"


def test_waveforms_have_a_floor_and_a_rate_of_their_own():
    problems = {w: toy.problem(waveforms=w) for w in (False, True)}
    rates = {
        w: ddcore.distill(p, "audio/distrack", ipc=1, steps=1).manifest["method"]["options"]["lr"]
        for w, p in problems.items()
    }
    assert rates == {False: 2.0, True: 0.2}
    for domain, floor in (("maps", 1e-6), ("waveforms", 0.1)):
        assert frontend_of("log-mel", domain, 8000, 1.0, 320, 160, 40, None).floor == floor
        assert frontend_of("log-mel", domain, 8000, 1.0, 320, 160, 40, 0.5).floor == 0.5


@pytest.mark.parametrize(
    ("method", "how", "options"),
    [
        ("audio/distrack", {}, {"steps": 40, "n_real": 14}),
        ("audio/distrack", {"waveforms": True}, {"steps": 40, "n_real": 14}),
        ("audio/distrack", {}, {"steps": 40, "n_real": 14, "pieces": 2}),
        ("audio/kws-idc", {}, {"steps": 60, "n_real": 14, "inner": 0, "start": "noise", "lr": 0.3}),
        ("audio/ser-bptt", {}, {"steps": 15, "n_real": 42, "lr": 0.2, "step_size": 0.1, "epochs": 3}),
    ],
)
def test_updates_bring_the_loss_down(method, how, options):
    history = ddcore.distill(toy.problem(**how), method, ipc=1, options={"start": "noise", **options}).history
    first, last = (sum(r["loss"] for r in part) for part in (history[:6], history[-6:]))
    assert last < 0.8 * first


def test_ddfad_ties_differences_to_cepstra():
    problem = toy.problem(kind="mfcc")
    free, tied = (
        ddcore.distill(problem, "audio/ddfad", ipc=1, options=SHORT["audio/ddfad"] | {"planes": planes})
        for planes in ("free", "tied")
    )
    assert free.manifest["bytes"]["data"] == 3 * tied.manifest["bytes"]["data"]
    features = problem.synthetic.features
    x = features.undo(tied.synthetic(problem).batch().x.detach())
    assert torch.allclose(features.with_differences(x[:, :1]), x, atol=1e-4)


@pytest.mark.parametrize(
    ("method", "how", "said"),
    [
        ("audio/ddfad", {}, "problem.frontend=mfcc"),
        ("audio/kws-idc", {"waveforms": True}, "problem.domain=maps"),
    ],
)
def test_what_has_no_meaning_is_refused(method, how, said):
    with pytest.raises(NotSupported, match=said):
        ddcore.distill(toy.problem(**how), method, ipc=1)


def test_more_pieces_than_frames_are_refused():
    with pytest.raises(OptionError, match="pieces do not fit"):
        ddcore.distill(toy.problem(), "audio/distrack", ipc=1, options={"pieces": 500, "start": "noise"})


def test_a_set_for_one_start_begins_there_and_its_weights_count():
    problem = toy.problem()
    made = ddcore.distill(problem, "audio/ser-bptt", ipc=1, options=SHORT["audio/ser-bptt"])
    synthetic = made.synthetic(problem)
    a, b = (synthetic.begin(problem.new_model(random.Random(seed))) for seed in (0, 1))
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
    assert all(torch.equal(p, made.tensors[f"start.{k}"]) for k, p in a.named_parameters())
    assert made.manifest["bytes"]["start"] == 4 * sum(p.numel() for p in a.parameters())
    other = problem.new_model(random.Random(0), "ds-cnn")
    before = [p.clone() for p in other.parameters()]
    assert all(torch.equal(p, q) for p, q in zip(before, synthetic.begin(other).parameters(), strict=True))
    trained = [train(problem, synthetic, Recipe("short@1", epochs=2), seed).state_dict() for seed in (0, 1)]
    assert all(torch.equal(x, trained[1][k]) for k, x in trained[0].items())


def test_packed_sets_are_compared_with_as_many_real_rows_as_they_are_stored_as():
    problem = toy.problem()
    made = ddcore.distill(problem, "audio/kws-idc", ipc=2, options=SHORT["audio/kws-idc"])
    plain = ddcore.distill(problem, "random", ipc=2)
    synthetic = made.synthetic(problem)
    assert isinstance(plain.synthetic(problem), Selected)
    assert made.tensors["x"].shape == plain.tensors["x"].shape
    assert synthetic.stored_counts == dict.fromkeys(problem.data.groups, 2)
    assert synthetic.counts == dict.fromkeys(problem.data.groups, 8)
