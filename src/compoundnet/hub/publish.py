"""A trained run as a folder for strangers, and that folder as a repository of the Hugging Face hub.

Unlike a run folder it says nothing of the machine that trained it: paths are left out.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from huggingface_hub import HfApi
from huggingface_hub.errors import HFValidationError
from torch import Tensor

from compoundnet.architecture import Architecture
from compoundnet.checks import check_writable
from compoundnet.errors import FailureError, RequestError, foreign
from compoundnet.files import write_atomically
from compoundnet.hub.card import model_card
from compoundnet.hub.pretrained import FILES
from compoundnet.hub.timm_config import timm_config, timm_name
from compoundnet.run import Run, RunFolder, load
from compoundnet.weights.layout import check, expected_shapes
from compoundnet.weights.registry import by_repository
from compoundnet.weights.timm import from_ours

__all__ = ["push_to_hub", "save_pretrained"]

_KEPT = ("status", "labels", "preprocessing", "recipe", "seed", "evaluations", "versions")
_KEPT_OF_DATA = ("fingerprint", "counts")


def save_pretrained(
    run: Run | str | Path,
    folder: str | Path,
    *,
    repo_id: str | None = None,
    license: str | None = None,
    datasets: Sequence[str] = (),
) -> Path:
    """Write all that others need of a trained run into ``folder``, which :func:`from_pretrained` reads.

    ``model.safetensors`` (labels and preprocessing in its metadata), ``architecture.json``, ``run.json``
    without paths, a model card ``README.md``, and, for a network that timm has, ``config.json`` and the
    weights under timm's names, so that ``timm.create_model("local-dir:FOLDER", pretrained=True)`` loads it too.

    Args:
        run: a run, or the folder of one.
        folder: new, empty, or written by this function before.
        repo_id: ``owner/name`` that the card shows; None: the folder's name.
        license: an identifier that the hub knows, such as ``"apache-2.0"``; None: the card says that none is given.
        datasets: hub ids of the data sets it was trained on.

    Returns:
        The folder.

    Raises:
        RequestError: no such run, a model that is not its architecture's, or a folder that holds something else.
    """
    trained = run if isinstance(run, Run) else load(run)
    files = RunFolder(Path(folder))
    _check_free(files.path)
    check_writable(files.weights_file)
    if isinstance(datasets, str) or not isinstance(datasets, Sequence):
        raise RequestError(f"datasets is {datasets!r:.60}; it must be a list of ids, such as ['uoft-cs/cifar10']")
    arch, state = trained.architecture, trained.model.state_dict()
    check(state, expected_shapes(arch), arch.name, "the run's model")
    record, name = _record(trained.record), timm_name(arch)
    text = model_card(
        trained,
        record,
        repo_id=repo_id or files.path.resolve().name,
        published=repo_id is not None,
        in_timm=name is not None,
        license=license,
        datasets=datasets,
    )
    if name is not None and isinstance(arch, Architecture):
        state = from_ours(state, arch)
    files.write_weights(state, trained.labels, trained.preprocessing)
    write_atomically(files.architecture_file, arch.to_json() + "\n")
    files.write_record(record)
    _write_config(files.path / "config.json", name, trained, state)
    write_atomically(files.path / "README.md", text)
    return files.path


def push_to_hub(
    run: Run | str | Path,
    repo_id: str,
    *,
    private: bool | None = None,
    token: str | None = None,
    revision: str | None = None,
    commit_message: str = "Upload model",
    create_pr: bool = False,
    license: str | None = None,
    datasets: Sequence[str] = (),
    overwrite_card: bool = False,
) -> str:
    """Publish a trained run as the hub repository ``repo_id``, which is made if it is not there.

    Args:
        run: a run, or the folder of one.
        repo_id: ``owner/name``, or ``name`` for the account that is logged in.
        private: of a new repository; None: as the owner's settings have it.
        token: None: that of ``hf auth login`` or of ``HF_TOKEN``.
        revision: the branch, made if it is not there; None: main.
        commit_message: what the repository's history says.
        create_pr: propose instead of committing.
        license: see :func:`save_pretrained`.
        datasets: see :func:`save_pretrained`.
        overwrite_card: replace a ``README.md`` that the repository has; without it a person's text stays.

    Returns:
        The address of the commit, or of the proposal.

    Raises:
        RequestError: no such run, or no name for a repository.
        FailureError: the hub cannot be reached, or does not let this account write there.
    """
    trained = run if isinstance(run, Run) else load(run)
    api = HfApi(token=token, library_name="compoundnet", library_version=version("compoundnet"))
    with TemporaryDirectory(prefix="compoundnet-hub-") as scratch:
        folder = save_pretrained(trained, scratch, repo_id=repo_id, license=license, datasets=datasets)
        with _refusals(repo_id):
            full_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        if full_id != repo_id:  # the card shows the owner's name too
            save_pretrained(trained, folder, repo_id=full_id, license=license, datasets=datasets)
        with _refusals(repo_id):
            if revision is not None and not create_pr:
                api.create_branch(full_id, branch=revision, exist_ok=True)
            kept = not overwrite_card and api.file_exists(full_id, "README.md", revision=revision)
            commit = api.upload_folder(
                repo_id=full_id,
                folder_path=folder,
                revision=revision,
                commit_message=commit_message,
                create_pr=create_pr,
                ignore_patterns=["README.md"] if kept else None,
                delete_patterns=["config.json"],  # of a network that was here before and that timm had
            )
    return str(commit.pr_url or commit.commit_url)


@contextmanager
def _refusals(repo_id: str) -> Iterator[None]:
    """The hub's errors, inside, as lines for people."""
    try:
        yield
    except HFValidationError as error:
        raise RequestError(f"repo_id is {repo_id!r}; it must be owner/name ({foreign(error)})") from error
    except Exception as error:  # the hub's HTTP library, and with it its errors, changes between versions
        raise FailureError(
            f"cannot push to {repo_id!r}: {foreign(error)}; log in with: hf auth login, or give a token that may write"
        ) from error


