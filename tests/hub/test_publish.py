"""Publishing a run: what a folder holds, what it keeps secret, and what is sent to the hub."""

import json
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from huggingface_hub.errors import HFValidationError

import compoundnet as cn
from compoundnet import zoo
from compoundnet.errors import FailureError, RequestError
from compoundnet.hub import from_pretrained, publish, push_to_hub, save_pretrained
from compoundnet.run import Run
from tiny import QUICK, pictures, train_tiny, uncharted
from trained import trained_run

HUB = "https://huggingface.co"


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command line leaves, of data in a folder whose place is nobody's business."""
    secret = tmp_path_factory.mktemp("secret-place")
    data = pictures(secret / "colours")
    (data / "red" / "broken.png").write_bytes(b"no picture")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("compoundnet.train.finish.write_report", uncharted)
        train_tiny(data, secret / "run", QUICK)
    return secret / "run"


def test_a_run_becomes_a_folder_and_comes_back(run_folder: Path, tmp_path: Path) -> None:
    folder = save_pretrained(run_folder, tmp_path / "published")
    assert folder == tmp_path / "published"
    assert {file.name for file in folder.iterdir()} == {
        "README.md", "architecture.json", "model.safetensors", "run.json",
    }  # fmt: skip
    ours, theirs = from_pretrained(run_folder), from_pretrained(folder)
    images = torch.rand(2, 3, 12, 12)
    with torch.no_grad():
        assert torch.equal(ours.model(images), theirs.model(images))
    assert (ours.labels, ours.preprocessing, ours.architecture) == (
        theirs.labels, theirs.preprocessing, theirs.architecture,
    )  # fmt: skip
    assert theirs.record["evaluations"] == ours.record["evaluations"]
    assert not theirs.model.training


def test_no_file_says_where_it_was_trained(run_folder: Path, tmp_path: Path) -> None:
    place = str(run_folder.parent)
    assert place in (run_folder / "run.json").read_text()  # or this test could not fail
    folder = save_pretrained(run_folder, tmp_path / "published")
    for file in folder.iterdir():
        assert b"secret-place" not in file.read_bytes(), file.name
    record = json.loads((folder / "run.json").read_text())
    assert record["data"]["name"] == "colours"
    assert "broken" not in json.dumps(record)


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        ("/elsewhere/b0.safetensors", "b0.safetensors"),
        ("timm/tf_efficientnet_b0.ns_jft_in1k", "timm/tf_efficientnet_b0.ns_jft_in1k"),
        (None, None),
    ],
)
def test_weights_are_told_without_their_place(tmp_path: Path, weights: str | None, told: str | None) -> None:
    run = trained_run(record={"weights": weights})
    assert from_pretrained(save_pretrained(run, tmp_path / "out")).record.get("weights") == told


def test_a_published_run_can_be_published_again(run_folder: Path, tmp_path: Path) -> None:
    once = save_pretrained(run_folder, tmp_path / "a" / "net", license="mit")
    twice = save_pretrained(from_pretrained(once), tmp_path / "b" / "net", license="mit")
    assert {f.name: f.read_bytes() for f in once.iterdir()} == {f.name: f.read_bytes() for f in twice.iterdir()}


def test_a_folder_that_holds_something_else_is_left_alone(run_folder: Path, tmp_path: Path) -> None:
    before = {file.name for file in run_folder.iterdir()}
    with pytest.raises(RequestError, match=r"holds 'checkpoint'; give a new or empty folder"):
        save_pretrained(run_folder, run_folder)
    assert {file.name for file in run_folder.iterdir()} == before
    (tmp_path / "file").touch()
    with pytest.raises(RequestError, match=r"file' is a file; give a new or empty folder"):
        save_pretrained(run_folder, tmp_path / "file")


def test_a_clone_may_be_written_into(tmp_path: Path) -> None:
    """With the hidden files of git; an old config.json of another network goes."""
    (tmp_path / ".gitattributes").touch()
    published = replace(zoo.architecture("tf_efficientnet_b0"), classes=3)
    save_pretrained(trained_run(published), tmp_path)
    assert (tmp_path / "config.json").exists()
    save_pretrained(trained_run(), tmp_path)
    assert not (tmp_path / "config.json").exists()
    assert from_pretrained(tmp_path).architecture.name == "tiny"


