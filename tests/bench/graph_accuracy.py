"""Accuracy on Cora of gcond, doscond and gcdm-x beside the loops of a GraphSlim checkout, after as many updates.

usage: python tests/bench/graph_accuracy.py --data CORA --peer CHECKOUT [--rounds 3] [--methods gcond doscond gcdm-x]

The same graph, 10 nodes a class, and network on both sides (SGC for gcond, else a GCN). Ours has the settings of
docs/results/sweeps/graph-cora.toml, theirs starts at random training nodes with those of its configs/METHOD/cora.json, once more
with our learning rates in their place. Of the peer its PGE, `match_loss` and `dist` run as they are, in its loops; where it
samples neighbours, all are read, and its choice of a checkpoint by val is left out. What it makes is taken in like any set of
GraphSlim. Both are judged by graph@1, three networks a set, on test. CORA is what `graph/cora` reads.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from ddcore_graph.importing import from_graphslim
from ddcore_graph.methods.stages import feature_scale
from graph_peer import columns, sources
from torch import Tensor

import ddcore
from ddcore.evaluation import score, train
from ddcore.parametrizations.base import Selected
from ddcore.plugins import installed
from ddcore.seeds import torch_seeded

UPDATES = {"gcond": 500, "doscond": 300, "gcdm-x": 600}
OURS: dict[str, dict[str, Any]] = {
    "gcond": {"model": "sgc"},
    "doscond": {"model": "gcn-plain", "degree": 1},  # with edges at a half, as for SGC, a GCN sees the mean of all
    "gcdm-x": {"model": "gcn-plain"},
}
SWEEP = Path(__file__).parents[2] / "docs/results/sweeps/graph-cora.toml"


class Sides:
    """A network's answers to the real nodes of a class and to the set, as functions of its parameters."""

    def __init__(self, problem: Any, counts: dict[int, int]) -> None:
        self.problem = problem
        whole = problem.data.take(problem.data.ids())
        a = whole.matrix("gcn").m.to_dense()
        ax = a @ whole.x
        aax, self.real = a @ ax, {}
        for c in counts:
            rows = torch.tensor(problem.data.ids(c))
            near = a[rows].any(0).nonzero()[:, 0]  # all neighbours
            self.real[c] = aax[rows], a[rows][:, near], ax[near]

    def sgc(self, seed: int) -> tuple[list[Tensor], Callable[[int], Tensor], Callable[[Tensor, Tensor], Tensor]]:
        net = self.problem.new_model(random.Random(seed), "sgc")
        (w, b) = params = list(net.parameters())
        return params, lambda c: self.real[c][0] @ w.T + b, lambda adj, x: adj @ (adj @ (x @ w.T + b))

    def gcn(self, seed: int) -> tuple[list[Tensor], Callable[[int], Tensor], Callable[[Tensor, Tensor], Tensor]]:
        net = self.problem.new_model(random.Random(seed), "gcn-plain")
        (w, b), (v, d) = ((layer.weight, layer.bias) for layer in net.layers)

        def of_real(c: int) -> Tensor:
            _, a, ax = self.real[c]
            return a @ (F.relu(ax @ w.T + b) @ v.T) + d

        return list(net.parameters()), of_real, lambda adj, x: adj @ (F.relu(adj @ (x @ w.T) + b) @ v.T) + d


def normalised(adj: Tensor) -> Tensor:  # (n, n) -> (n, n)
    a = adj + torch.eye(len(adj))
    scale = a.sum(1).rsqrt()
    return scale[:, None] * a * scale


def by_gradients(sides: Sides, x: Tensor, counts: dict[int, int], method: str, said: Any, code: Any) -> Iterator[Any]:
    """`GCond.reduce` and `DosCond.reduce`: features and edges after each update."""
    x = torch.nn.Parameter(x)
    pge = code["PGE"](nfeat=x.shape[1], nnodes=len(x), device="cpu", args=said)
    moves_x = torch.optim.Adam([x], lr=said.lr_feat)
    moves_edges = torch.optim.Adam(pge.parameters(), lr=said.lr_adj)
    y = torch.tensor([c for c, n in counts.items() for _ in range(n)])
    for it in count():
        params, of_real, of_set = (sides.sgc if said.condense_model == "SGC" else sides.gcn)(it)
        moves_net = torch.optim.Adam(params, lr=0.01)
        for _ in range(said.outer_loop):
            out, loss = of_set(normalised(pge(x)), x), torch.zeros(())
            for c, n in counts.items():
                real = of_real(c)
                want = torch.autograd.grad(F.cross_entropy(real, torch.full((len(real),), c)), params)
                have = torch.autograd.grad(F.cross_entropy(out[y == c], y[y == c]), params, create_graph=True)
                loss = loss + n / len(x) * code["match_loss"](columns(have), columns(want), said, device="cpu")
            moves_x.zero_grad()
            moves_edges.zero_grad()
            torch.autograd.backward(loss, inputs=[x, *pge.parameters()])
            if method == "doscond" or it % 50 < 10:
                moves_edges.step()
            if method == "doscond" or it % 50 >= 10:
                moves_x.step()
            yield x.detach(), lambda: pge.inference(x.detach())
            if method == "gcond":
                fixed = normalised(pge.inference(x.detach()))
                for _ in range(said.inner_loop):
                    moves_net.zero_grad()
                    F.cross_entropy(of_set(fixed, x.detach()), y).backward()
                    moves_net.step()


