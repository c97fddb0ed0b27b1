import sys

import numpy as np
import pytest
import signals

from tonezoo.analysis.separation_metrics import (
    BSS_EVAL,
    bss_eval_frames,
    check_sources,
    import_museval,
    si_sdr_db,
)

try:
    museval = import_museval()
except ImportError as error:
    museval, REASON = None, str(error)
else:
    REASON = ""
needs_museval = pytest.mark.skipif(museval is None, reason=REASON)

RATE_HZ = 8000


def noise(*names, seconds=2.0, channels=1):
    sources = signals.noise(len(names), int(seconds * RATE_HZ), channels, std=1.0)
    return dict(zip(names, sources, strict=True))


def rough(references, level=0.3, seed=1):
    """Estimates that are the references with noise."""
    rng = np.random.default_rng(seed)
    return {name: r + level * rng.standard_normal(r.shape) for name, r in references.items()}


@needs_museval
@pytest.mark.parametrize("channels", [1, 2])
def test_frames_are_those_of_museval(channels):
    references = noise("a", "b", seconds=2.5, channels=channels)
    estimates = rough(references)
    # In another order: sources go by their names.
    frames = bss_eval_frames(references, dict(reversed(estimates.items())), RATE_HZ)
    direct = museval.evaluate(
        list(references.values()), list(estimates.values()), win=RATE_HZ, hop=RATE_HZ
    )
    for name, expected in zip(("SDR", "ISR", "SIR", "SAR"), direct, strict=True):
        ours = np.array([frames[source][name] for source in references])
        # The half second at the end is no frame.
        assert ours.shape == (2, 2)
        np.testing.assert_array_equal(ours, expected)


@needs_museval
def test_sdr_of_a_frame_is_the_energy_ratio():
    references = noise("a", "b")
    estimates = {"a": 0.9 * references["a"], "b": references["b"].copy()}
    estimates["b"][RATE_HZ:] *= 1.5
    frames = bss_eval_frames(references, estimates, RATE_HZ)
    np.testing.assert_allclose(frames["a"]["SDR"], 20, atol=1e-6)
    assert frames["b"]["SDR"][1] == pytest.approx(20 * np.log10(2))


@needs_museval
def test_a_track_below_a_second_is_one_frame():
    references = noise("a", "b", seconds=0.4)
    frames = bss_eval_frames(references, rough(references), RATE_HZ)
    error = rough(references)["a"] - references["a"]
    expected = 10 * np.log10(np.sum(references["a"] ** 2) / np.sum(error**2))
    assert frames["a"]["SDR"] == pytest.approx([expected])


@needs_museval
def test_a_silent_frame_of_one_source_has_no_value_for_any():
    references = noise("a", "b", seconds=3)
    references["a"][RATE_HZ : 2 * RATE_HZ] = 0
    frames = bss_eval_frames(references, rough(references), RATE_HZ)
    for source in references:
        for name in BSS_EVAL:
            assert np.isnan(frames[source][name]).tolist() == [False, True, False]


@needs_museval
@pytest.mark.filterwarnings("error")
def test_a_silent_reference_leaves_the_others_as_they_are_without_it():
    references = noise("a", "b")
    estimates = rough(references)
    expected = bss_eval_frames(references, estimates, RATE_HZ)
    silent = np.zeros_like(references["a"])
    frames = bss_eval_frames(
        {"quiet": silent, **references}, {"quiet": estimates["a"], **estimates}, RATE_HZ
    )
    assert list(frames) == ["quiet", "a", "b"]
    for name in BSS_EVAL:
        assert np.isnan(frames["quiet"][name]).all() and len(frames["quiet"][name]) == 2
        np.testing.assert_array_equal(frames["a"][name], expected["a"][name])


@needs_museval
def test_a_silent_estimate_leaves_the_others_as_they_are_with_any_other():
    references = noise("a", "b")
    estimates = rough(references)
    estimates["b"] += 0.1 * references["a"]
    expected = bss_eval_frames(references, estimates, RATE_HZ)
    frames = bss_eval_frames(references, {**estimates, "a": 0 * estimates["a"]}, RATE_HZ)
    for name in BSS_EVAL:
        assert np.isnan(frames["a"][name]).all()
        np.testing.assert_allclose(frames["b"][name], expected["b"][name], rtol=1e-9)


@needs_museval
def test_one_source_alone_in_a_track_and_none_at_all():
    references = {**noise("a"), "b": np.zeros((2 * RATE_HZ, 1))}
    frames = bss_eval_frames(references, rough(references), RATE_HZ)
    assert np.isfinite(frames["a"]["SDR"]).all() and np.isnan(frames["b"]["SDR"]).all()
    nothing = {"a": np.zeros((20_000, 2)), "b": np.zeros((20_000, 2))}
    for scores in bss_eval_frames(nothing, nothing, RATE_HZ).values():
        assert all(np.isnan(scores[name]).all() and len(scores[name]) == 2 for name in BSS_EVAL)


