"""Decoding: every mode and orientation right, every bad file named with its reason."""

import io
import pickle
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compoundnet.data import BadImageError, decode_image
from compoundnet.data.decode import MAX_PIXELS, opened, to_rgb, upright_size
from conftest import SHARED, needs_shared

AWKWARD = SHARED / "data" / "awkward"

# file: size once upright, or a piece of the reason
EXPECTED = {
    "broken_data_stream.png": "is damaged",
    "broken.png": "not an image, or its header is damaged",
    "apng_mode_16bit.png": (128, 64),
    "p_trns_single.png": (64, 64),
    "hopper_orientation_6.jpg": (128, 128),
    "iss634.gif": (245, 245),
    "iss634.webp": (245, 245),
    "jpeg_ff00_header.jpg": (300, 225),
    "junk_jpeg_header.jpg": (1024, 768),
    "hopper_gray.jpg": (128, 128),
    "truncated_app14.jpg": (100, 100),
    "decompression_bomb.gif": "4,365 million pixels",
    "png_decompression_dos.png": "inflates enormously",
    "ultrahdr.jpg": "cut short",  # its scan holds no data at all: 2 bytes follow the header
    "bw_gradient.png": (256, 10),
    "Abyssinian_34.jpg": (250, 202),
    "Abyssinian_5.jpg": (200, 150),
    "Abyssinian_120.jpg": (267, 400),
    "n02951585_can_opener.JPEG": (294, 392),  # stored 392 x 294, lying on its side
    "bomb_40000x40000.png": "1,600 million pixels",
}


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def colour(image: Image.Image) -> tuple[int, ...]:
    return tuple(int(v) for v in np.asarray(image).reshape(-1, 3).mean(0).round())


@needs_shared("data/awkward")
def test_every_awkward_file_is_expected():
    assert {f.name for f in AWKWARD.iterdir()} == set(EXPECTED)


@needs_shared("data/awkward")
@pytest.mark.parametrize(("name", "expected"), EXPECTED.items())
@pytest.mark.parametrize("at_least", [None, 1])
def test_awkward_files_are_decoded_right_or_named_with_their_reason(name, expected, at_least):
    if isinstance(expected, str):
        with pytest.raises(BadImageError, match=expected) as caught:
            decode_image(AWKWARD / name, at_least=at_least)
        assert caught.value.file == AWKWARD / name
        assert str(caught.value).startswith(f"{AWKWARD / name}: ")
        return
    image = decode_image(AWKWARD / name, at_least=at_least)
    assert image.mode == "RGB"
    assert image.size == expected if at_least is None else image.width <= expected[0]
    assert np.asarray(image).std() > 1  # a picture, not a grey square


@needs_shared("data/awkward")
def test_orientation_turns_the_picture():
    stored = np.asarray(Image.open(io.BytesIO((AWKWARD / "hopper_orientation_6.jpg").read_bytes())))
    upright = np.asarray(decode_image(AWKWARD / "hopper_orientation_6.jpg"))
    assert np.array_equal(upright, np.rot90(stored, -1))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_each_exif_orientation_gives_the_same_upright_picture(kind, orientation):
    upright = Image.new("RGB", (48, 32), "white")
    upright.paste("red", (0, 0, 24, 16))  # a red top left corner
    upright.paste("blue", (24, 16, 48, 32))
    inverse = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]  # as stored
    stored = upright if inverse is None else upright.transpose(Image.Transpose(inverse))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    data = encoded(stored, kind, exif=exif, **options)
    difference = np.asarray(decode_image(data)).astype(int) - np.asarray(upright)
    assert abs(difference).max() <= 4
    with opened(data) as image:
        assert upright_size(image) == (48, 32) == to_rgb(image).size


def test_damaged_exif_does_not_spoil_the_picture():
    data = encoded(Image.new("RGB", (8, 8), "red"), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff junk")
    assert decode_image(data).size == (8, 8)


@pytest.mark.parametrize(
    ("image", "kind", "expected"),
    [
        (Image.new("1", (4, 4), 1), "PNG", (255, 255, 255)),
        (Image.new("L", (4, 4), 77), "PNG", (77, 77, 77)),
        (Image.new("LA", (4, 4), (0, 0)), "PNG", (255, 255, 255)),
        (Image.new("LA", (4, 4), (100, 255)), "PNG", (100, 100, 100)),
        (Image.new("RGBA", (4, 4), (255, 0, 0, 0)), "PNG", (255, 255, 255)),
        (Image.new("RGBA", (4, 4), (255, 0, 0, 128)), "PNG", (255, 127, 127)),
        (Image.new("RGBA", (4, 4), (9, 8, 7, 255)), "PNG", (9, 8, 7)),
        (Image.new("RGB", (4, 4), (1, 2, 3)).quantize(2), "GIF", (1, 2, 3)),
        (Image.new("I;16", (4, 4), 0x8080), "PNG", (128, 128, 128)),
        (Image.new("I;16", (4, 4), 65535), "TIFF", (255, 255, 255)),
        (Image.new("I;16", (4, 4), 300), "TIFF", (1, 1, 1)),  # not clipped to white
        (Image.new("I", (4, 4), 65535), "TIFF", (255, 255, 255)),
        (Image.new("I", (4, 4), 257 * 40), "TIFF", (40, 40, 40)),
        (Image.new("F", (4, 4), 0.5), "TIFF", (128, 128, 128)),
        (Image.new("F", (4, 4), 200.0), "TIFF", (200, 200, 200)),
        (Image.new("F", (4, 4), 1e9), "TIFF", (255, 255, 255)),
        (Image.new("F", (4, 4), float("nan")), "TIFF", (0, 0, 0)),
        (Image.new("CMYK", (4, 4), (0, 255, 255, 0)), "TIFF", (255, 0, 0)),
        (Image.new("YCbCr", (4, 4), (76, 85, 255)), "TIFF", (254, 0, 0)),
        (Image.new("LAB", (4, 4), (139, 165, 172)), "TIFF", (202, 100, 50)),  # L 54.5, a 37, b 44
    ],
    ids=lambda v: v.mode if isinstance(v, Image.Image) else str(v),
)
def test_modes(image, kind, expected):
    decoded = decode_image(encoded(image, kind))
    assert decoded.mode == "RGB"
    assert colour(decoded) == pytest.approx(expected, abs=6 if image.mode == "LAB" else 1)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("HSV", (2, 2), (0, 255, 255)), (255, 0, 0)),
        (Image.new("PA", (2, 2)), (255, 255, 255)),
        (Image.new("La", (2, 2), (0, 0)), (255, 255, 255)),
        (Image.new("RGBa", (2, 2), (0, 0, 0, 0)), (255, 255, 255)),
        (Image.new("RGBX", (2, 2), (5, 6, 7, 0)), (5, 6, 7)),
        (Image.fromarray(np.full((2, 2), 0x8080, ">u2")), (128, 128, 128)),
        (Image.fromarray(np.array([[-100, 100]], np.int32)), (0, 0, 0)),
    ],
    ids=lambda v: v.mode if isinstance(v, Image.Image) else "",
)
def test_modes_that_no_simple_file_holds(image, expected):
    assert tuple(np.asarray(to_rgb(image))[0, 0]) == expected


