"""Runs that end early: what is kept, what is said, and that going on gives what an uninterrupted run gives."""

import shlex
import signal
import subprocess
import sys
import time

import pytest

from ddcore import open as open_artifact
from ddcore.cli.distill import _how_to_resume
from ddcore.cli.progress import Progress

RUN = ["distill", "toy/dots", "--method", "dm", "--ipc", "2", "--steps", "12"]


@pytest.fixture
def interrupted(ddcore, monkeypatch):
    """A run into `a` that is stopped at its eighth step, with a checkpoint at every boundary."""

    def stop(self, run):
        if run.step == 8:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "step", stop)
        patch.setattr("ddcore.distillation.CHECKPOINT_SECONDS", 0.0)
        return ddcore(*RUN, "--out", "a")


def test_an_interrupted_run_says_how_to_go_on(interrupted, tmp_path):
    assert interrupted.exit_code == 130
    assert "ddcore distill --config a.partial/run.toml --out a --resume" in interrupted.stderr
    assert not (tmp_path / "a").exists()


def test_how_to_go_on_is_said_as_a_shell_reads_it(tmp_path):
    out = tmp_path / "my sets" / "a"
    assert "nothing was written" in _how_to_resume(out)
    out.with_name("a.partial").mkdir(parents=True)
    assert "nothing was written" in _how_to_resume(out)
    (out.with_name("a.partial") / "run.toml").touch()
    assert "no checkpoint yet: start again" in _how_to_resume(out)
    (out.with_name("a.partial") / "checkpoint-0").mkdir()
    words = shlex.split(_how_to_resume(out).splitlines()[-1])
    assert words[:2] == ["ddcore", "distill"]
    assert words[2:] == ["--config", f"{out}.partial/run.toml", "--out", str(out), "--resume"]


@pytest.mark.parametrize("how", [RUN, ["distill", "--config", "a.partial/run.toml"]], ids=["same flags", "as it says"])
def test_a_resumed_run_equals_an_uninterrupted_one(interrupted, ok, how, tmp_path, monkeypatch):
    steps = []
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "step", lambda self, run: steps.append(run.step))
        ok(*how, "--out", "a", "--resume")
    assert steps[0] > 1  # it did go on, and did not start anew
    ok(*RUN, "--out", "b")
    for name in ("data.safetensors", "history.jsonl", "run.toml"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert not (tmp_path / "a.partial").exists()


def test_a_run_with_other_options_is_not_resumed(interrupted, refused):
    message = refused(*RUN, "--set", "lr=0.5", "--out", "a", "--resume")
    assert "of another run" in message
    assert "options.lr was" in message
    assert "is 0.5" in message


def test_resuming_a_finished_run_changes_nothing(ok, distilled):
    before = {f.name: f.read_bytes() for f in distilled.iterdir()}
    ok("distill", "--config", distilled / "run.toml", "--out", distilled, "--resume")
    assert {f.name: f.read_bytes() for f in distilled.iterdir()} == before


def test_a_diverged_run_saves_its_last_good_state(ddcore, tmp_path):
    result = ddcore(*RUN, "--set", "lr=1e38", "--out", "a")
    assert result.exit_code == 1
    assert "Lower the learning rate" in result.stderr
    assert "a-last-good" in result.stderr
    assert not (tmp_path / "a").exists()
    saved = open_artifact(tmp_path / "a-last-good")
    assert saved.tensors["x"].isfinite().all()


COMMAND = """
import signal
from ddcore.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
main()
"""


def test_ctrl_c(tmp_path):
    # not `-m ddcore`: Python ends that by the signal itself, where it fell into code compiled from text (dataclasses)
    command = [sys.executable, "-c", COMMAND, *RUN[:-1], "1000000", "--out", "a"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while not (tmp_path / "a.partial/run.toml").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        _, stderr = running.communicate(timeout=60)
    finally:
        running.kill()
    assert running.returncode == 130
    assert "Interrupted" in stderr
    assert "Traceback" not in stderr
