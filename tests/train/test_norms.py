"""Batch norms that stay as they are, and ones that become true averages."""

import pytest
import torch
from torch import nn

from compoundnet.data import Augmentation, Dataset, batches, normalize, open_dataset
from compoundnet.nn import Network, build
from compoundnet.preprocessing import Preprocessing
from compoundnet.train import Recipe
from compoundnet.train import norms as under_test
from compoundnet.train.norms import freeze_norms, reestimate_norms
from compoundnet.train.plan import Plan, make_plan
from tiny import ARCH, pictures

PREPARED = Preprocessing(resolution=12, crop_fraction=1.0)
RECIPE = Recipe(batch_size=5, augmentation=Augmentation(crop_scale=(0.5, 1.0)))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return open_dataset(pictures(tmp_path_factory.mktemp("norms") / "data"))


def norms_of(network: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def plan_for(dataset: Dataset) -> Plan:
    return make_plan(RECIPE, dataset, PREPARED, "cpu", 0)


def test_frozen_norms_keep_their_statistics_and_still_learn() -> None:
    network = build(ARCH).train()
    before = {name: tensor.clone() for name, tensor in network.named_buffers()}
    freeze_norms(network)
    network(torch.rand(4, 3, 12, 12)).sum().backward()
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.named_buffers())
    assert all(norm.weight.grad is not None for norm in norms_of(network))
    assert network.dropout.training  # nothing else is frozen
    network.train()
    network(torch.rand(4, 3, 12, 12))
    assert not all(torch.equal(tensor, before[name]) for name, tensor in network.named_buffers())


def inputs_of_first_norm(network: Network, plan: Plan, dataset: Dataset, epoch: int) -> list[torch.Tensor]:
    source = batches(
        dataset.train, preprocessing=PREPARED, augmentation=RECIPE.augmentation, resolution=12, batch_size=5,
        seed=RECIPE.seed, epoch=epoch, shuffle=True, drop_last=True,
    )  # fmt: skip
    with torch.no_grad():
        return [network.stem.conv(normalize(batch.images, PREPARED)) for batch in source]


@pytest.mark.parametrize("most", [32, 2])
def test_precise_statistics_are_the_average_over_batches(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(under_test, "_BATCHES", most)
    network, plan = build(ARCH), plan_for(dataset)
    norm = norms_of(network)[0]
    norm.running_mean.fill_(99)  # type: ignore[union-attr]  # whatever was there is forgotten
    expected = inputs_of_first_norm(network, plan, dataset, epoch=3)[:most]
    assert len(expected) == min(most, 4)
    reestimate_norms(network, dataset.train, plan, 3)
    means = torch.stack([x.mean((0, 2, 3)) for x in expected])
    variances = torch.stack([x.var((0, 2, 3)) for x in expected])
    torch.testing.assert_close(norm.running_mean, means.mean(0))
    torch.testing.assert_close(norm.running_var, variances.mean(0))
    assert all(int(n.num_batches_tracked) == len(expected) for n in norms_of(network))  # type: ignore[arg-type]


def test_precise_norms_leave_all_else_as_it_was(dataset: Dataset) -> None:
    network, plan = build(ARCH).train(), plan_for(dataset)
    parameters = {name: p.detach().clone() for name, p in network.named_parameters()}
    random = torch.get_rng_state()
    reestimate_norms(network, dataset.train, plan, 0)
    assert all(torch.equal(p, parameters[name]) for name, p in network.named_parameters())
    assert {norm.momentum for norm in norms_of(network)} == {ARCH.norm.momentum}
    assert all(not module.training for module in network.modules())
    assert torch.equal(torch.get_rng_state(), random)  # no dropout, no stochastic depth: nothing was drawn


def test_the_same_epoch_gives_the_same_bits(dataset: Dataset) -> None:
    torch.manual_seed(0)
    network, plan, found = build(ARCH), plan_for(dataset), []
    for epoch in (0, 1, 0):
        reestimate_norms(network, dataset.train, plan, epoch)
        found.append(norms_of(network)[-1].running_var.clone())  # type: ignore[union-attr,operator]
    assert torch.equal(found[0], found[2])
    assert not torch.equal(found[0], found[1])
