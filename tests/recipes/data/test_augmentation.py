import numpy as np
import pytest
import signals

from tonezoo.audio.resampling import decimate
from tonezoo.recipes.data.augmentation import MARGIN_SAMPLES, Augmentation, random_low_pass
from tonezoo.recipes.data.patches import prepare_arrays

SEGMENT = 4096


def noise(augmentation):
    return signals.noise(augmentation.source_samples(SEGMENT), std=1.0)


def pair(augmentation, samples, ratio=4, seed=1):
    rng = np.random.default_rng(seed)
    return augmentation.pair(samples, segment_samples=SEGMENT, ratio=ratio, rng=rng)


def power(signal):
    return np.abs(np.fft.rfft(signal * np.hanning(len(signal)))) ** 2


def test_at_a_ratio_of_one_the_same_patch_is_input_and_target():
    augmentation = Augmentation(gain_db=6.0, max_speedup=0.1, equaliser_db=1.0)
    low, high = pair(augmentation, noise(augmentation), ratio=1)
    assert low is high and high.shape == (SEGMENT,) and high.dtype == np.float32
    slightest = Augmentation(gain_db=1e-9)
    samples = noise(slightest)
    unchanged = samples[MARGIN_SAMPLES : MARGIN_SAMPLES + SEGMENT]
    np.testing.assert_allclose(pair(slightest, samples, ratio=1)[1], unchanged, atol=1e-5)


@pytest.mark.parametrize("ratio", [2, 4, 8])
def test_without_changes_it_decimates_as_usual(ratio):
    nothing = Augmentation()
    assert not nothing
    samples = noise(nothing)
    low, high = pair(nothing, samples, ratio)
    inside = slice(MARGIN_SAMPLES, -MARGIN_SAMPLES)
    np.testing.assert_allclose(high, samples[inside], atol=1e-6)
    margin = MARGIN_SAMPLES // ratio
    np.testing.assert_allclose(low, decimate(samples, ratio)[margin:-margin], atol=1e-6)


def test_gain_stays_in_its_range_and_is_the_same_at_both_rates():
    augmentation = Augmentation(gain_db=6.0)
    samples = noise(augmentation)
    plain_low, plain = pair(Augmentation(), samples)
    gains = []
    for seed in range(20):
        low, high = pair(augmentation, samples, seed=seed)
        gain = high @ plain / (plain @ plain)
        np.testing.assert_allclose(high, gain * plain, atol=1e-5)
        np.testing.assert_allclose(low, gain * plain_low, atol=1e-5)
        gains.append(20 * np.log10(gain))
    assert -6 <= min(gains) < -3 < 3 < max(gains) <= 6


def test_speed_raises_a_tone_by_at_most_so_much_and_never_lowers_it():
    augmentation = Augmentation(max_speedup=0.2)
    bin_ = 256
    samples = np.cos(2 * np.pi * bin_ / SEGMENT * np.arange(augmentation.source_samples(SEGMENT)))
    factors = []
    for seed in range(20):
        low, high = pair(augmentation, samples, seed=seed)
        factors.append(power(high).argmax() / bin_)
        assert power(low).argmax() == power(high).argmax()
    assert 1 <= min(factors) < 1.07 < 1.13 < max(factors) <= 1.2


def test_equaliser_has_its_deviation_at_the_knots():
    augmentation = Augmentation(equaliser_db=3.0)
    impulse = np.zeros(augmentation.source_samples(SEGMENT))
    impulse[len(impulse) // 2] = 1.0
    gains_db = np.array(
        [
            10 * np.log10(np.abs(np.fft.rfft(pair(augmentation, impulse, seed=s)[1])) ** 2)
            for s in range(200)
        ]
    )
    knots = np.linspace(0, SEGMENT // 2, 7).astype(int)
    np.testing.assert_allclose(gains_db[:, knots].std(axis=0), 3.0, rtol=0.25)
    between = gains_db[:, knots[0] + 171]
    np.testing.assert_allclose(between, gains_db[:, knots[:2]].mean(axis=1), atol=0.3)


def test_random_low_passes_keep_the_low_band_and_stop_at_the_nyquist_frequency():
    frequencies = np.linspace(0, 1, 1025)
    rng = np.random.default_rng(0)
    responses = np.array([random_low_pass(frequencies, 4, rng) for _ in range(200)])
    assert (responses <= 1 + 1e-9).all()
    assert (responses[:, frequencies < 0.1] > 0.93).all()
    assert (responses[:, frequencies > 0.6] < 0.1).all()
    # Different filters: what is left half-way down differs widely.
    assert responses[:, 256 - 26].std() > 0.15


def test_batches_depend_on_seed_and_step_alone_and_do_not_read_the_neighbour():
    clips = [np.full(3000, 1.0), np.full(5000, 2.0)]
    source = prepare_arrays(clips, sample_rate_hz=16_000, ratio=4)
    options = {
        "segment_samples": 1024,
        "batch_size": 16,
        "seed": 0,
        "augmentation": Augmentation(gain_db=1e-6, random_low_pass_share=1.0),
    }
    first = [high.numpy() for _, high in source.batches(**options).take(3)]
    later = next(iter(source.batches(**options, start_step=2)))[1].numpy()
    np.testing.assert_array_equal(first[2], later)
    levels = {round(float(patch.max())) for high in first for patch in high}
    assert levels == {1, 2}
    for high in first:
        for patch in high[:, :, 0]:
            # A patch of clip 1 never holds clip 2: what is not its own is silence.
            own = round(float(patch.max()))
            assert set(np.round(patch, 2)) <= {0.0, float(own)}


def test_numbers_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"max_speedup must be at least 0, but is -0\.1"):
        Augmentation(max_speedup=-0.1)
    for name in ("random_low_pass_share", "telephone_share"):
        with pytest.raises(ValueError, match=rf"{name} is a share, at most 1, but is 1\.5"):
            Augmentation(**{name: 1.5})


def test_a_telephone_changes_the_low_rate_alone_and_leaves_it_in_its_place():
    samples = noise(Augmentation())
    for ratio in (2, 3):
        plain_low, plain_high = pair(Augmentation(), samples[: SEGMENT + 2 * MARGIN_SAMPLES], ratio)
        for seed in range(10):
            low, high = pair(Augmentation(telephone_share=1.0), samples, ratio, seed)
            np.testing.assert_array_equal(high, plain_high)
            assert low.shape == plain_low.shape
            aligned = np.correlate(low, plain_low, "full").argmax() - (len(low) - 1)
            assert aligned == 0
            assert np.corrcoef(low, plain_low)[0, 1] < 0.99
