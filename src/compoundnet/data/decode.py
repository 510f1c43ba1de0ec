"""Any image file to upright 8-bit RGB, or a reason a person understands."""

import io
import os
import struct
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image, ImageCms, UnidentifiedImageError

from compoundnet.data.files import read_file
from compoundnet.errors import RequestError

__all__ = ["FORMATS", "MAX_PIXELS", "BadImageError", "decode_image", "opened", "to_rgb", "upright_size"]

MAX_PIXELS = 89_478_485
"""Images of more pixels are refused before any pixel is decoded (256 MiB as RGB; where Pillow warns)."""

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "BMP", "TIFF", "PPM", "JPEG2000", "ICO", "TGA")
"""Pillow's names of the formats that are read (MPO with JPEG). Others are never tried: EPS would run a program."""

_ORIENTATION = 0x0112  # EXIF tag
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_UNREADABLE_EXIF = (SyntaxError, struct.error, ValueError, TypeError, KeyError, IndexError, OSError)


class BadImageError(RequestError):
    """An image that cannot be used: ``file`` and ``reason``; printed as ``file: reason``."""

    def __init__(self, file: str | Path, reason: str) -> None:
        super().__init__(file, reason)
        self.file, self.reason = Path(file), reason

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}"


def decode_image(source: str | Path | bytes, *, at_least: int | None = None) -> Image.Image:
    """The first frame of an image file (or of its bytes) as upright 8-bit RGB.

    EXIF orientation is applied, transparency is laid over white, 16-bit grey is scaled to 8 bits,
    CMYK, YCbCr, LAB, HSV and palettes are converted.

    ``at_least``: a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, which is faster, as long as
    neither side falls below this many pixels (or below the file's own size).

    Raises:
        BadImageError: what cannot be read, is no image, is damaged, cut short, or larger than ``MAX_PIXELS``.
    """
    with opened(source) as image:
        return to_rgb(image, at_least=at_least)


@contextmanager
def opened(source: str | Path | bytes) -> Iterator[Image.Image]:
    """The image with only its header read, for :func:`upright_size` and :func:`to_rgb` inside the block.

    Every failure inside the block comes out as BadImageError.
    """
    file = "<bytes>" if isinstance(source, bytes) else source
    try:
        data = source if isinstance(source, bytes) else read_file(Path(source))
    except OSError as error:
        raise BadImageError(file, f"cannot be read: {error.strerror or error}") from error
    try:
        with _pillow_warnings(), Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_size(image.size)
            yield image
    except Exception as error:  # whatever a decoder trips over, the file is to blame
        raise BadImageError(file, _reason(error, data)) from error


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height, in pixels, that :func:`to_rgb` will give without ``at_least``."""
    width, height = image.size
    return (height, width) if _orientation(image) >= 5 else (width, height)


def to_rgb(image: Image.Image, *, at_least: int | None = None) -> Image.Image:
    """Decode the pixels of an opened image and turn it upright; see :func:`decode_image`."""
    if at_least is not None and min(image.size) > at_least:
        image.draft(None, (at_least, at_least))
    image.load()
    turn = _TURNS.get(_orientation(image))
    rgb = _rgb(image)
    return rgb if turn is None else rgb.transpose(turn)


def _orientation(image: Image.Image) -> int:
    if image.format == "TIFF":  # Pillow turns these itself
        return 1
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except _UNREADABLE_EXIF:  # damaged metadata around a good picture: as it is stored
        return 1


def _rgb(image: Image.Image) -> Image.Image:
    convert = _CONVERSIONS.get(image.mode)
    if convert is not None:
        return convert(image)
    if image.has_transparency_data:
        return _over_white(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _over_white(image: Image.Image) -> Image.Image:
    rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB")


def _high_range(image: Image.Image) -> Image.Image:
    """16 bits to 8 by v / 257; 32-bit integers and floats likewise, or stretched where they need more.

    Pillow's own conversion clips at 255. Floats in 0..1 are taken as fractions, up to 255 as they are.
    """
    import numpy as np

    values = np.nan_to_num(np.asarray(image).astype(np.float64), posinf=0, neginf=0)
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    ceilings = (1.0, 255.0) if image.mode == "F" else (65535.0,)
    ceiling = next((c for c in ceilings if high <= c), high)
    scaled = (values - low) * (255 / (ceiling - low))  # low is 0 unless something is negative
    return Image.fromarray(np.rint(scaled).astype(np.uint8)).convert("RGB")


def _lab(image: Image.Image) -> Image.Image:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    assert converted is not None  # it is None only when converting in place
    return converted


_CONVERSIONS: dict[str, Callable[[Image.Image], Image.Image]] = {
    **dict.fromkeys(("I", "F", "I;16", "I;16L", "I;16B", "I;16N"), _high_range),
    "LAB": _lab,
    "La": lambda image: _over_white(image.convert("LA")),
}


def _check_size(size: tuple[int, int]) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise Image.DecompressionBombError(f"Image size ({width * height} pixels) exceeds limit")


def _reason(error: Exception, data: bytes) -> str:
    """Why, in words for the owner of the file."""
    if isinstance(error, BadImageError):
        return error.reason
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        pixels = "".join(c for c in str(error).partition(" pixels")[0] if c.isdigit())
        size = f"{int(pixels) / 1e6:,.0f} million" if pixels else "too many"
        return f"declares {size} pixels, more than the limit of {MAX_PIXELS / 1e6:.0f} million (decompression bomb?)"
    if not data:
        return "is empty (0 bytes)"
    if isinstance(error, UnidentifiedImageError):
        return "is not an image, or its header is damaged"
    if isinstance(error, MemoryError):
        return "does not fit in memory"
    if "truncated" in str(error):
        return "is cut short: the file ends before the picture does"
    if "MAX_TEXT_CHUNK" in str(error) or "MAX_TEXT_MEMORY" in str(error):
        return "holds a text chunk that inflates enormously (decompression bomb?)"
    return f"is damaged: {error or type(error).__name__}"


class _Quiet:
    """Pillow's warnings, off while at least one thread decodes; its size warning is an error.

    ``warnings.catch_warnings`` alone is not safe when threads enter and leave in any order: the
    filters are the process's. So the first thread in sets them, and the last one out restores them.
    """

    def __init__(self) -> None:
        self.saved: Any = None
        self.inside = 0
        self.renew()

    def renew(self) -> None:
        self.lock = threading.Lock()

    def enter(self) -> None:
        with self.lock:
            self.inside += 1
            if self.inside == 1:
                self.saved = warnings.catch_warnings()
                self.saved.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")
                warnings.filterwarnings("error", category=Image.DecompressionBombWarning)

    def leave(self) -> None:
        with self.lock:
            self.inside -= 1
            if self.inside == 0:
                self.saved.__exit__(None, None, None)


_QUIET = _Quiet()
if hasattr(os, "register_at_fork"):  # a lock that another thread holds during a fork would stay locked in the child
    os.register_at_fork(after_in_child=_QUIET.renew)


@contextmanager
def _pillow_warnings() -> Iterator[None]:
    _QUIET.enter()
    try:
        yield
    finally:
        _QUIET.leave()
