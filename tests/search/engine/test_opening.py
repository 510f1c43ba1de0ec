"""A study is the same for everyone who opens it; whatever stands in the way is said in one line."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest

from compoundnet.errors import RequestError
from compoundnet.search.engine.database import open_database, parse
from compoundnet.search.engine.opening import open_study
from compoundnet.search.engine.storage import begin, finish, outcomes
from compoundnet.search.trials import Outcome, StorageError
from search.engine.cluster import Server
from search.engine.fakes import candidate, spawn

ASKED = {"epochs": 5, "data": {"name": "digits", "classes": [0, 1]}, "seeds": [0, 1, 2]}


def test_a_study_is_found_again(tmp_path: Path, storage: str | None) -> None:
    folder = tmp_path / "study"
    outcome = Outcome(candidate=candidate(), state="complete", value=0.5, curve=(0.25, 0.5), info={"seconds": 3})
    with open_study(folder, storage, create=ASKED) as study:
        trial = begin(study, candidate())
        assert trial is not None
        finish(study, trial, outcome)
        assert (study.name, study.definition) == ("study", ASKED)
    for again in ({"create": ASKED}, {"storage": storage, "create": ASKED}, {}):
        with open_study(folder, **again) as study:
            assert (study.name, study.definition, study.folder) == ("study", ASKED, folder)
            assert outcomes(study) == (outcome,)


def test_the_folder_of_a_journal(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "study"
    open_study(str(folder), create=ASKED).close()
    assert {path.name for path in folder.iterdir()} == {"study.json", "journal.log", "claims"}
    assert json.loads((folder / "study.json").read_text()) == {
        "format": 1, "name": "study", "storage": None, "definition": ASKED,
    }  # fmt: skip


def test_a_folder_can_be_moved(tmp_path: Path) -> None:
    open_study(tmp_path / "old", create=ASKED).close()
    (tmp_path / "old").rename(tmp_path / "new")
    with open_study(tmp_path / "new", create=ASKED) as study:
        assert study.name == "old"


def test_a_request_is_compared_as_json(tmp_path: Path) -> None:
    open_study(tmp_path, create={"seeds": (0, 1), "by": {1: 2.0}}).close()
    open_study(tmp_path, create={"seeds": [0, 1], "by": {"1": 2}}).close()


DIFFERENT: dict[str, tuple[Mapping[str, Any], str]] = {
    "a value": ({**ASKED, "epochs": 6}, "epochs is 5 there and 6 here;"),
    "a nested one": ({**ASKED, "data": {"name": "cifar10", "classes": [0, 1]}}, "data.name is 'digits' there and 'ci"),
    "one more": ({**ASKED, "lr": 0.1}, "lr is not set there and 0.1 here;"),
    "one less": ({k: v for k, v in ASKED.items() if k != "seeds"}, "seeds is [0, 1, 2] there and not set here;"),
    "many": (
        {"epochs": 1},
        "epochs is 5 there and 1 here, data.name is 'digits' there and not set here, data.classes ",
    ),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_another_request_is_refused(tmp_path: Path, case: str) -> None:
    folder = tmp_path / "study"
    open_study(folder, create=ASKED).close()
    asked, said = DIFFERENT[case]
    with pytest.raises(RequestError) as told:
        open_study(folder, create=asked)
    assert str(told.value).startswith(f"{str(folder)!r} holds another study: {said}")
    assert str(told.value).endswith("; take another folder, or repeat the first request")
    assert ("and 1 more;" in str(told.value)) == (case == "many")


def test_another_request_is_refused_by_the_storage_too(tmp_path: Path, storage: str | None) -> None:
    """As when two ask at once, or on two machines."""
    open_study(tmp_path / "study", storage, create=ASKED).close()
    (tmp_path / "study" / "study.json").unlink()
    with pytest.raises(RequestError, match=r"^study 'study' is another study: epochs is 5 there and 6 here; give an"):
        open_study(tmp_path / "study", storage, create={**ASKED, "epochs": 6})
    with open_study(tmp_path / "study", storage, name="other", create={**ASKED, "epochs": 6}) as study:
        assert study.definition["epochs"] == 6


def test_a_study_json_that_was_changed_by_hand(tmp_path: Path) -> None:
    open_study(tmp_path, create=ASKED).close()
    file = tmp_path / "study.json"
    file.write_text(file.read_text().replace('"epochs": 5', '"epochs": 6'))
    with pytest.raises(RequestError, match=r"is another study: epochs is 5 there and 6 here; mend study\.json"):
        open_study(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "\xff", "[1]", '{"format": 2}', '{"format": 1, "name": "s"}'])
def test_a_damaged_study_json(tmp_path: Path, content: str) -> None:
    open_study(tmp_path, create=ASKED).close()
    (tmp_path / "study.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(RequestError, match=r"study\.json") as told:
        open_study(tmp_path)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "line", ["{", '{"op_code": 99}', '{"op_code": 4}', '{"op_code": 8, "trial_id": 3, "worker_id": "x"}']
)
def test_a_damaged_journal(tmp_path: Path, line: str) -> None:
    with open_study(tmp_path, create=ASKED) as study:
        begin(study, candidate())
    journal = tmp_path / "journal.log"
    if "trial_id" in line:
        line = line.replace("3", "0")  # the trial is there, what is said of it is not
    lines = journal.read_text().splitlines()
    journal.write_text("\n".join([*lines, line, ""]))
    with pytest.raises(RequestError, match=r"journal\.log is damaged .*; bring back a copy, or take another folder"):
        open_study(tmp_path)


def test_no_study_there(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"none' is not a study: it has no study\.json"):
        open_study(tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("place", ["file", "file/study"])
def test_a_folder_that_cannot_be(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match=r"cannot read .*study\.json: .*Not a directory"):
        open_study(tmp_path / place, create=ASKED)


def test_a_study_killed_while_it_was_made_is_made_whole(tmp_path: Path, storage: str | None) -> None:
    """Optuna's study is there, its definition is not."""
    with open_study(tmp_path / "first", storage, name="first", create=ASKED) as study:
        study.storage.create_new_study([optuna.study.StudyDirection.MAXIMIZE], "second")
    folder = tmp_path / ("first" if storage is None else "second")
    (folder / "study.json").unlink(missing_ok=True)
    with open_study(folder, storage, name="second", create=ASKED) as study:
        assert study.definition == ASKED
    with open_study(folder) as study:
        assert study.name == "second"


