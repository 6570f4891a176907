"""The methods of trajectory matching, from their experts to their sets."""

import pytest
import torch
import toys
from safetensors.torch import load_file
from unrolled import CHEAP, logits, made, problem

from ddcore.distillation import resolve_method
from ddcore.errors import OptionError
from ddcore.methods.plan import Plan, Prepare, Work
from ddcore.objectives import sequential


def test_ftd_with_plain_experts_and_no_average_is_mtt():
    a, losses = made("mtt")
    b, same = made("ftd", rho=0.0, alpha=0.0, ema_decay=0.0)
    assert torch.equal(a.x, b.x)
    assert losses == same
    _, others = made("ftd", ema_decay=0.0)
    assert others != losses
    averaged, still = made("ftd", rho=0.0, alpha=0.0, ema_decay=0.5)
    assert still == losses
    assert not torch.equal(averaged.x, a.x)


def test_no_method_is_another_in_disguise():
    losses = {}
    for name in ("mtt", "tesla", "ftd", "att", "pp", "mct", "datm", "pad", "seqmatch"):
        aligned = {"threshold": 1e9} if name in ("datm", "pad") else {}
        losses[name] = [h["loss"] for h in made(name, step_size=0.3, **aligned)[1]]
    assert losses["tesla"][0] == pytest.approx(
        losses["mtt"][0], rel=1e-12
    )  # before their gradients have told them apart
    assert len({round(found[-1], 10) for found in losses.values()}) == len(losses)


def test_datm_starts_at_what_its_experts_answer():
    p, counts = problem(), dict.fromkeys(range(3), 2)
    found = resolve_method("datm", p)
    still = {"steps": 1, "lr": 1e-12, "lr_y": 1e-12, "ema_decay": 0.0, "threshold": 1e9}
    work = Work(p, counts)
    s = work.perform(found.plan(p, counts, found.resolve(p, counts, "quick", {**CHEAP, **still})))
    rows = {tuple(x.flatten().tolist()) for x in p.data.x[list(p.data.ids())]}
    assert all(any(torch.allclose(x.flatten(), torch.tensor(row).to(x)) for row in rows) for x in s.x.detach())
    z = [logits(s.x.detach(), e.teacher) for e in work.results["experts"]]
    for i, soft in enumerate(s.batch().y.detach()):
        right = [expert[i] for expert in z if expert[i].argmax() == i // 2] or [expert[i] for expert in z]
        assert torch.allclose(soft, (sum(right) / len(right)).softmax(0), atol=1e-9)


@pytest.mark.parametrize(
    ("method", "given"),
    [
        ("mtt", {"expert_epochs": 4}),
        ("mtt", {"expert_epochs": 1, "stride": 3}),
        ("seqmatch", {"later_epochs": 1}),
        ("datm", {"min_start_epoch": 4, "max_start_epoch": 4}),
        ("datm", {"min_start_epoch": 2, "max_start_epoch": 4}),
    ],
)
def test_what_does_not_fit_the_experts_is_said_before_they_are_trained(method, given, monkeypatch):
    monkeypatch.setattr("ddcore.methods.plan.train_experts", lambda *_, **__: pytest.fail("experts were asked for"))
    with pytest.raises(OptionError, match=r"expert_epochs = |min_start_epoch = "):
        made(method, **given)


def test_pad_without_its_ideas_is_datm():
    """All rows in every epoch, every parameter. A stage that does nothing stands where PAD has its judges."""
    p, counts, ends = problem(), dict.fromkeys(range(3), 2), []
    plain = {"first_part": 1.0, "whole_epoch": 0, "harder_epoch": 99, "easy_part": 0.0, "dropped": 0.0}
    for name, given in (("datm", {}), ("pad", plain), ("pad", {**plain, "first_part": 0.5, "whole_epoch": 3})):
        found = resolve_method(name, p)
        options = found.resolve(p, counts, "quick", {**CHEAP, "threshold": 1e9, **given})
        plan = found.plan(p, counts, options)
        work = Work(p, counts)
        s = work.perform(plan if name == "pad" else Plan((Prepare("judges", lambda work: None), *plan.stages)))
        ends.append((s.x.detach(), s.labels.stored.detach(), [h["loss"] for h in work.history]))
    (x, y, losses), (same_x, same_y, same_losses), (_, _, others) = ends
    assert torch.equal(x, same_x)
    assert torch.equal(y, same_y)
    assert losses == same_losses != others


def test_experts_may_be_kept_now_and_then_and_in_half_precision(cache):
    made("mtt", train_epochs=4)
    made("mtt", train_epochs=4, half=True, stride=2)
    sizes = {}
    for file in cache.glob("experts/*.safetensors"):
        kept = [x.nbytes for name, x in load_file(file).items() if name.endswith("body.weight")]
        sizes.setdefault(len(kept), set()).add(sum(kept))
    whole, some = sizes[5], sizes[3]
    assert [size / 5 for size in whole] == [4 * size / 3 for size in some]  # float64 beside float16


def test_experts_of_a_later_subset_are_trained_once_and_found_without_training(monkeypatch):
    trainings = []
    monkeypatch.setattr(
        sequential, "fit", lambda *args, inner=sequential.fit: (trainings.append(args[1]), inner(*args))[1]
    )
    few = {"subsets": 2, "experts": 3, "subset_steps": 3}
    first, losses = made("seqmatch", **few)
    assert len(trainings) == 3  # a network of each expert, on the first subset
    again, others = made("seqmatch", **few)
    assert len(trainings) == 3
    assert losses == others
    assert torch.equal(first.x, again.x)
    made("seqmatch", **{**few, "subset_steps": 4})
    assert len(trainings) == 6  # another training leads elsewhere


def test_a_resumed_seqmatch_equals_an_uninterrupted_one():
    p, counts = problem(), dict.fromkeys(range(3), 2)
    found = resolve_method("seqmatch", p)
    options = found.resolve(p, counts, "quick", {**CHEAP, "steps": 3, "subsets": 2})
    taken = []
    whole = Work(p, counts, checkpoint=lambda snapshot: taken.append(snapshot())).perform(
        found.plan(p, counts, options)
    )
    for at in (1, 4):  # in each stage
        again = Work(p, counts, resume=taken[at]).perform(found.plan(p, counts, options))
        assert torch.equal(whole.x, again.x)
        assert torch.equal(whole.log_step_size, again.log_step_size)


def test_labels_that_cannot_be_learned_are_a_reason_to_refuse():
    for name in ("datm", "pad"):
        assert resolve_method(name, problem()).refuses(problem()) is None
        assert "cannot learn labels" in resolve_method(name, toys.graph()).refuses(toys.graph())
