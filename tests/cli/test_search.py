"""coefficients, study, worker: from the command line to the files they leave, and what they refuse."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from commandline import run
from compoundnet.cli import main
from compoundnet.scaling import Rule, read_rule
from compoundnet.search.engine.opening import open_study
from compoundnet.search.engine.storage import outcomes
from factories import NET, written
from tiny import ARCH, pictures

FINE = replace(ARCH, rounding=replace(ARCH.rounding, channel_multiple=1, channel_floor=0))
QUICK = ("--epochs", "2", "--batch-size", "8", "--device", "cpu")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images and a baseline in it."""
    folder = tmp_path_factory.mktemp("search")
    pictures(folder / "images")
    (folder / "net.json").write_text(FINE.to_json())
    return folder


@pytest.fixture(scope="module")
def study(place: Path) -> Path:
    """One that has ended."""
    folder = place.parent / f"{place.name}-ended"
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in asked(place, "study", folder, "--rules", "depth", "--factors", 2, "--seeds", 1)])
    assert ended.value.code == 0
    return folder


def asked(place: Path, verb: str, study: Path, *more: object) -> tuple[object, ...]:
    return (verb, place / "net.json", place / "images", "-o", study, *QUICK, *more)


def test_help(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    for verb, words in {
        "coefficients": (
            "--phi",
            "--networks",
            "--seeds",
            "--method",
            "--min-epochs",
            "--storage",
            "--jobs",
            "--epochs",
        ),
        "study": (
            "--factors",
            "--rules",
            "--bases",
            "depth,resolution",
            "--seeds",
            "--storage",
            "--jobs",
            "--learning-rate",
        ),
        "worker": ("STUDY", "--storage", "--name", "--data", "--device", "--json"),
    }.items():
        code, out, _ = run(capsys, verb, "--help")
        assert code == 0 and [word for word in words if word not in out] == []


def test_coefficients(capsys: pytest.CaptureFixture[str], place: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    words = asked(place, "coefficients", study, "--networks", 4, "--seeds", 1, "--tolerance", 0.2)
    code, out, err = run(capsys, *words, "--json")
    assert code == 0, err
    result = json.loads(out)
    assert json.loads((study / "result.json").read_text()) == result
    assert {"alpha", "beta", "gamma"} == set(result["coefficients"])
    assert len(result["networks"]) == 4 and result["warnings"]
    assert result["command"].startswith("compoundnet coefficients ")
    rule = read_rule(study / "rule.json").rule
    assert rule == Rule(**result["rule"])
    for name in ("report.html", "networks.csv", "chart.png", "study.json", "journal.log"):
        assert (study / name).stat().st_size > 100
    assert "<script" not in (study / "report.html").read_text()
    code, out, err = run(capsys, *words)  # all is there: only the analysis again
    assert code == 0 and "begins" not in err
    assert "report:" in out and "but:" in out
    code, _, err = run(capsys, "scale", place / "net.json", "--phi", 1, "--rule", study / "rule.json")
    assert code == 0, err


def test_study_by_two_processes(capsys: pytest.CaptureFixture[str], place: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    code, out, err = run(
        capsys, *asked(place, "study", study, "--rules", "depth", "width", "--factors", 2, "--seeds", 2, "--jobs", 2)
    )
    assert code == 0, err
    with open_study(study) as opened:
        ended = outcomes(opened)
    assert len({o.candidate.key for o in ended}) == len(ended) == 3 * 2
    result = json.loads((study / "result.json").read_text())
    assert {row["rule"] for row in result["rows"]} == {"baseline", "depth", "width"}
    assert "report:" in out
    log = (study / "worker-1.log").read_text()
    assert "Traceback" not in log
    assert [path for path in tmp_path.rglob("checkpoint")] == []


def test_width_on_larger_bases(capsys: pytest.CaptureFixture[str], place: Path, tmp_path: Path) -> None:
    """The paper's Figure 4; and a worker that joins reads the bases from the study."""
    study = tmp_path / "study"
    words = asked(place, "study", study, "--rules", "width", "--bases", "1,1", "2,1", "--factors", 4, "--seeds", 1)
    code, out, err = run(capsys, *words)
    assert code == 0, err
    result = json.loads((study / "result.json").read_text())
    assert {row["rule"] for row in result["rows"]} == {"baseline", "width", "width at d2 r1"}
    assert [(c["rule"], c["other"]) for c in result["contrasts"]] == [("width at d2 r1", "width")]
    assert "do not tell width on a larger base from width on the baseline" in out
    assert "Width alone on larger bases" in (study / "report.html").read_text()
    code, out, err = run(capsys, "worker", study, "--json")
    assert code == 0 and "begins" not in err
    trials = {"complete": len(result["rows"]), "pruned": 0, "failed": 0}
    assert json.loads(out) == {"study": "study", "trials": trials}


def test_a_worker_finishes_what_another_left(
    capsys: pytest.CaptureFixture[str], place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from compoundnet.errors import StoppedError
    from compoundnet.search import study as module

    whole, study = tmp_path / "whole", tmp_path / "study"
    more = ("--rules", "depth", "--factors", 2, "--seeds", 1)
    assert run(capsys, *asked(place, "study", whole, *more))[0] == 0
    with monkeypatch.context() as patched:

        def struck(*args: object, **named: object) -> None:
            raise StoppedError("stopped for the test")

        patched.setattr(module, "train_candidate", struck)
        assert run(capsys, *asked(place, "study", study, *more))[0] == 130
    code, out, err = run(capsys, "worker", study)
    assert (code, out) == (0, "") and "begins" in err
    found = []
    for folder in (whole, study):
        with open_study(folder) as opened:
            found.append({o.candidate.key: o.curve for o in outcomes(opened)})
    assert found[0] == found[1] and len(found[0]) == 2


@pytest.mark.parametrize(
    ("verb", "more", "line"),
    [
        ("coefficients", ("--networks", "2"), "networks is 2"),
        ("coefficients", ("--seeds", "0"), "seeds is 0"),
        ("coefficients", ("--tolerance", "-1"), "tolerance is -1.0"),
        ("coefficients", ("--phi", "0"), "phis is 0"),
        ("coefficients", ("--tolerance", "1e-9"), "raise the tolerance"),
        ("coefficients", ("--train-images", "1"), "1 train images"),
        ("coefficients", ("--val-images", "100000"), "100000 val images"),
        ("coefficients", ("--jobs", "0"), "jobs is 0"),
        ("coefficients", ("--storage", "mysql://x/y"), "mysql"),
        ("coefficients", ("--resolution", "32"), "train at their own"),
        ("coefficients", ("--base-resolution", "32"), "goes with a factory"),
        ("coefficients", ("--recipe", "nowhere.json"), "cannot read recipe"),
        ("study", ("--rules", "deep"), "unknown scaling rule 'deep'"),
        ("study", ("--rules", "nowhere.json"), "cannot read rule"),
        ("study", ("--factors", "0.5"), "factors is 0.5"),
        ("study", ("--factors", "2", "2"), "different numbers"),
        ("study", ("--rules", "depth", "depth"), "rules have 'depth' twice"),
        ("study", ("--rules", "rules/depth.json"), "would be called 'depth', which means something else; rename"),
        ("study", ("--rules", "baseline.json"), "would be called 'baseline'"),
        ("study", ("--rules", "x2.json"), "would be called 'x2'"),
        ("study", ("--bases", "2x1"), "base '2x1' is not DEPTH,RESOLUTION, two multipliers of the baseline's"),
        ("study", ("--bases", "2"), "base '2' is not DEPTH,RESOLUTION"),
        ("study", ("--bases", "2,1,1"), "base '2,1,1' is not DEPTH,RESOLUTION"),
        ("study", ("--bases", "0.5,1"), "depth of base [0.5, 1.0] is 0.5; it must lie in [1, 100]"),
        ("study", ("--bases", "1,nan"), "resolution of base [1.0, nan] is nan"),
        ("study", ("--bases", "2,1", "2,1.0"), "each must be given once"),
        ("study", ("--bases", "9,3"), "more than any of the factors (2, 4); give a larger factor, or a smaller base"),
        ("study", ("--bases", "1,1.001"), "base 1,1.001 rounds to the baseline itself"),
        ("study", ("--device", "cud"), "device 'cud' cannot be used"),
    ],
)
def test_one_clear_line(
    capsys: pytest.CaptureFixture[str], place: Path, tmp_path: Path, verb: str, more: tuple[str, ...], line: str
) -> None:
    code, out, err = run(capsys, *asked(place, verb, tmp_path / "study", *more))
    assert (code, out) == (2, "")
    last = err.rstrip().rsplit("\n", 1)[-1]
    assert last.startswith("compoundnet: ") and line in last
    assert not (tmp_path / "study").exists()


def test_a_worker_of_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = run(capsys, "worker", tmp_path)
    assert code == 2 and "is not a study" in err


def test_another_request_is_refused(capsys: pytest.CaptureFixture[str], place: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    more = ("--rules", "depth", "--factors", 2, "--seeds", 1)
    assert run(capsys, *asked(place, "study", study, *more))[0] == 0
    before = {path: path.read_bytes() for path in study.iterdir() if path.is_file()}
    code, _, err = run(capsys, *asked(place, "study", study, "--rules", "width", "--factors", 2, "--seeds", 1))
    assert code == 2 and "another study" in err and "rules" in err
    assert {path: path.read_bytes() for path in study.iterdir() if path.is_file()} == before


def test_a_study_inside_its_images_is_refused(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    code, _, err = run(capsys, *asked(place, "study", place / "images" / "study"))
    assert code == 2 and "would lie inside the images" in err
    assert not (place / "images" / "study").exists()


def test_a_study_whose_trainings_all_fail(
    capsys: pytest.CaptureFixture[str], place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from compoundnet.errors import FailureError
    from compoundnet.search import study as module

    def diverging(*args: object, **named: object) -> None:
        raise FailureError("the loss became nan")

    monkeypatch.setattr(module, "train_candidate", diverging)
    code, out, err = run(
        capsys, *asked(place, "study", tmp_path / "study", "--rules", "depth", "--factors", 2, "--seeds", 1)
    )
    assert (code, out) == (1, "")
    assert err.rstrip().endswith("compoundnet: all 2 trainings failed; the first: the loss became nan")


def test_a_factory_that_prints_leaves_the_answer_alone(
    capsys: pytest.CaptureFixture[str], place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loud = f'print("imported")\n{NET}'.replace("    c = max", '    print("built")\n    c = max')
    name = written(tmp_path, monkeypatch, "loud_factory", loud)
    words = (name, place / "images", "-o", tmp_path / "study", "--base-resolution", 16, *QUICK)
    code, out, err = run(capsys, "study", *words, "--rules", "width", "--factors", 2, "--seeds", 1, "--json")
    assert code == 0, err
    result = json.loads(out)
    assert any("9 % apart in depth" in note for note in result["notes"])
    assert "imported" in err and "built" in err


def damaged(value: object, at: tuple[str, ...], to: object) -> object:
    """A copy of nested JSON objects with one value changed."""
    if not at:
        return to
    assert isinstance(value, dict)
    return {**value, at[0]: damaged(value.get(at[0]), at[1:], to)}


@pytest.mark.parametrize(
    ("at", "to", "told"),
    [
        (("storage",), 3, "its storage is 3"),
        (("name",), None, "its name is None"),
        (("definition",), [], "its definition is []"),
        (("definition", "kind"), None, "unknown kind 'None'"),
        (("definition", "phis"), None, "request cannot be read"),
        (("definition", "rules"), {"depth": [1]}, "rule 'depth' is [1]"),
        (("definition", "rules"), 3, "rules are 3"),
        (("definition", "rules"), {}, "rules is empty"),
        (("definition", "seeds"), "3", "seeds is '3'"),
        (("definition", "train_images"), 0, "train_images is 0"),
        (("definition", "data"), None, "data is None"),
        (("definition", "recipe"), None, "recipe"),
        (("definition", "recipe", "epochs"), "many", "epochs is 'many'"),
        (("definition", "baseline"), {"net": 1}, "baseline is {'net': 1}"),
        (("definition", "baseline"), None, "baseline is None"),
        (("definition", "baseline", "architecture"), {"name": 3}, "architecture"),
        (("definition", "method"), "model", "unknown method of axes 'model'"),
    ],
)
def test_a_damaged_study_is_told_in_a_line(
    capsys: pytest.CaptureFixture[str], study: Path, tmp_path: Path, at: tuple[str, ...], to: object, told: str
) -> None:
    """In both places: what a study was asked for stands in its journal too."""
    copy = shutil.copytree(study, tmp_path / "study")
    record = json.loads((copy / "study.json").read_text())
    changed = damaged(record, at, to)
    (copy / "study.json").write_text(json.dumps(changed))
    lines = [json.loads(line) for line in (copy / "journal.log").read_text().splitlines()]
    for line in lines:
        if "definition" in line.get("user_attr", {}):
            assert isinstance(changed, dict)
            line["user_attr"]["definition"] = changed["definition"]
    (copy / "journal.log").write_text("".join(json.dumps(line) + "\n" for line in lines))
    code, out, err = run(capsys, "worker", copy)
    assert (code, out) == (2, "")
    last = err.rstrip().rsplit("\n", 1)[-1]
    assert last.startswith("compoundnet: ") and told in last


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"value":', '"value":"x","was":', "cannot be read"),
        ('"effective":', '"affective":', "its effective is None"),
        ('"macs_factor":', '"macs_factor":null,"was":', "its macs_factor is None"),
        ('"multipliers":[', '"multipliers":["x",', "cannot be read"),
        ('"state":"complete"', '"state":"over"', "cannot be read"),
    ],
)
def test_a_damaged_trial_is_told_in_a_line(
    capsys: pytest.CaptureFixture[str], study: Path, tmp_path: Path, old: str, new: str, told: str
) -> None:
    copy = shutil.copytree(study, tmp_path / "study")
    journal = (copy / "journal.log").read_text()
    assert old in journal
    (copy / "journal.log").write_text(journal.replace(old, new))
    code, out, err = run(capsys, "worker", copy)
    assert (code, out) == (2, "")
    last = err.rstrip().rsplit("\n", 1)[-1]
    assert last.startswith("compoundnet: ") and told in last
