"""Where studies are kept: a journal, or a real PostgreSQL server that is started for these tests."""

import os
from collections.abc import Iterator

import psycopg
import pytest

from compoundnet.search.engine.database import open_database, parse
from search.engine.cluster import Server, programs


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    bin_folder = programs()
    if bin_folder is None:
        reason = "needs PostgreSQL's server; on Debian and Ubuntu: apt-get install postgresql"
        if os.environ.get("CI") and os.geteuid() == 0:
            pytest.fail(reason)  # .ci/run installs it
        pytest.skip(reason)
    running = Server(bin_folder)
    yield running
    running.remove()


@pytest.fixture(scope="session")
def tables(server: Server) -> str:
    """The address of a data base with Optuna's tables, which take a second to make."""
    address = server.new_database()
    open_database(parse(address))
    return address


@pytest.fixture
def database(tables: str) -> str:
    """The address of a data base without studies."""
    with psycopg.connect(tables) as connection:
        connection.execute("TRUNCATE studies CASCADE")
    return tables


@pytest.fixture(params=["journal", "postgres"])
def storage(request: pytest.FixtureRequest) -> str | None:
    """Both places in which a study can be kept, as ``open_study`` takes them."""
    return None if request.param == "journal" else request.getfixturevalue("database")
