"""Siamese augmentation against plain loops, its statistics, and finite differences."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
import torch
from ddcore_image.augment import DSA, DSA_DIGITS, Mixed, Record, Siamese

from ddcore.errors import OptionError
from ddcore.rows import Rows

OPS = DSA.split("_")


def images(n: int = 11, c: int = 3, h: int = 8, w: int = 6) -> torch.Tensor:
    return torch.randn(n, c, h, w, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


# -------------------------------------------------------------------------------- each operation, by loops over pixels


def bilinear(image, a):  # image: (c, h, w); a: 2x2, from output to input coordinates about the centre, (x, y)
    _, h, w = image.shape
    out = np.zeros_like(image)
    for i in range(h):
        for j in range(w):
            at = a @ np.array([(2 * j + 1) / w - 1, (2 * i + 1) / h - 1])
            x, y = ((at[0] + 1) * w - 1) / 2, ((at[1] + 1) * h - 1) / 2
            for k in (math.floor(y), math.floor(y) + 1):
                for m in (math.floor(x), math.floor(x) + 1):
                    if 0 <= k < h and 0 <= m < w:
                        out[:, i, j] += image[:, k, m] * (1 - abs(y - k)) * (1 - abs(x - m))
    return out


def color(image, u):
    bright = image + (u[0] - 0.5)
    grey = bright.mean(0)
    saturated = (bright - grey) * 2 * u[1] + grey
    return (saturated - saturated.mean()) * (u[2] + 0.5) + saturated.mean()


def crop(image, u):
    _, h, w = image.shape
    top, left = round(h / 8), round(w / 8)
    dy, dx = math.floor(u[0] * (2 * top + 1)) - top, math.floor(u[1] * (2 * left + 1)) - left
    out = np.zeros_like(image)
    for i in range(h):
        for j in range(w):
            if 0 <= i + dy < h and 0 <= j + dx < w:
                out[:, i, j] = image[:, i + dy, j + dx]
    return out


def cutout(image, u):
    _, h, w = image.shape
    out = image.copy()
    centre = [math.floor(v * (side + 1 - (side // 2) % 2)) for v, side in zip(u, (h, w), strict=False)]
    for i in range(h):
        for j in range(w):
            first = centre[0] - h // 4, centre[1] - w // 4
            if 0 <= i - first[0] < h // 2 and 0 <= j - first[1] < w // 2:
                out[:, i, j] = 0
    return out


def flip(image, u):
    return image[:, :, ::-1] if u[0] < 0.5 else image


def scale(image, u):
    return bilinear(image, np.diag(1 / 1.2 + (1.2 - 1 / 1.2) * u[:2]))


def rotate(image, u):
    angle = math.radians(30 * u[0] - 15)
    return bilinear(image, np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]))


REFERENCE = {"color": color, "crop": crop, "cutout": cutout, "flip": flip, "scale": scale, "rotate": rotate}


@pytest.mark.parametrize("per_row", [False, True])
@pytest.mark.parametrize("op", OPS)
def test_operations_are_what_a_loop_over_pixels_gives(op, per_row):
    x = images()
    for seed in range(8):
        record = Siamese(op, per_row).record(seed, len(x) if per_row else 1)
        u = record.u.expand(len(x), 3).numpy()
        expected = [REFERENCE[op](image, v) for image, v in zip(x.numpy(), u, strict=True)]
        np.testing.assert_allclose(Siamese(op, per_row)(Rows(x), seed).x.numpy(), np.stack(expected), atol=1e-12)


# ---------------------------------------------------------------------------------------------------- the two policies


@pytest.mark.parametrize("op", OPS)
def test_one_record_acts_alike_on_batches_of_different_sizes(op):
    x = images()
    for seed in range(5):
        whole, part = (Siamese(op)(Rows(rows), seed).x for rows in (x, x[4:7]))
        torch.testing.assert_close(part, whole[4:7], rtol=0, atol=1e-14)


@pytest.mark.parametrize("op", OPS)
def test_rows_draw_their_own_parameters(op):
    same = images(1).expand(16, -1, -1, -1)
    out = Siamese(op, per_row=True)(Rows(same), 3).x
    assert len(out.flatten(1).unique(dim=0)) > 1
    assert len(Siamese(op)(Rows(same), 3).x.flatten(1).unique(dim=0)) == 1


@pytest.mark.parametrize("per_row", [False, True])
def test_a_pure_function_of_batch_and_seed(per_row):
    policy, x = Siamese(DSA, per_row), images()
    before = x.clone()
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = [policy(Rows(x), seed).x for seed in range(30)]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(x, before)
    torch.manual_seed(2)
    assert all(torch.equal(policy(Rows(x), seed).x, first[seed]) for seed in reversed(range(30)))
    again = pickle.loads(pickle.dumps(policy))
    assert torch.equal(again(Rows(x), 7).x, first[7])


def test_labels_stay():
    y = torch.arange(11)
    assert Siamese(DSA)(Rows(images(), y), 0).y is y


def test_precision_and_single_channel_stay():
    for seed in range(20):
        out = Siamese(DSA_DIGITS, per_row=True)(Rows(images(c=1).float()), seed).x
        assert out.dtype == torch.float32
        assert out.shape == (11, 1, 8, 6)


def test_versions_tell_policies_apart():
    versions = {Siamese(s, p).version for s in (DSA, DSA_DIGITS) for p in (False, True)}
    assert len(versions) == 4
    assert "siamese-1:color_crop_cutout_flip_scale_rotate" in Siamese().version


@pytest.mark.parametrize("strategy", ["color_crp_flip", "none", "", "color__flip"])
def test_a_typo_lists_the_operations(strategy):
    with pytest.raises(OptionError) as error:
        Siamese(strategy)
    assert "Valid choices: color, crop, cutout, flip, rotate, scale" in str(error.value)


# ---------------------------------------------------------------------------- the definition: ranges and probabilities


def test_each_operation_is_drawn_equally_often():
    drawn = [Siamese(DSA).record(seed).op for seed in range(3000)]
    for op in OPS:
        assert abs(drawn.count(op) - 500) < 5 * math.sqrt(3000 * 5 / 36)  # five standard deviations


def many(op: str, x: torch.Tensor, n: int = 2000) -> torch.Tensor:
    """The images that n seeds make of one."""
    return torch.cat([Siamese(op)(Rows(x), seed).x for seed in range(n)])


def test_flips_half_of_the_time():
    x = images(1)
    flipped = (many("flip", x) == x.flip(3)).flatten(1).all(1)
    assert abs(flipped.double().mean() - 0.5) < 0.06


def test_crop_shifts_by_up_to_an_eighth():
    """A 4-px reach at 32 px (paper's code: 0.125 of the side): 81 shifts, each as likely, never more."""
    dot = torch.zeros(1, 1, 32, 32)
    dot[..., 16, 16] = 1
    at = many("crop", dot, 4000).flatten(1).argmax(1)
    counts = torch.bincount(at, minlength=1024).view(32, 32)
    assert counts[12:21, 12:21].sum() == 4000
    assert (counts[12:21, 12:21] > 0).all()
    expected = 4000 / 81
    chi2 = ((counts[12:21, 12:21] - expected) ** 2 / expected).sum()
    assert chi2 < 80 + 5 * math.sqrt(160)


def test_cutout_removes_at_most_half_of_each_side():
    holes = many("cutout", torch.ones(1, 1, 32, 32)) == 0
    rows, columns = holes.any(3).sum(2), holes.any(2).sum(2)
    assert torch.equal((rows * columns).squeeze(), holes.sum((1, 2, 3)))  # a rectangle
    assert rows.max() == columns.max() == 16
    assert rows.min() == columns.min() == 8  # a centre on the border
    assert holes.any(0).all()  # anywhere


def test_scale_stretches_each_axis_by_up_to_a_fifth():
    scales = torch.cat([Siamese("scale").record(seed).u for seed in range(500)])
    assert abs(torch.corrcoef(scales.T)[0, 1]) < 0.2  # width and height are independent
    ramp = torch.linspace(-31 / 32, 31 / 32, 32, dtype=torch.float64).expand(1, 1, 32, 32)
    slope = many("scale", ramp, 500)[:, 0, 16, 16] / ramp[0, 0, 16, 16]
    assert slope.min() > 1 / 1.2 - 1e-9
    assert slope.max() < 1.2 + 1e-9
    assert slope.max() - slope.min() > 0.9 * (1.2 - 1 / 1.2)


def test_rotation_keeps_within_fifteen_degrees():
    side = torch.linspace(-31 / 32, 31 / 32, 32, dtype=torch.float64)
    plane = torch.stack([side.expand(32, 32), side[:, None].expand(32, 32)])[None]  # x and y as two channels
    x, y = many("rotate", plane, 500)[:, :, 16, 24].unbind(1)
    angle = torch.rad2deg(torch.atan2(y, x)) - torch.rad2deg(torch.atan2(side[16], side[24]))
    assert angle.abs().max() < 15 + 1e-9
    assert angle.max() > 14
    assert angle.min() < -14


def test_color_moves_the_mean_by_up_to_a_half():
    x = images(1)
    out = many("color", x)
    shift = out.mean((1, 2, 3)) - x.mean()
    assert shift.abs().max() <= 0.5
    assert shift.max() > 0.49
    assert shift.min() < -0.49
    grey = x.mean(1, keepdim=True)
    contrast = out.mean(1).std((1, 2)) / grey.std()
    assert contrast.min() >= 0.5 - 1e-9
    assert contrast.max() <= 1.5 + 1e-9
    saturation = (out - out.mean(1, keepdim=True)).std((1, 2, 3)) / (x - grey).std() / contrast
    assert saturation.max() <= 2 + 1e-9
    assert abs(saturation.mean() - 1) < 0.06


# ----------------------------------------------------------------------------------------------------------- gradients


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("op", OPS)
def test_gradients_are_those_of_finite_differences(op, rows):
    u = torch.rand(rows, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    x = images(3, 2, 5, 4).requires_grad_()
    assert torch.autograd.gradcheck(Record(op, u), (x,))


@pytest.mark.parametrize("op", sorted({*OPS} - {"scale", "rotate"}))
def test_second_gradients_too(op):
    u = torch.rand(1, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    x = images(2, 2, 3, 4).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: Record(op, u)(x).square(), (x,))


# ---------------------------------------------------------------------------------------------------------------------
# CutMix


@pytest.mark.parametrize("soft", [False, True])
def test_cutmix_mixes_labels_as_it_mixes_areas(soft):
    """Images of one colour each: what is left of a colour is its label's share."""
    n, k = 6, 4
    y = torch.arange(n) % k
    colours = torch.arange(1.0, n + 1)
    rows = Rows(colours[:, None, None, None].expand(n, 1, 8, 10).clone(), torch.eye(k)[y] if soft else y)
    nothing = Siamese("flip", per_row=True)
    mixed = Mixed(nothing, k)
    changed = 0
    for seed in range(40):
        out = mixed(rows, seed)
        assert torch.equal(mixed(rows, seed).x, out.x)
        if out.y is rows.y:
            assert torch.equal(out.x, rows.x)
            continue
        changed += 1
        for i in range(n):
            shares = torch.stack([(out.x[i] == c).double().mean() for c in colours])
            torch.testing.assert_close(
                out.y[i].double(), shares @ torch.eye(k, dtype=torch.double)[y], atol=1e-6, rtol=0
            )
    assert 10 <= changed <= 30


def test_cutmix_mixes_values_too():
    rows = Rows(torch.randn(4, 1, 8, 8), values=torch.randn(4, 3))
    outs = [Mixed(Siamese("flip", per_row=True), 3, probability=1.0)(rows, seed) for seed in range(5)]
    for out in outs:
        torch.testing.assert_close(out.values.sum(0), rows.values.sum(0))
    assert any(not torch.equal(out.values, rows.values) for out in outs)
