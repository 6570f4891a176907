"""Ranking metrics against torchmetrics, and, with ties, against a naive version in plain Python, user by user."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from ddcore_recommender.ranking import Counts, Ranking, ndcg, propensities
from ddcore_recommender.users import Interactions
from torchmetrics.functional.retrieval import (
    retrieval_auroc,
    retrieval_average_precision,
    retrieval_hit_rate,
    retrieval_normalized_dcg,
    retrieval_precision,
    retrieval_recall,
    retrieval_reciprocal_rank,
)

from ddcore.errors import DataError
from ddcore.problem import Output


def naive(scores, seen, relevant, k, inverse):
    """Means over users, by sorting lists: equal scores by the lower number."""
    sums, users, shown = {}, 0, set()
    for s, h, r in zip(scores.tolist(), seen.tolist(), relevant.tolist(), strict=True):
        items = [i for i in range(len(s)) if not h[i]]
        wanted = {i for i in items if r[i]}
        if not wanted:
            continue
        users += 1
        order = sorted(items, key=lambda i: (-s[i], i))
        first = order[:k]
        shown |= set(first)
        hits = [i in wanted for i in first]
        most = min(k, len(wanted))
        gain = sum(hit / math.log2(n + 2) for n, hit in enumerate(hits))
        best = sum(1 / math.log2(n + 2) for n in range(most))
        others = [i for i in items if i not in wanted]
        pairs = [(s[a] > s[b]) + 0.5 * (s[a] == s[b]) for a in wanted for b in others]
        ideal = sorted((inverse[i] for i in wanted), reverse=True)[:k]
        found = {
            f"nDCG@{k}": gain / best,
            f"HR@{k}": sum(hits) / most,
            f"recall@{k}": sum(hits) / len(wanted),
            f"MAP@{k}": sum(sum(hits[: n + 1]) / (n + 1) for n, hit in enumerate(hits) if hit) / most,
            f"PSP@{k}": sum(inverse[i] for i in first if i in wanted) / sum(ideal),
            "MRR": 1 / (1 + min(order.index(i) for i in wanted)),
            "AUC": sum(pairs) / len(pairs) if pairs else 0.5,
        }
        for name, value in found.items():
            sums[name] = sums.get(name, 0) + value
    return {**{name: total / users for name, total in sums.items()}, f"coverage@{k}": len(shown) / scores.shape[1]}


def example(seed, users=40, items=17, ties=False):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 4, (users, items)) if ties else rng.normal(size=(users, items))
    seen = rng.random((users, items)) < 0.3
    relevant = (rng.random((users, items)) < 0.25) & ~seen
    relevant[3] = False  # nothing held out
    relevant[4] = ~seen[4]  # everything held out
    seen[5] = True  # nothing left to recommend
    return [torch.from_numpy(np.asarray(x, np.float64)) for x in (scores, seen, relevant)]


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("k", [1, 5, 17])
def test_metrics_equal_the_naive_version(ties, k):
    scores, seen, relevant = example(k, ties=ties)
    inverse = propensities(np.arange(17) ** 2)
    counts = Counts((k,), torch.from_numpy(inverse))
    for part in (slice(0, 13), slice(13, 40)):
        counts.add(scores[part], seen[part], relevant[part])
    expected = naive(scores, seen, relevant, k, inverse)
    assert counts.means() == pytest.approx(expected)


@pytest.mark.parametrize("k", [1, 5, 17])
def test_without_ties_they_are_torchmetrics(k):
    """User by user, over the items that are not of the history, with scores above 0 (it takes no others for hits).

    Its average precision at k is over the hits, ours over min(k, relevant items); its hit rate asks for one hit, ours is a
    share of min(k, relevant items), which is its precision at k by k. Where all items are relevant its AUC is 0, ours 1/2.
    It averages the nDCG of equal scores, and has no PSP and no coverage."""
    scores, seen, relevant = example(k)
    counts = Counts((k,), torch.ones(17))
    counts.add(scores, seen, relevant)
    found, users = counts.means(), []
    for s, h, r in zip(scores.float(), seen > 0, relevant > 0, strict=True):
        if not (r & ~h).any():
            continue
        s, r = (s - scores.min().float() + 1)[~h], r[~h]
        most, top = min(k, int(r.sum())), min(k, len(s))
        hits = retrieval_recall(s, r, top_k=k) * r.sum()
        users.append(
            {
                f"nDCG@{k}": retrieval_normalized_dcg(s, r, top_k=top),
                f"recall@{k}": retrieval_recall(s, r, top_k=k),
                f"HR@{k}": retrieval_precision(s, r, top_k=k) * k / most,
                f"MAP@{k}": retrieval_average_precision(s, r, top_k=k) * hits / most,
                "MRR": retrieval_reciprocal_rank(s, r),
                "AUC": retrieval_auroc(s, r) if not r.all() else 0.5,
            }
        )
    for name in users[0]:
        assert found[name] == pytest.approx(np.mean([float(u[name]) for u in users]), abs=1e-6), name


def test_of_one_relevant_item_the_hit_rate_is_torchmetrics():
    """What the held-out item of leave-one-out is: HR is recall then, and MAP MRR cut at k."""
    scores, _, _ = example(4)
    relevant = torch.eye(17, dtype=torch.float64)[torch.arange(40) % 17]
    counts = Counts((3,), torch.ones(17))
    counts.add(scores, torch.zeros(40, 17), relevant)
    found, pairs = counts.means(), list(zip(scores + 9, relevant.long(), strict=True))
    assert found["HR@3"] == pytest.approx(np.mean([float(retrieval_hit_rate(s, r, top_k=3)) for s, r in pairs]))
    assert found["HR@3"] == found["recall@3"]
    cut = [float(retrieval_reciprocal_rank(s, r, top_k=3)) for s, r in pairs]
    assert found["MAP@3"] == pytest.approx(np.mean(cut))


def test_the_quick_ndcg_is_the_same():
    scores, seen, relevant = example(2)
    counts = Counts((5,), torch.ones(17))
    counts.add(scores, seen, relevant)
    quick = ndcg(scores, Interactions(seen, relevant), 5)
    assert float(quick.mean()) == pytest.approx(counts.means()["nDCG@5"])


def test_a_perfect_order_scores_one_and_a_relevant_item_of_the_history_does_not_count():
    y = torch.tensor([[0.0, 1, 1, 0, 0]])
    x = torch.tensor([[1.0, 0, 0, 0, 0]])
    task = Ranking(np.ones(5, np.int64), cuts=(2,))
    perfect = task.score([(Output(y + 9 * x, y), Interactions(x, y + x))])
    assert {perfect[f"{m}@2"] for m in ("nDCG", "HR", "recall", "MAP", "PSP")} == {1.0}
    assert perfect["MRR"] == perfect["AUC"] == 1


def test_sampled_negatives_are_named_and_kinder():
    scores, seen, relevant = example(3)
    batch = Interactions(seen, relevant)
    full = Ranking(np.ones(17, np.int64), cuts=(2,)).score([(Output(scores, scores), batch)])
    sampled = Ranking(np.ones(17, np.int64), cuts=(2,), negatives=2)
    found = sampled.score([(Output(scores, scores), batch)])
    assert all(name.endswith("(2 negatives)") for name in found)
    assert [m.name for m in sampled.metrics] == list(found)
    assert found["HR@2 (2 negatives)"] > full["HR@2"]
    everything = Ranking(np.ones(17, np.int64), cuts=(2,), negatives=99).score([(Output(scores, scores), batch)])
    assert everything["nDCG@2 (99 negatives)"] == pytest.approx(full["nDCG@2"])


def test_every_user_has_negatives_of_their_own_however_users_are_batched():
    """All rank the items alike and want the median one: over users, half of the negatives are below it."""
    users, items = 400, 101
    scores = torch.arange(items).double().expand(users, items)
    seen = (torch.rand(users, items, generator=torch.Generator().manual_seed(0)) < 0.2).double()
    relevant = torch.zeros(users, items)
    relevant[:, 50], seen[:, 50] = 1, 0
    task = Ranking(np.ones(items, np.int64), cuts=(2,), negatives=5)
    found, cut = (
        task.score([(Output(scores[s], scores[s]), Interactions(seen[s], relevant[s])) for s in parts])
        for parts in ([slice(None)], [slice(0, 7), slice(7, 300), slice(300, 400)])
    )
    assert found["AUC (5 negatives)"] == pytest.approx(0.5, abs=0.05)
    assert found == pytest.approx(cut)


@pytest.mark.parametrize("kind", [math.nan, -math.inf])
def test_scores_that_are_no_numbers_come_last(kind):
    scores, seen, relevant = example(4)
    wrong = scores.clone()
    wrong[:, :6] = kind
    scores[:, :6] = -99.0
    found = []
    for s in (scores, wrong):
        counts = Counts((5,), torch.ones(17))
        counts.add(s, seen, relevant)
        found.append({**counts.means(), "quick": float(ndcg(s, Interactions(seen, relevant), 5).mean())})
    assert found[0] == pytest.approx(found[1])


def test_nobody_to_score_is_an_error():
    x = torch.eye(3)
    with pytest.raises(DataError, match="nothing to score"):
        Ranking(np.ones(3, np.int64), cuts=(1,)).score([(Output(x, x), Interactions(x, x))])


def test_rare_items_weigh_more():
    inverse = propensities(np.array([0, 1, 10, 100]))
    assert (np.diff(inverse) < 0).all()
    c = (math.log(111) - 1) * 2.5**0.55
    assert inverse[2] == pytest.approx(1 + c * 11.5**-0.55)
