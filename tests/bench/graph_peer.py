"""One matching step of gcond, doscond, gcdm and gcdm-x on Cora, beside the code of a GraphSlim checkout (Emory-Melody/GraphSlim).

usage: python tests/bench/graph_peer.py --data CORA.npz [--peer CHECKOUT] [--nodes 70] [--steps 20] [--hidden 256]

The same graph, nodes and network (SGC of two matrices of `hidden`) on both sides; an update of features and edges, without the
network's training. Of the peer its PGE, `match_loss`, `distance_wb` and `dist` run as they are, in its loops over classes. What
it imports beyond torch is not needed for these; its neighbour sampling is left out and replaced by propagated features, in its
favour. Its gcdm has no edges and stands beside our gcdm-x (GCN, features alone, five updates a network as in its file of
settings); our gcdm stands alone. Seconds are the mean over the steps but the first, on one thread, or on `--threads`.
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from ddcore_graph.edges import tidied
from ddcore_graph.methods.stages import feature_adam
from ddcore_graph.objectives.gradient import NodeGradientMatching
from ddcore_graph.objectives.networks import TrainedOnGraph
from ddcore_graph.objectives.receptive_fields import ReceptiveFieldMatching
from ddcore_graph.parametrizations.features import FeaturesOnly
from ddcore_graph.parametrizations.pair_mlp import PairGraph
from ddcore_graph.problems import node_problem

from ddcore.loop import optimise
from ddcore.parametrizations.base import Selected


def cora(file: Path, hidden: int) -> Any:
    """The problem from an .npz of CSR arrays."""
    import scipy.sparse as sp

    d = np.load(file)
    n = len(d["adj_indptr"]) - 1
    adj = sp.csr_matrix((np.ones(len(d["adj_indices"])), d["adj_indices"], d["adj_indptr"]), (n, n)).tocoo()
    values = d["feat_data"] if "feat_data" in d.files else np.ones(len(d["feat_indices"]), np.float32)
    x = torch.tensor(sp.csr_matrix((values, d["feat_indices"], d["feat_indptr"])).toarray(), dtype=torch.float32)
    edges, _ = tidied(adj.row, adj.col, n)
    splits = {name: d[f"{name}_idx"].tolist() for name in ("train", "val", "test")}
    names = [str(c) for c in range(int(d["labels"].max()) + 1)]
    y = torch.tensor(d["labels"]).long()
    return node_problem(x / x.sum(1, keepdim=True).clamp_min(1e-12), edges, y, splits, names, hidden=hidden)


def ours(problem: Any, start: torch.Tensor, counts: dict[int, int], method: str, steps: int) -> float:
    """Mean seconds of an update."""
    graph = FeaturesOnly(counts, start) if method == "gcdm-x" else PairGraph(counts, start, random.Random(0))
    objective: Any = {
        "gcond": NodeGradientMatching(networks=TrainedOnGraph(20, 0, model="sgc-2")),
        "doscond": NodeGradientMatching(networks=TrainedOnGraph(1, 0, model="sgc-2"), distance="mse"),
        "gcdm": ReceptiveFieldMatching(model="sgc-2"),
        "gcdm-x": ReceptiveFieldMatching(outer=5, model="gcn"),
    }[method]
    laps, last = [], time.perf_counter()

    def lap(run: object) -> None:
        nonlocal last
        now = time.perf_counter()
        laps.append(now - last)
        last = now

    adam = feature_adam(problem, 0.01, **({} if method == "gcdm-x" else {"structure": 1e-4}))
    optimise(problem, graph, objective, steps=steps, optimiser=adam, callbacks=[lap])
    return statistics.fmean(laps[1:])


def theirs(problem: Any, start: torch.Tensor, counts: dict[int, int], method: str, steps: int, peer: Path) -> float:
    """Mean seconds of an update of `GCond.reduce`: PGE, `train_class`, backward and step."""
    code = sources(peer)
    args = SimpleNamespace(dataset="cora", reduction_rate=0.5, dis_metric="ours" if method == "gcond" else "mse")
    x = torch.nn.Parameter(start.clone())
    pge = code["PGE"](nfeat=x.shape[1], nnodes=len(x), device="cpu", args=args)
    opt = torch.optim.Adam([x, *pge.parameters()], lr=1e-4)
    real = problem.data.take([i for g in counts for i in problem.data.ids(g)])
    h, y_real = real.hops(2)[real.rows], real.y
    y = torch.tensor([g for g, n in counts.items() for _ in range(n)])
    net, laps = problem.new_model(random.Random(0), "sgc-2"), []
    for _ in range(steps):
        began = time.perf_counter()
        if method == "doscond":
            net = problem.new_model(random.Random(0), "sgc-2")
        params = list(net.parameters())
        a = pge(x) + torch.eye(len(x))
        scale = a.sum(1).rsqrt()
        adj, loss = scale[:, None] * a * scale, torch.zeros(())
        for c, n in counts.items():
            want = torch.autograd.grad(F.cross_entropy(net.head(net.body(h[y_real == c])), y_real[y_real == c]), params)
            out = adj @ (adj @ net.head(net.body(x)))
            have = torch.autograd.grad(F.cross_entropy(out[y == c], y[y == c]), params, create_graph=True)
            loss = loss + n / len(x) * code["match_loss"](columns(have), columns(want), args, device="cpu")
        opt.zero_grad()
        loss.backward()
        opt.step()
        laps.append(time.perf_counter() - began)
    return statistics.fmean(laps[1:])


def their_gcdm(problem: Any, start: torch.Tensor, counts: dict[int, int], steps: int, peer: Path) -> float:
    """Mean seconds of an update of `GCDM.reduce` in a GCN of two layers: both layers of the set and of all nodes, `dist` of
    each class, backward and step. As there, features are a dense matrix and the set's edges are the identity's."""
    code = sources(peer)
    x = torch.nn.Parameter(start.clone())
    opt = torch.optim.Adam([x], lr=1e-4)
    ids = {g: torch.tensor(problem.data.ids(g)) for g in counts}
    whole = problem.data.take(problem.data.ids())
    a, identity = whole.matrix("gcn").m, torch.eye(len(x))
    net, laps = problem.new_model(random.Random(0), "gcn"), []
    (w, b), (v, c) = ((layer.weight.T, layer.bias) for layer in net.layers)

    def forward(adj: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        h = F.relu(adj @ (rows @ w) + b)
        F.log_softmax(adj @ (F.dropout(h) @ v) + c, 1)
        return h

    for _ in range(steps):
        began = time.perf_counter()
        with torch.no_grad():
            real = forward(a, whole.x)
        fake, at, loss = forward(identity, x), 0, torch.zeros(())
        for g, n in counts.items():
            chosen = ids[g][torch.randperm(len(ids[g]))[:n]]
            loss = loss + n / len(x) * code["dist"](real[chosen], fake[at : at + n], method="l1")
            at += n
        opt.zero_grad()
        loss.backward()
        opt.step()
        laps.append(time.perf_counter() - began)
    return statistics.fmean(laps[1:])


def columns(gradients: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Gradients of matrices (inputs, outputs), as its layers have them."""
    return [g.T if g.ndim == 2 else g for g in gradients]


