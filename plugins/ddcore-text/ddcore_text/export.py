"""Texts with their labels, as other programs load them: JSON lines, and Hugging Face data sets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch

from ddcore.errors import ArtifactError, NotSupported
from ddcore.exporters import describe
from ddcore.exporters import to_hf as table_to_hf
from ddcore.parametrizations import Selected
from ddcore.storage import replacing, write_text

from .data import text_data
from .decode import Readable
from .parametrizations import texts_of

if TYPE_CHECKING:
    from pathlib import Path

    from ddcore.artifact import Artifact
    from ddcore.problem import Problem

    from .corpus import Text

__all__ = ["to_hf", "to_jsonl"]

WORDS = ("text/written", "text/vocabulary", "text/generated", "selected")
"""What has rows of words; of distributions the most likely ones, of a generator one draw."""


def to_jsonl(artifact: Artifact, problem: Problem[Any] | None, out: Path) -> Path:
    """A line for each text: `text` (or `text` and `pair`) and `label`, a class's name, or a list of probabilities or
    values.

    Raises NotSupported for vectors, and ArtifactError where real texts are held by number and no problem is given.
    """
    lines = (json.dumps(record, ensure_ascii=False) for record in _records(artifact, problem))
    write_text(out, "".join(f"{line}\n" for line in lines))
    return out


def to_hf(artifact: Artifact, problem: Problem[Any] | None, out: Path) -> Path:
    """A folder for `datasets.load_from_disk`: texts and classes with their names; vectors as the core exports them."""
    if artifact.manifest["parametrization"]["name"] not in WORDS:
        return table_to_hf(artifact, problem, out)
    import datasets

    records = _records(artifact, problem)
    hard = artifact.manifest["label_kind"] == "ids"
    columns = {name: datasets.Value("string") for name in records[0] if name != "label"}
    label = (
        datasets.ClassLabel(names=artifact.manifest["class_names"])
        if hard
        else datasets.List(datasets.Value("float32"))
    )
    features = datasets.Features({**columns, "label": label})
    description = f"{describe(artifact)} Classes: {', '.join(artifact.manifest['class_names'])}."
    paper = artifact.manifest["method"].get("paper") or ""
    info = datasets.DatasetInfo(description=description, citation=paper, features=features)
    with replacing(out) as folder:
        datasets.Dataset.from_list(records, features=features, info=info).save_to_disk(folder)
    return out


def _records(artifact: Artifact, problem: Problem[Any] | None) -> list[dict[str, Any]]:
    name = artifact.manifest["parametrization"]["name"]
    if name not in WORDS:
        raise NotSupported(
            f"the rows are vectors and no words ({name}): `ddcore show` prints what is nearest, and pt exports the vectors"
        )
    texts = texts_of(artifact.tensors) if name == "text/written" else _read(artifact, problem)
    found = []
    for text, label in zip(texts, _labels(artifact), strict=True):
        parts = {"text": text} if isinstance(text, str) else {"text": text[0], "pair": text[1]}
        found.append({**parts, "label": label})
    return found


def _read(artifact: Artifact, problem: Problem[Any] | None) -> list[Text]:
    if problem is None:
        raise ArtifactError("the set is not stored as text: give the problem too, so that it can be read")
    synthetic = artifact.synthetic(problem)
    if isinstance(synthetic, Selected):
        return text_data(problem.data).texts(synthetic.chosen)
    assert isinstance(synthetic, Readable)
    return [row.text for row in synthetic.readings()]


def _labels(artifact: Artifact) -> list[Any]:
    kind, tensors = artifact.manifest["label_kind"], artifact.tensors
    if kind in ("probabilities", "values"):
        return list(tensors["y" if kind == "probabilities" else "values"].float().tolist())
    names = artifact.manifest["class_names"]
    counts = dict(artifact.manifest["parametrization"]["config"]["counts"])
    y = tensors["y"] if "y" in tensors else torch.tensor([g for g, n in counts.items() for _ in range(n)])
    return [names[k] for k in y.tolist()]
