"""The Keras model is our network: same numbers for any architecture, with the habits of keras.applications."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from compoundnet.architecture import Architecture
from compoundnet.cost import cost
from compoundnet.errors import RequestError
from compoundnet.keras import build, from_keras
from compoundnet.keras.library import keras
from compoundnet.keras_names import block_prefix
from compoundnet.preprocessing import Preprocessing
from compoundnet.zoo import architecture, list_architectures, preprocessing
from keras_models.reference import images_for, relative, settled
from strategies import architectures

# Keras turns torch's tensors into arrays by a call that NumPy 2 would like to have another argument.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

TINY = architecture("mbconv_tiny")
V2_B0, V2_S = architecture("tf_efficientnetv2_b0"), architecture("tf_efficientnetv2_s")
RESNET = replace(architecture("resnet50"), name="short", stem=8, stages=architecture("resnet50").stages[:1])


def run(model: Any, images: torch.Tensor | np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Images N H W C, or a tensor N C H W."""
    if isinstance(images, torch.Tensor):
        images = images.permute(0, 2, 3, 1).numpy()
    found: np.ndarray[Any, Any] = keras.ops.convert_to_numpy(model(images, training=False))
    return found


@settings(max_examples=25)
@given(arch=architectures())
def test_any_architecture_gives_what_torch_gives(arch: Architecture) -> None:
    network, images = settled(arch), images_for(arch, arch.resolution, n=2)
    try:
        model = build(arch, classifier_activation=None, weights=network.state_dict())
    except RequestError as error:
        assert "squares needs a map" in str(error)  # a mean over 3 x 3 on a shortcut, which no network has
        return
    with torch.no_grad():
        wanted = network(images)
    assert relative(run(model, images), wanted) < 1e-4
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == cost(arch).params


@pytest.mark.parametrize("arch", [TINY, replace(TINY, padding="same"), RESNET], ids=lambda arch: arch.padding)
def test_a_side_that_is_not_known_is_padded_by_what_it_is(arch: Architecture) -> None:
    network = settled(arch)
    shape = (None, None, arch.in_channels)
    model = build(arch, classifier_activation=None, weights=network.state_dict(), input_shape=shape)
    for side in (16, 17, 18, 23):
        images = images_for(arch, side, n=1)
        with torch.no_grad():
            assert relative(run(model, images), network(images)) < 1e-4


@pytest.mark.parametrize("side", [6, 7])
def test_the_pooling_of_the_stem_pads_with_what_is_never_the_largest(side: int) -> None:
    arch = replace(RESNET, activation="hardswish")  # whose values may all be below zero
    network = settled(arch)
    torch.nn.init.constant_(network.stem.norm.bias, -1.0)
    images = images_for(arch, side, n=1)
    model = build(arch, classifier_activation=None, weights=network.state_dict(), input_shape=(side, side, 3))
    with torch.no_grad():
        assert relative(run(model, images), network(images)) < 1e-4


@pytest.mark.parametrize("name", ["efficientnet_x_b0", "mobilenetv3_large_100", "tf_efficientnet_lite0", "tinynet_e"])
def test_other_families_have_the_parameters_that_they_cost(name: str) -> None:
    arch = architecture(name)
    assert sum(int(np.prod(v.shape)) for v in build(arch).trainable_variables) == cost(arch).params


@pytest.mark.slow
def test_every_network_of_the_zoo_is_built_or_refused_for_its_blocks() -> None:
    for name in list_architectures():
        whole = architecture(name)
        # Narrow and shallow: what is left are kinds of blocks and their fields.
        stages = tuple(replace(s, channels=32 if s.folded else 8, repeats=min(2, s.repeats)) for s in whole.stages)
        arch = replace(whole, stages=stages, stem=8, resolution=33, head=whole.head and 8, hidden=whole.hidden and 8)
        network, images = settled(arch), images_for(arch, 33, n=1)
        try:
            model = build(arch, classifier_activation=None, weights=network.state_dict())
        except RequestError as error:
            assert "CondMBConv; Keras models are made of" in str(error)
            continue
        with torch.no_grad():
            assert relative(run(model, images), network(images)) < 1e-4, name


