"""Clips: mono, resampled and centred."""

from __future__ import annotations

import numpy as np
import pytest
from ddcore_audio.clips import to_clip
from toy import tone


def test_a_clip_is_mono_resampled_and_centred():
    stereo = np.stack([tone(seconds=0.25), -0.5 * tone(seconds=0.25)], 1)
    found = to_clip(stereo, 8000, 8000, 4000)
    assert np.allclose(found[1000:3000], 0.25 * tone(seconds=0.25), atol=1e-6)
    assert not found[:1000].any()
    assert not found[3000:].any()
    long = np.arange(10, dtype=np.float32)[:, None]
    assert to_clip(long, 8000, 8000, 4).tolist() == [3, 4, 5, 6]
    fast = to_clip(tone(440, 1.0, 44_100)[:, None], 44_100, 8000, 8000)
    assert np.abs(fast[500:-500] - tone(440, 1.0)[500:-500]).max() < 1e-2


def test_rates_without_a_common_divisor_need_no_filter_of_gigabytes(monkeypatch):
    monkeypatch.setattr("ddcore_audio.clips._resampler", lambda *_: pytest.fail("44,101 x 16,000 numbers"))
    found = to_clip(tone(440, 1.0, 44_101)[:, None], 44_101, 16_000, 16_000)
    assert np.abs(found[500:-500] - tone(440, 1.0, 16_000)[500:-500]).max() < 1e-2
