"""ZFNet (Zeiler & Fergus 2013): AlexNet with smaller kernels and strides in its first two layers."""

from torch import nn

__all__ = ["zfnet"]


def zfnet(classes: int = 1000, in_channels: int = 3, dropout: float = 0.5) -> tuple[nn.Sequential, nn.Sequential]:
    """Its convolutions and its linear layers: (N, in_channels, 224, 224) -> (N, 256, 6, 6) -> (N, classes).

    The single network of figure 3: 62.36 million parameters for 1000 classes. Sides there: 224, 110, 55, 26, 13, 13,
    13, 13, 6. For images of other sides the last maps are averaged to 6 x 6, as in torchvision's AlexNet. The paper
    gives no constants for its contrast normalisation across maps; they are those of Krizhevsky et al. 2012, section
    3.3, which it follows. Initialised as there and in the paper: weights N(0, 0.01^2), biases 0.
    """
    features = nn.Sequential(
        nn.Conv2d(in_channels, 96, 7, stride=2, padding=1),  # 110
        nn.ReLU(inplace=True),
        _pool(),  # 55
        _contrast(),
        nn.Conv2d(96, 256, 5, stride=2),  # 26
        nn.ReLU(inplace=True),
        _pool(),  # 13
        _contrast(),
        nn.Conv2d(256, 384, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(384, 384, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(384, 256, 3, padding=1),
        nn.ReLU(inplace=True),
        _pool(),  # 6
        nn.AdaptiveAvgPool2d(6),
    )
    linear = nn.Sequential(
        nn.Flatten(),
        nn.Linear(6 * 6 * 256, 4096),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
        nn.Linear(4096, 4096),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
        nn.Linear(4096, classes),
    )
    for layer in (*features, *linear):
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.normal_(layer.weight, std=0.01)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return features, linear


def _pool() -> nn.MaxPool2d:
    """3 x 3, stride 2; a window may reach over the edge, as the sides in figure 3 ask for."""
    return nn.MaxPool2d(3, 2, ceil_mode=True)


def _contrast() -> nn.LocalResponseNorm:
    """b = a / (k + alpha * sum of a^2 over n maps)^beta; torch divides alpha by n."""
    return nn.LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2.0)