def test_adobe_cmyk_jpeg_is_not_inverted():
    assert colour(decode_image(encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG"))) == (255, 0, 0)


def test_palette_and_rgb_transparency_lie_over_white():
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 200, 0, 0])
    assert colour(decode_image(encoded(palette, "PNG", transparency=1))) == (255, 255, 255)
    assert colour(decode_image(encoded(palette, "PNG", transparency=b"\xff\x80"))) == (227, 127, 127)
    assert colour(decode_image(encoded(Image.new("RGB", (4, 4), "red"), "PNG", transparency=(255, 0, 0)))) == (255,) * 3


def test_first_frame_of_an_animation():
    frames = [Image.new("RGB", (8, 8), c) for c in ("red", "blue")]
    for kind in ("GIF", "PNG", "WEBP", "TIFF"):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        assert colour(decode_image(data))[0] > 250, kind


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
def test_a_file_cut_short_is_bad_at_any_scale(kind):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    data = encoded(noise, kind)
    for at_least in (None, 1):
        with pytest.raises(BadImageError):
            decode_image(data[: len(data) * 2 // 3], at_least=at_least)


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "is empty"), (b"hello", "is not an image"), (b"%!PS-Adobe-3.0 EPSF-3.0\n", "is not an image")],
)
def test_what_is_no_image(tmp_path, data, reason):
    file = tmp_path / "x.jpg"
    file.write_bytes(data)
    with pytest.raises(BadImageError, match=reason):
        decode_image(file)


def test_missing_and_unreadable_files(tmp_path, monkeypatch):
    with pytest.raises(BadImageError, match=r"gone\.png: cannot be read: No such file"):
        decode_image(tmp_path / "gone.png")

    def denied(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)
    with pytest.raises(BadImageError, match=r"cannot be read: Permission denied"):
        decode_image(tmp_path / "x.png")


def test_pixels_are_counted_before_they_are_decoded(monkeypatch):
    """Between Pillow's warning and its error, and also where a program has lifted Pillow's own limit."""
    side = 9_500  # 90.25 million
    assert MAX_PIXELS < side * side < 2 * MAX_PIXELS
    data = encoded(Image.new("1", (side, side)), "PNG")
    with pytest.raises(BadImageError, match=r"declares 90 million pixels, more than the limit of 89"):
        decode_image(data)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(BadImageError, match=r"declares 90 million pixels"):
        decode_image(data)


@pytest.mark.parametrize("at_least", [1, 60, 100, 101, 400, 5000])
def test_a_reduced_jpeg_is_never_smaller_than_wanted(at_least):
    image = Image.linear_gradient("L").resize((801, 403)).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    reduced = decode_image(encoded(image, "JPEG", exif=exif), at_least=at_least)
    assert min(reduced.size) >= min(at_least, 403)
    assert reduced.height > reduced.width
    assert reduced.width == {1: 51, 60: 101, 100: 101, 101: 202}.get(at_least, 403)


def test_bad_image_error_survives_a_process_border():
    error = pickle.loads(pickle.dumps(BadImageError("a.jpg", "is odd")))
    assert (str(error), error.file, error.reason) == ("a.jpg: is odd", Path("a.jpg"), "is odd")


def test_warnings_of_pillow_stay_inside_and_filters_are_restored():
    """Palette transparency given as bytes makes Pillow warn; threads enter and leave in any order."""
    palette = Image.new("P", (64, 64), 1)
    palette.putpalette([0, 0, 0, 200, 0, 0])
    data = encoded(palette, "PNG", transparency=b"\xff\x80")
    before = list(warnings.filters)
    threads = [threading.Thread(target=lambda: [decode_image(data) for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == before
    with pytest.warns(UserWarning, match="mine"):
        warnings.warn("mine", stacklevel=1)


def test_a_warning_about_metadata_does_not_make_an_image_bad():
    beyond_the_end = b"\x12\x01\x03\0\xff\xff\xff\x7f\xff\xff\xff\xff\0\0\0\0"  # orientation, its values past the file
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0" + beyond_the_end
    data = encoded(Image.new("RGB", (8, 8), "red"), "JPEG", exif=exif)
    assert colour(decode_image(data))[0] > 250
