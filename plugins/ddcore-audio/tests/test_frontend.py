"""The frontend beside torchaudio's, beside plain float64 formulas, beside finite differences, and in silence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import toy
from ddcore_audio.frontend import Features, Frontend, torchaudio
from ddcore_audio.problems import frontend_of
from ddcore_audio.recovery import _frequencies, recover

from ddcore.errors import OptionError

KINDS = ("log-mel", "mel", "mfcc")


def speechlike(n=3, samples=8000, seed=0):
    """Harmonics that come and go, in noise."""
    g = torch.Generator().manual_seed(seed)
    t = torch.arange(samples) / 8000
    pitch = 100 + 150 * torch.rand(n, 1, generator=g)
    voiced = sum(torch.sin(2 * torch.pi * k * pitch * t) / k for k in range(1, 8))
    loud = torch.sin(torch.pi * t / t[-1]).square()
    return 0.2 * voiced * loud + 0.003 * torch.randn(n, samples, generator=g)


def at_8k(kind):
    return Frontend(kind, 8000, 8000, 512, 320, 160, 40, 20.0, 4000.0, 20)


# ---------------------------------------------------------------------------------------------------------------------
# references


SIZES = {"fsdd": (8000, 1.0, 320, 160, 40), "digits": (8000, 1.0, 512, 256, 32), "esc50": (22_050, 5.0, 1024, 512, 64)}


@pytest.mark.parametrize("of", list(SIZES))
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_torchaudio_s(kind, of):
    rate, seconds, window, hop, bands = SIZES[of]
    f = frontend_of(kind, "maps", rate, seconds, window, hop, bands, None)
    wave, make = speechlike(2, f.samples), torchaudio.transforms
    how = {"n_fft": f.n_fft, "win_length": window, "hop_length": hop, "n_mels": bands, "f_min": 20.0, "f_max": rate / 2}
    if kind == "mfcc":
        cepstra = make.MFCC(rate, 20, log_mels=True, melkwargs=how)(wave)
        delta = torchaudio.functional.compute_deltas(cepstra)
        want = torch.stack([cepstra, delta, torchaudio.functional.compute_deltas(delta)], 1)
    else:
        mel = make.MelSpectrogram(rate, **how)(wave)
        want = (mel if kind == "mel" else (mel + 1e-6).log())[:, None]
    assert want.shape == (2, *f.shape)
    how = {"rtol": 1e-5, "atol": 0} if kind == "mel" else {"rtol": 0, "atol": 1e-5}  # power has no unit of its own
    assert torch.allclose(Features(f).raw(wave), want, **how)


def test_it_is_the_formula_in_float64():
    f, wave = at_8k("log-mel"), speechlike(1)
    x = np.pad(wave[0].double().numpy(), 256, mode="reflect")
    window = np.pad(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(320) / 320), 96)  # periodic Hann, centred in 512
    frames = np.stack([x[i * 160 : i * 160 + 512] * window for i in range(51)])
    power = np.abs(np.fft.rfft(frames)) ** 2  # (51, 257)

    def mel(hertz):
        return 2595 * np.log10(1 + hertz / 700)

    edges = 700 * (10 ** (np.linspace(mel(20), mel(4000), 42) / 2595) - 1)
    hertz = np.linspace(0, 4000, 257)
    up = (hertz - edges[:-2, None]) / np.diff(edges)[:-1, None]
    down = (edges[2:, None] - hertz) / np.diff(edges)[1:, None]
    bands = np.maximum(0, np.minimum(up, down))  # (40, 257)
    want = np.log(power @ bands.T + 1e-6).T
    assert np.abs(Features(f).raw(wave)[0, 0].double().numpy() - want).max() < 2e-3 * np.abs(want).max()
    assert np.abs(Features(f).double().raw(wave.double())[0, 0].numpy() - want).max() < 1e-3


def test_differences_are_regressions_over_five_frames():
    features = Features(at_8k("mfcc"))
    c = torch.randn(2, 1, 20, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = features.with_differences(c)
    padded = torch.cat([c[..., :1], c[..., :1], c, c[..., -1:], c[..., -1:]], -1)
    want = sum(k * (padded[..., 2 + k : 32 + k] - padded[..., 2 - k : 32 - k]) for k in (1, 2)) / 10
    assert torch.equal(found[:, :1], c)
    assert torch.allclose(found[:, 1:2], want)
    assert torch.allclose(features.with_differences(want)[:, 1:2], found[:, 2:])


# ---------------------------------------------------------------------------------------------------------------------
# derivatives


@pytest.mark.parametrize("kind", KINDS)
def test_first_and_second_derivatives_are_those_of_finite_differences(kind):
    features = Features(toy.frontend(kind, samples=1000)).double()
    g = torch.Generator().manual_seed(1)
    wave = (0.1 * torch.randn(2, 1000, generator=g, dtype=torch.float64)).requires_grad_()
    d = torch.randn(wave.shape, generator=g, dtype=torch.float64)
    weight = torch.randn(2, *features.frontend.shape[:2], 5, generator=g, dtype=torch.float64)

    def value(w):
        return (features(w) * weight).square().sum()

    def slope(w):
        (grad,) = torch.autograd.grad(value(w), w, create_graph=True)
        return grad

    h = 1e-6
    ends = [wave.detach() + s * h * d for s in (1, -1)]
    assert float((slope(wave).detach() * d).sum()) == pytest.approx(
        float(value(ends[0]) - value(ends[1])) / (2 * h), rel=1e-5
    )
    bent = torch.autograd.grad((slope(wave) * d).sum(), wave)[0]
    ends = [slope(e.requires_grad_()).detach() for e in ends]
    measured = (ends[0] - ends[1]) / (2 * h)
    assert torch.allclose(bent, measured, rtol=1e-3, atol=1e-4 * float(measured.abs().max()))


@pytest.mark.parametrize("kind", KINDS)
def test_silence_has_finite_derivatives_of_first_and_second_order(kind):
    features, wave = Features(at_8k(kind)), torch.zeros(1, 8000, requires_grad=True)
    maps = features(wave)
    assert maps.isfinite().all()
    (grad,) = torch.autograd.grad(maps.sum(), wave, create_graph=True)
    (second,) = torch.autograd.grad(grad.sum() + grad.square().sum(), wave)
    assert grad.isfinite().all()
    assert second.isfinite().all()
    if kind == "mel":
        assert second.any(), "power is a square: its second derivative is not zero"


# ---------------------------------------------------------------------------------------------------------------------
# normalisation, gain, text


@pytest.mark.parametrize("kind", KINDS)
def test_normalised_maps_have_mean_0_and_deviation_1_in_each_row(kind):
    wave = speechlike(20)
    features = Features(at_8k(kind))
    fitted = features.fit(features.raw(wave))
    x = fitted(wave).transpose(0, 2).flatten(2)  # (rows, planes, n * frames)
    assert x.mean(2).abs().max() < 1e-3
    assert x.std(2).max() < 1.001
    assert torch.allclose(fitted.undo(fitted(wave)), features.raw(wave), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_gain_on_maps_is_gain_on_waveforms(kind):
    wave = speechlike(2) + 0.01 * torch.randn(2, 8000, generator=torch.Generator().manual_seed(3))
    features = Features(at_8k(kind))
    features = features.fit(features.raw(wave))
    gain = torch.tensor([0.8, -0.5])
    want = features(wave * (gain / 2).exp()[:, None])
    found = features.louder(features(wave), gain.view(-1, 1, 1, 1))
    assert torch.allclose(found, want, atol=0.02 * float(want.abs().max()))


@pytest.mark.parametrize(
    "frontend",
    [
        Frontend(),
        at_8k("mfcc"),
        toy.frontend("mel", low=12.5),
        toy.frontend(floor=0.1),
        Frontend(samples=1_234_567, high=7_999.9375),
        Frontend(samples=1_000_000, floor=0.1 + 0.2),
    ],
    ids=["default", "mfcc", "mel", "floor", "long", "large"],
)
def test_its_text_is_the_frontend(frontend):
    assert Frontend.parse(f"waveform > {frontend}") == frontend


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"kind": "chroma"}, "no frontend 'chroma'"),
        ({"high": 9000.0}, "do not fit a sample rate of 16000 Hz"),
        ({"window": 600}, "at most n_fft"),
        ({"hop": 480}, "a hop is shorter than the window"),
        ({"samples": 200}, "too short for n_fft 512"),
        ({"floor": 0.0}, "needs a positive one"),
        ({"kind": "mfcc", "coefficients": 41}, "41 coefficients of 40 bands"),
    ],
)
def test_sizes_that_do_not_fit(wrong, said):
    with pytest.raises(OptionError, match=said):
        Frontend(**wrong)


@pytest.mark.filterwarnings("ignore:At least one mel filterbank")
def test_bands_that_hear_nothing():
    with pytest.raises(OptionError, match="take fewer bands or a longer window"):
        Features(Frontend(bands=200))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raw", "names no frontend"),
        ("mel()", "is no frontend"),
        ("mel(hop=160)", "is no frontend"),
        (str(Frontend()).replace("hop=160", "hop=ten"), "is no frontend"),
        (str(Frontend()).replace("hop=160", "hop=0"), "hop 0: every size"),
        (str(Frontend()).replace("floor=1e-06", "floor=nan"), "floor nan"),
        (str(Frontend()).replace("high=8000", "high=nan"), "do not fit a sample rate"),
    ],
)
def test_text_that_is_no_frontend(text, said):
    with pytest.raises(OptionError, match=said):
        Frontend.parse(text)


# ---------------------------------------------------------------------------------------------------------------------
# recovery


@pytest.mark.parametrize(("rate", "bands", "window"), [(44_100, 64, 480), (8000, 40, 320)], ids=["44.1 kHz", "8 kHz"])
def test_recovered_frequencies_have_the_mel_power_they_come_from(rate, bands, window):
    f = frontend_of("mel", "maps", rate, 0.25, window, window // 2, bands, None)
    fb = Features(f).mel.fb.double()  # (frequencies, bands)
    spectrum = torch.rand(1, len(fb), 6, generator=torch.Generator().manual_seed(0)) + 0.5
    found = _frequencies(f)((spectrum.transpose(1, 2).double() @ fb).transpose(1, 2).float())
    # by the normal equations' pseudoinverse in float64, negative powers set to 0
    want = (torch.linalg.pinv(fb.T, rtol=1e-6) @ (fb.T @ spectrum[0].double())).clamp_min(0)
    assert torch.allclose(found[0].double(), want, atol=1e-3)
    wave = recover(
        Features(f), Features(f)(0.1 * torch.randn(2, f.samples, generator=torch.Generator().manual_seed(1)))
    )
    assert wave.isfinite().all()
    assert wave.any(1).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_recovered_waveform_sounds_like_its_maps(kind):
    wave = speechlike(4)
    features = Features(at_8k(kind))
    features = features.fit(features.raw(wave))
    back = recover(features, features(wave))
    assert back.shape == wave.shape
    assert torch.equal(back, recover(features, features(wave))), "the same maps, the same waveforms"
    log_mel = Features(at_8k("log-mel"))
    a, b = (log_mel.raw(w).flatten(1) - log_mel.raw(w).flatten(1).mean(1, keepdim=True) for w in (wave, back))
    alike = torch.nn.functional.cosine_similarity(a, b)
    noise = torch.randn(wave.shape, generator=torch.Generator().manual_seed(5))
    c = log_mel.raw(noise).flatten(1) - log_mel.raw(noise).flatten(1).mean(1, keepdim=True)
    assert alike.min() > (0.7 if kind == "mfcc" else 0.8)  # half the cepstra are gone
    assert (torch.nn.functional.cosine_similarity(a, c) < alike - 0.3).all()
