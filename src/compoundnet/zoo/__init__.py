"""Named networks: one file a family, one row of data a variant, each with its source."""

from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from compoundnet.architecture import Architecture
from compoundnet.errors import RequestError, unknown
from compoundnet.preprocessing import Preprocessing
from compoundnet.zoo import (
    comparators,
    condconv,
    edgetpu,
    efficientnet,
    lite,
    mnasnet,
    mobilenet,
    resnet,
    small,
    tinynet,
    x,
)
from compoundnet.zoo.comparators import COMPARATORS, AnyNetwork, Comparator, not_scalable, read_network

__all__ = [
    "AnyNetwork",
    "Comparator",
    "architecture",
    "list_architectures",
    "list_networks",
    "network",
    "not_scalable",
    "preprocessing",
]

_FAMILIES = (efficientnet, lite, edgetpu, x, condconv, mnasnet, tinynet, mobilenet, resnet)

_ARCHITECTURES: dict[str, Architecture] = {
    **{name: arch for family in _FAMILIES for name, arch in family.ARCHITECTURES.items()},
    **small.ARCHITECTURES,
}
_PREPROCESSING: dict[str, Preprocessing] = {
    name: prepared for family in (*_FAMILIES, comparators) for name, prepared in family.PREPROCESSING.items()
}


def list_architectures(pattern: str = "*") -> list[str]:
    """Names of architectures that match a shell pattern, sorted: ``list_architectures("efficientnet_b?")``."""
    return sorted(name for name in _ARCHITECTURES if fnmatchcase(name, pattern))


def list_networks(pattern: str = "*") -> list[str]:
    """Names of architectures and comparators that match a shell pattern, sorted: all that :func:`network` knows."""
    return sorted(name for name in (*_ARCHITECTURES, *COMPARATORS) if fnmatchcase(name, pattern))


def architecture(name: str | Path) -> Architecture:
    """The architecture of that name, or the one in a JSON file (a path that ends in ``.json``).

    Raises:
        RequestError: no such name (near ones are suggested), a comparator, which cannot be scaled, no such file, or a
            file that is not an architecture.
    """
    found = network(name)
    if isinstance(found, Comparator):
        raise not_scalable(str(name))
    return found


def network(name: str | Path) -> AnyNetwork:
    """The architecture or comparator of that name, or the one in a JSON file (a path that ends in ``.json``).

    Raises:
        RequestError: no such name (near ones are suggested), no such file, or a file that is neither.
    """
    if str(name).endswith(".json"):
        return _from_file(Path(name))
    if ":" in str(name):
        raise RequestError(
            f"{str(name)!r} names a factory, which design, coefficients and study take; "
            "here give a name of the zoo, or a JSON file"
        )
    found = _ARCHITECTURES.get(str(name)) or COMPARATORS.get(str(name))
    if found is None:
        raise unknown("architecture", str(name), (*_ARCHITECTURES, *COMPARATORS))
    return found


def preprocessing(arch: AnyNetwork) -> Preprocessing:
    """What the named variant was published with; any other network takes the centre square whole, ImageNet's mean.

    A default for training from scratch, where the run records it. Pretrained weights bring their own.
    """
    published = _PREPROCESSING.get(arch.name, Preprocessing(resolution=arch.resolution, crop_fraction=1.0))
    return replace(published, resolution=arch.resolution)


def _from_file(path: Path) -> AnyNetwork:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RequestError(f"cannot read architecture {str(path)!r}: {error.strerror}") from error
    except ValueError as error:  # its text, or a NUL in its name
        raise RequestError(f"{str(path)!r} is not a JSON text file: {error}") from error
    try:
        return read_network(text)
    except RequestError as error:
        raise RequestError(f"{path}: {error}") from error
