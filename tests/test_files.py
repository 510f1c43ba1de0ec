"""A file is there whole or not at all."""

import os
import stat
import threading
from pathlib import Path

import pytest

from compoundnet.errors import RequestError
from compoundnet.files import write_atomically, write_csv


def test_text_and_bytes_are_written_below_folders_that_are_made(tmp_path: Path) -> None:
    write_atomically(tmp_path / "deep" / "er" / "x.txt", "größer\n")
    write_atomically(tmp_path / "x.bin", b"\x00\xff")
    assert (tmp_path / "deep" / "er" / "x.txt").read_bytes() == "größer\n".encode()
    assert (tmp_path / "x.bin").read_bytes() == b"\x00\xff"


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deep" / "x.json"
    write_atomically(path, "old")
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_what_cannot_be_encoded_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        write_atomically(tmp_path / "x", "\ud800")
    assert list(tmp_path.iterdir()) == []


def test_a_new_file_has_the_users_permissions(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "x", "")
    finally:
        assert os.umask(before) == 0o027  # left as it was
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640


def test_a_reader_never_sees_half(tmp_path: Path) -> None:
    path, contents = tmp_path / "x", [bytes([letter]) * 1_000_000 for letter in b"ab"]
    write_atomically(path, contents[0])
    seen = []

    def write() -> None:
        for content in contents * 5:
            write_atomically(path, content)

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        seen.append(path.read_bytes())
    writer.join()
    assert seen
    assert all(content in contents for content in seen)


def test_no_rows_make_no_table(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no rows to write"):
        write_csv([], tmp_path / "empty.csv")
    assert not list(tmp_path.iterdir())
