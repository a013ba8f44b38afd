"""Networks return to the modes that they had."""

from torch import nn

from kdrun.core.mode import evaluating


def test_evaluating_puts_each_module_back_as_it_was():
    network = nn.Sequential(nn.Dropout(), nn.Dropout())
    network[0].eval()
    with evaluating(network):
        assert not any(module.training for module in network.modules())
    assert [module.training for module in network.modules()] == [True, False, True]
