"""A PostgreSQL cluster of the tests' own, on loopback and a socket, gone afterwards."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

import psycopg
import pytest

__all__ = ["PASSWORD", "USER", "Server", "programs"]

PASSWORD = "sesame {open} 100%@/:"  # awkward in an address, and in a format string
USER = "postgres"


def programs() -> Path | None:
    """Where Debian's package, or the path, has initdb and postgres."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


class Server:
    """A cluster in a folder of its own: no password over its socket, one over TCP."""

    def __init__(self, bin_folder: Path) -> None:
        self.bin, self.folder = bin_folder, Path(tempfile.mkdtemp(prefix="pg-"))
        self.user = USER if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        if self.user:
            for path in (self.folder, secret):
                shutil.chown(path, self.user, pwd.getpwnam(self.user).pw_gid)
        options = ("--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync")
        subprocess.run(
            [self.bin / "initdb", "-D", self.folder / "data", "-U", USER, f"--pwfile={secret}", *options],
            check=True, capture_output=True, user=self.user, cwd=self.folder,
        )  # fmt: skip
        self.start()

    def start(self) -> None:
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.folder}
        settings |= {"fsync": "off", "max_connections": 40}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.bin / "postgres", "-D", self.folder / "data", *options],
                stdout=log, stderr=log, user=self.user, cwd=self.folder,
            )  # fmt: skip
        deadline = time.monotonic() + 60
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL did not start: {(self.folder / 'log').read_text()[-500:]}")
            time.sleep(0.05)

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url("postgres")).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """As if it were started anew: everybody is sent away."""
        self.process.send_signal(how)
        self.process.wait(60)

    def remove(self) -> None:
        if self.process.poll() is None:
            self.stop(signal.SIGQUIT)  # keeping nothing
        shutil.rmtree(self.folder)

    def url(self, database: str) -> str:
        return f"postgresql://{USER}@/{database}?host={self.folder}&port={self.port}"

    def new_database(self) -> str:
        """The address of a data base that is new."""
        name = f"studies_{uuid.uuid4().hex[:8]}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)