def test_a_study_of_another_program_is_left_alone(tmp_path: Path, database: str) -> None:
    theirs = optuna.create_study(storage=open_database(parse(database)), study_name="theirs")
    theirs.tell(theirs.ask(), 1.0)
    for create in (ASKED, None):
        with pytest.raises(RequestError, match="study 'theirs' was not made by compoundnet; give another name"):
            open_study(tmp_path / "theirs", database, create=create)
    assert not (tmp_path / "theirs").exists()


def open_and_close(folder: Path, storage: str | None) -> None:
    open_study(folder, storage, name="together", create=ASKED).close()


@pytest.mark.parametrize("kept", ["journal", "postgres"])
def test_many_open_it_at_once(tmp_path: Path, kept: str, request: pytest.FixtureRequest) -> None:
    """A new data base has no tables yet, and a new study no definition."""
    storage = None if kept == "journal" else request.getfixturevalue("server").new_database()
    workers = [spawn(open_and_close, tmp_path / f"{i if storage else 0}", storage) for i in range(4)]
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    with open_study(tmp_path / "0") as study:
        assert [each.study_name for each in study.storage.get_all_studies()] == ["together"]
        assert study.definition == ASKED


def test_joining_from_another_machine(tmp_path: Path, database: str) -> None:
    """By the address and the name alone; afterwards the folder knows."""
    open_study(tmp_path / "here" / "study", database, create=ASKED).close()
    with open_study(tmp_path / "there" / "study", database) as study:
        assert study.definition == ASKED
        assert study.trial_folder(candidate()).is_relative_to(tmp_path / "there")
    with open_study(tmp_path / "there" / "study") as study:
        assert study.definition == ASKED
    with pytest.raises(RequestError, match="unknown study 'stud'; did you mean 'study'"):
        open_study(tmp_path / "there" / "stud", database)


def test_the_storage_does_not_change(tmp_path: Path, server: Server, database: str) -> None:
    open_study(tmp_path / "journal", create=ASKED).close()
    open_study(tmp_path / "base", database, create=ASKED).close()
    with pytest.raises(RequestError, match=r"journal' is kept in its journal, not in postgresql://.*; leave the stor"):
        open_study(tmp_path / "journal", database, create=ASKED)
    with pytest.raises(RequestError, match=r"base' is kept in postgresql://.*, not in postgresql://.*; leave the stor"):
        open_study(tmp_path / "base", server.new_database(), create=ASKED)


def test_a_full_disk_while_a_study_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: str) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("compoundnet.search.engine.opening.write_atomically", full)
        with pytest.raises(StorageError, match=r"cannot write .*study\.json: No space left on device"):
            open_study(tmp_path, create=ASKED)
    open_study(tmp_path, create=ASKED).close()


QUIET = """
import sys
from pathlib import Path
from compoundnet.search.engine.database import open_database, parse
from compoundnet.search.engine.opening import open_study
from compoundnet.search.engine.worker import work
from search.engine.fakes import candidates, evaluate

with open_study(Path(sys.argv[1]), sys.argv[2] or None, create={}) as study:
    assert len(work(study, lambda ended: candidates(2), evaluate)) == 2
import optuna
assert optuna.logging.get_verbosity() == optuna.logging.INFO
"""


def test_nothing_is_said_by_the_way(tmp_path: Path, storage: str | None) -> None:
    """Neither by Optuna's log nor as a warning, nor is its log left silent for others."""
    told = subprocess.run(
        [sys.executable, "-W", "error", "-c", QUIET, tmp_path / "study", storage or ""],
        cwd=Path(__file__).parents[2], capture_output=True, text=True,
    )  # fmt: skip
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")
