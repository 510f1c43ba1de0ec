"""AmoebaNet-D: the published sizes exactly, a sequence of cells ready for a pipeline, and what a cell does."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from compoundnet.nn.comparators import amoebanet_d, build_comparator
from compoundnet.nn.comparators.amoebanet import Cell
from compoundnet.zoo.comparators import COMPARATORS, AmoebaNetD

TINY = replace(
    COMPARATORS["amoebanet_d_18_208"], maker=AmoebaNetD(layers=6, filters=32), resolution=64, classes=5, dropout=0.0
)

# Millions of parameters with 1000 classes: torchgpipe 0.0.7's model, counted; (18, 208) to (72, 512) are also those of
# table 1 of the GPipe paper (82M, 318M, 542M, 1.05B, 1.8B) within its rounding and a percent.
MILLIONS = {
    (18, 208): 81.5,
    (18, 256): 122.5,
    (18, 416): 319.0,
    (18, 512): 481.3,
    (18, 544): 542.7,
    (18, 552): 558.7,
    (36, 544): 1055.8,  # torchgpipe prints 1.06 B, GPipe's Table 1 has 1.05 B
    (72, 512): 1844.9,
}


@pytest.mark.parametrize("size", MILLIONS, ids=str)
def test_parameters_are_the_published_ones(size: tuple[int, int]) -> None:
    comparator = COMPARATORS["amoebanet_d_{}_{}".format(*size)]
    with torch.device("meta"):
        network = build_comparator(comparator)
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 1) == MILLIONS[size]


@pytest.mark.parametrize(("layers", "parts"), [(18, 24), (36, 42), (72, 78)])
def test_a_sequence_for_a_pipeline(layers: int, parts: int) -> None:
    """24 for (18, D): a stem, two reductions, three groups of six cells with a reduction between two, the rest."""
    with torch.device("meta"):
        network = build_comparator(replace(TINY, maker=AmoebaNetD(layers=layers, filters=208)))
    sequence = network.as_sequence()
    assert len(sequence) == parts
    cells = [part for part in sequence if isinstance(part, Cell)]
    strides = [cell.kind.stride for cell in cells]
    group = [1] * (layers // 3)
    assert strides == [2, 2, *group, 2, *group, 2, *group]
    assert {*sequence.parameters()} == {*network.parameters()}


def test_the_sequence_is_the_whole() -> None:
    torch.manual_seed(0)
    network = build_comparator(TINY)
    x = torch.randn(2, 3, 64, 64)
    network.train()(x)  # statistics for the norms
    network.eval()
    sequence, y = network.as_sequence(), x
    for part in sequence:
        y = part(y)
    assert torch.equal(y, network(x))
    assert torch.equal(sequence(x), network(x))


def test_gradients_pass_through_parts_that_lie_on_their_own() -> None:
    """As a pipeline does it: two halves, each with its own graph, the tuple between them cut and joined again."""
    torch.manual_seed(0)
    network = build_comparator(TINY)
    x = torch.randn(4, 3, 64, 64)
    network(x).square().sum().backward()
    expected = [p.grad.clone() for p in network.parameters() if p.grad is not None]
    network.zero_grad()
    sequence = network.as_sequence()
    first, second = sequence[:5], sequence[5:]
    between = first(x)
    cut = tuple(t.detach().requires_grad_() for t in between)
    second(cut).square().sum().backward()
    torch.autograd.backward(between, [t.grad for t in cut])
    found = [p.grad for p in network.parameters() if p.grad is not None]
    assert len(found) == len(expected) == len(list(network.parameters()))  # everything is trained
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("side", [1, 7, 32, 33, 224])
def test_sides(side: int) -> None:
    """Halved five times, rounded up, whatever the side."""
    with torch.device("meta"):
        features, channels = amoebanet_d(3, 32)
        maps, before = features(torch.empty(2, 3, side, side))
    assert maps.shape == (2, channels, -(-side // 32), -(-side // 32))
    assert channels == 4 * 4 * 32  # four states of four times the first group's width
    assert before.shape[2:] == maps.shape[2:]


def shapes(kind: type[nn.Module], cell: Cell) -> Counter[tuple[int, int]]:
    return Counter(m.kernel_size for m in cell.modules() if isinstance(m, kind))  # type: ignore[misc]


def test_the_genotype() -> None:
    """tensorflow/tpu ``amoeba_net``: what each cell is made of, and which of its states it puts together."""
    features, _ = amoebanet_d(3, 32)
    reduction, normal = features[2], features[3]
    assert isinstance(reduction, Cell)
    assert isinstance(normal, Cell)
    # three 1x1 operations, two 1x7-7x1 with a 1x1 on each side, one for the last output, two to halve the one before it
    assert shapes(nn.Conv2d, normal) == {(1, 1): 3 + 4 + 1 + 2, (1, 7): 2, (7, 1): 2}
    assert shapes(nn.Conv2d, reduction) == {(1, 1): 1 + 2 + 2 + 1 + 2, (3, 3): 1, (1, 7): 1, (7, 1): 1}
    pools = [type(m).__name__ for m in normal.operations if "Pool" in type(m).__name__]
    assert Counter(pools) == {"MaxPool2d": 2, "AvgPool2d": 1}
    pools = [type(m).__name__ for m in reduction.operations if "Pool" in type(m).__name__]
    assert Counter(pools) == {"MaxPool2d": 4, "AvgPool2d": 1}
    assert (normal.kind.together, reduction.kind.together) == ((0, 3, 4, 6), (4, 5, 6))


def test_a_cell_computes_its_sums() -> None:
    """By the table, written out: each sum of two operations becomes a state; the last output goes on unchanged."""
    torch.manual_seed(0)
    features, _ = amoebanet_d(6, 32)
    cell = features[4]  # the second normal cell
    assert isinstance(cell, Cell)
    cell.eval()
    assert cell.before[1].kernel_size == (1, 1)  # type: ignore[index, union-attr]
    last, before = torch.randn(2, cell.last[1].in_channels, 8, 8), torch.randn(2, cell.before[1].in_channels, 8, 8)  # type: ignore[index, union-attr, arg-type]
    out, on = cell((last, before))
    assert on is last
    op = list(cell.operations)
    s0, s1 = cell.last(last), cell.before(before)
    s2: Tensor = op[0](s1) + op[1](s1)
    s3 = s1 + op[3](s0)
    s4 = op[4](s0) + op[5](s0)
    s5 = op[6](s2) + s2
    s6 = op[8](s1) + op[9](s5)
    torch.testing.assert_close(out, torch.cat([s0, s3, s4, s6], 1))
