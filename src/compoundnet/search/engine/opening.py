"""Opening a study: in a folder or a data base, new or as it was left, for the same request every time."""

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.storages import BaseStorage, JournalStorage
from optuna.study import StudyDirection

from compoundnet.errors import RequestError, foreign, unknown
from compoundnet.files import write_atomically
from compoundnet.search.engine.claims import Claims, FileClaims, PostgresClaims
from compoundnet.search.engine.database import open_database, parse, quiet, reachable, without_password
from compoundnet.search.engine.journal import Journal
from compoundnet.search.engine.storage import Study
from compoundnet.search.trials import StorageError

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

__all__ = ["open_study"]

FORMAT = 1
_DEFINITION = "definition"  # a user attribute of Optuna's study
_SHOWN = 3  # differences between two requests
_RECORD: Mapping[str, Any] = {"name": str, "storage": str | None, "definition": dict}  # of study.json
_MEND = "bring back a copy, or take another folder"


def open_study(
    folder: str | Path,
    storage: str | None = None,
    *,
    name: str | None = None,
    create: Mapping[str, Any] | None = None,
) -> Study:
    """The study in ``folder``; any number of processes may have it open.

    Args:
        folder: holds ``study.json``, ``trials/`` and, without a data base, ``journal.log`` and ``claims/``.
        storage: ``postgresql://user@host/database``, for workers on many machines, each with a folder of its own;
            by default what ``study.json`` names, or else a journal in the folder, for workers on one machine.
        name: of the study in the storage; by default what ``study.json`` says, or else the folder's name.
        create: the request, plain JSON: what all workers must agree on. Without it the study must exist.

    Raises:
        RequestError: no study there, another one, damaged files, or a data base that cannot be used.
        StorageError: the folder or the journal cannot be read or written.
    """
    folder = Path(folder)
    wanted = None if create is None else json.loads(json.dumps(create))
    kept = _read_record(folder)
    if kept is None and wanted is None and storage is None:
        raise RequestError(f"{str(folder)!r} is not a study: it has no study.json")
    if kept is not None and wanted is not None:
        _agree(kept["definition"], wanted, f"{str(folder)!r} holds", "take another folder")
    url = _place(folder, storage, kept)
    name = name or (kept["name"] if kept else folder.resolve().name)
    claims: Claims = FileClaims(folder / "claims") if url is None else PostgresClaims(url, name)
    try:
        with claims.alone(), quiet(), _errors(url, RequestError):
            opened = _open_journal(folder) if url is None else open_database(url)
            study_id, definition = _found_or_made(opened, name, wanted)
        if kept is None:
            _write_record(folder, url, name, definition)
        _agree(definition, (kept or {}).get("definition", definition), f"study {name!r} is", "mend study.json")
    except BaseException:
        claims.close()
        raise
    return Study(
        folder=folder,
        name=name,
        definition=definition,
        storage=opened,
        study_id=study_id,
        claims=claims,
        errors=partial(_errors, url, StorageError),
    )


def _place(folder: Path, storage: str | None, kept: Mapping[str, Any] | None) -> "URL | None":
    """The data base that was named, now or before; None for the journal."""
    before = None if kept is None else kept["storage"]
    if storage is None:
        return None if before is None else parse(before)
    url = parse(storage)
    if kept is not None and without_password(url) != before:
        raise RequestError(
            f"study {str(folder)!r} is kept in {before or 'its journal'}, not in {without_password(url)}; "
            "leave the storage out, or take another folder"
        )
    return url


def _errors(url: "URL | None", kind: type[RequestError] | type[StorageError]) -> AbstractContextManager[None]:
    """Where a data base's errors become ours; those of a journal are ours already."""
    return nullcontext() if url is None else reachable(url, kind)


def _open_journal(folder: Path) -> BaseStorage:
    file = folder / "journal.log"
    try:
        return JournalStorage(Journal(file))
    except RequestError:
        raise
    except (AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:  # records without sense
        raise RequestError(f"the journal {file} is damaged ({foreign(error)}); {_MEND}") from error


def _found_or_made(storage: BaseStorage, name: str, wanted: dict[str, Any] | None) -> tuple[int, dict[str, Any]]:
    """Number and definition of the study ``name``. Whoever was killed while making it left it without the latter."""
    try:
        study_id = storage.get_study_id_from_name(name)
    except KeyError:
        if wanted is None:
            raise unknown("study", name, (study.study_name for study in storage.get_all_studies())) from None
        study_id = storage.create_new_study([StudyDirection.MAXIMIZE], name)
    definition: dict[str, Any] | None = storage.get_study_user_attrs(study_id).get(_DEFINITION)
    if not isinstance(definition, dict):
        if wanted is None or storage.get_n_trials(study_id):
            raise RequestError(f"study {name!r} was not made by compoundnet; give another name")
        storage.set_study_user_attr(study_id, _DEFINITION, wanted)
        return study_id, wanted
    if wanted is not None:
        _agree(definition, wanted, f"study {name!r} is", "give another name")
    return study_id, definition


def _agree(there: Mapping[str, Any], here: Mapping[str, Any], what: str, remedy: str) -> None:
    """RequestError if the two requests differ, saying where."""
    old, new = dict(_leaves(there)), dict(_leaves(here))
    differing = [key for key in {**old, **new} if key not in old or key not in new or old[key] != new[key]]
    if not differing:
        return
    told = [f"{key} is {_told(old, key)} there and {_told(new, key)} here" for key in differing[:_SHOWN]]
    more = f", and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
    raise RequestError(f"{what} another study: {', '.join(told)}{more}; {remedy}, or repeat the first request")


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The values in nested JSON objects, by dotted name."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else key)
    else:
        yield name, value


def _told(leaves: Mapping[str, Any], key: str) -> str:
    return repr(leaves[key]) if key in leaves else "not set"


def _read_record(folder: Path) -> dict[str, Any] | None:
    """``study.json``, or None if there is none."""
    file = folder / "study.json"
    try:
        record = json.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RequestError(f"cannot read {file}: {error.strerror or error}; {_MEND}") from error
    except (ValueError, RecursionError) as error:
        raise RequestError(f"cannot read {file}: {error}; {_MEND}") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise RequestError(f"{file} is not of format {FORMAT}; it was written by another version")
    for key, kinds in _RECORD.items():
        if not isinstance(record.get(key, 0), kinds) or record[key] == "":
            raise RequestError(f"{file} is damaged: its {key} is {record.get(key)!r:.60}; {_MEND}")
    return record


def _write_record(folder: Path, url: "URL | None", name: str, definition: Mapping[str, Any]) -> None:
    storage = None if url is None else without_password(url)
    record = {"format": FORMAT, "name": name, "storage": storage, "definition": definition}
    try:
        write_atomically(folder / "study.json", json.dumps(record, indent=2) + "\n")
    except OSError as error:
        raise StorageError(f"cannot write {folder / 'study.json'}: {error.strerror or error}") from error
