"""Batches: the same whatever the workers, the start and the order of events."""

import gc
import multiprocessing
import os
import signal

import numpy as np
import pytest
import torch
from PIL import Image

from compoundnet.data import Augmentation, BadImageError, batches, decode_image, evaluation_image, loader, seed_for
from compoundnet.data.dataset import Split
from compoundnet.errors import RequestError
from compoundnet.preprocessing import Preprocessing

PRE = Preprocessing(resolution=16)
BUSY = Augmentation(randaugment_ops=2)


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    files = []
    for i in range(11):
        pixels = np.random.default_rng(i).integers(0, 256, (5 + i, 6, 3), np.uint8)
        exif = Image.Exif()
        exif[0x0112] = 1 + i % 8
        files.append(folder / f"{i}.jpg")
        Image.fromarray(pixels).resize((60 + 3 * i, 90)).save(files[-1], exif=exif)
    return Split(files=tuple(files), labels=tuple(i % 3 for i in range(11)))


def load(split, **changed):
    options = {
        **{"preprocessing": PRE, "augmentation": BUSY, "resolution": 16, "batch_size": 4},
        **{"seed": 1, "epoch": 2, "shuffle": True, **changed},
    }
    return batches(split, **options)


def same(a, b) -> bool:
    return len(a) == len(b) and all(
        torch.equal(x.images, y.images) and torch.equal(x.labels, y.labels) and torch.equal(x.index, y.index)
        for x, y in zip(a, b, strict=True)
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(split, workers):
    assert same(list(load(split)), list(load(split, workers=workers)))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("start", [1, 2, 3, 7])
def test_an_epoch_can_be_resumed_anywhere(split, start, workers):
    assert same(list(load(split))[start:], list(load(split, start=start, workers=workers)))


def test_batches_before_the_start_are_not_decoded(split, monkeypatch):
    opened = []
    real = loader.opened
    monkeypatch.setattr(loader, "opened", lambda file: (opened.append(file), real(file))[1])
    (batch,) = load(split, start=2)
    assert opened == [split.files[i] for i in batch.index]


def test_shapes_and_labels(split):
    loaded = list(load(split))
    assert [len(b.images) for b in loaded] == [4, 4, 3]
    assert [len(b.images) for b in load(split, drop_last=True)] == [4, 4]
    assert sorted(torch.cat([b.index for b in loaded]).tolist()) == list(range(11))
    for batch in loaded:
        assert batch.images.shape[1:] == (3, 16, 16)
        assert batch.images.dtype == torch.uint8
        assert batch.images.is_contiguous(memory_format=torch.channels_last)
        assert batch.labels.tolist() == [i % 3 for i in batch.index.tolist()]
        assert batch.labels.dtype == batch.index.dtype == torch.int64


def test_epochs_and_seeds_differ_in_order_and_pixels(split):
    base, epoch, seed = (next(iter(load(split, **c))) for c in ({}, {"epoch": 3}, {"seed": 2}))
    assert not torch.equal(base.index, epoch.index)
    assert not torch.equal(base.index, seed.index)
    plain, other = (next(iter(load(split, shuffle=False, epoch=e))) for e in (0, 1))
    assert plain.index.tolist() == other.index.tolist() == [0, 1, 2, 3]
    assert not torch.equal(plain.images, other.images)


def test_an_image_does_not_depend_on_its_batch(split):
    small = {int(i): x for b in load(split, batch_size=1) for i, x in zip(b.index, b.images, strict=True)}
    large = {int(i): x for b in load(split, batch_size=9) for i, x in zip(b.index, b.images, strict=True)}
    assert all(torch.equal(small[i], large[i]) for i in range(11))


def test_without_augmentation_it_is_the_evaluation_image(split):
    batch = next(iter(load(split, augmentation=None, shuffle=False)))
    for file, pixels in zip(split.files, batch.images, strict=False):
        assert torch.equal(pixels, evaluation_image(decode_image(file), PRE))


@pytest.mark.parametrize("workers", [0, 1])
def test_the_global_random_state_is_left_alone(split, workers):
    state = torch.get_rng_state()
    list(load(split, workers=workers))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_image_that_went_bad_is_named(split, tmp_path, workers):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(split.files[0].read_bytes()[:400])
    broken = Split(files=(*split.files, bad), labels=(*split.labels, 0))
    with pytest.raises(BadImageError, match=r"bad\.jpg: ") as caught:
        list(load(broken, workers=workers))
    assert caught.value.file == bad
    assert "Traceback" not in str(caught.value)


def children() -> list:
    gc.collect()
    return multiprocessing.active_children()


def test_workers_end_with_the_iterator(split):
    iterator = load(split, workers=2)
    next(iterator)
    assert len(children()) == 2
    iterator.close()
    assert children() == []
    list(load(split, workers=2))
    assert children() == []


def test_signals_to_the_group_do_not_reach_workers(split):
    iterator = load(split, workers=1, batch_size=1)
    first = next(iterator)
    for worker in children():
        os.kill(worker.pid, signal.SIGINT)
        os.kill(worker.pid, signal.SIGTERM)
    assert same([first, *iterator], list(load(split, batch_size=1)))


def test_a_killed_worker_is_an_error_and_not_a_wait(split):
    iterator = load(split, workers=1, batch_size=1)
    next(iterator)
    (worker,) = children()
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(RuntimeError, match=r"DataLoader worker .*(killed|exited)"):
        list(iterator)


def test_an_error_of_ours_is_not_blamed_on_the_image(split, monkeypatch):
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(loader, "augmented", broken)
    with pytest.raises(ZeroDivisionError):
        next(load(split))


def test_empty_split_and_start_past_the_end():
    empty = Split(files=(), labels=())
    for workers in (0, 2):
        assert list(load(empty, workers=workers)) == []
        assert list(load(empty, workers=workers, start=3)) == []


def test_large_jpegs_are_decoded_small_and_look_the_same(tmp_path, monkeypatch):
    """The whole of a photograph, once reduced by the decoder and once not, is the same within what resampling does."""
    sizes = []
    real = loader.augmented
    monkeypatch.setattr(loader, "augmented", lambda image, *rest: (sizes.append(image.size), real(image, *rest))[1])
    small = np.random.default_rng(0).integers(0, 256, (12, 12, 3), np.uint8)
    photo = Image.fromarray(small).resize((1600, 1600), Image.Resampling.BICUBIC)
    photo.save(tmp_path / "a.jpg", quality=95)
    photo.save(tmp_path / "a.png", compress_level=1)
    whole = Augmentation(crop_scale=(1, 1), crop_ratio=(1, 1))
    a, b = (
        next(load(Split(files=(tmp_path / name,), labels=(0,)), augmentation=whole, resolution=96)).images.int()
        for name in ("a.jpg", "a.png")
    )
    assert sizes == [(200, 200), (1600, 1600)]
    assert (a - b).abs().float().mean() < 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0; it must be at least 1"),
        ({"start": -1}, "start is -1"),
        ({"workers": -1}, "workers is -1"),
        ({"augmentation": None, "resolution": 17}, "resolution is 17, but evaluation preprocessing has 16"),
    ],
)
def test_requests_that_cannot_be(split, changed, message):
    with pytest.raises(RequestError, match=message):
        load(split, **changed)


def test_seeds_are_stable_distinct_and_fit():
    assert seed_for(0) == seed_for(0)
    seeds = {seed_for(*keys) for keys in ((0,), (1,), (0, 1), (0, "1"), (0, 1, 2), (0, 12), (0, "a"), (0, "a", 0))}
    assert len(seeds) == 8
    assert all(0 <= s < 2**63 for s in seeds)
    assert (
        seed_for(7, "sample", 3, 5) == 819111460811242838
    )  # a run resumed by a later version must see the same images
