"""From a folder or the hub to a network: what is refused, in one line, and that nothing in it is run."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.torch import load_file, save_file

from compoundnet.errors import RequestError
from compoundnet.hub import from_pretrained, save_pretrained
from compoundnet.hub.pretrained import FILES
from tiny import ARCH, CLASSES
from trained import trained_run


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_pretrained(trained_run(), tmp_path_factory.mktemp("hub") / "net")


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "net")


class Bomb:
    """Unpickled, it leaves a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.trace),)


def changed_architecture(folder: Path) -> None:
    file = folder / "architecture.json"
    record = json.loads(file.read_text())
    record["stages"][0]["channels"] = 16
    file.write_text(json.dumps(record))


def rewritten(metadata: dict[str, str] | None = None, **tensors: torch.Tensor) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        file = folder / "model.safetensors"
        state = load_file(file)
        save_file({**state, **tensors}, file, metadata)

    return write


def cut(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-4])


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def holding(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


def pickled_beside(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


TWO_LABELS = {
    "compoundnet.labels": json.dumps(["a", "b"]),
    "compoundnet.preprocessing": json.dumps({"resolution": 12}),
}
DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no architecture": (without("architecture.json"), "no published network: it has no architecture.json"),
    "architecture no JSON": (holding("architecture.json", b"{"), "is damaged: architecture.json: not JSON"),
    "architecture no text": (holding("architecture.json", b"\xff"), "is damaged: architecture.json: "),
    "architecture of another": (changed_architecture, r"does not fit tiny: "),
    "no weights": (without("model.safetensors"), "has no model.safetensors$"),
    "a pickle instead": (pickled_beside, r"has no model.safetensors; pytorch_model.bin is a pickle, which can run"),
    "weights cut": (cut, "not a safetensors file, or it is truncated"),
    "weights empty": (holding("model.safetensors", b""), r"is empty \(0 bytes\)"),
    "weights without labels": (rewritten(), "metadata of its model.safetensors lacks labels or preprocessing"),
    "too few labels": (rewritten(TWO_LABELS), "is damaged: 2 labels for 3 classes"),
    "weights of another shape": (
        rewritten(TWO_LABELS, **{"stem.norm.bias": torch.ones(5)}), r"shape \(stem.norm.bias is \(5,\), not \(8,\)",
    ),
    "no number": (rewritten(TWO_LABELS, **{"stem.norm.bias": torch.full((8,), torch.nan)}), "has NaN or infinity"),
    "record no JSON": (holding("run.json", b"{"), r"cannot read .*run\.json"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_told_in_one_line(folder: Path, damage: str) -> None:
    spoil, said = DAMAGES[damage]
    spoil(folder)
    with pytest.raises(RequestError, match=said) as caught:
        from_pretrained(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["model.safetensors", "architecture.json", "run.json"])
def test_a_pickle_is_never_loaded(folder: Path, tmp_path: Path, name: str) -> None:
    (folder / name).write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    with pytest.raises(RequestError):
        from_pretrained(folder)
    assert not (tmp_path / "ran").exists()
    pickle.loads((folder / name).read_bytes())
    assert (tmp_path / "ran").exists()  # it could have


@pytest.mark.parametrize("device", ["tpu9", "cuda:99"])
def test_a_device_that_does_not_exist(whole: Path, device: str) -> None:
    with pytest.raises(RequestError, match=rf"device '{device}' cannot be used \(.*\); try cpu"):
        from_pretrained(whole, device=device)


def test_a_folder_has_no_revisions(whole: Path) -> None:
    with pytest.raises(RequestError, match=r"revision is 'v1', but .* is a folder, which has only one"):
        from_pretrained(whole, revision="v1")


@pytest.mark.parametrize("source", ["nowhere", "a/b/c", "../no/such/folder", "no such/folder", ".hidden/name"])
def test_what_is_neither_folder_nor_repository(source: str) -> None:
    with pytest.raises(RequestError, match=r"no folder '.*'; give one that holds a trained network, or owner/name"):
        from_pretrained(source)


def test_a_repository_is_downloaded_at_its_revision(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def download(repository: str, **settings: Any) -> str:
        asked.append((repository, settings))
        return str(whole)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    run = from_pretrained("jane/colours", revision="v1", token="hf_x")
    assert asked == [("jane/colours", {"revision": "v1", "token": "hf_x", "allow_patterns": list(FILES)})]
    assert (run.labels, run.architecture.name) == (CLASSES, ARCH.name)


def test_a_folder_comes_before_a_repository(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", None)  # not called
    (tmp_path / "jane").mkdir()
    folder.rename(tmp_path / "jane" / "colours")
    assert from_pretrained("jane/colours").labels == CLASSES


@pytest.mark.parametrize(
    ("fails", "said"),
    [
        (LocalEntryNotFoundError("nothing cached"), "cannot fetch 'jane/net': it is not in the cache and the hub"),
        (ConnectionError("no\nroute"), "cannot fetch 'jane/net' from the hub: ConnectionError: no route; or give a"),
        (
            huggingface_hub.errors.HFValidationError("x"),
            "no folder 'jane/net', and the hub has no such repository that",
        ),
    ],
)
def test_a_hub_that_fails_is_a_line(monkeypatch: pytest.MonkeyPatch, fails: Exception, said: str) -> None:
    def download(repository: str, **settings: Any) -> str:
        raise fails

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(RequestError, match=said) as caught:
        from_pretrained("jane/net")
    assert "\n" not in str(caught.value)


def test_an_architecture_far_larger_than_the_weights_is_refused_before_it_is_built(folder: Path) -> None:
    record = json.loads((folder / "architecture.json").read_text())
    record["stages"][-1]["repeats"] = 1_000_000
    record["classes"] = 1_000_000
    (folder / "architecture.json").write_text(json.dumps(record))
    with pytest.raises(RequestError, match=r"too small for what architecture\.json describes"):
        from_pretrained(folder)
