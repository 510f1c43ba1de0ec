"""Named networks: one file a family, one row of data a variant, each with its source."""

from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from compoundnet.architecture import Architecture
from compoundnet.errors import RequestError, unknown
from compoundnet.preprocessing import Preprocessing
from compoundnet.zoo import efficientnet, mobilenet, resnet, small

__all__ = ["architecture", "list_architectures", "preprocessing"]

_ARCHITECTURES: dict[str, Architecture] = {
    **efficientnet.ARCHITECTURES,
    **mobilenet.ARCHITECTURES,
    **resnet.ARCHITECTURES,
    **small.ARCHITECTURES,
}
_PREPROCESSING: dict[str, Preprocessing] = {
    **efficientnet.PREPROCESSING,
    **mobilenet.PREPROCESSING,
    **resnet.PREPROCESSING,
}


def list_architectures(pattern: str = "*") -> list[str]:
    """Names that match a shell pattern, sorted: ``list_architectures("efficientnet_b?")``."""
    return sorted(name for name in _ARCHITECTURES if fnmatchcase(name, pattern))


def architecture(name: str | Path) -> Architecture:
    """The architecture of that name, or the one in a JSON file (a path that ends in ``.json``).

    Raises:
        RequestError: no such name (near ones are suggested), no such file, or a file that is not an architecture.
    """
    if str(name).endswith(".json"):
        return _from_file(Path(name))
    if ":" in str(name):
        raise RequestError(
            f"{str(name)!r} names a factory, which design, coefficients and study take; "
            "here give a name of the zoo, or a JSON file"
        )
    if name not in _ARCHITECTURES:
        raise unknown("architecture", str(name), _ARCHITECTURES)
    return _ARCHITECTURES[str(name)]


def preprocessing(arch: Architecture) -> Preprocessing:
    """What the named variant was published with; any other network takes the centre square whole, ImageNet's mean.

    A default for training from scratch, where the run records it. Pretrained weights bring their own.
    """
    published = _PREPROCESSING.get(arch.name, Preprocessing(resolution=arch.resolution, crop_fraction=1.0))
    return replace(published, resolution=arch.resolution)


def _from_file(path: Path) -> Architecture:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RequestError(f"cannot read architecture {str(path)!r}: {error.strerror}") from error
    except ValueError as error:  # its text, or a NUL in its name
        raise RequestError(f"{str(path)!r} is not a JSON text file: {error}") from error
    try:
        return Architecture.from_json(text)
    except RequestError as error:
        raise RequestError(f"{path}: {error}") from error
