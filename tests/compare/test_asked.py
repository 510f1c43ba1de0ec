"""Names, files and runs become networks, each with the right accuracy; wrong ones are told in one line."""

from dataclasses import replace
from pathlib import Path

import pytest

from compare.runs import write_run
from compoundnet.architecture import Architecture
from compoundnet.compare import asked
from compoundnet.compare.asked import asked_for
from compoundnet.compare.published import PAPER
from compoundnet.errors import RequestError
from compoundnet.zoo import architecture
from factories import written


def test_nothing_given_is_the_papers() -> None:
    found = asked_for([])
    assert len(found) == len(PAPER)
    assert [one.label for one in found if one.accuracy is None] == ["amoebanet_d_18_552"]
    assert {one.label for one in found if one.network is None} >= {"Inception-v3", "SENet", "GPipe", "AmoebaNet-C"}


def test_without_timm_its_networks_are_there_as_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked, "find_spec", lambda name: None)
    found = {one.label: one for one in asked_for([])}
    assert len(found) == len(PAPER)
    for name in ("Xception", "NASNet-A"):
        assert found[name].network is None
        assert found[name].published_value("params") is not None
    assert found["VGG-16"].network is not None
    assert asked_for(["xception"])[0].network is not None  # whose error then says what to install


def test_a_network_by_any_of_its_names() -> None:
    b0, tf, v3, mini = asked_for(["efficientnet_b0", "tf_efficientnet_b0", "inception-V3", "mbconv_mini"])
    assert (b0.label, tf.label, v3.label, mini.label) == (
        "EfficientNet-B0",
        "tf_efficientnet_b0",
        "Inception-v3",
        "mbconv_mini",
    )
    assert b0.accuracy == tf.accuracy
    assert b0.accuracy is not None and b0.accuracy.top1 == pytest.approx(0.771)
    assert b0.accuracy.source.endswith("Table 2")
    assert (v3.network, mini.accuracy) == (None, None)


def test_a_file_has_the_published_accuracy_only_if_it_is_that_network(tmp_path: Path) -> None:
    b0 = architecture("efficientnet_b0")
    (tmp_path / "same.json").write_text(b0.to_json())
    (tmp_path / "other.json").write_text(replace(b0, resolution=192).to_json())
    same, other = asked_for([tmp_path / "same.json", tmp_path / "other.json"])
    assert same.accuracy is not None
    assert other.accuracy is None
    assert len({same.label, other.label}) == 2


def test_a_run_has_its_own_accuracy_on_its_own_images(tmp_path: Path) -> None:
    (run,) = asked_for([write_run(tmp_path / "mine", 0.87)])
    assert run.label == "mine"
    assert run.accuracy is not None
    assert (run.accuracy.top1, run.accuracy.images, run.accuracy.on) == (0.87, 200, "pets, test")
    assert isinstance(run.network, Architecture)
    assert run.published is None


def test_a_run_of_a_published_network_does_not_borrow_its_accuracy(tmp_path: Path) -> None:
    run = write_run(tmp_path / "b0", 0.5, architecture("efficientnet_b0"))
    (one,) = asked_for([run])
    assert one.accuracy is not None and one.accuracy.top1 == 0.5
    assert one.published is None
    (none,) = asked_for([write_run(tmp_path / "unjudged", evaluations={})])
    assert none.accuracy is None


def test_the_papers_networks_come_along_once(tmp_path: Path) -> None:
    found = asked_for([write_run(tmp_path / "mine"), "resnet50"], paper=True)
    assert len(found) == len(PAPER) + 1
    assert sum(one.label == "ResNet-50" for one in found) == 1


def test_labels_are_distinct(tmp_path: Path) -> None:
    found = asked_for([write_run(tmp_path / "a" / "run"), write_run(tmp_path / "b" / "run"), "alexnet"])
    assert [one.label for one in found] == [str(tmp_path / "a" / "run"), str(tmp_path / "b" / "run"), "AlexNet"]


def test_a_factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (net,) = asked_for([written(tmp_path, monkeypatch, "compared_nets")], side=64)
    assert net.network is not None
    assert (net.label, net.network.resolution, net.accuracy) == ("compared_nets:net", 64, None)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (["efficientnet_b9"], r"unknown network or run 'efficientnet_b9'; did you mean 'efficientnet_b8'"),
        (["Inception-v5"], r"did you mean 'Inception-v4'"),
        (["alexnet", "alexnet"], r"'alexnet' is given twice; name it once"),
        (["AlexNet", "alexnet"], r"'alexnet' is the same network as 'AlexNet'; name it once"),
        (["no/such/run"], r"'no/such/run' is neither a run folder nor a network"),
        (["a" * 5000], r"unknown network or run 'aaaa"),
        (["no.json"], r"cannot read architecture 'no.json'"),
        (["no_module_of_that_name:net"], r"cannot find factory 'no_module_of_that_name:net'"),
    ],
)
def test_wrong_names_are_told_in_one_line(given: list[str], complaint: str) -> None:
    with pytest.raises(RequestError, match=complaint) as caught:
        asked_for(given)
    assert "\n" not in str(caught.value)


def test_wrong_runs_are_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"is not a run: it has no run\.json"):
        asked_for([tmp_path])
    running = write_run(tmp_path / "running", status="running")
    with pytest.raises(RequestError, match=r"running' has no result yet: its training has not ended"):
        asked_for([running])
    with pytest.raises(RequestError, match=r"twice' is given twice"):
        asked_for([write_run(tmp_path / "twice"), tmp_path / "twice"])
    for name, damage in {
        "no_data": {"data": {}},
        "no_number": {"evaluations": {"test": {"top1": "x", "top5": None}}},
        "no_share": {"evaluations": {"test": {"top1": 7, "top5": None, "n": 5}}},
        "below_top1": {"evaluations": {"test": {"top1": 0.5, "top5": 0.4, "n": 5}}},
        "no_images": {"evaluations": {"test": {"top1": 0.5, "top5": None, "n": 0}}},
        "endless": {"evaluations": {"test": {"top1": 0.5, "top5": None, "n": float("inf")}}},
        "nan": {"evaluations": {"test": {"top1": 0.5, "top5": float("nan"), "n": 5}}},
    }.items():
        with pytest.raises(RequestError, match=rf"{name}' is damaged"):
            asked_for([write_run(tmp_path / name, **damage)])


def test_a_side_goes_with_a_factory() -> None:
    with pytest.raises(RequestError, match="base-resolution 64 goes with a factory"):
        asked_for(["alexnet"], side=64)
