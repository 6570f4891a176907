"""Each operation beside its definition; records fit any batch; labels are mixed like rows."""

from __future__ import annotations

import pytest
import torch
import toy
from ddcore_audio.augment import Mixed, Record, Siamese

from ddcore.errors import OptionError
from ddcore.rows import Rows

OPS = ("shift", "gain", "noise", "frames", "bands")


@pytest.fixture(scope="module")
def problems():
    return {w: toy.problem(waveforms=w) for w in (False, True)}


def rows(problem, n=6):
    return problem.data.take(list(problem.data.ids())[:n])


@pytest.mark.parametrize("waveforms", [False, True])
@pytest.mark.parametrize("op", OPS)
def test_one_record_acts_alike_on_batches_of_any_size_and_is_smooth(problems, waveforms, op):
    problem = problems[waveforms]
    record = Siamese(problem.synthetic.features, op).record(3)
    x = rows(problem).x.double().requires_grad_()
    y = record(x)
    assert y.shape == x.shape
    assert y.dtype == x.dtype
    assert not torch.equal(y, x)
    assert torch.allclose(record(x[:2]), y[:2])
    (d,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    assert d.isfinite().all()
    assert torch.autograd.grad(d.square().sum(), x)[0].isfinite().all()


@pytest.mark.parametrize("waveforms", [False, True])
@pytest.mark.parametrize("op", OPS)
def test_rows_draw_each_their_own(problems, waveforms, op):
    problem = problems[waveforms]
    x = rows(problem, 1).x.expand(5, *rows(problem).x.shape[1:])
    y = Siamese(problem.synthetic.features, op, per_row=True)(Rows(x), 2).x
    assert len({tuple(row.flatten().tolist()) for row in y}) > 1


@pytest.mark.parametrize("waveforms", [False, True])
def test_a_shift_is_a_roll(problems, waveforms):
    problem, u = problems[waveforms], torch.tensor([[0.9, 0.0, 0.0]], dtype=torch.float64)
    x = rows(problem).x
    by = round(0.8 / 8 * x.shape[-1])
    assert torch.equal(Record("shift", u, problem.synthetic.features)(x), x.roll(by, -1))


def test_a_gain_of_a_waveform_is_in_decibels(problems):
    features, x = problems[True].synthetic.features, rows(problems[True]).x
    louder = Record("gain", torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64), features)(x)
    assert 20 * torch.log10(louder.norm() / x.norm()) == pytest.approx(6.08, abs=0.01)


@pytest.mark.parametrize(("waveforms", "most"), [(False, 0.3), (True, 0.1)])
def test_noise_is_white_of_the_drawn_deviation_and_the_same_for_every_row(problems, waveforms, most):
    problem, x = problems[waveforms], torch.zeros(300, *problems[waveforms].synthetic.shape)
    u = torch.tensor([[0.5, 0.3, 0.0]], dtype=torch.float64)
    noise = Record("noise", u, problem.synthetic.features)(x)
    assert torch.equal(noise, noise[:1].expand_as(noise))
    each = torch.rand(300, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    each[:, 0] = 0.5
    drawn = Record("noise", each, problem.synthetic.features)(x).flatten(1)
    assert drawn.std() == pytest.approx(0.5 * most, rel=0.02)
    assert abs(drawn.mean()) < 0.02 * most
    assert (drawn[:, 1:] * drawn[:, :-1]).mean().abs() < 0.02 * most**2, "neighbours know nothing of each other"
    assert drawn.unique(dim=0).shape == drawn.shape
    assert torch.equal(Record("noise", u, problem.synthetic.features)(x + 1), noise + 1)


def test_a_frequency_mask_of_a_waveform_takes_a_band_of_its_spectrum(problems):
    features, x = problems[True].synthetic.features, rows(problems[True], 2).x
    u = torch.tensor([[1.0, 0.5, 0.0]], dtype=torch.float64)  # a quarter of the mel scale, in its middle
    before, after = (torch.fft.rfft(w).abs() for w in (x, Record("bands", u, features)(x)))
    gone = (after < 1e-3) & (before > 1e-2)
    hertz = torch.fft.rfftfreq(x.shape[1], 1 / toy.RATE)

    def mel(f):
        return 2595 * torch.log10(1 + torch.as_tensor(f) / 700)

    low, high = mel(20.0), mel(2000.0)
    where = (mel(hertz) - low) / (high - low)
    inside = (where > 0.376) & (where < 0.624)
    outside = (where < 0.374) | (where > 0.626)
    assert after[:, inside].max() < 1e-3
    assert torch.allclose(after[:, outside], before[:, outside], atol=1e-3)
    assert gone.any()


def test_masks_cover_at_most_a_quarter(problems):
    features, x = problems[False].synthetic.features, torch.ones(1, *problems[False].synthetic.shape)
    for op, dim in (("frames", 3), ("bands", 2)):
        most = 0
        for seed in range(20):
            y = Siamese(features, op).record(seed)(x)
            masked = int((y == 0).all(5 - dim).sum())
            most = max(most, masked)
            assert masked <= x.shape[dim] / 4 + 1
            assert (y == 0).sum() == masked * x.shape[5 - dim]
        assert most >= x.shape[dim] / 8, "some mask is larger than half of what it may be"


def test_mixed_rows_have_mixed_labels(problems):
    problem = problems[False]
    silent = Siamese(problem.synthetic.features, "shift", per_row=True)
    mixed = Mixed(silent, 3, probability=1.0)
    batch = problem.data.take([0, 20, 40, 1])
    out = mixed(batch, 4)
    assert out.y.shape == (4, 3)
    assert torch.allclose(out.y.sum(1), torch.ones(4))
    plain = silent(batch, 4)
    whole = torch.nn.functional.one_hot(plain.y, 3).float()
    found = torch.linalg.lstsq(plain.x.flatten(1).T, out.x.flatten(1).T).solution.T  # how much of each row is in each
    assert torch.allclose(found @ whole, out.y, atol=1e-3)
    values = mixed(Rows(batch.x, values=whole), 4)
    assert torch.allclose(values.values, out.y)
    assert Mixed(silent, 3, probability=0.0)(batch, 4).y.ndim == 1


def test_unknown_operation(problems):
    with pytest.raises(OptionError, match="no operation 'flip'"):
        Siamese(problems[False].synthetic.features, "shift_flip")
