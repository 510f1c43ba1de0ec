"""Numbers in sentences: points, signs and shares."""

from hypothesis import given
from hypothesis import strategies as st

from compoundnet.search.answers.wording import at_level, points, signed, triple, whole


@given(st.floats(-1, 1))
def test_a_difference_has_a_sign_and_a_size(difference: float) -> None:
    assert signed(difference) != "-0.0"
    assert abs(float(signed(difference)) - 100 * difference) <= 0.0501
    assert float(points(difference).split("\u00a0")[0]) >= 0


def test_shares_are_whole_per_cent() -> None:
    assert whole(0.284) == "28"
    assert triple((0.25, 0.3, 0.45)) == "25 / 30 / 45"
    assert at_level(0.9) == "90\u00a0%"
    assert points(-0.0123) == "1.2\u00a0points"
