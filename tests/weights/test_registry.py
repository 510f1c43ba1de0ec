"""The table of published weights equals timm's own, field by field."""

import csv
import doctest
from pathlib import Path

import pytest
from timm.models import get_pretrained_cfg, list_pretrained

from compoundnet import zoo
from compoundnet.errors import RequestError
from compoundnet.weights import find, published, registry
from compoundnet.weights.registry import RECORDS, Record, by_repository
from compoundnet.zoo import condconv, edgetpu, efficientnet, lite, mnasnet, mobilenet, resnet, tinynet
from conftest import needs_shared

FAMILIES = (efficientnet, lite, edgetpu, condconv, mnasnet, tinynet, mobilenet, resnet)  # X and H: timm's are its own
NAMES = {name for family in FAMILIES for name in family.ARCHITECTURES}


def timm_name(record: Record) -> str:
    return record.repository.removeprefix("timm/")


def test_the_tags_are_timms() -> None:
    """Of these families; a timm model of the same name is the same network."""
    theirs = {name for name in list_pretrained() if name.partition(".")[0] in NAMES}
    assert {timm_name(record) for record in RECORDS if record.architecture in NAMES} == theirs


def test_every_architecture_is_in_the_zoo() -> None:
    assert {record.architecture for record in RECORDS} <= set(zoo.list_architectures())


@pytest.mark.parametrize("record", RECORDS, ids=timm_name)
def test_a_row_equals_timms_configuration(record: Record) -> None:
    theirs, ours = get_pretrained_cfg(timm_name(record)), record.preprocessing
    assert theirs is not None
    assert record.repository == theirs.hf_hub_id
    assert theirs.hf_hub_filename in (None, record.file)  # None: timm looks for model.safetensors first
    assert record.classes == theirs.num_classes
    assert record.licence == theirs.license
    assert record.train_resolution == theirs.input_size[1]
    assert ours.resolution == (theirs.test_input_size or theirs.input_size)[1]
    assert (ours.crop, ours.interpolation) == (theirs.crop_mode, theirs.interpolation)
    assert (ours.mean, ours.std) == (theirs.mean, theirs.std)
    assert ours.crop_fraction == (theirs.test_crop_pct or theirs.crop_pct)


def test_v1_ports_are_prepared_as_the_zoo_says() -> None:
    for record in RECORDS:
        if record.architecture.startswith("tf_efficientnet_") and "lite" not in record.architecture:  # others at timm
            theirs, ours = zoo.preprocessing(zoo.architecture(record.architecture)), record.preprocessing
            assert (ours.resolution, ours.crop_fraction) == (theirs.resolution, theirs.crop_fraction), record


@needs_shared("reference/published.csv")
def test_top1_is_that_of_timms_results(shared: Path) -> None:
    with (shared / "reference/published.csv").open(newline="") as stream:
        rows = {(row["model"], row["input_resolution"]): row["top1"] for row in csv.DictReader(stream)}
    for record in (r for r in RECORDS if "aa4b585" in r.top1_source):
        row = rows.get((f"timm {timm_name(record)}", str(record.preprocessing.resolution)))
        assert record.top1 == (None if row is None else float(row)), record


