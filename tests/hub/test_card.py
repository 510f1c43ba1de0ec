"""The model card: metadata that the hub reads, numbers of the run, code that runs, hostile names as text."""

from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard
from PIL import Image

from compoundnet.errors import RequestError
from compoundnet.evaluate import evaluate_logits
from compoundnet.hub import save_pretrained
from tiny import CLASSES
from trained import trained_run


def judged(labels: tuple[str, ...] = CLASSES) -> dict[str, Any]:
    """Nine of ten right."""
    truth = torch.arange(10) % 3
    logits = 4 * torch.nn.functional.one_hot(truth, 3).float()
    logits[0] = logits[1]
    return evaluate_logits(logits, truth, labels).to_json()


def told(labels: tuple[str, ...]) -> dict[str, Any]:
    return {
        "evaluations": {"test": judged(labels), "validation": judged(labels)},
        "data": {"name": "colours"},
        "weights": "timm/tf_efficientnet_b0.ns_jft_in1k",
        "recipe": {"epochs": 3},
        "versions": {"torch": "2.15"},
    }


def card(folder: Path, labels: tuple[str, ...] = CLASSES, record: dict[str, Any] | None = None, **settings: Any) -> Any:
    record = told(labels) if record is None else record
    run = trained_run(labels=labels, record=record)
    return ModelCard.load(save_pretrained(run, folder / "net", **settings) / "README.md")


def test_the_hub_reads_the_metadata(tmp_path: Path) -> None:
    found = card(tmp_path, repo_id="jane/colours", license="apache-2.0", datasets=["jane/pictures"])
    data = found.data
    assert (data.license, data.datasets, data.library_name) == ("apache-2.0", ["jane/pictures"], "compoundnet")
    assert (data.pipeline_tag, data.metrics, data.model_name) == ("image-classification", ["accuracy"], "colours")
    assert data.base_model == "timm/tf_efficientnet_b0.ns_jft_in1k"
    results = {(r.dataset_split, r.metric_name): (r.metric_type, r.metric_value) for r in data.eval_results}
    assert results["test", "Accuracy"] == ("accuracy", 0.9)
    assert {split for split, _ in results} == {"test", "validation"}
    assert {r.dataset_type for r in data.eval_results} == {"jane/pictures"}


def test_a_person_reads_the_numbers(tmp_path: Path) -> None:
    text = card(tmp_path, license="mit").text
    assert "| test | 10 | 90.0 % (59.6–98.2 %) |" in text  # Wilson's interval
    assert "| blue | 4 | 100 % | 75.0 % |" in text
    assert "trained on colours, from the weights timm/tf\\_efficientnet\\_b0" in text
    assert "| epochs | 3 |" in text
    assert "\n## License\n\nmit\n" in text


def test_a_card_of_a_run_of_which_nothing_is_known(tmp_path: Path) -> None:
    found = card(tmp_path, record={})
    assert "No measurement is recorded." in found.text
    assert "None was given: ask its author" in found.text
    assert found.data.eval_results is None
    assert found.data.license is None


def test_the_lines_of_code_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("compoundnet.from_pretrained", _opener(tmp_path), raising=False)
    text = card(tmp_path).text
    Image.new("RGB", (20, 30), "red").save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    blocks = [block.partition("```")[0] for block in text.split("```python\n")[1:]]
    assert len(blocks) == 2
    exec("\n".join(blocks), {})
    assert capsys.readouterr().out.split()[0] in CLASSES


def _opener(folder: Path) -> Any:
    from compoundnet.hub import from_pretrained

    return lambda name: from_pretrained(folder / name)


def test_names_are_text(tmp_path: Path) -> None:
    """Neither a cell of a table, nor HTML, nor a fence of code, nor YAML can be opened by a label."""
    labels = ("a|b", "<script>alert(1)</script>", "```\n---\nlicense: mit")
    found = card(tmp_path, labels=labels, repo_id='o/x"]\n')
    assert "| a\\|b | 4 |" in found.text
    assert "<script>" not in found.text
    assert found.text.count("```") == 4
    assert found.data.license is None
    assert found.data.to_dict()["library_name"] == "compoundnet"
    rows = [line for line in found.text.splitlines() if line.startswith("| ") and line.endswith(" % |")]
    assert len(rows) == 2 + 3


def test_many_classes_are_not_listed(tmp_path: Path) -> None:
    labels = tuple(f"class{i}" for i in range(60))
    truth = torch.arange(60)
    evaluation = evaluate_logits(torch.eye(60), truth, labels).to_json()
    found = card(tmp_path, labels=labels, record={"evaluations": {"test": evaluation}})
    assert "| test | 60 | 100 %" in found.text
    assert "class7" not in found.text


@pytest.mark.parametrize("settings", [{"license": 3}, {"license": ""}, {"datasets": [None]}])
def test_settings_that_are_no_text(tmp_path: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match=r"give texts, such as 'apache-2\.0'"):
        card(tmp_path, **settings)
