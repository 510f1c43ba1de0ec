"""From a name or a file into a network; other classes, other channels, other layouts, other architectures."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from timm.models._manipulate import adapt_input_conv
from torch import Tensor

from compoundnet import zoo
from compoundnet.architecture import Architecture
from compoundnet.errors import RequestError
from compoundnet.nn import build
from compoundnet.preprocessing import Preprocessing
from compoundnet.weights import Weights, adapt_input, apply_weights, find, hub, read_weights, timm
from compoundnet.weights.files import LABELS_KEY, PREPROCESSING_KEY
from compoundnet.weights.hub import sha256_of
from compoundnet.weights.timm import from_ours, to_ours

CLASSIFIER = {"classifier.weight", "classifier.bias"}
B0 = zoo.architecture("tf_efficientnet_b0")
# Every kind of block, and small: 0.1 s to build.
TINY = replace(
    zoo.architecture("tf_efficientnetv2_b0"),
    name="tiny",
    classes=7,
    head=32,
    stages=tuple(replace(s, channels=8, repeats=2) for s in zoo.architecture("tf_efficientnetv2_b0").stages[:4])
    + tuple(replace(s, channels=8) for s in B0.stages[:1]),
)


def state_of(arch: Architecture) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in build(arch).state_dict().items()}


@pytest.fixture
def state() -> dict[str, Tensor]:
    return state_of(TINY)


def written(path: Path, state: dict[str, Tensor], metadata: dict[str, str] | None = None) -> Path:
    save_file(state, path, metadata)
    return path


def weights_of(state: dict[str, Tensor]) -> Weights:
    return Weights(state=state, preprocessing=None, labels=None, source="test", sha256="")


@pytest.mark.parametrize("layout", ["ours", "timm"])
def test_both_layouts_give_the_same(tmp_path: Path, state: dict[str, Tensor], layout: str) -> None:
    stored = state if layout == "ours" else from_ours(state, TINY)
    path = written(tmp_path / "w.safetensors", stored)
    weights = read_weights(path, TINY)
    assert weights.state.keys() == state.keys()
    assert all(torch.equal(weights.state[name], state[name]) for name in state)
    assert (weights.source, weights.sha256) == (str(path), sha256_of(path))
    assert (weights.preprocessing, weights.labels) == (None, None)
    model = build(TINY)
    applied = apply_weights(model, weights, strict=True)
    assert (applied.fresh, applied.adapted) == ((), ())
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def test_half_precision_is_widened(tmp_path: Path, state: dict[str, Tensor]) -> None:
    half = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    weights = read_weights(written(tmp_path / "w.safetensors", half), TINY)
    assert {tensor.dtype for name, tensor in weights.state.items() if "num_batches" not in name} == {torch.float32}


def test_what_the_file_says_comes_with_it(tmp_path: Path, state: dict[str, Tensor]) -> None:
    prepared = Preprocessing(resolution=64)
    metadata = {PREPROCESSING_KEY: json.dumps(prepared.to_json()), LABELS_KEY: json.dumps(list("abcdefg"))}
    weights = read_weights(str(written(tmp_path / "w.safetensors", state, metadata)), TINY)
    assert (weights.preprocessing, weights.labels) == (prepared, tuple("abcdefg"))


def test_batch_counts_may_be_absent(tmp_path: Path, state: dict[str, Tensor]) -> None:
    kept = {name: tensor for name, tensor in from_ours(state, TINY).items() if "num_batches" not in name}
    model = build(TINY)
    apply_weights(model, read_weights(written(tmp_path / "w.safetensors", kept), TINY), strict=True)
    assert torch.equal(model.state_dict()["stem.conv.weight"], state["stem.conv.weight"])


def test_other_classes_leave_a_fresh_classifier(tmp_path: Path, state: dict[str, Tensor]) -> None:
    wanted = replace(TINY, classes=3)
    weights = read_weights(written(tmp_path / "w.safetensors", from_ours(state, TINY)), wanted)
    model = build(wanted)
    fresh = model.classifier.weight.clone()
    assert set(apply_weights(model, weights).fresh) == CLASSIFIER
    assert torch.equal(model.classifier.weight, fresh)
    assert torch.equal(model.head.conv.weight, state["head.conv.weight"])
    with pytest.raises(RequestError, match=r"exactly: classifier.weight is \(7, 32\), not \(3, 32\)"):
        apply_weights(model, weights, strict=True)


@pytest.mark.parametrize("layout", ["ours", "timm"])
def test_a_backbone_leaves_a_fresh_classifier(tmp_path: Path, state: dict[str, Tensor], layout: str) -> None:
    stored = state if layout == "ours" else from_ours(state, TINY)
    backbone = {name: tensor for name, tensor in stored.items() if name not in CLASSIFIER}
    model = build(TINY)
    assert (
        set(apply_weights(model, read_weights(written(tmp_path / "w.safetensors", backbone), TINY)).fresh) == CLASSIFIER
    )


def test_half_a_classifier_is_an_error(tmp_path: Path, state: dict[str, Tensor]) -> None:
    del state["classifier.bias"]
    with pytest.raises(RequestError, match=r"1 missing \(classifier.bias\)"):
        read_weights(written(tmp_path / "w.safetensors", state), TINY)


def test_a_model_without_classifier_takes_the_rest(state: dict[str, Tensor]) -> None:
    model = build(TINY)
    model.reset_classifier(0)
    assert apply_weights(model, weights_of(state), strict=True).fresh == ()
    assert torch.equal(model.head.conv.weight, state["head.conv.weight"])


@pytest.mark.parametrize("channels", [1, 2, 4, 6, 13])
def test_other_channels_adapt_the_stem_as_timm_does(tmp_path: Path, state: dict[str, Tensor], channels: int) -> None:
    wanted = replace(TINY, in_channels=channels)
    weights = read_weights(written(tmp_path / "w.safetensors", from_ours(state, TINY)), wanted)
    model = build(wanted)
    assert apply_weights(model, weights).adapted == ("stem.conv.weight",)
    theirs = adapt_input_conv(channels, state["stem.conv.weight"])
    torch.testing.assert_close(model.stem.conv.weight.detach(), theirs)


def test_a_grey_photograph_gives_the_same_as_in_rgb() -> None:
    weight, grey = torch.randn(4, 3, 3, 3), torch.randn(1, 1, 8, 8)
    in_rgb = torch.conv2d(grey.expand(1, 3, 8, 8), weight)
    torch.testing.assert_close(torch.conv2d(grey, adapt_input(weight, 1)), in_rgb)


def test_adapting_keeps_the_size_of_the_sum() -> None:
    weight = torch.ones(2, 3, 3, 3)
    assert [float(adapt_input(weight, n).sum()) for n in (1, 2, 3, 5)] == [pytest.approx(54)] * 4


@pytest.mark.parametrize("layout", ["ours", "timm"])
@pytest.mark.parametrize("prefix", ["tf_", ""])
def test_another_architecture_is_recognised(tmp_path: Path, layout: str, prefix: str) -> None:
    other = zoo.architecture("tf_efficientnet_b1")
    stored = state_of(other) if layout == "ours" else from_ours(state_of(other), other)
    path = written(tmp_path / "w.safetensors", stored)
    message = (
        r"does not fit \w*_b0: \d+ unexpected .*, and \d+ more\).*looks like efficientnet_b1 or tf_efficientnet_b1"
    )
    with pytest.raises(RequestError, match=message) as caught:
        read_weights(path, zoo.architecture(f"{prefix}efficientnet_b0"))
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 700 + len(str(path))


def test_a_missing_and_a_misshapen_tensor_are_named(state: dict[str, Tensor]) -> None:
    theirs = from_ours(state, TINY)
    del theirs["bn1.running_mean"]
    theirs["conv_head.weight"] = torch.zeros(5, 8, 1, 1)
    message = (
        r"1 missing \(bn1.running_mean\), 1 wrong shape \(conv_head.weight is \(5, 8, 1, 1\), not \(32, 8, 1, 1\)\)"
    )
    with pytest.raises(RequestError, match=message):
        to_ours(theirs, TINY)


def test_a_block_that_timm_has_no_names_for(state: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timm, "_BLOCKS", {})
    with pytest.raises(RequestError, match="timm's layout is not known for FusedMBConv; use a file in compoundnet's"):
        from_ours(state, TINY)


def test_an_unknown_layout_shows_its_names(tmp_path: Path) -> None:
    path = written(tmp_path / "w.safetensors", {"features.0.0.weight": torch.zeros(2, 2)})
    with pytest.raises(RequestError, match=r"no layout known here: it has features\.0\.0\.weight, but no stem"):
        read_weights(path, TINY)
    with pytest.raises(RequestError, match="it has nothing"):
        read_weights(written(tmp_path / "w.safetensors", {}), TINY)


@pytest.mark.parametrize("shape", [(), (2,), (0, 8), (8, 0, 3, 3)])
def test_a_nonsensical_stem_or_classifier(tmp_path: Path, state: dict[str, Tensor], shape: tuple[int, ...]) -> None:
    state["stem.conv.weight"] = state["classifier.weight"] = torch.zeros(shape)
    with pytest.raises(RequestError, match="2 wrong shape"):
        read_weights(written(tmp_path / "w.safetensors", {n: t.clone() for n, t in state.items()}), TINY)


def test_the_wrong_network_is_left_unchanged(state: dict[str, Tensor]) -> None:
    model = build(replace(TINY, head=40))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(RequestError, match=r"test does not fit tiny: .* wrong shape"):
        apply_weights(model, weights_of(state))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_reading_uses_up_no_random_numbers(tmp_path: Path, state: dict[str, Tensor]) -> None:
    path = written(tmp_path / "w.safetensors", from_ours(state, TINY))
    before = torch.get_rng_state()
    read_weights(path, TINY)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.fixture(scope="module")
def b0_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("hub") / "b0.safetensors", from_ours(state_of(B0), B0))


@pytest.fixture
def fetched(b0_file: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """A hub on which every repository holds B0 in timm's layout; gives what was asked for."""
    asked: list[tuple[str, ...]] = []

    def fetch(*what: str) -> Path:
        asked.append(what)
        return b0_file

    monkeypatch.setattr(hub, "fetch", fetch)
    return asked


