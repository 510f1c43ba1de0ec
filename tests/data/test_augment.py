"""Preprocessing equal to torchvision's bit for bit; augmentation that depends on its seed alone."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision import transforms as v1
from torchvision.transforms import InterpolationMode

from compoundnet.data import Augmentation, decode_image, evaluation_image, mix, normalize, training_image
from compoundnet.data.augment import crop_box
from compoundnet.errors import RequestError
from compoundnet.preprocessing import Preprocessing
from conftest import SHARED, needs_shared

PLAIN = Augmentation(crop_scale=(1, 1), crop_ratio=(1, 1), flip=False)


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (max(1, height // 4), max(1, width // 4), 3), np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def torchvision_says(image: Image.Image, pre: Preprocessing) -> torch.Tensor:
    squash = pre.crop == "squash"
    size = (pre.short_side, pre.short_side) if squash else pre.short_side
    resize = v1.Resize(size, interpolation=InterpolationMode(pre.interpolation))
    return v1.PILToTensor()(v1.CenterCrop(pre.resolution)(resize(image)))


@pytest.mark.parametrize(
    "size", [(500, 333), (333, 500), (97, 101), (64, 64), (256, 300), (31, 200), (1000, 57), (1, 9)]
)
@pytest.mark.parametrize(
    "pre",
    [
        Preprocessing(resolution=224),
        Preprocessing(resolution=225, crop_fraction=0.882),
        Preprocessing(resolution=64, crop_fraction=1.0, interpolation="bilinear"),
        Preprocessing(resolution=95, crop_fraction=1.0, crop="squash", interpolation="bilinear"),
        Preprocessing(resolution=90, crop_fraction=0.9, crop="squash"),
    ],
    ids=lambda p: f"{p.resolution}-{p.crop}-{p.interpolation}",
)
def test_evaluation_is_torchvisions_to_the_bit(size, pre):
    image = noise(*size)
    ours = evaluation_image(image, pre)
    assert ours.dtype == torch.uint8
    assert torch.equal(ours, torchvision_says(image, pre))


@needs_shared("data/imagenet_sample")
def test_evaluation_of_photographs_is_torchvisions_to_the_bit():
    pre = Preprocessing(resolution=224)
    for file in sorted((SHARED / "data/imagenet_sample").glob("*.JPEG"))[:12]:
        image = decode_image(file)
        assert torch.equal(evaluation_image(image, pre), torchvision_says(image, pre))


@pytest.mark.parametrize("size", [(200_000, 2), (2, 200_000)])
def test_a_long_strip_needs_no_gigabytes(size):
    """Resized whole, it would be 256 x 25.6 million pixels."""
    strip = Image.new("RGB", size, "red")
    strip.paste("blue", tuple(n // 2 for n in size) + size)
    pixels = evaluation_image(strip, Preprocessing(resolution=224))
    assert pixels.shape == (3, 224, 224)
    assert training_image(strip, Preprocessing(resolution=224), Augmentation(), 224, 1).shape == (3, 224, 224)


@pytest.mark.parametrize("mean", [(0.485, 0.456, 0.406), (0.5, 0.5, 0.5)])
def test_normalize_is_torchvisions(mean):
    pre = Preprocessing(resolution=8, mean=mean, std=(0.229, 0.224, 0.225))
    batch = torch.randint(0, 256, (3, 8, 8, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    ours = normalize(batch, pre)
    theirs = v1.functional.normalize(batch.float() / 255, pre.mean, pre.std)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    assert ours.dtype == torch.float32
    assert ours.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("ops", "magnitude"), [(0, 0), (2, 9), (3, 30)])
def test_training_depends_on_the_seed_alone_and_leaves_the_random_state(ops, magnitude):
    image, pre = noise(90, 70), Preprocessing(resolution=32)
    augmentation = Augmentation(randaugment_ops=ops, randaugment_magnitude=magnitude)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = training_image(image, pre, augmentation, 32, 1)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(training_image(image, pre, augmentation, 32, 1), first)
    assert not torch.equal(training_image(image, pre, augmentation, 32, 2), first)
    assert first.shape == (3, 32, 32)
    assert first.dtype == torch.uint8


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_training_resize_is_antialiased_like_pillows(interpolation):
    image = noise(300, 300)
    pre = Preprocessing(resolution=64, interpolation=interpolation)
    method = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}[interpolation]
    pillow = np.asarray(image.resize((64, 64), method)).astype(int)
    ours = training_image(image, pre, PLAIN, 64, 0).permute(1, 2, 0).numpy()
    assert abs(ours - pillow).max() <= 2


def test_flip_mirrors_half_the_time():
    image = Image.new("L", (8, 8))
    image.paste(255, (0, 0, 4, 8))
    pre, augmentation = Preprocessing(resolution=8), Augmentation(crop_scale=(1, 1), crop_ratio=(1, 1))
    left = [int(training_image(image.convert("RGB"), pre, augmentation, 8, seed)[0, 0, 0]) for seed in range(200)]
    assert set(left) == {0, 255}
    assert 70 < left.count(0) < 130


@given(
    st.integers(1, 5000),
    st.integers(1, 5000),
    st.integers(0, 2**63 - 1),
    st.sampled_from([(0.08, 1.0), (0.5, 0.5), (1.0, 1.0), (0.001, 0.001)]),
)
def test_a_crop_lies_inside_and_is_never_empty(width, height, seed, scale):
    left, top, right, bottom = crop_box((width, height), Augmentation(crop_scale=scale), seed)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


def test_crops_have_the_areas_and_ratios_asked_for():
    boxes = [crop_box((1000, 1000), Augmentation(), seed) for seed in range(500)]
    areas = [(r - x) * (b - y) / 1e6 for x, y, r, b in boxes]
    ratios = [(r - x) / (b - y) for x, y, r, b in boxes]
    assert 0.07 < min(areas) < 0.15
    assert 0.9 < max(areas) <= 1
    assert 0.74 < min(ratios) < 0.8
    assert 1.25 < max(ratios) < 1.35
    assert 0.45 < sum(areas) / 500 < 0.6
    assert {x > 0 for x, *_ in boxes} == {True, False} or all(x > 0 for x, *_ in boxes)


def test_mix_off_is_one_hot_and_draws_nothing():
    images, labels = torch.randn(4, 3, 8, 8), torch.tensor([0, 2, 1, 2])
    state = torch.get_rng_state()
    mixed, targets = mix(images, labels, classes=3, augmentation=Augmentation())
    assert mixed is images
    assert torch.equal(targets, torch.eye(3)[labels])
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("on", [{"mixup": 0.2}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0}])
def test_mix_is_seeded_by_torch_and_targets_sum_to_one(on):
    images, labels = torch.randn(6, 3, 8, 8), torch.tensor([0, 1, 2, 0, 1, 2])
    results = []
    for _ in range(2):
        torch.manual_seed(3)
        results.append([mix(images, labels, classes=5, augmentation=Augmentation(**on)) for _ in range(20)])
    for (a, ta), (b, tb) in zip(*results, strict=True):
        assert torch.equal(a, b)
        assert torch.equal(ta, tb)
        assert ta.shape == (6, 5)
        torch.testing.assert_close(ta.sum(1), torch.ones(6))
    assert any(not torch.equal(a, images) for a, _ in results[0])


def test_both_mixes_are_chosen():
    """CutMix leaves pixels of one image or the other; mixup leaves none of either."""
    images, labels = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 8, 8).contiguous(), torch.arange(4)
    torch.manual_seed(0)
    both = Augmentation(mixup=1.0, cutmix=1.0)
    whole = [
        bool((m == m.round()).all()) for m, _ in (mix(images, labels, classes=4, augmentation=both) for _ in range(40))
    ]
    assert 10 < sum(whole) < 30


def test_augmentation_is_json_and_back():
    augmentation = Augmentation(crop_scale=(0.2, 0.9), mixup=0.1)
    assert Augmentation(**json.loads(json.dumps(asdict(augmentation)))) == augmentation


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("crop_scale", (0.5, 0.2)),
        ("crop_scale", (0, 1)),
        ("crop_scale", (0.5, 1.5)),
        ("crop_ratio", (1, float("inf"))),
        ("randaugment_ops", -1),
        ("randaugment_ops", 1.5),
        ("randaugment_magnitude", 31),
        ("mixup", -0.1),
        ("cutmix", float("nan")),
    ],
)
def test_augmentation_says_what_is_wrong(field, value):
    with pytest.raises(RequestError, match=f"augmentation.{field} is "):
        Augmentation(**{field: value})
