"""A part of a set: balanced, nested, and another set."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compoundnet.data import Dataset, Split, subset
from compoundnet.errors import RequestError


def dataset(labels: list[int], classes: int) -> Dataset:
    split = Split(files=tuple(Path(f"{i}.png") for i in range(len(labels))), labels=tuple(labels))
    names = tuple(f"c{i}" for i in range(classes))
    return Dataset(
        name="set", classes=names, train=split, val=split, test=split, fingerprint="f", bad=(), notes=()
    )  # fmt: skip


@given(st.lists(st.integers(0, 2), min_size=3, max_size=80), st.data())
def test_every_class_in_its_share_and_smaller_inside_larger(labels: list[int], data: st.DataObject) -> None:
    whole = dataset([0, 1, 2, *labels], 3)
    n = len(whole.train)
    most = data.draw(st.integers(3, n))
    part = subset(whole, train=most)
    assert len(part.train) == most and part.val == whole.val
    shares = [whole.train.labels.count(label) * most / n for label in range(3)]
    small = sum(share < 1 for share in shares)  # each has one image all the same, at the cost of the others
    for label, share in enumerate(shares):
        assert part.train.labels.count(label) >= 1
        assert abs(part.train.labels.count(label) - share) <= 1.5 + small
    pairs = list(zip(whole.train.files, whole.train.labels, strict=True))
    assert [p for p in pairs if p[0] in part.train.files] == list(zip(part.train.files, part.train.labels, strict=True))
    larger = subset(whole, train=min(most + 1, n))
    assert set(part.train.files) <= set(larger.train.files)
    assert (part.fingerprint == whole.fingerprint) == (most == n)


def test_a_class_of_one_image_is_there() -> None:
    """In proportion alone it would come last: ten of 401 are none of it."""
    part = subset(dataset([0] * 200 + [1] * 200 + [2], 3), train=10)
    assert sorted(part.train.labels) == [0] * 5 + [1] * 4 + [2] and part.train.files[-1] == Path("400.png")


def test_what_it_says_of_itself() -> None:
    whole = dataset([0, 1] * 10, 2)
    part = subset(whole, train=4, val=2)
    assert part.notes == ("a part of the images: 4 train and 2 val",)
    assert part.fingerprint != subset(whole, train=4).fingerprint
    assert subset(whole) is whole


@pytest.mark.parametrize("most", [0, 1, 21])
def test_too_few_or_too_many(most: int) -> None:
    with pytest.raises(RequestError, match=f"{most} train images of set are asked for"):
        subset(dataset([0, 1] * 10, 2), train=most)