def _check_free(folder: Path) -> None:
    """A folder in which nothing would be lost: no run folder, whose record this would replace, no file of anybody's."""
    try:
        if not folder.exists():
            return
    except (OSError, ValueError):
        return  # a name that no folder can have, which is said when it is written
    if not folder.is_dir():
        raise RequestError(f"{str(folder)!r} is a file; give a new or empty folder")
    strange = sorted(e.name for e in folder.iterdir() if e.name not in FILES and not e.name.startswith("."))
    if strange:
        raise RequestError(f"{str(folder)!r} holds {strange[0]!r}; give a new or empty folder")
    found = sorted(e.name for e in folder.iterdir() if e.name in FILES)
    if found and not {"architecture.json", "model.safetensors"} <= set(found):
        raise RequestError(f"{str(folder)!r} holds {found[0]!r} of something else; give a new or empty folder")


def _write_config(file: Path, name: str | None, trained: Run, state: Mapping[str, Tensor]) -> None:
    """timm's ``config.json``; none, not even an old one, for a network that timm does not have."""
    arch = trained.architecture
    if name is None or not isinstance(arch, Architecture):
        file.unlink(missing_ok=True)
        return
    config = timm_config(name, arch, state, trained.preprocessing, trained.labels)
    write_atomically(file, json.dumps(config, indent=2) + "\n")


def _record(record: Mapping[str, Any]) -> dict[str, Any]:
    """What ``run.json`` says that is nobody's secret: the data by its last name, weights by repository or file name."""
    told = {key: record[key] for key in _KEPT if key in record}
    data = record.get("data", {})
    if data:
        told["data"] = {"name": Path(data.get("name", "")).name} | {k: data[k] for k in _KEPT_OF_DATA if k in data}
    if source := record.get("weights"):
        told["weights"] = source if by_repository(source) else Path(source).name
    return told
