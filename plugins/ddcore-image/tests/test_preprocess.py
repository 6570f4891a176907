"""Normalisation and ZCA against plain numpy, and their inverses as the artifact stores them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from ddcore_image.data import image_data
from ddcore_image.preprocess import STATISTICS, fit_normalise, fit_zca, normalise, undo, whiten

from ddcore.errors import DataError, OptionError


def pixels(n=400, side=5, channels=3, seed=0):
    """Smooth images, so that pixels are correlated as they are in photographs."""
    x = np.random.default_rng(seed).random((n, side + 2, side + 2, channels))
    x = (x[:, :-2, :-2] + x[:, 1:-1, 1:-1] + x[:, 2:, 2:]) / 3
    return (x * 255).astype(np.uint8)


def data_of(x, train, **options):
    rest = [i for i in range(len(x)) if i not in set(train)]
    splits = {"train": list(train), "val": [], "test": rest}
    options = {"fitted": None, "zca": False, **options}
    return image_data(x, np.arange(len(x)) % 2, splits, **options)


def run(line, tensors, x):
    """The inverse as a stranger runs it, from an artifact's text."""
    return eval(line, {"__builtins__": {}}, {**tensors, "x": x})


def test_fitted_statistics_are_the_channels_mean_and_deviation():
    x = pixels()
    done = fit_normalise([x[:7], x[7:390], x[390:]])
    raw = x.reshape(-1, 3) / 255
    np.testing.assert_allclose(done.tensors["mean"].flatten(), raw.mean(0), rtol=1e-5)
    np.testing.assert_allclose(done.tensors["std"].flatten(), raw.std(0, ddof=1), rtol=1e-5)


def test_training_images_come_out_normalised_and_only_they_are_looked_at():
    x = pixels()
    x[300:] = 255  # the test split says nothing about the statistics
    data, done = data_of(x, range(300))
    train = data.take(data.ids()).x
    assert train.mean((0, 2, 3)).abs().max() < 1e-4
    assert (train.std((0, 2, 3)) - 1).abs().max() < 1e-4
    assert done.name == "normalise"


@pytest.mark.parametrize("zca", [False, True])
def test_the_inverse_is_a_line_of_text_that_runs(zca):
    x = pixels()
    data, done = data_of(x, range(300), zca=zca)
    want = torch.tensor(x).permute(0, 3, 1, 2) / 255
    rows = data.take(range(len(x))).x
    torch.testing.assert_close(run(done.inverse, done.tensors, rows), want, atol=1e-4, rtol=0)
    torch.testing.assert_close(undo(done, rows), want, atol=1e-4, rtol=0)


def test_whitening_is_the_papers_formula():
    x = torch.randn(200, 2, 4, 3, generator=torch.Generator().manual_seed(0)).cumsum(3)
    done = fit_zca([x[:50], x[50:]], normalise("mnist"))
    flat = x.flatten(1).double().numpy()
    covariance = np.cov(flat, rowvar=False)
    u, s, _ = np.linalg.svd(covariance)
    matrix = u @ np.diag(1 / np.sqrt(s + 0.1)) @ u.T
    np.testing.assert_allclose(whiten(x, done).flatten(1), (flat - flat.mean(0)) @ matrix, atol=1e-4)
    after = np.cov(whiten(x, done).flatten(1).double().numpy(), rowvar=False)
    np.testing.assert_allclose(np.linalg.eigvalsh(after), np.sort(s / (s + 0.1)), atol=1e-4)


def test_zca_names_itself_and_keeps_its_tensors():
    _, done = data_of(pixels(), range(300), zca=True)
    assert done.name == "normalise+zca"
    assert set(done.tensors) == {"mean", "std", "zca", "zca_inverse", "zca_mean"}
    product = done.tensors["zca"].double() @ done.tensors["zca_inverse"].double()
    torch.testing.assert_close(product, torch.eye(75, dtype=torch.float64), atol=1e-4, rtol=0)


def test_zca_of_large_images_is_refused_before_it_fills_the_memory():
    with pytest.raises(OptionError, match="64 pixels or less"):
        fit_zca([torch.zeros(2, 3, 224, 224)], normalise("imagenet"))


def test_constant_images_are_an_error_and_a_constant_channel_is_not():
    with pytest.raises(DataError, match="constant"):
        fit_normalise([np.full((20, 4, 4, 3), 77, np.uint8)])
    x = pixels(20, 4)
    x[..., 1] = 9
    done = fit_normalise([x])
    assert done.tensors["std"][1] == 1
    assert torch.isfinite(done.tensors["std"]).all()


def test_one_pixel_that_differs_is_not_constant():
    x = np.zeros((1000, 16, 16, 1), np.uint8)
    x[500, 3, 3] = 1
    assert 0 < fit_normalise(np.array_split(x, 10)).tensors["std"] < 1e-4


def test_published_constants_of_fashion_mnist():
    folder = os.environ.get("DDCORE_TEST_DATA")
    if not folder:
        pytest.skip("needs Fashion-MNIST: set DDCORE_TEST_DATA")
    import lzma

    with lzma.open(Path(folder, "image", "fashion_mnist", "x_train.npy.xz")) as file:
        x = np.load(file)[..., None]
    done = fit_normalise(np.array_split(x, 60))
    (mean,), (std,) = STATISTICS["fashion-mnist"]
    assert done.tensors["mean"].item() == pytest.approx(mean, abs=5e-4)
    assert done.tensors["std"].item() == pytest.approx(std, abs=5e-4)
