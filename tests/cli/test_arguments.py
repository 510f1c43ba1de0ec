"""A wrong command line: one line that names what is wrong, and exit 2."""

import pytest

from commandline import run


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("scale", "efficientnet_b0", "--phi", "1,5"), "--phi is '1,5'; it must be a number"),
        (("design", "efficientnet_b0", "--batch-size", "1e3"), "--batch-size is '1e3'; it must be an integer"),
        (("design", "efficientnet_b0", "--max-mac", "1G"), "did you mean --max-macs?"),
        (("profile", "--device", "tpu"), "invalid choice 'tpu' for argument '--device'"),
        (("study", "mbconv_tiny", "digits", "-o", "S", "--seed", "-1"), "compoundnet: recipe seed is -1; it must be"),
        (("describe",), "ARCH"),
    ],
)
def test_a_wrong_command_line(capsys: pytest.CaptureFixture[str], words: tuple[str, ...], line: str) -> None:
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1 and line in err
    assert err.endswith(f"see compoundnet {words[0]} --help\n")


def test_what_fails_while_it_works_is_no_wrong_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "describe", "nosuch_net")
    assert code == 2 and "--help" not in err
