"""Sequences: data, models, parametrizations and the two methods."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from ddcore_recommender.alignment import AlignedTraining
from ddcore_recommender.latent import LowRankSequences, TuckerSequences
from ddcore_recommender.methods.farzi import FARZI
from ddcore_recommender.methods.td3 import TD3
from ddcore_recommender.models.sequential import GRU4Rec, SASRec
from ddcore_recommender.sequences import Sequences, soft
from ddcore_recommender.sequential import sequential_problem
from ddcore_recommender.table import named, split_table

import ddcore
from ddcore.errors import DataError
from ddcore.evaluation import score, train
from ddcore.loop import Run
from ddcore.parametrizations.base import Selected
from ddcore.problem import Output


def walks(users=40, items=9, length=8, seed=0):
    """Everybody walks round the items by steps of one, from somewhere; who starts low is short."""
    rng = np.random.default_rng(seed)
    user, item = [], []
    for u in range(users):
        start = rng.integers(items)
        for t in range(length - u % 3):
            user.append(u)
            item.append(f"i{(start + t) % items}")
    order = rng.permutation(len(user))
    time = np.empty(len(user), np.int64)
    time[:] = np.arange(len(user))
    return named(np.array(user)[order], np.array(item)[order], time=time[order])


@pytest.fixture(scope="module")
def problem():
    return sequential_problem(split_table(walks(), "leave-one-out"), length=5, cuts=(1, 3), dim=8)


def test_the_next_position_holds_the_next_item_in_time(problem):
    data = problem.data
    numbers = [int(i[1:]) for i in data.items]
    for u in data.ids():
        batch = data.take([u])
        x, y = batch.x[0].tolist(), batch.y[0].tolist()
        for a, b in zip(x, y, strict=True):
            assert (a == 0) == (b == 0)
            assert a == 0 or (numbers[b - 1] - numbers[a - 1]) % 9 == 1


def test_val_and_test_continue_the_sequence_and_no_later_item_is_in_a_context(problem):
    data, n = problem.data, len(problem.data.parts)
    for u in data.ids(split="test"):
        user = u % n
        train, val, test = data.parts[user]
        batch = data.take([u])
        history = np.concatenate([train, val])
        assert [i for i in batch.x[0].tolist() if i] == history[-5:].tolist()
        assert batch.y[0, -1] == test[0]
        assert not batch.y[0, :-1].any()
        assert sorted((batch.seen[0].nonzero().flatten() + 1).tolist()) == sorted(set(history.tolist()))
        assert test[0] not in data.take([user]).y
        assert val[0] not in data.take([user]).y
        assert test[0] not in data.take([n + user]).x


def test_sequences_without_times_are_an_error():
    table = split_table(named(np.repeat(["a", "b"], 6), np.tile(list("uvwxyz"), 2)), "random")
    with pytest.raises(DataError, match="no time column"):
        sequential_problem(table)


@pytest.mark.parametrize("make", [lambda: SASRec(9, 5, 8, 2), lambda: GRU4Rec(9, 8)])
def test_models_see_the_past_alone_and_weights_are_like_numbers(make):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = make().eval()
    x = torch.tensor([[0, 0, 3, 4, 5], [1, 2, 3, 4, 9]])
    y = torch.tensor([[0, 0, 4, 5, 6], [2, 3, 4, 9, 1]])
    whole = net(Sequences(x, y)).logits
    assert whole.shape == (8, 9)
    other = x.clone()
    other[:, -1] = 7
    changed = net(Sequences(other, y)).logits
    last = torch.tensor([2, 7])
    rest = [i for i in range(8) if i not in (2, 7)]
    assert torch.allclose(whole[rest], changed[rest], atol=1e-6)
    assert not torch.allclose(whole[last], changed[last], atol=1e-3)
    assert torch.allclose(whole, net(Sequences(soft(9, x), soft(9, y))).logits, atol=1e-6)


def test_the_gru_is_torchs():
    net = GRU4Rec(9, 6)
    theirs = torch.nn.GRU(6, 6, batch_first=True)
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(net.input.weight), theirs.bias_ih_l0.copy_(net.input.bias)
        theirs.weight_hh_l0.copy_(net.state.weight), theirs.bias_hh_l0.copy_(net.state.bias)
    h = torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(net.body(h, torch.ones(3, 4, dtype=torch.bool)), theirs(h)[0], atol=1e-6)


def test_a_block_of_attention_is_torchs():
    block = SASRec(9, 4, 6).double().blocks[0]
    theirs = torch.nn.TransformerEncoderLayer(6, 1, 12, 0.0, "gelu", norm_first=True, batch_first=True).double()
    named = {
        "self_attn.in_proj_": block.read, "self_attn.out_proj.": block.write, "linear1.": block.up, "linear2.": block.down,
        "norm1.": block.norm_a, "norm2.": block.norm_b,
    }  # fmt: skip
    theirs.load_state_dict({f"{to}{part}": x for to, m in named.items() for part, x in m.state_dict().items()})
    g = torch.Generator().manual_seed(0)
    h, begun = torch.randn(3, 4, 6, generator=g).double(), torch.tensor([[0, 0, 1, 1], [0, 1, 1, 1], [1, 1, 1, 1]]) > 0
    visible = torch.ones(4, 4, dtype=torch.bool).tril() & (begun[:, None, :] | torch.eye(4, dtype=torch.bool))
    assert torch.allclose(block(h, visible), theirs(h, src_mask=~visible))


def test_the_loss_is_cross_entropy_and_soft_targets_agree(problem):
    batch = problem.data.take(problem.data.ids()[:4])
    logits = torch.randn(int(batch.asked.sum()), 9, generator=torch.Generator().manual_seed(0))
    out = Output(logits, logits)
    hard = problem.task.losses(out, batch)
    assert torch.allclose(hard, problem.task.losses(out, Sequences(soft(9, batch.x), soft(9, batch.y))), atol=1e-6)
    assert hard[0] == pytest.approx(float(-logits[0].log_softmax(0)[batch.y[batch.asked][0] - 1]), rel=1e-5)


def test_the_held_out_item_is_ranked_among_new_ones(problem):
    batch = problem.data.take(problem.data.ids(split="test"))
    perfect = problem.task.targets(batch) + 5 * batch.seen  # the history has the highest scores, and does not count
    assert problem.task.score([(Output(perfect, perfect), batch)])["HR@1"] == 1


@pytest.mark.parametrize("model", ["sasrec", "gru4rec"])
def test_models_learn_who_walks_where(problem, model):
    """The next item is known from the last one, and all items are equally popular."""
    net = train(problem, Selected(problem.data, {0: problem.data.ids()}), problem.recipe, 0, model)
    batch = problem.data.take(problem.data.ids(split="test"))
    popular = torch.from_numpy(problem.data.popularity()).double().expand(len(batch.x), -1)
    assert score(problem, net)["HR@1"] > 0.9
    assert problem.task.score([(Output(popular, popular), batch)])["HR@1"] < 0.6


def test_low_rank_sequences_are_softmaxes_of_a_product():
    made = LowRankSequences.noise({0: 3}, 4, 7, 2, random.Random(0))
    w = made.weights([2, 0])
    logits = torch.einsum("nld,di->nli", made.latent[[2, 0]], made.decoder)
    assert torch.allclose(w, logits.exp() / logits.exp().sum(2, keepdim=True))
    assert w.shape == (2, 5, 7)


def test_tucker_sequences_are_the_sum_over_all_modes():
    item = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
    made = TuckerSequences.noise({0: 2}, 4, item, 2, random.Random(0))
    n, t, i = 1, 3, 5
    total = sum(
        made.core[a, b, c] * made.user[n, a] * made.time[t, b] * item[i, c]
        for a in range(2)
        for b in range(2)
        for c in range(3)
    )
    logits = made.weights([n])[0, t].log()
    everything = [
        sum(
            made.core[a, b, c] * made.user[n, a] * made.time[t, b] * item[j, c]
            for a in range(2)
            for b in range(2)
            for c in range(3)
        )
        for j in range(7)
    ]
    assert float(logits[i].detach()) == pytest.approx(
        float((total - torch.stack(everything).logsumexp(0)).detach()), rel=1e-4
    )
    assert "item" not in {name for name, p in made.named_parameters() if p.requires_grad}


def test_the_aligned_objective_is_the_plain_unrolled_loss_and_the_features_distance(problem):
    teacher = problem.new_model(random.Random(5)).eval()
    made = LowRankSequences.noise({0: 4}, 5, 9, 3, random.Random(0)).start_step_size(0.01)
    objective = AlignedTraining(teacher, steps=3, window=3, n_real=6, alignment=0.7)
    loss = next(objective.losses(problem, made, Run(2)))

    from ddcore.inner import unroll

    run = Run(2)
    run.boundary()
    net = problem.new_model(run.rng)
    theta = {k: p.detach() for k, p in net.named_parameters()}
    run.rng.randint(0, 0)
    order = run.rng.getrandbits(31)
    end = unroll(problem, net, theta, made, steps=3, seed=order, rule="adam", memory="graph")
    real = problem.data.sample(6, rng=run.rng)
    out = torch.func.functional_call(net, {**theta, **end}, (real,))
    distance = (out.features - teacher(real).features).square().mean()
    assert float(loss.detach()) == pytest.approx(
        float((problem.task.loss(out, real) + 0.7 * distance).detach()), rel=1e-4
    )


def real_loss(problem, synthetic):
    """On all real sequences, of eight networks that were trained on the set for eight steps."""
    from ddcore.inner import unroll

    real, found = problem.data.take(problem.data.ids()), []
    for k in range(8):
        net = problem.new_model(random.Random(k))
        theta = {name: p.detach() for name, p in net.named_parameters()}
        end = unroll(problem, net, theta, synthetic, steps=8, seed=k, rule="adam", memory="graph")
        found.append(problem.loss(net, real, {**theta, **end}).item())
    return float(np.mean(found))


NOT_YET = pytest.mark.xfail(reason="td3 gains nothing on these toys in 30 updates: docs/results/open.md", strict=False)


@pytest.mark.parametrize("method", [FARZI, pytest.param(TD3, marks=NOT_YET)])
def test_updates_make_training_on_the_set_better_for_real_sequences(problem, method):
    options = {"unroll": 8, "n_real": 32, "lr": 0.05, "step_size": 0.02}
    options |= {"window": 6, "epochs": 10} if method is TD3 else {"rank": 6}
    before, after = (
        real_loss(problem, ddcore.distill(problem, method, ipc=3, options={**options, "steps": n}).synthetic(problem))
        for n in (1, 30)
    )
    assert after < before


def test_td3_s_sequences_are_distributions_over_the_items(problem):
    options = {"steps": 30, "unroll": 8, "n_real": 32, "lr": 0.05, "step_size": 0.02, "window": 6, "epochs": 10}
    artifact = ddcore.distill(problem, TD3, ipc=3, options=options)
    assert all(np.isfinite(r["loss"]) for r in artifact.history)
    batch = artifact.synthetic(problem).batch()
    assert torch.allclose(batch.x.sum(2), torch.ones(3, 5), atol=1e-5)