@pytest.mark.parametrize(
    ("architecture", "tag", "found"),
    [
        ("tf_efficientnet_b0", "imagenet", "tf_efficientnet_b0.ns_jft_in1k"),
        ("tf_efficientnet_b0", "in1k", "tf_efficientnet_b0.in1k"),
        ("tf_efficientnet_b0", "aa", "tf_efficientnet_b0.aa_in1k"),
        ("tf_efficientnet_b0", "ap", "tf_efficientnet_b0.ap_in1k"),
        ("tf_efficientnet_b0", "ns", "tf_efficientnet_b0.ns_jft_in1k"),
        ("tf_efficientnet_b5", "ra", "tf_efficientnet_b5.ra_in1k"),
        ("tf_efficientnet_b8", "imagenet", "tf_efficientnet_b8.ap_in1k"),
        ("tf_efficientnet_l2", "imagenet", "tf_efficientnet_l2.ns_jft_in1k"),
        ("tf_efficientnet_l2_475", "ns", "tf_efficientnet_l2.ns_jft_in1k_475"),
        ("efficientnet_b0", "imagenet", "efficientnet_b0.ra4_e3600_r224_in1k"),
        ("efficientnet_b0", "ra", "efficientnet_b0.ra_in1k"),
        ("efficientnet_b1", "ra4", "efficientnet_b1.ra4_e3600_r240_in1k"),
        ("efficientnet_b5", "sw", "efficientnet_b5.sw_in12k_ft_in1k"),
        ("efficientnet_b5", "sw_in12k", "efficientnet_b5.sw_in12k"),
        ("tf_efficientnetv2_s", "in21k", "tf_efficientnetv2_s.in21k"),
        ("tf_efficientnetv2_s", "in21k_ft", "tf_efficientnetv2_s.in21k_ft_in1k"),
        ("tf_efficientnetv2_xl", "imagenet", "tf_efficientnetv2_xl.in21k_ft_in1k"),
        ("mobilenetv3_large_100", "imagenet", "mobilenetv3_large_100.miil_in21k_ft_in1k"),
        ("mobilenetv3_large_100", "ra4", "mobilenetv3_large_100.ra4_e3600_r224_in1k"),
        ("tf_mobilenetv3_small_100", "in1k", "tf_mobilenetv3_small_100.in1k"),
        ("tf_efficientnet_lite4", "imagenet", "tf_efficientnet_lite4.in1k"),
        ("resnet18", "imagenet", "resnet18.a1_in1k"),  # not the better one that is not for commercial use
        ("resnet18", "fb_swsl", "resnet18.fb_swsl_ig1b_ft_in1k"),
        ("resnet50", "tv2", "resnet50.tv2_in1k"),
        ("resnetrs50", "imagenet", "resnetrs50.tf_in1k"),
    ],
)
def test_names_and_their_short_forms(architecture: str, tag: str, found: str) -> None:
    assert timm_name(find(architecture, tag)) == found


def test_imagenet_has_1000_classes_everywhere() -> None:
    for architecture in {record.architecture for record in RECORDS}:
        best = find(architecture)
        assert best.classes == 1000
        assert best.top1 == max(
            record.top1 or 0 for record in published(architecture) if "nc" not in (record.licence or "")
        )


@pytest.mark.parametrize(
    ("architecture", "tag", "message"),
    [
        (
            "tf_efficientnet_b6",
            "ra",
            r"no weights 'ra' for tf_efficientnet_b6; there are: imagenet .*aa_in1k, ap_in1k, ns",
        ),
        ("tf_efficientnetv2_xl", "in1k", r"there are: imagenet \(the best\), in21k, in21k_ft_in1k; or give a file"),
        ("efficientnet_b6", "imagenet", r"'efficientnet_b6'; there are weights for tf_efficientnet_b6; or give a file"),
        ("efficientnetv2_s", "imagenet", "there are weights for tf_efficientnetv2_s;"),
        ("efficientnet_l2_475", "ns", "there are weights for tf_efficientnet_l2_475;"),
        (
            "my_net",
            "imagenet",
            r"no weights are published for 'my_net'; there are weights for \d+ architectures, such as efficientnet_b0;",
        ),
        ("tf_efficientnet_b0", "", "no weights '' for tf_efficientnet_b0"),
    ],
)
def test_what_is_not_published(architecture: str, tag: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        find(architecture, tag)


def test_a_repository_leads_back_to_its_record() -> None:
    assert all(by_repository(record.repository) == record for record in RECORDS)
    assert by_repository("someone/else") is None


def test_the_example_in_the_docstring() -> None:
    assert doctest.testmod(registry).failed == 0
