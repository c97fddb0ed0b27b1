import keras
import numpy as np
import pytest
import tensorflow as tf

from tonezoo.training.classifier_loss import CHANNELS, ClassifierFeatureLoss


@pytest.fixture
def waveforms():
    rng = np.random.default_rng(0)
    reference = rng.standard_normal((2, 200, 1)).astype("float32")
    return reference, reference + 0.3 * rng.standard_normal((2, 200, 1)).astype("float32")


@pytest.fixture(scope="module")
def authors_arrays(source_tree):
    path = source_tree.parent / "shared" / "specs" / "germain_lossnet.npz"
    if not path.is_file():
        pytest.skip(f"no {path.name} beside the repository")
    return dict(np.load(path))


def random_arrays(seed=0):
    rng = np.random.default_rng(seed)
    arrays = {"global_step": np.array(7)}
    for m, (before, filters) in enumerate(zip((1, *CHANNELS[:-1]), CHANNELS, strict=True)):
        arrays[f"loss_conv_{m}/weights"] = rng.normal(size=(1, 3, before, filters), scale=0.3)
        arrays[f"loss_conv_{m}/BatchNorm/beta"] = rng.normal(size=filters)
    return {name: value.astype("float32") for name, value in arrays.items()}


def write_tf1_checkpoint(prefix, arrays):
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(arrays),
        shape_and_slices=[""] * len(arrays),
        tensors=[tf.constant(value) for value in arrays.values()],
    )


