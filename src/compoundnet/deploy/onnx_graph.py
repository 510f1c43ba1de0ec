"""A network as an ONNX graph, written straight from its modules: milliseconds, where tracing it takes seconds."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from compoundnet.errors import RequestError
from compoundnet.nn import Network, folded
from compoundnet.nn.blocks import BlockModule
from compoundnet.nn.layers import Conv, ConvNormAct, LinearAct, SqueezeExcite, StochasticDepth
from compoundnet.nn.mixed import MixedModule
from compoundnet.nn.residual import ResidualModule

if TYPE_CHECKING:
    import onnx

__all__ = ["INPUT", "OUTPUT", "onnx_model"]

INPUT, OUTPUT = "images", "logits"
_OPSET, _IR_VERSION = 18, 10  # what engines since 2024 read

_Flow = tuple[str, int]  # what goes from part to part: its name, and its side, which decides the padding


def onnx_model(network: Network, batch_size: int = 1) -> "onnx.ModelProto":
    """The network in evaluation, norms folded: ``images`` (N, C, H, W) -> ``logits`` (N, classes), float32.

    N is ``batch_size`` and H, W the architecture's resolution; both are fixed. Needs the package ``onnx``.

    Raises:
        RequestError: a network with mixed kernels: engines want them constant, and these are each image's own.
    """
    from onnx import TensorProto, helper

    arch = network.architecture
    if any(isinstance(module, MixedModule) for module in network.modules()):
        raise RequestError(
            f"{arch.name} is not written as an ONNX graph, whose engines want constant kernels: its CondMBConv blocks "
            "mix one for each image; "
            "run it with torch (engine eager or compiled), or take a network without them"
        )
    fast = folded(network)
    graph = _Graph()
    x, _ = graph.chain((fast.stem, fast.stem_deep, fast.pool, fast.stages, fast.head), (INPUT, arch.resolution))
    pooled = graph.node("Flatten", graph.node("GlobalAveragePool", x))
    pooled, _ = graph.chain((fast.hidden,), (pooled, 1))
    assert isinstance(fast.classifier, nn.Linear)
    graph.node("Gemm", pooled, *graph.constants_of(fast.classifier), output=OUTPUT, transB=1)
    shape = [batch_size, arch.in_channels, arch.resolution, arch.resolution]
    inputs = [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, shape)]
    outputs = [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [batch_size, arch.classes])]
    whole = helper.make_graph(graph.nodes, arch.name, inputs, outputs, graph.constants)
    return helper.make_model(whole, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)


class _Graph:
    """Nodes and constants so far."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def node(self, op: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Append a node; the name of its output."""
        from onnx import helper

        output = output or f"{op}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def constant(self, tensor: Tensor) -> str:
        """Keep a tensor; its name."""
        from onnx import numpy_helper

        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(tensor.detach().cpu().contiguous().numpy(), name))
        return name

    def constants_of(self, layer: nn.Conv2d | nn.Linear) -> list[str]:
        """Weight and, where there is one, bias."""
        return [self.constant(t) for t in (layer.weight, layer.bias) if t is not None]

    def chain(self, parts: Iterable[nn.Module], x: _Flow) -> _Flow:
        """The modules one after another. KeyError: a kind without a row in ``_EMIT``."""
        for part in parts:
            x = _EMIT[type(part)](self, part, x)
        return x