def sources(peer: Path) -> dict[str, Callable[..., Any]]:
    """The definitions that are measured, out of their files."""
    found: dict[str, Any] = {"torch": torch, "nn": torch.nn, "F": F, "np": np}
    for file, names in (
        ("graphslim/models/parametrized_adj.py", {"PGE"}),
        ("graphslim/condensation/utils.py", {"match_loss", "distance_wb"}),
        ("graphslim/condensation/gcdm.py", {"dist"}),
    ):
        tree = ast.parse((peer / file).read_text("utf-8"))
        tree.body = [node for node in tree.body if getattr(node, "name", None) in names]
        exec(compile(tree, file, "exec"), found)
    return found


def main() -> None:
    """Prints a line for each method."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--nodes", type=int, default=70)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_known_args()[0]
    if given.data is None:
        print("skipped: --data CORA.npz is not given")
        return
    torch.set_num_threads(given.threads)
    problem = cora(given.data, given.hidden)
    counts = dict.fromkeys(problem.data.groups, given.nodes // len(problem.data.groups))
    batch = Selected.random(problem.data, counts, random.Random(0)).batch()
    start = batch.x[batch.rows]
    for method in ("gcond", "doscond", "gcdm", "gcdm-x"):
        line = {"method": method, "ours": ours(problem, start, counts, method, given.steps)}
        if given.peer is not None and method == "gcdm-x":
            line["peer"] = their_gcdm(problem, start, counts, given.steps, given.peer)
        elif given.peer is not None and method != "gcdm":
            line["peer"] = theirs(problem, start, counts, method, given.steps, given.peer)
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