def naive_features(x, arrays, layers):
    """phi_1 ... phi_n by loops over the taps, TensorFlow's "SAME" padding written out."""
    outputs = []
    for m in range(layers):
        kernel, stride = arrays[f"loss_conv_{m}/weights"][0], 1 if m == 13 else 2
        length = -(-x.shape[1] // stride)
        missing = max(0, (length - 1) * stride + 3 - x.shape[1])
        x = np.pad(x, ((0, 0), (missing // 2, missing - missing // 2), (0, 0)))
        taps = [x[:, j : j + (length - 1) * stride + 1 : stride] @ kernel[j] for j in range(3)]
        y = sum(taps)
        flat = y.reshape(-1, y.shape[2])
        y = (y - flat.mean(0)) / np.sqrt(flat.var(0) + 1e-3) + arrays[
            f"loss_conv_{m}/BatchNorm/beta"
        ]
        x = np.where(y > 0, y, 0.2 * y)
        outputs.append(x)
    return outputs


def test_parameters_are_the_authors_and_none_is_trained():
    loss = ClassifierFeatureLoss()
    assert sum(int(np.prod(w.shape)) for conv in loss.convs for w in conv.weights) == 240_704
    assert loss.trainable_variables == []
    holder = keras.layers.Layer()
    holder.loss = loss
    assert holder.trainable_variables == []


@pytest.mark.parametrize("time", [200, 53])
def test_all_14_layers_equal_the_naive_reference(time):
    arrays = random_arrays()
    loss = ClassifierFeatureLoss(loss_layers=14)
    loss.load_arrays(arrays)
    x = np.random.default_rng(1).standard_normal((3, time, 1)).astype("float32")
    expected = naive_features(x.astype("float64"), arrays, 14)
    for m, (ours, naive) in enumerate(zip(loss.features(x), expected, strict=True)):
        # Deep layers normalise few samples, which magnifies the rounding of float32.
        np.testing.assert_allclose(ours, naive, atol=1e-4 if m < 6 else 1e-2)


def test_loss_is_the_weighted_sum_of_the_first_six_layers(waveforms):
    arrays = random_arrays()
    loss = ClassifierFeatureLoss()
    loss.load_arrays(arrays)
    pairs = zip(*(naive_features(x.astype("float64"), arrays, 6) for x in waveforms), strict=True)
    raw = [np.abs(a - b).mean() for a, b in pairs]
    np.testing.assert_allclose(loss.raw_losses(*waveforms), raw, rtol=1e-4)
    assert float(loss(*waveforms)) == pytest.approx(sum(raw), rel=1e-4)
    loss.layer_weights.assign(raw)
    assert float(loss(*waveforms)) == pytest.approx(6, rel=1e-4)


def test_silence_gives_a_finite_loss_and_gradient():
    silence = tf.zeros((1, 64, 1))
    loss = ClassifierFeatureLoss()
    with tf.GradientTape() as tape:
        tape.watch(silence)
        value = loss(tf.random.normal((1, 64, 1)), silence)
    assert np.isfinite(value)
    assert np.isfinite(tape.gradient(value, silence)).all()


def test_survives_a_round_trip_through_its_config():
    loss = ClassifierFeatureLoss(loss_layers=3)
    config = keras.saving.serialize_keras_object(loss)
    assert config["registered_name"] == "tonezoo>ClassifierFeatureLoss"
    restored = keras.saving.deserialize_keras_object(config)
    assert restored.loss_layers == 3
    assert restored.trainable_variables == []


@pytest.mark.parametrize("layers", [0, 15, 2.5])
def test_impossible_layer_count_is_refused(layers):
    with pytest.raises(ValueError, match="1 to 14"):
        ClassifierFeatureLoss(loss_layers=layers)


def test_reads_a_tf1_checkpoint(tmp_path, waveforms):
    arrays = random_arrays()
    write_tf1_checkpoint(tmp_path / "loss_model.ckpt", arrays)
    from_arrays, from_file = ClassifierFeatureLoss(), ClassifierFeatureLoss()
    from_arrays.load_arrays(arrays)
    from_file.load_tf1_checkpoint(tmp_path / "loss_model.ckpt")
    for ours, theirs in zip(from_file.weights, from_arrays.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert float(from_file(*waveforms)) == float(from_arrays(*waveforms))


def test_unusable_checkpoints_are_explained_and_load_nothing(tmp_path):
    loss = ClassifierFeatureLoss()
    before = loss.get_weights()
    with pytest.raises(ValueError, match=r"no readable TensorFlow checkpoint at .*absent"):
        loss.load_tf1_checkpoint(tmp_path / "absent.ckpt")
    arrays = random_arrays()
    del arrays["loss_conv_9/BatchNorm/beta"]
    write_tf1_checkpoint(tmp_path / "a.ckpt", arrays)
    with pytest.raises(ValueError, match="lack loss_conv_9/BatchNorm/beta"):
        loss.load_tf1_checkpoint(tmp_path / "a.ckpt")
    arrays = random_arrays()
    arrays["loss_conv_13/weights"] = arrays["loss_conv_13/weights"][:, :2]
    with pytest.raises(ValueError, match=r"loss_conv_13/weights must .*\(1, 3, 128, 128\)"):
        loss.load_arrays(arrays)
    for now, then in zip(loss.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.slow
def test_two_replicas_give_the_loss_and_gradient_of_one_device(two_replicas, waveforms):
    arrays = random_arrays()
    reference, estimate = waveforms

    def step(loss, gain, ref, est, replicas):
        with tf.GradientTape() as tape:
            value = loss(ref, gain * est) / replicas
        return value, tape.gradient(value, gain.value)

    def build():
        loss = ClassifierFeatureLoss(loss_layers=3)
        loss.load_arrays(arrays)
        return loss, keras.Variable(1.0)

    expected = step(*build(), tf.constant(reference), tf.constant(estimate), 1)
    with two_replicas.scope():
        loss, gain = build()

    def shard(array):
        return two_replicas.experimental_distribute_values_from_function(
            lambda context: tf.constant(array[context.replica_id_in_sync_group :][:1])
        )

    @tf.function
    def distributed(ref, est):
        outputs = two_replicas.run(lambda r, e: step(loss, gain, r, e, 2), (ref, est))
        return [two_replicas.reduce("SUM", output, axis=None) for output in outputs]

    value, gradient = distributed(shard(reference), shard(estimate))
    assert float(value) == pytest.approx(float(expected[0]), rel=1e-5)
    assert float(gradient) == pytest.approx(float(expected[1]), rel=1e-4)


def test_the_authors_weights_rank_a_small_change_below_a_large_one(authors_arrays, tmp_path):
    write_tf1_checkpoint(tmp_path / "loss_model.ckpt", authors_arrays)
    loss = ClassifierFeatureLoss()
    loss.load_tf1_checkpoint(tmp_path / "loss_model.ckpt")
    x = np.random.default_rng(0).standard_normal((1, 4096, 1)).astype("float32") / 10
    naive = naive_features(x.astype("float64"), authors_arrays, 6)
    np.testing.assert_allclose(loss.features(x)[5], naive[5], atol=1e-3)
    little, much = x + 1e-3, x + 0.1 * np.sin(np.arange(4096))[None, :, None].astype("float32")
    assert float(loss(x, x)) == 0
    assert 0 < float(loss(x, little)) < float(loss(x, much))