def _conv(graph: _Graph, conv: nn.Conv2d, x: _Flow) -> _Flow:
    name, side = x
    k, s = conv.kernel_size[0], conv.stride[0]
    out = -(-side // s)
    before = after = k // 2
    if isinstance(conv, Conv) and conv.pads_by_size:
        total = max((out - 1) * s + k - side, 0)
        before, after = total // 2, total - total // 2
    y = graph.node(
        "Conv", name, *graph.constants_of(conv),
        kernel_shape=[k, k], strides=[s, s], pads=[before, before, after, after], group=conv.groups,
    )  # fmt: skip
    return y, out


def _conv_norm_act(graph: _Graph, part: ConvNormAct, x: _Flow) -> _Flow:
    return graph.chain((part.act,), _conv(graph, part.conv, x))


def _block(graph: _Graph, block: BlockModule, x: _Flow) -> _Flow:
    y = graph.chain(block, x)
    return (graph.node("Add", x[0], y[0]), y[1]) if block.adds_input else y


def _residual(graph: _Graph, block: ResidualModule, x: _Flow) -> _Flow:
    y, side = graph.chain((getattr(block, name) for name in block.branch), x)
    shortcut, _ = graph.chain((block.shortcut_pool, block.shortcut), x)
    return graph.chain((block.act,), (graph.node("Add", y, shortcut), side))


def _squeeze_excite(graph: _Graph, part: SqueezeExcite, x: _Flow) -> _Flow:
    pooled = graph.node("GlobalAveragePool", x[0])
    reduced = graph.chain((part.act,), _conv(graph, part.reduce, (pooled, 1)))
    gates, _ = graph.chain((part.gate,), _conv(graph, part.expand, reduced))
    return graph.node("Mul", x[0], gates), x[1]


def _linear_act(graph: _Graph, part: LinearAct, x: _Flow) -> _Flow:
    return graph.chain((part.act,), (graph.node("Gemm", x[0], *graph.constants_of(part.linear), transB=1), x[1]))


def _max_pool(graph: _Graph, part: nn.MaxPool2d, x: _Flow) -> _Flow:
    k, s, p = (int(value) for value in (part.kernel_size, part.stride, part.padding))  # type: ignore[arg-type]
    pooled = graph.node("MaxPool", x[0], kernel_shape=[k, k], strides=[s, s], pads=[p, p, p, p])
    return pooled, (x[1] + 2 * p - k) // s + 1


def _mean_pool(graph: _Graph, part: nn.AvgPool2d, x: _Flow) -> _Flow:
    s = int(part.stride)  # type: ignore[arg-type]
    out = -(-x[1] // s)
    after = out * s - x[1]  # the last squares reach beyond the edge, and count only what lies inside
    pooled = graph.node(
        "AveragePool", x[0], kernel_shape=[s, s], strides=[s, s], pads=[0, 0, after, after], count_include_pad=0
    )
    return pooled, out


def _silu(graph: _Graph, part: nn.Module, x: _Flow) -> _Flow:
    return graph.node("Mul", x[0], graph.node("Sigmoid", x[0])), x[1]


def _relu6(graph: _Graph, part: nn.Module, x: _Flow) -> _Flow:
    import torch

    least, most = (graph.constant(torch.tensor(value)) for value in (0.0, 6.0))
    return graph.node("Clip", x[0], least, most), x[1]


_EMIT: dict[type, Callable[[_Graph, Any, _Flow], _Flow]] = {
    nn.Sequential: lambda graph, part, x: graph.chain(part, x),
    ConvNormAct: _conv_norm_act,
    BlockModule: _block,
    ResidualModule: _residual,
    SqueezeExcite: _squeeze_excite,
    LinearAct: _linear_act,
    StochasticDepth: lambda graph, part, x: x,  # drops nothing in evaluation
    nn.Identity: lambda graph, part, x: x,
    nn.MaxPool2d: _max_pool,
    nn.AvgPool2d: _mean_pool,
    nn.SiLU: _silu,
    nn.ReLU: lambda graph, part, x: (graph.node("Relu", x[0]), x[1]),
    nn.ReLU6: _relu6,
    nn.Sigmoid: lambda graph, part, x: (graph.node("Sigmoid", x[0]), x[1]),
    nn.Hardsigmoid: lambda graph, part, x: (graph.node("HardSigmoid", x[0], alpha=1 / 6, beta=0.5), x[1]),
    nn.Hardswish: lambda graph, part, x: (graph.node("HardSwish", x[0]), x[1]),
}
