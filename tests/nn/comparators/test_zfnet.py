"""ZFNet is what figure 3 of Zeiler & Fergus 2013 shows."""

import torch
from torch import nn

from compoundnet.nn.comparators import build_comparator, zfnet
from compoundnet.zoo.comparators import COMPARATORS


def test_parameters() -> None:
    """62.36 million, by the figure's layers: kernels, inputs, outputs, and a bias an output."""
    convolutions = ((7, 3, 96), (5, 96, 256), (3, 256, 384), (3, 384, 384), (3, 384, 256))
    linear = ((6 * 6 * 256, 4096), (4096, 4096), (4096, 1000))
    expected = sum(k * k * i * o + o for k, i, o in convolutions) + sum(i * o + o for i, o in linear)
    with torch.device("meta"):
        network = build_comparator(COMPARATORS["zfnet"])
    assert sum(p.numel() for p in network.parameters()) == expected == 62_357_608


def test_sides() -> None:
    """224 - 110 - 55 - 26 - 13 - 13 - 13 - 13 - 6."""
    with torch.device("meta"):
        features, linear = zfnet()
        y, sides = torch.empty(1, 3, 224, 224), []
        for layer in features:
            y = layer(y)
            if isinstance(layer, (nn.Conv2d, nn.MaxPool2d)):
                sides.append(y.shape[2])
        assert sides == [110, 55, 26, 13, 13, 13, 13, 6]
        assert y.shape == (1, 256, 6, 6)
        assert linear(y).shape == (1, 1000)


def test_contrast_is_normalised_across_maps() -> None:
    """Krizhevsky et al. 2012, section 3.3: a / (2 + 1e-4 * sum of a^2 over 5 maps)^0.75."""
    norm = next(m for m in zfnet()[0] if isinstance(m, nn.LocalResponseNorm))
    a = 100 * torch.randn(1, 9, 2, 2, dtype=torch.float64)
    expected = torch.stack(
        [a[:, i] / (2 + 1e-4 * a[:, max(0, i - 2) : i + 3].square().sum(1)) ** 0.75 for i in range(9)], 1
    )
    torch.testing.assert_close(norm(a), expected)
    torch.testing.assert_close(norm(a.contiguous(memory_format=torch.channels_last)), expected)


def test_the_start() -> None:
    features, linear = zfnet(classes=7)
    for layer in (*features, *linear):
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            assert layer.bias is not None
            assert not layer.bias.any()
            assert 0.009 < float(layer.weight.detach().std()) < 0.011
