"""Corruptions of images: what they do, measured."""

import torch
from ddcore_image.corrupt import DEVIATION, blur, noise

from ddcore.rows import Rows


def rows(x):
    return Rows(x, torch.zeros(len(x), dtype=torch.long))


def test_noise_has_the_deviation_it_says_and_is_the_seeds():
    clean = rows(torch.zeros(20, 3, 16, 16))
    a, b = noise(clean, 1), noise(clean, 2)
    assert abs(a.x.std().item() - DEVIATION) < 0.02
    assert torch.equal(a.x, noise(clean, 1).x)
    assert not torch.equal(a.x, b.x)
    assert a.y is clean.y


def test_blur_keeps_the_mean_of_flat_images_and_spreads_a_point():
    flat = rows(torch.full((2, 3, 5, 7), 0.7))
    torch.testing.assert_close(blur(flat, 0).x, flat.x)
    point = torch.zeros(1, 1, 5, 5)
    point[0, 0, 2, 2] = 16.0
    spread = blur(rows(point), 0).x[0, 0]
    assert spread[1:4, 1:4].tolist() == [[1, 2, 1], [2, 4, 2], [1, 2, 1]]
    assert spread.sum() == 16
