"""Engines give torch's numbers, and say in one line what they lack."""

import sys
from dataclasses import replace
from functools import partial
from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings

import compoundnet as cn
from compoundnet.architecture import (
    Architecture,
    BasicBlock,
    Bottleneck,
    DepthwiseSeparable,
    FusedMBConv,
    MBConv,
    Stage,
)
from compoundnet.deploy import engines
from compoundnet.deploy.engines import ENGINES, prepare, prepared, torch_threads, versions
from compoundnet.deploy.onnx_graph import onnx_model
from compoundnet.errors import FailureError, RequestError
from compoundnet.nn import Network, build
from compoundnet.scaling.latency import Engine, Setting
from strategies import architectures

INTERPRETED: tuple[Engine, ...] = ("eager", "onnxruntime", "openvino")  # no minute of compiling
BLOCKS = (
    MBConv(kernel=5, expansion=3),
    MBConv(kernel=3, expansion=1, se_ratio=0),
    FusedMBConv(kernel=3, expansion=2),
    FusedMBConv(kernel=3, expansion=1),
    DepthwiseSeparable(kernel=3),
    BasicBlock(),
    Bottleneck(),
    MBConv(kernel=3, expansion=2.3, squeeze="mobilenetv3", activation="relu"),
    FusedMBConv(kernel=3, expansion=2, se_ratio=0.25, counts_from="output"),
    MBConv(kernel=2, expansion=1, activation="relu6"),
    Bottleneck(se_ratio=0.25, pool_shortcut=True),
)
FOLDED = Stage(block=MBConv(kernel=2, expansion=2, space_to_depth=True), channels=32, repeats=2, stride=2)


def every_block(**changes: Any) -> Architecture:
    """Each kind of block, with a stride and without."""
    stages = tuple(Stage(block=b, channels=8 + 4 * i, repeats=2, stride=1 + i % 2) for i, b in enumerate(BLOCKS))
    stages = (FOLDED, replace(stages[3], block=FusedMBConv(kernel=3, expansion=2, counts_from="folded")), *stages)
    arch = Architecture(name="every", resolution=45, stem=8, stages=stages, head=24, hidden=20, classes=7)
    return replace(arch, **changes)


def smallest(channels: int) -> Architecture:
    """One convolution besides the stem: compiled soonest."""
    block = FusedMBConv(kernel=1, expansion=1)
    stage = Stage(block=block, channels=channels, repeats=1, stride=1)
    return Architecture(name="smallest", resolution=16, stem=channels, stages=(stage,), head=None, classes=3)


def lively(arch: Architecture) -> Network:
    """A network whose norms and biases matter."""
    torch.manual_seed(0)
    network = build(arch)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and tensor.ndim == 1:
            torch.nn.init.uniform_(tensor, 0.5 if name.endswith(("weight", "var")) else -0.5, 1.5)
    return network.eval()


def agree(arch: Architecture, setting: Setting) -> None:
    """The engine's logits are torch's."""
    network = lively(arch)
    images = torch.randn(setting.batch_size, arch.in_channels, arch.resolution, arch.resolution)
    with torch.inference_mode():
        expected = network(images).numpy()
    found = np.asarray(prepared(network, images, setting)())
    assert found.shape == (setting.batch_size, arch.classes)
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-4 * np.abs(expected).max())


@pytest.mark.parametrize("engine", INTERPRETED)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"padding": "symmetric", "activation": "relu"},
        {"activation": "relu6", "stem_pool": True, "stem_kernel": 7, "head": None},
        {"activation": "relu", "stem_pool": "conv", "stem_deep": (5, 6), "padding": "symmetric"},
        {"stem_pool": "conv", "stem_deep": (5,), "resolution": 90},
        {"activation": "hardswish", "in_channels": 1, "resolution": 32},
    ],
    ids=str,
)
def test_every_kind_of_layer_gives_torchs_numbers(engine: Engine, changes: dict[str, Any]) -> None:
    agree(every_block(**changes), Setting(engine=engine, batch_size=2))


@given(architectures())
@settings(max_examples=12, deadline=None)
def test_the_onnx_graph_of_any_network_gives_torchs_numbers(arch: Architecture) -> None:
    agree(arch, Setting(engine="onnxruntime"))