def test_without_top_it_is_the_features_pooled_as_asked() -> None:
    network, images = settled(TINY), images_for(TINY, 16, n=2)
    with torch.no_grad():
        maps = network.forward_features(images)
    wanted = {None: maps.permute(0, 2, 3, 1), "avg": maps.mean((2, 3)), "max": maps.amax((2, 3))}
    for pooling, features in wanted.items():
        model = build(TINY, include_top=False, pooling=pooling, weights=network.state_dict())
        assert relative(run(model, images), features) < 1e-4


def test_classes_and_the_last_activation_are_as_asked() -> None:
    images = images_for(TINY, 16, n=2)
    model = build(TINY, classes=7, name="seven")
    assert model.name == "seven"
    assert model.get_layer("predictions").units == 7
    np.testing.assert_allclose(run(model, images).sum(axis=1), 1, rtol=1e-5)
    logits = build(TINY, classes=7, classifier_activation=None, weights=from_keras(model, TINY))
    np.testing.assert_allclose(
        run(model, images), torch.softmax(torch.tensor(run(logits, images)), 1).numpy(), rtol=1e-4
    )


def test_channels_of_the_input_shape_are_the_networks() -> None:
    model = build(TINY, input_shape=(20, 24, 1))
    assert model.input_shape == (None, 20, 24, 1)
    assert from_keras(model, TINY)["stem.conv.weight"].shape == (16, 1, 3, 3)


def test_it_takes_channels_last_whatever_keras_prefers() -> None:
    images = images_for(TINY, 16, n=1)
    network = settled(TINY)
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    try:
        model = build(TINY, classifier_activation=None, weights=network.state_dict())
        with torch.no_grad():
            assert relative(run(model, images), network(images)) < 1e-4
    finally:
        keras.config.set_image_data_format(before)


def test_a_slash_in_a_name_is_no_error() -> None:
    assert build(replace(TINY, name="mine/tiny")).name == "mine_tiny"


@pytest.mark.parametrize(
    ("arch", "given", "centre"),
    [
        (replace(TINY, padding="same"), None, None),
        (TINY, Preprocessing(resolution=16, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)), None),
        (replace(V2_B0, resolution=32, stages=V2_B0.stages[:3]), None, None),
        (replace(V2_S, resolution=32, stages=V2_S.stages[:3]), None, 128.0),  # Keras' own: x / 128 - 1
    ],
    ids=["variables", "one_scale", "constants", "published_one_scale"],
)
def test_preprocessing_is_in_the_model_only_if_asked(
    arch: Architecture, given: Preprocessing | None, centre: float | None
) -> None:
    network = settled(arch)
    pixels = np.random.default_rng(0).integers(0, 256, (2, arch.resolution, arch.resolution, 3)).astype(np.float32)
    used = given or preprocessing(arch)
    normalised = ((pixels / 255 - np.array(used.mean)) / np.array(used.std)).astype(np.float32)
    if centre is not None:
        normalised = pixels / np.float32(centre) - 1
    plain = build(arch, classifier_activation=None, weights=network.state_dict())
    within = build(arch, classifier_activation=None, weights=network.state_dict(), include_preprocessing=given or True)
    assert relative(run(within, pixels), run(plain, normalised)) < 1e-4
    assert "rescaling" in {layer.name for layer in within.layers} - {layer.name for layer in plain.layers}


def test_kernels_start_as_in_the_paper_each_with_its_own_draw() -> None:
    keras.utils.set_random_seed(0)
    arch = architecture("tf_efficientnet_b0")
    state = from_keras(build(arch), arch)
    depthwise = state["stages.5.1.depthwise.conv.weight"]  # 5 x 5, of 1152 channels
    assert depthwise.std() == pytest.approx((2 / 25) ** 0.5, rel=0.03)
    assert depthwise.abs().max() > 2.5 * depthwise.std()  # a truncated normal ends at 2 of its own deviations
    assert state["head.conv.weight"].std() == pytest.approx((2 / 1280) ** 0.5, rel=0.01)
    assert state["stages.5.1.squeeze_excite.reduce.weight"].std() == pytest.approx((2 / 48) ** 0.5, rel=0.03)
    bound = arch.classes**-0.5
    assert 0.99 * bound < state["classifier.weight"].abs().max() <= bound
    assert not torch.equal(state["stages.5.1.expand.conv.weight"], state["stages.5.2.expand.conv.weight"])


