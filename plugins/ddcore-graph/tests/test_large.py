"""A graph of 100,000 nodes and 1,000,000 edges is condensed within 8 GB, each method in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = [pytest.mark.paper, pytest.mark.timeout(3600)]

CONDENSE = """
import resource
import sys

import torch
from ddcore_graph.edges import tidied
from ddcore_graph.problems import node_problem

from ddcore.methods.plan import Work
from ddcore.plugins import installed

n, classes, d = 100_000, 10, 128
g = torch.Generator().manual_seed(0)
y = torch.randint(classes, (n,), generator=g)
source = torch.randint(n, (1_000_000,), generator=g)
order = y.argsort()  # neighbours in sorted order share a class for the most part
target = order[(order.argsort()[source] + torch.randint(-500, 500, (1_000_000,), generator=g)) % n]
x = torch.randn(classes, d, generator=g)[y] + 3 * torch.randn(n, d, generator=g)
edges, _ = tidied(source.numpy(), target.numpy(), n)
ids = torch.randperm(n, generator=g).tolist()
splits = {"train": ids[:50_000], "val": ids[50_000:60_000], "test": ids[60_000:]}
problem = node_problem(x, edges, y, splits, [str(i) for i in range(classes)])
method = installed().find("method", sys.argv[1], "graph").load()
counts = dict.fromkeys(problem.data.groups, 20)
options = method.resolve(problem, counts, "quick", {"steps": 20} if "steps" in method.options.model_fields else {})
made = Work(problem, counts).perform(method.plan(problem, counts, options))
assert len(made.batch().x) == 200 and bool(made.batch().x.isfinite().all())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


@pytest.mark.parametrize("method", ["gcond-x", "gcdm", "cgc"])
def test_a_large_graph_is_condensed_within_eight_gigabytes(method: str):
    found = subprocess.run([sys.executable, "-c", CONDENSE, method], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert float(found.stdout.split()[-1]) < 8  # GB
