"""Several processes, one set."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn

from ddcore.distributed import average, rank

HERE = Path(__file__).parent


def test_one_process_averages_nothing():
    p = nn.Parameter(torch.ones(2))
    p.grad = torch.tensor([1.0, 3.0])
    assert rank() == 0
    assert average(0.5, [p]) == 0.5
    assert average(None, [p]) is None
    assert p.grad.tolist() == [1.0, 3.0]


@pytest.mark.skipif(not dist.is_available(), reason="torch without distributed")
def test_two_processes(tmp_path):
    report = tmp_path / "report.json"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc-per-node",
            "2",
            HERE / "two_processes.py",
        ],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "REPORT": str(report), "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    for found in json.loads(report.read_text()):
        assert found == {
            "replicas equal": True,
            "ranks drew differently": True,
            "skips": [3],
            "mean gradient": True,
            "a lone update counts whole": True,
            "resumed": True,
            "stopped together": True,
        }