def test_stochastic_depth_drops_whole_samples_and_scales_the_others() -> None:
    arch = replace(TINY, drop_path=0.5)
    model = build(arch)
    layers = {layer.name: layer for layer in model.layers}
    drops = [name for name in layers if name.endswith("_drop")]
    rates = arch.drop_path_rates()
    assert [layers[name].rate for name in drops] == [rates[0 + 2], rates[2 + 2]]  # the second blocks alone add
    ones = np.ones((64, 3, 3, 2), np.float32)
    keras.utils.set_random_seed(1)
    layer = keras.layers.Dropout(0.25, noise_shape=layers[drops[0]].noise_shape)
    dropped = keras.ops.convert_to_numpy(layer(ones, training=True))
    values = np.unique(dropped.reshape(64, -1), axis=1)
    assert values.shape == (64, 1)
    assert np.unique(values) == pytest.approx([0, 1 / 0.75])


def test_dropout_and_stochastic_depth_follow_keras_seed() -> None:
    arch = replace(TINY, drop_path=0.5, dropout=0.5)
    images, outputs = images_for(TINY, 16, n=8).permute(0, 2, 3, 1).numpy(), []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        outputs.append(keras.ops.convert_to_numpy(build(arch)(images, training=True)))
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert not np.array_equal(outputs[0], outputs[2])


def test_a_saved_model_opens_without_this_package(tmp_path: Any) -> None:
    model = build(TINY, include_preprocessing=True)
    model.save(tmp_path / "tiny.keras")
    code = (
        "import sys, numpy as np, keras; m = keras.models.load_model(sys.argv[1]); "
        "print(float(m(np.full((1, 16, 16, 3), 100.0, 'float32'))[0, 3])); "
        "assert not [n for n in sys.modules if n.startswith('compoundnet')]"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "tiny.keras")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    found = run(model, np.full((1, 16, 16, 3), 100.0, np.float32))[0, 3]
    assert float(done.stdout.split()[-1]) == pytest.approx(float(found), rel=1e-5)


def test_blocks_beyond_z_have_two_letters() -> None:
    names = [block_prefix(1, j) for j in range(60)]
    assert (names[0], names[25], names[26], names[27], names[52]) == (
        "block2a_", "block2z_", "block2aa_", "block2ab_", "block2ba_"
    )  # fmt: skip
    assert len(set(names)) == 60


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: build("efficientnet_b0"), "takes an Architecture, not 'efficientnet_b0'"),  # type: ignore[arg-type]
        (lambda: build(TINY, include_top=False, pooling="mean"), "unknown pooling 'mean'"),
        (lambda: build(TINY, pooling="avg"), "give include_top=False"),
        (lambda: build(TINY, include_top=False, classes=3), "classes is 3, but include_top=False"),
        (lambda: build(TINY, classes=0), "classes is 0; it must be a positive integer"),
        (lambda: build(TINY, classifier_activation="sofmax"), "classifier_activation is 'sofmax'"),
        (lambda: build(TINY, input_shape=(16, 16)), "input_shape is (16, 16); it must be (height, width, channels)"),  # type: ignore[arg-type]
        (lambda: build(TINY, input_shape=(16, 0, 3)), "input_shape's width is 0"),
        (lambda: build(TINY, input_shape=(16, 16, None)), "input_shape's channels is None"),  # type: ignore[arg-type]
        (
            lambda: build(TINY, include_preprocessing=True, input_shape=(16, 16, 1)),
            "the network takes 1 and mbconv_tiny was published with those of RGB",
        ),
    ],
)
def test_a_wrong_request_is_one_clear_line(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(RequestError) as caught:
        make()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("keras", "needs the package keras; it is not installed: pip install 'compoundnet[keras]'"),
        ("tensorflow", "needs the package tensorflow, which Keras' backend computes with"),
    ],
)
def test_what_is_not_installed_is_named_with_the_extra(missing: str, said: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; import compoundnet.keras"
    environment = {"KERAS_BACKEND": "tensorflow" if missing == "tensorflow" else "torch", "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("compoundnet.errors.RequestError: compoundnet.keras " + said)


def test_v2_s_takes_pixels_as_keras_applications_does() -> None:
    """x / 128 - 1 (keras 3.15 ``efficientnet_v2.py``), where timm has x / 127.5 - 1."""
    model = build(architecture("tf_efficientnetv2_s"), include_preprocessing=True, include_top=False)
    layer = model.get_layer("rescaling")
    assert (layer.scale, layer.offset) == (1 / 128, -1.0)
