"""The moving average against a plain one written here."""

import pytest
import torch

from compoundnet.nn import build
from compoundnet.train.ema import Ema
from tiny import ARCH


def changed(network: torch.nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator))
            else:
                tensor += 3


@pytest.mark.parametrize("decay", [0.15, 0.9999])
def test_weights_statistics_and_counters(decay: float) -> None:
    network = build(ARCH).to(memory_format=torch.channels_last)
    ema = Ema(network, decay)
    plain = {name: tensor.double() for name, tensor in network.state_dict().items()}
    for t in range(12):
        changed(network, t)
        ema.update(network, t)
        d = min(decay, (1 + t) / (10 + t))
        for name, tensor in network.state_dict().items():
            plain[name] = d * plain[name] + (1 - d) * tensor.double()
    averages = ema.network.state_dict()
    kinds = {"running_mean", "running_var", "num_batches_tracked", "weight", "bias"}
    assert {name.rpartition(".")[2] for name in averages} == kinds
    for name, average in averages.items():
        if name.endswith("num_batches_tracked"):
            assert average == 36
        else:
            torch.testing.assert_close(average.double(), plain[name], rtol=1e-5, atol=1e-6)


def test_the_first_update_takes_nine_tenths_of_the_network() -> None:
    network = build(ARCH)
    before = network.classifier.weight.detach().clone()
    ema = Ema(network, 0.9999)
    changed(network, 0)
    ema.update(network, 0)
    expected = 0.1 * before + 0.9 * network.classifier.weight
    torch.testing.assert_close(ema.network.classifier.weight, expected)


def test_it_is_a_network_apart_that_does_not_learn() -> None:
    network = build(ARCH).train()
    ema = Ema(network, 0.9)
    assert network.training
    assert all(not module.training for module in ema.network.modules())
    assert all(not parameter.requires_grad for parameter in ema.network.parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())
    own = {tensor.data_ptr() for tensor in network.state_dict().values()}
    assert own.isdisjoint(tensor.data_ptr() for tensor in ema.network.state_dict().values())
