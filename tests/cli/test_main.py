"""The front of the command line: verbs, exit codes, streams, and what is not imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from commandline import run
from compoundnet import cli
from compoundnet.cli import main
from compoundnet.errors import FailureError, RequestError, StoppedError

VERBS = (
    *("list", "describe", "scale", "design", "profile"),
    *("train", "evaluate", "predict", "coefficients", "study", "worker", "compare", "demo"),
)


@pytest.mark.parametrize(("argv", "code"), [((), 2), (("--help",), 0), (("-h",), 0), (("help",), 0)])
def test_usage_names_every_verb(capsys: pytest.CaptureFixture[str], argv: tuple[str, ...], code: int) -> None:
    found, out, err = run(capsys, *argv)
    assert found == code
    assert all(f"  {verb} " in out + err for verb in VERBS)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    from compoundnet import __version__

    assert run(capsys, "--version") == (0, f"{__version__}\n", "")


def test_unknown_verb(capsys: pytest.CaptureFixture[str]) -> None:
    said = "compoundnet: unknown verb 'trian'; did you mean 'train'?\n"
    assert run(capsys, "trian", "x") == (2, "", said)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (RequestError("bad"), 2, "compoundnet: bad\n"),
        (FailureError("worse"), 1, "compoundnet: worse\n"),
        (StoppedError("stopped"), 130, "compoundnet: stopped; the same command goes on from there\n"),
        (
            KeyboardInterrupt(),
            130,
            "compoundnet: interrupted; what was saved stays, and a training or study goes on with the same command\n",
        ),
    ],
)
def test_exit_codes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, said: str
) -> None:
    def fail(argv: list[str]) -> None:
        raise error

    monkeypatch.setattr("compoundnet.cli.describe.list_command", fail)
    assert run(capsys, "list") == (code, "", said)


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(argv: list[str]) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("compoundnet.cli.describe.list_command", fail)
    with pytest.raises(ZeroDivisionError):
        main(["list"])


def test_every_verb_has_its_module() -> None:
    assert tuple(cli._VERBS) == VERBS


def test_a_reader_that_leaves_is_no_error() -> None:
    """``compoundnet list | true``: the pipe is closed before anything is written."""
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.run(
        [sys.executable, "-m", "compoundnet", "list"], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert process.stderr == ""
    assert process.returncode == 1


def test_list_to_head() -> None:
    shell = f"{sys.executable} -m compoundnet list 'efficientnet_b*' | head -1"
    process = subprocess.run(shell, shell=True, capture_output=True, text=True, check=False)
    assert (process.stdout, process.stderr, process.returncode) == ("efficientnet_b0\n", "", 0)


@pytest.mark.parametrize("argv", [["describe", "efficientnet_b0"], ["scale", "efficientnet_b0", "--phi", "1"]])
def test_describing_and_scaling_import_neither_torch_nor_numpy(argv: list[str], tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from compoundnet.cli import main\n"
        "try:\n"
        f"    main({argv!r})\n"
        "except SystemExit as end:\n"
        "    heavy = {'torch', 'torchvision', 'numpy', 'PIL', 'rich.progress'} & sys.modules.keys()\n"
        "    print(end.code, sorted(heavy - {'rich.progress'}), file=sys.stderr)\n"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert process.stderr == "0 []\n"
    assert "efficientnet_b0" in process.stdout


@pytest.mark.parametrize("argv", [("--help",), ("list",), ("describe", "efficientnet_b0", "--json")])
def test_a_full_disk_behind_standard_output_is_a_line(argv: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        process = subprocess.run(
            [sys.executable, "-m", "compoundnet", *argv], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert process.returncode == 1
    assert process.stderr == "compoundnet: cannot write the output: No space left on device\n"


def test_what_the_terminal_cannot_show_is_escaped() -> None:
    process = subprocess.run(
        [sys.executable, "-m", "compoundnet", "describe", "caf\u00e9"],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert process.returncode == 2
    assert "unknown architecture 'caf\\xe9'" in process.stderr
