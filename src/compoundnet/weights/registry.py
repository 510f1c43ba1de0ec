"""Published weights as rows: where they lie and how their photographs were prepared.

All of them are timm's (Wightman), ported from the original code (``tf_*``) or trained there, under Apache-2.0 where
no row of ``_LICENCES`` says otherwise.
Architectures, tags, sizes, crops and means: timm aa4b585 ``timm/models/efficientnet.py`` and ``mobilenetv3.py``.
Top-1 on ImageNet-1k at the row's evaluation size: ``results/results-imagenet.csv`` of the same commit.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches

from compoundnet.errors import RequestError
from compoundnet.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Crop, Interpolation, Preprocessing
from compoundnet.weights.registry_resnet import ROWS

__all__ = ["BEST", "RECORDS", "Record", "by_repository", "find", "matching", "published"]

BEST = "imagenet"
"""The tag of the best published top-1 with ImageNet's 1000 classes, free to use for any purpose."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One published set of weights.

    ``top1`` is in percent, None where there is no ImageNet-1k classifier; ``classes`` 0 where there is none at all.
    ``licence`` is an SPDX name in lower case, None where nobody says.
    """

    architecture: str
    tag: str
    repository: str
    classes: int
    train_resolution: int
    preprocessing: Preprocessing
    top1: float | None
    licence: str | None = "apache-2.0"
    file: str = "model.safetensors"
    top1_source: str = "timm aa4b585 results/results-imagenet.csv"


_Triple = tuple[float, float, float]
_HALF: _Triple = (0.5, 0.5, 0.5)

# How the photographs were prepared: mean, deviation, crop, interpolation.
_STYLES: dict[str, tuple[_Triple, _Triple, Crop, Interpolation]] = {
    "imagenet": (IMAGENET_MEAN, IMAGENET_STD, "center", "bicubic"),
    "imagenet bilinear": (IMAGENET_MEAN, IMAGENET_STD, "center", "bilinear"),
    "half": (_HALF, _HALF, "center", "bicubic"),
    "half bilinear": (_HALF, _HALF, "center", "bilinear"),
    "squash": (_HALF, _HALF, "squash", "bicubic"),
    "imagenet squash": (IMAGENET_MEAN, IMAGENET_STD, "squash", "bicubic"),
    "0..1 bilinear": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "center", "bilinear"),
}

# All other tags: the 1000 of ImageNet-1k.
_CLASSES = {"in21k": 21843, "sw_in12k": 11821, "miil_in21k": 11221, "bamboo": 0}
_LICENCES = {
    "tv_in1k": "bsd-3-clause",
    "tv2_in1k": "bsd-3-clause",
    "fb_ssl_yfcc100m_ft_in1k": "cc-by-nc-4.0",
    "fb_swsl_ig1b_ft_in1k": "cc-by-nc-4.0",
    "bamboo": None,
}
_FREE = ("apache-2.0", "bsd-3-clause")  # to use for any purpose

# V1 ports, trained and evaluated at one size: size, crop fraction, top-1 by tag. ``ap`` is "half".
_TF_V1: dict[str, tuple[int, float, dict[str, float]]] = {
    "b0": (224, 0.875, {"in1k": 76.542, "aa_in1k": 76.882, "ap_in1k": 77.100, "ns_jft_in1k": 78.680}),
    "b1": (240, 0.882, {"in1k": 78.546, "aa_in1k": 78.840, "ap_in1k": 79.288, "ns_jft_in1k": 81.388}),
    "b2": (260, 0.890, {"in1k": 79.612, "aa_in1k": 80.074, "ap_in1k": 80.300, "ns_jft_in1k": 82.412}),
    "b3": (300, 0.904, {"in1k": 80.878, "aa_in1k": 81.648, "ap_in1k": 81.842, "ns_jft_in1k": 84.054}),
    "b4": (380, 0.922, {"in1k": 82.598, "aa_in1k": 83.040, "ap_in1k": 83.246, "ns_jft_in1k": 85.156}),
    "b5": (
        456,
        0.934,
        {"in1k": 83.170, "aa_in1k": 83.696, "ra_in1k": 83.834, "ap_in1k": 84.258, "ns_jft_in1k": 86.096},
    ),
    "b6": (528, 0.942, {"aa_in1k": 84.124, "ap_in1k": 84.794, "ns_jft_in1k": 86.476}),
    "b7": (600, 0.949, {"aa_in1k": 84.424, "ra_in1k": 84.926, "ap_in1k": 85.132, "ns_jft_in1k": 86.850}),
    "b8": (672, 0.954, {"ra_in1k": 85.344, "ap_in1k": 85.358}),
    "l2": (800, 0.960, {"ns_jft_in1k": 88.360}),
    "l2_475": (475, 0.936, {"ns_jft_in1k_475": 88.246}),
}

# The others: architecture, tag, training size, evaluation size, crop fraction, style, top-1.
_ROWS: tuple[tuple[str, str, int, int, float, str, float | None], ...] = (
    ("efficientnet_b0", "ra_in1k", 224, 224, 0.875, "imagenet", 77.698),
    ("efficientnet_b0", "ra4_e3600_r224_in1k", 224, 256, 1.0, "half", 79.364),
    ("efficientnet_b1", "ft_in1k", 224, 256, 1.0, "imagenet", 78.806),
    ("efficientnet_b1", "ra4_e3600_r240_in1k", 240, 288, 1.0, "half", 81.444),
    ("efficientnet_b2", "ra_in1k", 256, 288, 1.0, "imagenet", 80.612),
    ("efficientnet_b3", "ra2_in1k", 288, 320, 1.0, "imagenet", 82.296),
    ("efficientnet_b4", "ra2_in1k", 320, 384, 1.0, "imagenet", 83.468),
    ("efficientnet_b5", "sw_in12k", 416, 416, 0.95, "imagenet", None),
    ("efficientnet_b5", "sw_in12k_ft_in1k", 448, 448, 1.0, "imagenet squash", 85.894),
    ("tf_efficientnetv2_b0", "in1k", 192, 224, 0.875, "imagenet", 78.386),
    ("tf_efficientnetv2_b1", "in1k", 192, 240, 0.882, "imagenet", 79.518),
    ("tf_efficientnetv2_b2", "in1k", 208, 260, 0.890, "imagenet", 80.226),
    ("tf_efficientnetv2_b3", "in1k", 240, 300, 0.904, "imagenet", 81.960),
    ("tf_efficientnetv2_b3", "in21k", 240, 300, 0.904, "half", None),
    ("tf_efficientnetv2_b3", "in21k_ft_in1k", 240, 300, 0.9, "squash", 82.634),
    ("tf_efficientnetv2_s", "in1k", 300, 384, 1.0, "half", 83.900),
    ("tf_efficientnetv2_s", "in21k", 300, 384, 1.0, "half", None),
    ("tf_efficientnetv2_s", "in21k_ft_in1k", 300, 384, 1.0, "half", 84.332),
    ("tf_efficientnetv2_m", "in1k", 384, 480, 1.0, "squash", 85.208),
    ("tf_efficientnetv2_m", "in21k", 384, 480, 1.0, "squash", None),
    ("tf_efficientnetv2_m", "in21k_ft_in1k", 384, 480, 1.0, "squash", 86.014),
    ("tf_efficientnetv2_l", "in1k", 384, 480, 1.0, "squash", 85.660),
    ("tf_efficientnetv2_l", "in21k", 384, 480, 1.0, "squash", None),
    ("tf_efficientnetv2_l", "in21k_ft_in1k", 384, 480, 1.0, "squash", 86.802),
    ("tf_efficientnetv2_xl", "in21k", 384, 512, 1.0, "squash", None),
    ("tf_efficientnetv2_xl", "in21k_ft_in1k", 384, 512, 1.0, "squash", 86.754),
    ("efficientnet_lite0", "ra_in1k", 224, 224, 0.875, "imagenet", 75.488),
    ("tf_efficientnet_lite0", "in1k", 224, 224, 0.875, "half", 74.846),
    ("tf_efficientnet_lite1", "in1k", 240, 240, 0.882, "half", 76.674),
    ("tf_efficientnet_lite2", "in1k", 260, 260, 0.890, "half", 77.470),
    ("tf_efficientnet_lite3", "in1k", 300, 300, 0.904, "half bilinear", 79.808),
    ("tf_efficientnet_lite4", "in1k", 380, 380, 0.920, "half bilinear", 81.540),
    ("efficientnet_es", "ra_in1k", 224, 224, 0.875, "imagenet", 78.100),
    ("efficientnet_em", "ra2_in1k", 240, 240, 0.882, "imagenet", 79.256),
    ("efficientnet_el", "ra_in1k", 300, 300, 0.904, "imagenet", 81.308),
    ("tf_efficientnet_es", "in1k", 224, 224, 0.875, "half", 76.608),
    ("tf_efficientnet_em", "in1k", 240, 240, 0.882, "half", 78.128),
    ("tf_efficientnet_el", "in1k", 300, 300, 0.904, "half", 80.246),
    ("tf_efficientnet_cc_b0_4e", "in1k", 224, 224, 0.875, "half", 77.324),
    ("tf_efficientnet_cc_b0_8e", "in1k", 224, 224, 0.875, "half", 77.956),
    ("tf_efficientnet_cc_b1_8e", "in1k", 240, 240, 0.882, "half", 79.318),
    ("semnasnet_100", "rmsp_in1k", 224, 224, 0.875, "imagenet", 75.452),
    ("mnasnet_100", "rmsp_in1k", 224, 224, 0.875, "imagenet", 74.672),
    ("mnasnet_small", "lamb_in1k", 224, 224, 0.875, "imagenet", 66.204),
    ("tinynet_a", "in1k", 192, 192, 0.875, "imagenet", 77.666),
    ("tinynet_b", "in1k", 188, 188, 0.875, "imagenet", 74.946),
    ("tinynet_c", "in1k", 184, 184, 0.875, "imagenet", 71.214),
    ("tinynet_d", "in1k", 152, 152, 0.875, "imagenet", 66.936),
    ("tinynet_e", "in1k", 106, 106, 0.875, "imagenet", 59.874),
    ("mobilenetv1_100", "ra4_e3600_r224_in1k", 224, 256, 0.95, "half", 76.088),
    ("mobilenetv2_100", "ra_in1k", 224, 224, 0.875, "imagenet", 72.910),
    ("mobilenetv3_large_100", "ra_in1k", 224, 224, 0.875, "imagenet", 75.784),
    ("mobilenetv3_large_100", "ra4_e3600_r224_in1k", 224, 256, 1.0, "half", 77.182),
    ("mobilenetv3_large_100", "miil_in21k_ft_in1k", 224, 224, 0.875, "0..1 bilinear", 77.920),
    ("mobilenetv3_large_100", "miil_in21k", 224, 224, 0.875, "0..1 bilinear", None),
    ("mobilenetv3_small_100", "lamb_in1k", 224, 224, 0.875, "imagenet", 67.636),
)

# Those that the results of that commit leave out, with the top-1 of an earlier one.
_EARLIER_ROWS: tuple[tuple[str, str, int, int, float, str, float | None], ...] = (
    ("tf_mobilenetv3_large_100", "in1k", 224, 224, 0.875, "half bilinear", 75.516),
    ("tf_mobilenetv3_small_100", "in1k", 224, 224, 0.875, "half bilinear", 67.918),
)


def _record(
    architecture: str, tag: str, train: int, resolution: int, crop: float, style: str, top1: float | None
) -> Record:
    mean, std, mode, interpolation = _STYLES[style]
    prepared = Preprocessing(
        resolution=resolution, crop_fraction=crop, crop=mode, interpolation=interpolation, mean=mean, std=std
    )
    return Record(
        architecture=architecture,
        tag=tag,
        repository=f"timm/{architecture.removesuffix('_475')}.{tag}",  # both sizes of L2 are one network there
        classes=_CLASSES.get(tag, 1000),
        train_resolution=train,
        preprocessing=prepared,
        top1=top1,
        licence=_LICENCES.get(tag, "apache-2.0"),
    )


def _v1_records() -> Iterator[Record]:
    for size, (resolution, crop, tags) in _TF_V1.items():
        for tag, top1 in tags.items():
            style = "half" if tag == "ap_in1k" else "imagenet"  # AdvProp: x * 2 / 255 - 1
            yield _record(f"tf_efficientnet_{size}", tag, resolution, resolution, crop, style, top1)


def _earlier_records() -> Iterator[Record]:
    for row in _EARLIER_ROWS:
        yield replace(_record(*row), top1_source="timm 0173a13 results/results-imagenet.csv")


_NEWEST_ROWS = (*_ROWS, *ROWS)
RECORDS: tuple[Record, ...] = (*_v1_records(), *(_record(*row) for row in _NEWEST_ROWS), *_earlier_records())
"""Every published set of weights for an architecture of the zoo."""


def published(architecture: str) -> tuple[Record, ...]:
    """The records of one architecture, by its zoo name; empty where nothing is published."""
    return tuple(record for record in RECORDS if record.architecture == architecture)


def by_repository(repository: str) -> Record | None:
    """The record behind a hub id such as ``timm/tf_efficientnet_b0.ns_jft_in1k``; None where it is not known."""
    return next((record for record in RECORDS if record.repository == repository), None)


def matching(architecture: str, tag: str) -> list[Record]:
    """The records that ``tag`` names, best first: the one of exactly that tag, else those it is the beginning of.

    Best is the highest top-1; any ImageNet-1k classifier comes before any other, and before those that are not free
    to use for any purpose.
    """
    records = published(architecture)
    exact = [r for r in records if r.tag == tag]
    found = exact or [r for r in records if tag == BEST or r.tag.startswith(f"{tag}_")]
    return sorted(found, key=lambda r: (r.classes == 1000, r.licence in _FREE, r.top1 or 0), reverse=True)


def find(architecture: str, tag: str = BEST) -> Record:
    """The best record that ``tag`` names: ``"imagenet"``, a tag, or the beginning of one (``"ns"``, ``"in21k_ft"``).

    >>> find("tf_efficientnet_b0", "ns").repository
    'timm/tf_efficientnet_b0.ns_jft_in1k'

    Raises:
        RequestError: no weights are published for the architecture (a relative that has some is named), or
            none by that tag (those there are, are listed).
    """
    if found := matching(architecture, tag):
        return found[0]
    if not published(architecture):
        raise _nothing_published(architecture)
    tags = ", ".join(sorted(record.tag for record in published(architecture)))
    raise RequestError(f"no weights {tag!r} for {architecture}; there are: {BEST} (the best), {tags}; or give a file")


def _nothing_published(architecture: str) -> RequestError:
    names = sorted({record.architecture for record in RECORDS})
    twin = architecture.removeprefix("tf_") if architecture.startswith("tf_") else f"tf_{architecture}"
    near = [twin] if twin in names else get_close_matches(architecture, names, n=3, cutoff=0.7)
    some = " and ".join(near) if near else f"{len(names)} architectures, such as {names[0]}"
    advice = f"there are weights for {some}"
    return RequestError(f"no weights are published for {architecture!r}; {advice}; or give a file of your own")
