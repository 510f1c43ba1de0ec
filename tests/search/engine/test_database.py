"""What is wrong with an address or a server is one line, and the password is never in it."""

import json
import sys
import traceback
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from compoundnet.errors import RequestError
from compoundnet.search.engine.database import parse, without_password
from compoundnet.search.engine.opening import open_study
from compoundnet.search.engine.storage import outcomes
from compoundnet.search.trials import StorageError
from search.engine.cluster import PASSWORD, USER, Server


def refused(folder: Path, storage: str) -> str:
    """The one line in which it is refused; nothing of it, nor of its trace, holds the password."""
    with pytest.raises(RequestError) as told:
        open_study(folder / "study", storage, create={})
    line = str(told.value)
    assert "\n" not in line
    for secret in (PASSWORD, quote(PASSWORD, safe=""), "secret"):
        assert secret not in line
        assert secret not in "".join(traceback.format_exception(told.value))
    assert not (folder / "study").exists()
    return line


def over_tcp(server: Server, database: str, password: str = PASSWORD, user: str = USER) -> str:
    return f"postgresql://{user}:{quote(password, safe='')}@127.0.0.1:{server.port}/{database}"


def test_a_password_is_used_and_not_kept(tmp_path: Path, server: Server, database: str) -> None:
    name = database.partition("@/")[2].partition("?")[0]
    open_study(tmp_path, over_tcp(server, name), name="s", create={}).close()
    kept = json.loads((tmp_path / "study.json").read_text())["storage"]
    assert kept == f"postgresql://{USER}@127.0.0.1:{server.port}/{name}"
    with pytest.raises(RequestError, match=r"no password supplied; check the address, and PGPASSWORD or ~/\.pgpass"):
        open_study(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGPASSWORD", PASSWORD)
        open_study(tmp_path).close()


def test_a_name_that_could_be_a_template(tmp_path: Path, server: Server) -> None:
    """Optuna takes an address for one."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute('CREATE DATABASE "{odd} %s"')
    with open_study(tmp_path / "study", server.url("%7Bodd%7D%20%25s"), create={}) as study:
        assert outcomes(study) == ()


def test_a_wrong_password(tmp_path: Path, server: Server) -> None:
    said = refused(tmp_path, over_tcp(server, "postgres", "secret"))
    assert said.startswith(f"cannot use postgresql://{USER}@127.0.0.1:{server.port}/postgres: ")
    assert 'password authentication failed for user "postgres"; check the address, and PGPASSWORD' in said


def test_no_such_user_or_data_base(tmp_path: Path, server: Server) -> None:
    assert "authentication failed" in refused(tmp_path, over_tcp(server, "postgres", user="nobody"))
    assert 'database "nowhere" does not exist;' in refused(tmp_path, over_tcp(server, "nowhere"))


def test_no_server(tmp_path: Path) -> None:
    assert "Connection refused" in refused(tmp_path, "postgresql://me:secret@127.0.0.1:1/base")
    assert "No such file or directory" in refused(tmp_path, f"postgresql:///base?host={tmp_path}")


def test_a_user_who_may_make_no_tables(tmp_path: Path, server: Server) -> None:
    database = server.new_database()
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS reader")
        connection.execute("CREATE ROLE reader LOGIN")
        connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    assert "permission denied for schema public;" in refused(tmp_path, database.replace(f"{USER}@", "reader@"))


def test_tables_of_another_version(tmp_path: Path, server: Server) -> None:
    database = server.new_database()
    open_study(tmp_path / "first", database, create={}).close()
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v99'")
    assert "is no longer compatible with the table schema" in refused(tmp_path, database)


def test_without_psycopg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert refused(tmp_path, "postgresql://me:secret@host/base") == (
        "postgresql://me@host/base needs psycopg, which cannot be loaded (import of psycopg halted; None in "
        "sys.modules); pip install 'compoundnet[postgres]'"
    )


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("mysql://me:secret@host/base", "storage 'mysql://me:***@host/base' is none that studies can use; give postgr"),
        ("sqlite:///study.db", "storage 'sqlite:///study.db' is none that studies can use"),
        ("study.db", "storage 'study.db' is none that studies can use"),
        ("", "storage '' is none that studies can use"),
        (
            "postgresql://me:secret@host",
            "storage 'postgresql://me:***@host' names no data base; write it as postgresql",
        ),
        ("postgresql://me:secret@host/", "storage 'postgresql://me:***@host/' names no data base"),
        ("postgresql://me:secret@host:port/base", "storage 'postgresql://me:***@host:port/base' cannot be read; write"),
        ("postgresql://me:se@secret@host:x/base", "storage 'postgresql://me:***@host:x/base' cannot be read; write"),
        ("postgresql://host:x/b?password=secret", "storage 'postgresql://host:x/b?password=***' cannot be read;"),
    ],
)
def test_an_address_that_is_none(tmp_path: Path, address: str, said: str) -> None:
    assert refused(tmp_path, address).startswith(said)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
@pytest.mark.parametrize("rest", ["me:secret@host:5433/base?sslmode=require", "me@host:5433/base?sslmode=require"])
def test_an_address_to_be_shown(scheme: str, rest: str) -> None:
    assert without_password(parse(f"{scheme}://{rest}")) == "postgresql://me@host:5433/base?sslmode=require"


def test_a_password_among_the_options() -> None:
    assert without_password(parse("postgresql:///base?host=/run/pg&password=secret")) == (
        "postgresql:///base?host=%2Frun%2Fpg"
    )


def test_a_server_that_went_away(
    tmp_path: Path, server: Server, database: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with open_study(tmp_path, database, create={}) as study:
        server.stop()
        with pytest.raises(StorageError) as told:
            outcomes(study)
        assert str(told.value).startswith("cannot use postgresql://postgres@/studies_")
        assert str(told.value).endswith("; repeat, and it goes on")
        assert "\n" not in str(told.value)
        server.start()
        assert outcomes(study) == ()
    assert capfd.readouterr() == ("", "")  # Optuna has a warning for this
