"""Every way in which a weights file can be bad, and what a file may say of itself."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from compoundnet.errors import RequestError
from compoundnet.preprocessing import Preprocessing
from compoundnet.weights.files import LABELS_KEY, PREPROCESSING_KEY, read_record, read_tensors

TENSORS = {"a": torch.arange(6.0).view(2, 3), "steps": torch.tensor(3)}
PREPARED = Preprocessing(resolution=192, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "w.safetensors"
    save_file(TENSORS, path, {"format": "pt"})
    return path


def test_a_good_file(file: Path) -> None:
    state, metadata = read_tensors(file)
    assert torch.equal(state["a"], TENSORS["a"])
    assert int(state["steps"]) == 3
    assert metadata == {"format": "pt"}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_floats_become_float32(tmp_path: Path, dtype: torch.dtype) -> None:
    save_file({"a": TENSORS["a"].to(dtype)}, tmp_path / "w.safetensors")
    state, _ = read_tensors(tmp_path / "w.safetensors")
    assert state["a"].dtype == torch.float32
    assert torch.equal(state["a"], TENSORS["a"])


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"cannot read weights .*none.safetensors: No such file"):
        read_tensors(tmp_path / "none.safetensors")


def test_a_folder_points_at_the_file_inside(tmp_path: Path, file: Path) -> None:
    with pytest.raises(RequestError, match=r"is a folder; give .*w\.safetensors"):
        read_tensors(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(RequestError, match=r"is a folder; give a \.safetensors file"):
        read_tensors(tmp_path / "empty")


def test_an_empty_file(file: Path) -> None:
    file.write_bytes(b"")
    with pytest.raises(RequestError, match="is empty"):
        read_tensors(file)


@pytest.mark.parametrize("kept", [4, 30, -1])
def test_a_truncated_file(file: Path, kept: int) -> None:
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(RequestError, match="is not a safetensors file, or it is truncated"):
        read_tensors(file)


@pytest.mark.parametrize(
    "content", [b"\x89HDF\r\n\x1a\n" + bytes(100), b"version https://git-lfs.github.com/spec/v1\n"]
)
def test_another_format(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(RequestError, match="is not a safetensors file"):
        read_tensors(file)


@pytest.mark.parametrize("name", ["w.pth", "w.pt", "w.bin", "w.safetensors"])
def test_a_pickle_is_refused_unread(tmp_path: Path, name: str) -> None:
    torch.save(TENSORS, tmp_path / name)
    with pytest.raises(RequestError, match=r"pickle.*can run code; convert it: python -c .*weights_only=True"):
        read_tensors(tmp_path / name)


def test_the_advice_for_a_pickle_works(tmp_path: Path) -> None:
    torch.save({"state_dict": TENSORS}, tmp_path / "w.pth")
    with pytest.raises(RequestError) as caught:
        read_tensors(tmp_path / "w.pth")
    code = str(caught.value).partition('python -c "')[2].removesuffix('"')
    exec(code, {})
    assert torch.equal(read_tensors(tmp_path / "w.safetensors")[0]["a"], TENSORS["a"])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_not_finite(file: Path, value: float) -> None:
    save_file({**TENSORS, "b": torch.tensor([1.0, value])}, file)
    with pytest.raises(RequestError, match="b has NaN or infinity"):
        read_tensors(file)


def test_integers_are_no_weights(file: Path) -> None:
    save_file({"q": torch.zeros(4, dtype=torch.int8)}, file)
    with pytest.raises(RequestError, match=r"q holds torch\.int8.*dequantise"):
        read_tensors(file)


def test_nothing_recorded(file: Path) -> None:
    recorded = read_record(file, {"format": "pt"})
    assert (recorded.preprocessing, recorded.labels) == (None, None)


def test_recorded_in_the_metadata(file: Path) -> None:
    metadata = {PREPROCESSING_KEY: json.dumps(PREPARED.to_json()), LABELS_KEY: '["cat", "dog"]'}
    recorded = read_record(file, metadata)
    assert (recorded.preprocessing, recorded.labels) == (PREPARED, ("cat", "dog"))


def test_a_file_beside_comes_first(file: Path) -> None:
    Path(f"{file}.json").write_text(json.dumps({"preprocessing": PREPARED.to_json(), "labels": ["a"]}))
    recorded = read_record(file, {PREPROCESSING_KEY: json.dumps({"resolution": 1})})
    assert (recorded.preprocessing, recorded.labels) == (PREPARED, ("a",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "must be an object"),
        ('{"preprocessing": 224}', "must be an object"),
        ('{"preprocessing": {}}', "preprocessing has no 'resolution'"),
        ('{"preprocessing": {"resolution": 224, "crop_pct": 1}}', "unknown preprocessing field 'crop_pct'"),
        ('{"preprocessing": {"resolution": 224, "mean": 0.5}}', "json: "),
        ('{"labels": "cat"}', "labels must be a list"),
    ],
)
def test_a_bad_record_is_an_error(file: Path, text: str, message: str) -> None:
    Path(f"{file}.json").write_text(text)
    with pytest.raises(RequestError, match=message) as caught:
        read_record(file, {})
    assert "w.safetensors.json" in str(caught.value)


def test_bad_metadata_is_an_error(file: Path) -> None:
    with pytest.raises(RequestError, match=r"metadata 'compoundnet\.preprocessing', is not JSON"):
        read_record(file, {PREPROCESSING_KEY: "224"[:0]})
