"""Trackers: what they leave is what the run logged."""

import json
from functools import partial

import pytest
import toys

import ddcore
from ddcore.errors import NotSupported
from ddcore.trackers import JsonLines, TensorBoard


def run(callback):
    problem = toys.image()
    return ddcore.distill(problem, "dm", ipc=1, options={"steps": 4}, callbacks=[callback])


def test_a_line_for_each_update(tmp_path):
    made = run(JsonLines(tmp_path / "deep" / "history.jsonl"))
    lines = [json.loads(line) for line in (tmp_path / "deep" / "history.jsonl").read_text().splitlines()]
    assert lines == [dict(record) for record in made.history]


def test_lines_are_there_while_the_run_goes_on(tmp_path):
    seen, write = [], JsonLines(tmp_path / "h.jsonl")

    def look(run):
        write(run)
        seen.append(len((tmp_path / "h.jsonl").read_text().splitlines()))

    run(look)
    assert seen == [1, 2, 3, 4]


class Killed(Exception):
    pass


@pytest.mark.parametrize("method", ["dm", "pdd"])
def test_a_resumed_run_leaves_the_log_of_an_uninterrupted_one(tmp_path, monkeypatch, method):
    """A log that was there is another run's; the lines after the checkpoint are written once. pdd has stages."""
    monkeypatch.setattr("ddcore.distillation.CHECKPOINT_SECONDS", 0.0)
    options = {"steps": 6, **({"stages": 2, "warmup": 1, "outer": 1, "inner": 1} if method == "pdd" else {})}
    run = partial(ddcore.distill, toys.image(), method, ipc=2, options=options, out=tmp_path / "set")
    file, seen = tmp_path / "h.jsonl", []
    file.write_text('{"step": 0, "of": "a run before"}\n')

    def kill(run):
        seen.append(run)
        if len(seen) == 5:
            file.open("a").write('{"step": 5, "loss": 0.0}\n')  # as if the checkpoint were a line behind
            raise Killed

    with pytest.raises(Killed):
        run(callbacks=[JsonLines(file), kill])
    made = run(resume=True, callbacks=[JsonLines(file)])
    assert [json.loads(line) for line in file.read_text().splitlines()] == [dict(record) for record in made.history]


def test_tensorboard_reads_the_scalars(tmp_path):
    pytest.importorskip("tensorboard", reason="needs ddcore[tensorboard]")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    made = run(TensorBoard(tmp_path))
    found = EventAccumulator(str(tmp_path))
    found.Reload()
    assert [s.step for s in found.Scalars("loss")] == [0, 1, 2, 3]
    assert [s.value for s in found.Scalars("loss")] == pytest.approx([r["loss"] for r in made.history])


def test_without_its_package_tensorboard_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    with pytest.raises(NotSupported, match=r"pip install 'ddcore\[tensorboard\]'"):
        TensorBoard(tmp_path)