@pytest.mark.parametrize(
    ("source", "tag"),
    [("imagenet", "ns_jft_in1k"), ("ap", "ap_in1k"), ("in1k", "in1k"), ("timm/tf_efficientnet_b0.aa_in1k", "aa_in1k")],
)
def test_names_go_to_the_hub_and_bring_their_preprocessing(
    fetched: list[tuple[str, ...]], source: str, tag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("imagenet").mkdir()  # a tag comes before a folder of that name
    weights, record = read_weights(source, B0), find(B0.name, tag)
    assert fetched == [(record.repository, "model.safetensors")]
    assert (weights.source, weights.preprocessing) == (record.repository, record.preprocessing)


def test_a_hub_id_that_is_not_published_here(fetched: list[tuple[str, ...]]) -> None:
    weights = read_weights("someone/pets", B0)
    assert fetched == [("someone/pets",)]
    assert (weights.source, weights.preprocessing) == ("someone/pets", None)


def test_weights_for_the_other_padding_are_refused(fetched: list[tuple[str, ...]]) -> None:
    with pytest.raises(
        RequestError, match=r"needs the padding and norm of tf_efficientnet_b0; efficientnet_b0 has other"
    ):
        read_weights("timm/tf_efficientnet_b0.aa_in1k", zoo.architecture("efficientnet_b0"))
    assert fetched == []


@pytest.mark.parametrize("source", ["nosuch", "imagenet"])
def test_a_name_that_is_nothing(source: str) -> None:
    with pytest.raises(RequestError, match="no weights are published for 'tiny'"):
        read_weights(source, TINY)


def test_a_tag_that_is_nothing_lists_those_there_are() -> None:
    with pytest.raises(RequestError, match="no weights 'advprop' for tf_efficientnet_b0; there are: imagenet"):
        read_weights("advprop", B0)


def test_a_path_that_is_not_there() -> None:
    with pytest.raises(RequestError, match=r"cannot read weights none/w\.safetensors: No such file"):
        read_weights("none/w.safetensors", B0)