def test_mixed_kernels_are_refused_in_one_line() -> None:
    network = build(replace(cn.architecture("efficientnet_cc_b0_4e"), resolution=32))
    with pytest.raises(RequestError, match=r"efficientnet_cc_b0_4e is not written as an ONNX graph, .*engine eager"):
        onnx_model(network)


@pytest.mark.slow
def test_compiled_networks_give_torchs_numbers() -> None:
    agree(smallest(8), Setting(engine="compiled"))


@pytest.mark.slow
def test_many_networks_are_compiled_each_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler keeps eight results of one code object, and from then on runs the network as it is."""
    import torch._dynamo
    import torch._dynamo.config

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager", fullgraph=True))
    with torch._dynamo.config.patch(recompile_limit=1, fail_on_recompile_limit_hit=True):
        for channels in (8, 16):
            agree(smallest(channels), Setting(engine="compiled"))


def test_the_onnx_graph_is_valid_and_names_its_ends() -> None:
    import onnx

    model = onnx_model(build(every_block()), batch_size=3)
    onnx.checker.check_model(model, full_check=True)
    ends = [
        (value.name, [d.dim_value for d in value.type.tensor_type.shape.dim])
        for value in (*model.graph.input, *model.graph.output)
    ]
    assert ends == [("images", [3, 3, 45, 45]), ("logits", [3, 7])]


def test_there_is_an_engine_for_every_setting() -> None:
    assert set(ENGINES) == set(get_args(Engine))


@pytest.mark.parametrize("engine", INTERPRETED)
def test_prepared_calls_are_repeatable(engine: Engine) -> None:
    arch = cn.architecture("mbconv_tiny")
    before = torch.random.get_rng_state()
    first, second = (np.asarray(prepare(arch, Setting(engine=engine))()) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(("engine", "package"), [("onnxruntime", "onnxruntime"), ("openvino", "openvino")])
def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, engine: Engine, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(RequestError, match=rf"engine '{engine}' needs the package {package}.*compoundnet\[deploy\]"):
        prepare(cn.architecture("mbconv_tiny"), Setting(engine=engine))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_named() -> None:
    with pytest.raises(RequestError, match="'cuda' cannot be used"):
        prepare(cn.architecture("mbconv_tiny"), Setting(device="cuda"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_cpus_numbers() -> None:
    agree_on_gpu = Setting(device="cuda", batch_size=2)
    arch = every_block()
    found = prepare(arch, agree_on_gpu)().cpu().numpy()
    expected = prepare(arch, Setting(batch_size=2))().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-2 * np.abs(expected).max())


def test_what_an_engine_cannot_run_fails_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: object) -> Any:
        raise RuntimeError("no kernel for this\nand a long trace")

    monkeypatch.setitem(engines.ENGINES, "eager", broken)  # type: ignore[arg-type]
    with pytest.raises(FailureError, match=r"^eager cannot run mbconv_tiny: no kernel for this$"):
        prepare(cn.architecture("mbconv_tiny"), Setting())


def test_a_batch_that_memory_does_not_hold_fails_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*shape: int) -> Any:
        raise RuntimeError(f"can't allocate memory for {shape[0]} images\nand a long trace")

    monkeypatch.setattr(torch, "randn", full)
    with pytest.raises(FailureError, match=r"^eager cannot run mbconv_tiny: can't allocate memory for 1024 images$"):
        prepare(cn.architecture("mbconv_tiny"), Setting(batch_size=1024))


def test_errors_of_onnxruntime_fail_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "onnx_model", lambda network, batch_size: Junk())
    with pytest.raises(FailureError, match=r"^onnxruntime cannot run mbconv_tiny: .*protobuf"):
        prepare(cn.architecture("mbconv_tiny"), Setting(engine="onnxruntime"))


class Junk:
    def SerializeToString(self) -> bytes:
        return b"junk"


def test_mistakes_of_ours_are_not_dressed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: object) -> Any:
        raise KeyError("a kind of module without a row")

    monkeypatch.setitem(engines.ENGINES, "eager", broken)  # type: ignore[arg-type]
    with pytest.raises(KeyError):
        prepare(cn.architecture("mbconv_tiny"), Setting())


def test_threads_are_set_and_put_back() -> None:
    before = torch.get_num_threads()
    with torch_threads(Setting(threads=before + 1)):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_versions_name_the_engines_packages() -> None:
    assert set(versions(Setting())) == {"torch"}
    assert set(versions(Setting(engine="openvino"))) == {"torch", "openvino", "onnx"}
