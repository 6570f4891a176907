"""Hugging Face data sets: what the hub's format holds, and tables that are told to be wrong."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest
from ddcore_image import own
from photos import load, pets, raw, sizes
from PIL import Image

from ddcore.errors import DataError, OptionError

pytestmark = pytest.mark.usefixtures("cache")
needs_datasets = pytest.mark.skipif(not importlib.util.find_spec("datasets"), reason="needs datasets: the extra [hf]")


def table(n=30, shift=0):
    import datasets

    rng = np.random.default_rng(shift)
    images = [Image.fromarray(rng.integers(0, 256, (12, 18, 3), np.uint8)) for _ in range(n)]
    features = datasets.Features({"picture": datasets.Image(), "kind": datasets.ClassLabel(names=["x", "y", "z"])})
    return datasets.Dataset.from_dict({"picture": images, "kind": [i % 3 for i in range(n)]}, features=features)


@needs_datasets
def test_what_save_to_disk_wrote(tmp_path):
    import datasets

    whole = datasets.DatasetDict({"train": table(), "validation": table(9, 1), "test": table(6, 2)})
    whole.save_to_disk(tmp_path / "set")
    problem = load("image/hf", tmp_path / "set", size=12)
    assert problem.class_names == ("x", "y", "z")
    assert sizes(problem) == [30, 9, 6]
    want = np.stack([np.asarray(image.convert("RGB"))[:, 3:15] for image in whole["test"]["picture"]])
    assert np.array_equal(raw(problem, problem.data.ids(split="test")).permute(0, 2, 3, 1).numpy(), want)


@needs_datasets
def test_one_table_is_split_and_columns_can_be_chosen(tmp_path):
    table().save_to_disk(tmp_path / "set")
    problem = own.hf(tmp_path / "set", image="picture", label="kind", size=12, channels="grey")
    assert sizes(problem) == [24, 3, 3]
    assert problem.data.split is not None
    with pytest.raises(OptionError, match="no column 'colour'"):
        own.hf(tmp_path / "set", label="colour")


@needs_datasets
def test_parquet_files_and_image_folders_are_read(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "hf")
    (tmp_path / "parquet").mkdir()
    table().to_parquet(tmp_path / "parquet" / "train.parquet")
    assert sizes(own.hf(tmp_path / "parquet", size=12)) == [24, 3, 3]
    problem = own.hf(pets(tmp_path / "pets", split="train"), size=12)
    assert problem.class_names == ("cat", "dog")


@needs_datasets
def test_wrong_tables_are_told(tmp_path):
    import datasets

    with pytest.raises(OptionError, match="either a local --data or the name"):
        own.hf()
    datasets.Dataset.from_dict({"text": ["a", "b"]}).save_to_disk(tmp_path / "words")
    with pytest.raises(OptionError, match="which column holds the image"):
        own.hf(tmp_path / "words")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="cannot read the data set"):
        own.hf(tmp_path / "empty")
    lacking = table(6).filter(lambda row: row["kind"] != 1)
    datasets.DatasetDict({"train": lacking, "test": table(6)}).save_to_disk(tmp_path / "lacking")
    with pytest.raises(DataError, match="no readable training image in class y"):
        own.hf(tmp_path / "lacking", size=12)


@needs_datasets
def test_tables_whose_columns_differ_are_told(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "hf")
    renamed = table(6).rename_column("kind", "sort")
    datasets.DatasetDict({"train": table(6), "test": renamed}).save_to_disk(tmp_path / "saved")
    with pytest.raises(DataError, match="test split has no column kind, which train has"):
        own.hf(tmp_path / "saved", size=12)
    (tmp_path / "parquet").mkdir()
    table(6).to_parquet(tmp_path / "parquet" / "train.parquet")
    renamed.to_parquet(tmp_path / "parquet" / "test.parquet")
    with pytest.raises(DataError, match=r"cannot read the data set in .*column names don't match"):
        own.hf(tmp_path / "parquet", size=12)


def test_without_datasets_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r"pip install 'ddcore-image\[hf\]'"):
        own.hf(tmp_path)
