"""A PostgreSQL data base that many machines share: its address, its errors in one line, never a password."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from compoundnet.errors import RequestError
from compoundnet.search.trials import StorageError

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from psycopg import Connection
    from sqlalchemy.engine import URL

__all__ = ["connect", "open_database", "parse", "quiet", "reachable", "without_password"]

_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")
_LIKE = "postgresql://user@host/database"
# Both ends notice within a minute and a half that the other's machine is gone; the defaults are two hours.
_CONNECTION = {"connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 15, "keepalives_count": 4}
_SESSION = {
    **{"tcp_keepalives_idle": "30", "tcp_keepalives_interval": "15", "tcp_keepalives_count": "4"},
    "idle_session_timeout": "0",  # a claim is held in silence
}


def parse(url: str) -> "URL":
    """The address of a data base.

    Raises:
        RequestError: it is none, or none of PostgreSQL's.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    shown = re.sub(r"(password=)[^&]*", r"\1***", re.sub(r"(://[^:/@]*):.*@", r"\1:***@", url))
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise RequestError(f"storage {shown!r} is none that studies can use; give {_LIKE}, or none for a file")
    try:
        parsed = make_url(f"postgresql+psycopg://{rest}")
    except (ArgumentError, ValueError):  # whose texts may hold the password
        raise RequestError(f"storage {shown!r} cannot be read; write it as {_LIKE}") from None
    if not parsed.database:
        raise RequestError(f"storage {shown!r} names no data base; write it as {_LIKE}")
    return parsed


def without_password(url: "URL") -> str:
    """The address as it may be shown and kept."""
    from sqlalchemy.engine import URL

    query = {name: value for name, value in url.query.items() if name != "password"}
    return str(URL.create("postgresql", url.username, None, url.host, url.port, url.database, query))


@contextmanager
def reachable(url: "URL", kind: type[RequestError] | type[StorageError]) -> Iterator[None]:
    """Whatever the libraries say of the data base, inside, becomes an error of ``kind``, in one line."""
    import psycopg
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with quiet():
            yield
    except (psycopg.Error, SQLAlchemyError, StorageInternalError) as error:
        remedy = "check the address, and PGPASSWORD or ~/.pgpass" if kind is RequestError else "repeat, and it goes on"
        raise kind(f"cannot use {without_password(url)}: {_reason(error, url)}; {remedy}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Inside, Optuna's log says nothing: what matters is raised."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def _reason(error: BaseException, url: "URL") -> str:
    """The first line of what the server, or else the library, said."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines() or [type(error).__name__]
    said = lines[0].removeprefix("connection failed: ")
    return said.replace(str(url.password), "***") if url.password else said


def connect(url: "URL") -> "Connection[Any]":
    """A session of its own, each statement a transaction.

    Raises:
        RequestError: no such server, data base or user, a wrong password, or psycopg is not installed.
    """
    try:
        import psycopg
    except ImportError as error:
        raise RequestError(
            f"{without_password(url)} needs psycopg, which cannot be loaded ({str(error).splitlines()[0]}); "
            "pip install 'compoundnet[postgres]'"
        ) from error
    _, options = url.get_dialect()().create_connect_args(url)
    with reachable(url, RequestError):
        connection = psycopg.connect(**{**_CONNECTION, **options}, autocommit=True)
        for name, value in _SESSION.items():  # those that this server has
            connection.execute("SELECT set_config(name, %s, false) FROM pg_settings WHERE name = %s", (value, name))
    return connection


def open_database(url: "URL") -> "BaseStorage":
    """Optuna's storage there, with its tables; finished trials are read once. One process at a time may open it.

    Raises:
        RequestError: the server does not let us, or another version of Optuna has made the tables.
    """
    from optuna.storages import RDBStorage, get_storage
    from sqlalchemy.pool import NullPool

    # A worker writes a few times an epoch: a connection kept in between would only use up one of the server's.
    asked = {name: value for name, value in _CONNECTION.items() if name not in url.query}
    options = {"poolclass": NullPool, "connect_args": asked}
    address = url.render_as_string(hide_password=False)  # quoted: Optuna takes braces for a template's
    with reachable(url, RequestError):
        try:
            return get_storage(RDBStorage(address, engine_kwargs=options))
        except RuntimeError as error:  # how it says that the tables are of another version
            raise RequestError(f"cannot use {without_password(url)}: {' '.join(str(error).split())}") from error