def test_a_model_that_is_not_its_architectures(tmp_path: Path) -> None:
    run = trained_run()
    run.model.reset_classifier(7)
    with pytest.raises(RequestError, match=r"the run's model does not fit tiny: .*classifier.weight is \(7, 8\)"):
        save_pretrained(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@dataclass
class Hub:
    """In place of ``HfApi``: a repository that is a dictionary, and a list of what was asked of it."""

    files: dict[str, bytes] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    made_with: dict[str, Any] = field(default_factory=dict)
    fails: Exception | None = None

    def create_repo(self, repo_id: str, **settings: Any) -> SimpleNamespace:
        self.calls.append(("create_repo", {"repo_id": repo_id, **settings}))
        if self.fails:
            raise self.fails
        return SimpleNamespace(repo_id=repo_id if "/" in repo_id else f"jane/{repo_id}")

    def create_branch(self, repo_id: str, **settings: Any) -> None:
        self.calls.append(("create_branch", {"repo_id": repo_id, **settings}))

    def file_exists(self, repo_id: str, filename: str, *, revision: str | None) -> bool:
        return filename in self.files

    def upload_folder(
        self, *, folder_path: Path, ignore_patterns: list[str] | None, delete_patterns: list[str], **settings: Any
    ) -> SimpleNamespace:
        self.calls.append(("upload_folder", settings))
        for name in [name for name in self.files if any(fnmatch(name, pattern) for pattern in delete_patterns)]:
            del self.files[name]
        for file in folder_path.iterdir():
            if not any(fnmatch(file.name, pattern) for pattern in ignore_patterns or ()):
                self.files[file.name] = file.read_bytes()
        address = f"{HUB}/{settings['repo_id']}"
        return SimpleNamespace(
            commit_url=f"{address}/commit/1", pr_url=f"{address}/discussions/1" if settings["create_pr"] else None
        )


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    fake = Hub()

    def make(**settings: Any) -> Hub:
        fake.made_with = settings
        return fake

    monkeypatch.setattr(publish, "HfApi", make)
    return fake


def test_pushing_sends_the_folder(hub: Hub, run_folder: Path, tmp_path: Path) -> None:
    assert push_to_hub(run_folder, "jane/colours", private=True, token="hf_x") == f"{HUB}/jane/colours/commit/1"
    assert hub.made_with["token"] == "hf_x"
    assert hub.calls[0] == ("create_repo", {"repo_id": "jane/colours", "private": True, "exist_ok": True})
    assert [name for name, _ in hub.calls] == ["create_repo", "upload_folder"]
    folder = save_pretrained(run_folder, tmp_path / "out", repo_id="jane/colours")
    assert hub.files == {file.name: file.read_bytes() for file in folder.iterdir()}


def test_the_account_that_is_logged_in_is_the_owner(hub: Hub) -> None:
    assert push_to_hub(trained_run(), "colours") == f"{HUB}/jane/colours/commit/1"
    assert b'from_pretrained("jane/colours")' in hub.files["README.md"]
    assert hub.calls[-1][1]["repo_id"] == "jane/colours"


def test_a_card_that_a_person_wrote_stays(hub: Hub) -> None:
    hub.files["README.md"] = b"by hand"
    push_to_hub(trained_run(), "jane/colours")
    assert hub.files["README.md"] == b"by hand"
    push_to_hub(trained_run(), "jane/colours", overwrite_card=True)
    assert hub.files["README.md"].startswith(b"---\n")


def test_another_networks_config_does_not_stay(hub: Hub) -> None:
    hub.files["config.json"] = b"{}"
    push_to_hub(trained_run(), "jane/colours")
    assert "config.json" not in hub.files


def test_branches_and_proposals(hub: Hub) -> None:
    push_to_hub(trained_run(), "jane/colours", revision="v2", commit_message="Better")
    assert ("create_branch", {"repo_id": "jane/colours", "branch": "v2", "exist_ok": True}) in hub.calls
    assert (hub.calls[-1][1]["revision"], hub.calls[-1][1]["commit_message"]) == ("v2", "Better")
    assert push_to_hub(trained_run(), "jane/colours", create_pr=True) == f"{HUB}/jane/colours/discussions/1"


@pytest.mark.parametrize(
    ("fails", "kind", "said"),
    [
        (HFValidationError("Repo id must be in the form"), RequestError, r"repo_id is 'a//b'; it must be owner/name"),
        (ConnectionError("no route\nto host"), FailureError, r"cannot push to 'a//b': .*no route to host; log in with"),
    ],
)
def test_a_hub_that_refuses_is_a_line(hub: Hub, fails: Exception, kind: type[Exception], said: str) -> None:
    hub.fails = fails
    with pytest.raises(kind, match=said) as caught:
        push_to_hub(trained_run(), "a//b")
    assert "\n" not in str(caught.value)


def test_nothing_is_asked_of_the_hub_for_a_run_that_is_none(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"is not a run: it has no run\.json"):
        push_to_hub(tmp_path, "jane/colours")
    assert hub.calls == []


def test_what_is_told_of_the_training_may_be_lost(run_folder: Path, tmp_path: Path) -> None:
    folder = save_pretrained(run_folder, tmp_path / "published")
    (folder / "run.json").unlink()
    (folder / "README.md").unlink()
    assert from_pretrained(folder).record == {}


def test_the_weights_serve_create_as_well(tmp_path: Path) -> None:
    published = replace(zoo.architecture("tf_efficientnet_b0"), classes=3)
    run: Run = trained_run(published)
    folder = save_pretrained(run, tmp_path / "out")
    again = cn.create("tf_efficientnet_b0", folder / "model.safetensors", num_classes=3).eval()
    with torch.no_grad():
        assert torch.equal(again(torch.ones(1, 3, 33, 33)), run.model(torch.ones(1, 3, 33, 33)))


def test_a_comparator_goes_the_same_way(tmp_path: Path) -> None:
    run = trained_run(zoo.network("googlenet"))
    back = from_pretrained(save_pretrained(run, tmp_path / "net"))
    assert back.architecture == run.architecture
    with torch.no_grad():
        assert torch.equal(back.model(torch.ones(1, 3, 32, 33)), run.model(torch.ones(1, 3, 32, 33)))
    assert "googlenet (5.60 M parameters" in (tmp_path / "net" / "README.md").read_text()


def test_a_persons_own_files_stay(run_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(RequestError, match=r"holds 'README\.md' of something else"):
        save_pretrained(run_folder, tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"


@pytest.mark.parametrize("folder", ["/proc/x", "a" * 300])
def test_a_folder_that_cannot_be(run_folder: Path, tmp_path: Path, folder: str) -> None:
    with pytest.raises(RequestError, match="cannot write"):
        save_pretrained(run_folder, tmp_path / folder)


def test_data_sets_are_a_list(run_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="datasets is 'ab'; it must be a list"):
        save_pretrained(run_folder, tmp_path / "net", datasets="ab")
