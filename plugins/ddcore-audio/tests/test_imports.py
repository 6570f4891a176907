"""Beside a torchaudio whose compiled part loads or does not, and beside transformers: in processes of their own."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

FAILS = """
import importlib.abc, importlib.machinery, sys
class Broken(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "torchaudio._extension":
            raise OSError("libcudart.so.13: cannot open shared object file")
sys.meta_path.insert(0, Broken())
"""
LOADS = """
import sys, torch, types
library = torch.library.Library("torchaudio", "DEF")
for name in ("_lfilter_core_loop", "_overdrive_core_loop"):
    library.define(f"{name}(Tensor a) -> ()")
extension = types.ModuleType("torchaudio._extension")
extension.__path__ = []
extension._IS_TORCHAUDIO_EXT_AVAILABLE = extension._IS_ALIGN_AVAILABLE = True
extension._load_lib = lambda lib: True
extension.fail_if_no_align = lambda function: function
sys.modules["torchaudio._extension"] = extension
"""
SOUND = """
import torch
from ddcore_audio.frontend import Features, Frontend
wave = torch.zeros(2, 16_000, requires_grad=True)
maps = Features(Frontend())(wave)
maps.sum().backward()
print(tuple(maps.shape), bool(wave.grad.isfinite().all()))
"""


def python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("extension", [FAILS, LOADS], ids=["fails", "loads"])
def test_the_frontend_hears_beside_any_torchaudio(extension):
    assert python(extension + SOUND) == "(2, 1, 40, 101) True"


@pytest.mark.skipif(importlib.util.find_spec("ddcore_text") is None, reason="ddcore-text is not installed")
def test_the_text_plugin_s_problems_and_networks_work_beside_this_one(tmp_path, monkeypatch):
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path / "cache"))
    lines = [f"{word} {i},{word}" for word in ("good", "bad") for i in range(20)]
    (tmp_path / "films.csv").write_text("\n".join(["text,label", *lines]))
    code = f"""
import random
import ddcore
from ddcore.plugins import installed
print([p.name for p in installed().plugins if p.error])
for entry in installed().entries():
    if entry.name.startswith(("text/", "audio/")):
        entry.load()
films = ddcore.load("text/csv", {str(tmp_path / "films.csv")!r}, width=8)
print(tuple(films.new_model(random.Random(0), "bert")(films.data.take(films.data.ids()[:3])).logits.shape))
"""
    assert python(FAILS + code + SOUND) == "[]\n(3, 2)\n(2, 1, 40, 101) True"
