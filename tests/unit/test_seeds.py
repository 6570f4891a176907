"""Streams are named by a path."""

import random
import subprocess
import sys

import torch

from ddcore.seeds import generator, stream, torch_seeded


def test_a_path_names_a_stream():
    a, b = stream(0, "order", 3), stream(0, "order", 3)
    stream(0, "order", 2).random()  # asking for another shifts nothing
    assert [a.random() for _ in range(3)] == [b.random() for _ in range(3)]
    firsts = {
        stream(*path).random() for path in [(0, "order", 3), (1, "order", 3), (0, "order", 4), (0, "batch", 3), (0,)]
    }
    assert len(firsts) == 5


def test_streams_are_the_same_in_every_process():
    code = "from ddcore.seeds import stream; print(stream(7, 'order', 'é', 2).getrandbits(63))"
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert found == {str(stream(7, "order", "é", 2).getrandbits(63))}


def test_a_torch_generator_takes_its_seed_from_a_stream():
    a, b, c = (torch.rand(3, generator=generator(random.Random(seed))) for seed in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_torch_is_seeded_and_put_back():
    before = torch.get_rng_state()
    draws = []
    for path in ((1, "a"), (1, "a"), (1, "b")):
        with torch_seeded(*path):
            draws.append(torch.rand(3))
        assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
