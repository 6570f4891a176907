"""Two processes: one draws skips, dL/dS is averaged, the replicas stay equal. Run by test_distributed.py."""

import datetime
import json
import math
import os
import sys
from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist

sys.path.insert(0, str(Path(__file__).parents[1]))
import toys

from ddcore.errors import Diverged
from ddcore.loop import optimise
from ddcore.objectives.distribution import DistributionMatching

ADAM = partial(torch.optim.Adam, lr=0.01)
torch.set_num_threads(1)
dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=60))
rank = dist.get_rank()


def everywhere(value):
    found = [None, None]
    dist.all_gather_object(found, value)
    return found


class Skips(DistributionMatching):
    """Both skip at step 3, the second rank at every odd one."""

    def losses(self, problem, synthetic, run):
        for loss in super().losses(problem, synthetic, run):
            drawn.append(float(loss.detach()))
            yield None if run.step == 3 or (rank and run.step % 2) else loss


class Given:
    """The same loss, three times as steep on the second rank."""

    def losses(self, problem, synthetic, run):
        while True:
            yield synthetic.x.square().sum() * (3.0 if rank else 1.0)


class BreaksOnOne:
    def losses(self, problem, synthetic, run):
        while True:
            yield synthetic.x.square().sum() * (math.nan if rank and run.step == 2 else 1.0)


class SkipsOnOne:
    def losses(self, problem, synthetic, run):
        while True:
            yield None if rank else synthetic.x.square().sum()


def run(objective, steps, optimiser=ADAM, name="graph", **options):
    problem, s = toys.case(name)
    made = optimise(problem, s, objective, steps=steps, optimiser=optimiser, **options)
    return s, [r["loss"] for r in made.history]


drawn, report = [], {}
s, history = run(Skips(8), 8, moves=lambda t: {"features"} if t % 3 else {"features", "adjacency"})
both = everywhere([p.tolist() for p in s.leaves()])
report["replicas equal"] = both[0] == both[1]
report["ranks drew differently"] = len({*map(json.dumps, everywhere(drawn))}) == 2
report["skips"] = [k for k, loss in enumerate(history) if math.isnan(loss)]

sgd = partial(torch.optim.SGD, lr=0.05)
s, _ = run(Given(), 1, sgd, "image")
_, start = toys.case("image")
report["mean gradient"] = torch.allclose(s.x, start.x - 0.05 * 2 * (1 + 3) / 2 * start.x)

s, _ = run(SkipsOnOne(), 3, sgd, "image")
report["a lone update counts whole"] = torch.allclose(s.x, start.x * 0.9**3)

saved = []
s, history = run(Skips(8), 6, checkpoint=lambda take: saved.append(take()))
t, again = run(Skips(8), 6, resume=saved[2])
report["resumed"] = all(torch.equal(a, b) for a, b in zip(s.leaves(), t.leaves(), strict=True))

try:
    run(BreaksOnOne(), 5)
    stopped = "no"
except Diverged as error:
    stopped = str(error)
report["stopped together"] = len(set(everywhere(stopped))) == 1 and "step 2" in stopped

reports = everywhere(report)
if rank == 0:
    Path(os.environ["REPORT"]).write_text(json.dumps(reports))
dist.destroy_process_group()
os._exit(0)  # torch 2.13 may abort in its own threads while the interpreter ends
