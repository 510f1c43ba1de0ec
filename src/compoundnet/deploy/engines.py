"""What can run a network, and how each is set up: a function an engine, all giving a call that runs one batch."""

import importlib
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
from torch import Tensor

from compoundnet.architecture import Architecture
from compoundnet.deploy.onnx_graph import INPUT, onnx_model
from compoundnet.errors import FailureError, RequestError
from compoundnet.nn import Network, build, folded
from compoundnet.scaling.latency import Setting

__all__ = ["ENGINES", "Run", "check_runnable", "prepare", "prepared", "torch_threads", "versions"]

Run: TypeAlias = Callable[[], Any]
"""Runs one batch and returns its logits (N, classes), a tensor or a NumPy array, once they are there."""

_PACKAGES = {"onnxruntime": ("onnxruntime", "onnx"), "openvino": ("openvino", "onnx")}  # what torch does not bring


def prepare(arch: Architecture, setting: Setting) -> Run:
    """A call that runs the freshly initialised network of ``arch`` on one batch of noise; always the same numbers.

    Raises:
        RequestError: a package of the engine is not installed, or there is no such device.
        FailureError: the engine cannot run the network.
    """
    with _failing(arch.name, setting), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build(arch)
        images = torch.randn(setting.batch_size, arch.in_channels, arch.resolution, arch.resolution)
    return prepared(network, images, setting)


def prepared(network: Network, images: Tensor, setting: Setting) -> Run:
    """A call that runs ``network`` in evaluation, norms folded, on ``images`` (N, C, H, W), a CPU tensor.

    The engines of torch take their number of threads from the process: call it inside :func:`torch_threads`.
    Errors as :func:`prepare`.
    """
    check_runnable(setting)
    with _failing(network.architecture.name, setting):
        run = ENGINES[setting.engine](network, images, setting)
        run()
    return run


@contextmanager
def _failing(name: str, setting: Setting) -> Iterator[None]:
    """FailureError in one line where an engine, or torch's memory, does not do what is asked for inside."""
    try:
        yield
    except Exception as error:
        if not (isinstance(error, RuntimeError) or type(error).__module__.startswith("onnxruntime")):
            raise  # not an engine's; torch, its compiler and OpenVINO raise RuntimeErrors
        raise FailureError(f"{setting.engine} cannot run {name}: {_first_line(error)}") from error


def check_runnable(setting: Setting) -> None:
    """RequestError: a package of the engine is not installed, or there is no such device."""
    for package in _PACKAGES.get(setting.engine, ()):
        _imported(package, setting)
    if setting.device == "cuda" and not torch.cuda.is_available():
        raise RequestError("device 'cuda' cannot be used: torch finds no CUDA device; try cpu")


@contextmanager
def torch_threads(setting: Setting) -> Iterator[None]:
    """Torch computes on as many threads as the setting says, inside."""
    before = torch.get_num_threads()
    torch.set_num_threads(setting.threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def versions(setting: Setting) -> dict[str, str]:
    """Versions of torch and of what else the engine needs."""
    others = {name: str(_imported(name, setting).__version__) for name in _PACKAGES.get(setting.engine, ())}
    return {"torch": str(torch.__version__), **others}


def _imported(package: str, setting: Setting) -> types.ModuleType:
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise RequestError(
            f"engine {setting.engine!r} needs the package {package}, which is not installed: "
            "pip install 'compoundnet[deploy]'"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _eager(network: Network, images: Tensor, setting: Setting) -> Run:
    fast, x = _placed(network, images, setting)
    return _waiting(lambda: fast(x), setting)


def _compiled(network: Network, images: Tensor, setting: Setting) -> Run:
    fast, x = _placed(network, images, setting)

    def forward(x: Tensor) -> Any:
        return fast(x)

    # The compiler keeps its results by code object and gives up after eight of one: each network gets its own.
    own = types.FunctionType(forward.__code__.replace(), forward.__globals__, closure=forward.__closure__)
    fused = torch.compile(own, dynamic=False)
    return _waiting(lambda: fused(x), setting)


def _placed(network: Network, images: Tensor, setting: Setting) -> tuple[Network, Tensor]:
    """Both on the device, channels last."""
    fast = folded(network).to(memory_format=torch.channels_last).to(setting.device)
    return fast, images.to(memory_format=torch.channels_last).to(setting.device)


def _waiting(run: Run, setting: Setting) -> Run:
    """The call without gradients; on a GPU it returns when the GPU is done."""
    without_gradients: Run = torch.inference_mode()(run)
    if setting.device == "cpu":
        return without_gradients

    def done() -> Any:
        y = without_gradients()
        end = torch.cuda.Event()  # type: ignore[no-untyped-call]
        end.record()
        end.synchronize()
        return y

    return done


def _onnxruntime(network: Network, images: Tensor, setting: Setting) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = setting.threads
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # leaves the cores to others
    graph = onnx_model(network, len(images)).SerializeToString()
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    feed = {INPUT: images.numpy()}
    return lambda: session.run(None, feed)[0]


def _openvino(network: Network, images: Tensor, setting: Setting) -> Run:
    import openvino

    core = openvino.Core()
    hints = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": setting.threads,
        "INFERENCE_PRECISION_HINT": "f32",  # the same numbers everywhere; bf16 where the processor has it is faster
    }
    model = core.read_model(onnx_model(network, len(images)).SerializeToString())
    request = core.compile_model(model, "CPU", hints).create_infer_request()
    batch = images.numpy()
    return lambda: request.infer([batch], share_inputs=True)[0]


ENGINES: Mapping[str, Callable[[Network, Tensor, Setting], Run]] = {
    "eager": _eager,
    "compiled": _compiled,
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
}
"""How each engine runs a network on images."""
