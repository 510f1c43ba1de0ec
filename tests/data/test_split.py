"""Splitting by content: stratified, stable, duplicates on one side."""

import hashlib
from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compoundnet.data.split import assign_splits
from compoundnet.errors import RequestError


def sha(n: int) -> str:
    return hashlib.sha256(str(n).encode()).hexdigest()


# images as (label, content number): few contents, so that copies within and across classes are common
images = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 60)), max_size=60).map(
    lambda drawn: [(label, sha(n)) for label, n in drawn] + [(label, sha(100 + i)) for i, label in enumerate("abc" * 5)]
)
fractions = st.sampled_from([0.0, 0.1, 0.15, 0.2, 0.3])


def owned(pairs):
    """Distinct contents of each class, each counted once, with its first label."""
    first = {}
    for label, content in pairs:
        first[content] = min(label, first.get(content, label))
    groups = defaultdict(set)
    for content, label in first.items():
        groups[label].add(content)
    return groups


@given(images, fractions, fractions)
def test_every_content_has_one_side_and_every_class_its_share(pairs, val, test):
    sides = assign_splits(pairs, val_fraction=val, test_fraction=test)
    assert set(sides) == {content for _, content in pairs}  # so no copy crosses
    for contents in owned(pairs).values():
        counts = Counter(sides[c] for c in contents)
        assert abs(counts["test"] - test * len(contents)) <= 1
        assert abs(counts["val"] - val * len(contents)) <= 1
        assert counts["train"] >= 1
        assert not test or counts["test"] >= 1
        assert not val or counts["val"] >= 1


@given(images, st.randoms())
def test_order_and_copies_do_not_matter(pairs, random):
    other = [*pairs, *pairs[:10]]
    random.shuffle(other)
    sides = [assign_splits(p, val_fraction=0.15, test_fraction=0.15) for p in (pairs, other)]
    assert sides[0] == sides[1]


@given(images, st.integers(1000, 10**6), st.sampled_from("abc"))
def test_a_new_image_moves_at_most_two_and_none_between_test_and_train(pairs, new, label):
    before = assign_splits(pairs, val_fraction=0.15, test_fraction=0.15)
    after = assign_splits([*pairs, (label, sha(new))], val_fraction=0.15, test_fraction=0.15)
    moved = Counter((before[c], after[c]) for c in before if before[c] != after[c])
    assert all(n <= 2 for n in moved.values()), moved
    assert ("test", "train") not in moved  # what was tested on is not trained on
    assert ("train", "test") not in moved


def test_worked_example():
    pairs = [("a", f"{i:02d}") for i in range(20)]
    sides = assign_splits(pairs, val_fraction=0.15, test_fraction=0.2)
    assert [sides[f"{i:02d}"] for i in range(20)] == ["test"] * 4 + ["val"] * 3 + ["train"] * 13


def test_products_that_are_whole_but_for_rounding():
    sides = assign_splits([("a", sha(i)) for i in range(100)], val_fraction=0, test_fraction=0.07)
    assert Counter(sides.values())["test"] == 7  # 0.07 * 100 is 7.000000000000001


@pytest.mark.parametrize(("n", "val", "test"), [(2, 0.15, 0.15), (1, 0.15, 0), (1, 0, 0.5), (2, 0.01, 0.01)])
def test_too_few_images(n, val, test):
    pairs = [("b", sha(i)) for i in range(9)] + [("a", sha(100 + i)) for i in range(n)]
    with pytest.raises(RequestError, match=rf"class 'a' has {n} distinct image.*needs at least {n + 1}"):
        assign_splits(pairs, val_fraction=val, test_fraction=test)


@pytest.mark.parametrize(
    ("val", "test", "message"),
    [(-0.1, 0, "val_fraction is -0.1"), (0, 1.0, "test_fraction is 1.0"), (0.5, 0.5, "leave nothing to train on")],
)
def test_fractions_that_cannot_be(val, test, message):
    with pytest.raises(RequestError, match=message):
        assign_splits([], val_fraction=val, test_fraction=test)
