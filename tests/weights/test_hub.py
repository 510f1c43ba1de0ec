"""Fetching, with a hub made of a dictionary and huggingface_hub's layout of the cache."""

from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

from compoundnet.errors import RequestError
from compoundnet.weights.hub import fetch, sha256_of

REPOSITORY, FILE = "timm/tf_efficientnet_b0.ns_jft_in1k", "model.safetensors"
CONTENT = b"weights" * 1000
SHA256 = sha256(CONTENT).hexdigest()


@dataclass
class Hub:
    """One file; ``sends`` is what downloads give, one after another, the last one for good."""

    cache: Path
    sends: list[bytes] = field(default_factory=lambda: [CONTENT])
    online: bool = True
    etag: str = SHA256
    size: int | None = len(CONTENT)
    downloads: int = 0
    fails: Exception | None = None

    @property
    def pointer(self) -> Path:
        return self.cache / "snapshots" / "commit" / FILE

    @property
    def blob(self) -> Path:
        return self.cache / "blobs" / self.etag

    def metadata(self, url: str) -> SimpleNamespace:
        assert url == f"https://huggingface.co/{REPOSITORY}/resolve/main/{FILE}"
        if self.fails:
            raise self.fails
        if not self.online:
            raise ConnectionError("Name or service not known")
        return SimpleNamespace(size=self.size, etag=self.etag)

    def download(self, repository: str, file: str, *, local_files_only: bool, force_download: bool) -> str:
        assert (repository, file) == (REPOSITORY, FILE)
        if not self.pointer.exists() or force_download:
            if local_files_only:
                raise LocalEntryNotFoundError("Cannot find the requested files in the disk cache")
            self.put(self.sends[min(self.downloads, len(self.sends) - 1)])
            self.downloads += 1
        return str(self.pointer)

    def put(self, content: bytes) -> None:
        self.blob.parent.mkdir(parents=True, exist_ok=True)
        self.pointer.parent.mkdir(parents=True, exist_ok=True)
        self.blob.write_bytes(content)
        if not self.pointer.exists():
            self.pointer.symlink_to(self.blob)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    fake = Hub(tmp_path)
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", fake.metadata)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fake.download)
    return fake


def test_a_file_is_fetched_once(hub: Hub) -> None:
    assert fetch(REPOSITORY).read_bytes() == CONTENT
    assert fetch(REPOSITORY, FILE).read_bytes() == CONTENT
    assert hub.downloads == 1


def test_a_cached_file_needs_no_network(hub: Hub) -> None:
    hub.put(CONTENT)
    hub.online = False
    assert fetch(REPOSITORY).read_bytes() == CONTENT
    assert hub.downloads == 0


@pytest.mark.parametrize("bad", [CONTENT[:-1], CONTENT[:-1] + b"!", b""], ids=["short", "other bytes", "empty"])
def test_a_damaged_file_is_fetched_again(hub: Hub, bad: bytes) -> None:
    hub.put(bad)
    assert fetch(REPOSITORY).read_bytes() == CONTENT
    assert hub.downloads == 1


def test_damaged_twice_is_an_error_and_the_file_stays(hub: Hub) -> None:
    hub.sends = [CONTENT[:-1]]
    with pytest.raises(RequestError, match=r"model.safetensors.*damaged: 6999 bytes instead of 7000; .*again.*delete"):
        fetch(REPOSITORY)
    assert hub.downloads == 2
    assert hub.pointer.read_bytes() == CONTENT[:-1]


def test_a_wrong_digest_is_told(hub: Hub) -> None:
    hub.sends = [CONTENT[:-1] + b"!"]
    with pytest.raises(RequestError, match=f"its SHA-256 is [0-9a-f]{{12}}..., it should be {SHA256[:12]}"):
        fetch(REPOSITORY)


def test_a_damaged_file_offline_is_found_by_its_name(hub: Hub) -> None:
    hub.put(CONTENT[:-1] + b"!")
    hub.online = False
    with pytest.raises(RequestError, match=r"SHA-256 .* the hub cannot be reached to replace it; delete it, or give"):
        fetch(REPOSITORY)
    assert hub.pointer.exists()


def test_a_small_file_has_no_sha256_for_etag(hub: Hub) -> None:
    hub.etag = "a" * 40  # a git blob: SHA-1
    assert fetch(REPOSITORY).read_bytes() == CONTENT
    hub.size = 6
    with pytest.raises(RequestError, match="7000 bytes instead of 6"):
        fetch(REPOSITORY)


def test_no_network_and_nothing_cached(hub: Hub) -> None:
    hub.online = False
    message = (
        r"cannot fetch model.safetensors of 'timm/tf_efficientnet_b0.ns_jft_in1k'.*Name or service.*local .safetensors"
    )
    with pytest.raises(RequestError, match=message):
        fetch(REPOSITORY)
    assert hub.downloads == 0


def test_the_real_library_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the fake: without network and cache it answers at once, in one line."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(RequestError, match="not in the cache and the hub cannot be reached") as caught:
        fetch("timm/never_published")
    assert "\n" not in str(caught.value)


def test_no_such_repository(hub: Hub) -> None:
    hub.fails = EntryNotFoundError("404: Entry\n\nnot found")
    with pytest.raises(RequestError, match=r"the hub has no file model.safetensors in .*404: Entry not found"):
        fetch(REPOSITORY)


def test_a_full_disk_is_told(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", full)
    with pytest.raises(RequestError, match="No space left on device"):
        fetch(REPOSITORY)


def test_sha256_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(CONTENT)
    assert sha256_of(tmp_path / "x") == SHA256