@needs_museval
def test_channels_that_cancel_are_silent_as_in_museval():
    references = noise("a", "b", channels=2)
    references["a"][:, 1] = -references["a"][:, 0]
    with pytest.raises(ValueError, match="non-silent"):
        museval.evaluate(list(references.values()), list(rough(references).values()))
    frames = bss_eval_frames(references, rough(references), RATE_HZ)
    assert np.isnan(frames["a"]["SDR"]).all() and np.isfinite(frames["b"]["SDR"]).all()


@needs_museval
@pytest.mark.skipif(
    np.__version__.startswith("1."), reason="museval's way out of singular matrices works there"
)
def test_copies_among_the_references_are_told_where_museval_fails():
    click = np.zeros((RATE_HZ, 1))
    click[0] = 4
    with pytest.raises(ValueError, match="copies of others"):
        bss_eval_frames({"a": click, "b": click}, {"a": click, "b": click}, RATE_HZ)


def test_si_sdr_by_hand():
    reference = np.array([[1.0, 0.0], [2.0, 0.0]])
    # a = (1 * 2 + 2 * 1) / 5 = 0.8: target (0.8, 1.6), error (1.2, -0.6) and 3 in the right
    # channel: 3.2 / (1.44 + 0.36 + 9) = 0.2963.
    estimate = np.array([[2.0, 3.0], [1.0, 0.0]])
    assert si_sdr_db(reference, estimate) == pytest.approx(10 * np.log10(3.2 / 10.8))
    assert si_sdr_db(reference, -7 * estimate) == pytest.approx(si_sdr_db(reference, estimate))
    # The mean counts: an offset is an error.
    assert si_sdr_db(np.array([[1.0], [-1.0]]), np.array([[2.0], [0.0]])) == pytest.approx(0)


@pytest.mark.filterwarnings("error")
def test_si_sdr_of_silence_and_of_copies():
    reference = np.array([[1.0], [0.5]])
    assert si_sdr_db(reference, 2 * reference) == np.inf
    assert si_sdr_db(reference, 0 * reference) == -np.inf
    assert si_sdr_db(reference, np.array([[-0.5], [1.0]])) == -np.inf
    assert np.isnan(si_sdr_db(0 * reference, reference))


def test_bad_signals_are_told():
    good = np.ones((8, 2))
    with pytest.raises(ValueError, match=r"SI-SDR .*\(8, 2\) \(reference\) and \(4, 2\)"):
        si_sdr_db(good, good[:4])
    with pytest.raises(ValueError, match="estimate has NaN"):
        si_sdr_db(good, good * np.nan)
    with pytest.raises(ValueError, match=r"one estimate of each source, a, b; received a\."):
        bss_eval_frames({"a": good, "b": good}, {"a": good}, RATE_HZ)
    with pytest.raises(ValueError, match=r"estimate of b must be .*\(8, 2\); .*\(7, 2\)"):
        bss_eval_frames({"a": good, "b": good}, {"a": good, "b": good[1:]}, RATE_HZ)
    with pytest.raises(ValueError, match=r"reference of b must be .*\(8, 2\); .*\(8, 1\)"):
        bss_eval_frames({"a": good, "b": good[:, :1]}, {}, RATE_HZ)
    with pytest.raises(ValueError, match=r"one sample or more; received the shape \(8,\)"):
        check_sources({"a": good[:, 0]}, "reference", ["a"])
    with pytest.raises(ValueError, match=r"one sample or more; received the shape \(0, 2\)"):
        check_sources({"a": good[:0]}, "reference", ["a"])
    with pytest.raises(ValueError, match="reference of a has NaN"):
        check_sources({"a": good * np.inf}, "reference", ["a"])
    with pytest.raises(ValueError, match="at least one; received none"):
        bss_eval_frames({}, {}, RATE_HZ)


def test_a_missing_museval_is_told_with_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "museval", None)
    with pytest.raises(ImportError, match=r'pip install "tonezoo\[eval\]"'):
        import_museval()


def test_a_missing_ffmpeg_is_told_with_its_packages(monkeypatch, tmp_path):
    (tmp_path / "museval.py").write_text("raise RuntimeError('ffmpeg or ffprobe not be found!')")
    monkeypatch.delitem(sys.modules, "museval", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match=r"apt install ffmpeg.*brew install ffmpeg.*not be found"):
        import_museval()