def by_means(problem: Any, x: Tensor, counts: dict[int, int], said: Any, code: Any) -> Iterator[Any]:
    """`GCDM.reduce`: features after each update; its set has no edges."""
    x = torch.nn.Parameter(x)
    moves = torch.optim.Adam([x], lr=said.lr_feat)
    whole = problem.data.take(problem.data.ids())
    a, ids = whole.matrix("gcn").m, {c: torch.tensor(problem.data.ids(c)) for c in counts}
    for it in count():
        layer = problem.new_model(random.Random(it), "gcn-plain").layers[0]
        w, b = layer.weight.T.detach(), layer.bias.detach()
        real = F.relu(a @ (whole.x @ w) + b)
        for _ in range(said.outer_loop):
            fake, at, loss = F.relu(x @ w + b), 0, torch.zeros(())
            for c, n in counts.items():
                chosen = ids[c][torch.randperm(len(ids[c]))[:n]]
                loss = loss + n / len(x) * code["dist"](real[chosen], fake[at : at + n], method=said.dis_metric)
                at += n
            moves.zero_grad()
            loss.backward()
            moves.step()
            yield x.detach(), None


def theirs(
    problem: Any, counts: dict[int, int], method: str, updates: int, seed: int, peer: Path, rates: dict[str, float]
) -> Any:
    """The set after so many updates, at the learning rates of its settings or at these."""
    settings = json.loads((peer / f"graphslim/configs/{method.removesuffix('-x')}/cora.json").read_text("utf-8"))
    said = SimpleNamespace(**{"dataset": "cora", "reduction_rate": 0.5, "threshold": 0.0, **settings, **rates})
    code = sources(peer)
    batch = Selected.random(problem.data, counts, random.Random(seed)).batch()
    with torch_seeded(seed), tempfile.TemporaryDirectory() as kept:
        start = batch.x[batch.rows].clone()
        if method == "gcdm-x":
            states = by_means(problem, start, counts, said, code)
        else:
            states = by_gradients(Sides(problem, counts), start, counts, method, said, code)
        for _ in range(updates):
            x, edges = next(states)
        adj = torch.zeros(len(x), len(x)) if edges is None else edges()
        torch.save(x.clone(), f"{kept}/feat_cora.pt")
        torch.save(torch.where(adj < said.threshold, 0, adj), f"{kept}/adj_cora.pt")
        torch.save(torch.tensor([c for c, n in counts.items() for _ in range(n)]), f"{kept}/label_cora.pt")
        return from_graphslim(Path(kept), problem)


def judged(problem: Any, synthetic: Any) -> float:
    """Accuracy in percent, the mean of three networks."""
    nets = [train(problem, synthetic, problem.recipe, seed) for seed in range(3)]
    return statistics.fmean(100 * score(problem, net)["accuracy"] for net in nets)


def main() -> None:
    """Prints a line for each method and side."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--methods", nargs="+", choices=list(UPDATES), default=list(UPDATES))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_known_args()[0]
    if given.data is None:
        print("skipped: --data CORA is not given")
        return
    torch.set_num_threads(1)
    problem = ddcore.load("graph/cora", given.data)
    settings = tomllib.loads(SWEEP.read_text("utf-8"))["options"]
    counts = dict.fromkeys(problem.data.groups, 10)
    for method in given.methods:
        options = {**settings.get(f"graph/{method}", {}), "steps": UPDATES[method], **OURS[method]}
        resolved = installed().find("method", f"graph/{method}").load().resolve(problem, counts, "quick", options)
        rates = {"lr_feat": resolved.lr * feature_scale(problem)}
        if method != "gcdm-x":
            rates["lr_adj"] = resolved.lr_structure
        for side in ("ours", *(["peer", "peer at our rates"] if given.peer else [])):
            values, began = [], time.perf_counter()
            for seed in range(given.rounds):
                if side == "ours":
                    made = ddcore.distill(problem, f"graph/{method}", ipc=10, seed=seed, options=options)
                    found = made.synthetic(problem)
                else:
                    at = rates if side.endswith("our rates") else {}
                    found = theirs(problem, counts, method, UPDATES[method], seed, given.peer, at)
                values.append(judged(problem, found))
            line = {"method": method, "side": side, "updates": UPDATES[method], "accuracy": statistics.fmean(values)}
            spread = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else None
            print(json.dumps({**line, "stderr": spread, "seconds": time.perf_counter() - began}), flush=True)


if __name__ == "__main__":
    main()
