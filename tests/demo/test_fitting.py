import pytest
import torch
from torch import nn

from batchgen.demo.fitting import Fit, Plan, adamw, generator_of


def fit(path, steps=20, save_every=5):
    model = nn.Linear(3, 1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.5)
    plan = Plan(steps=steps, warmup=2, average=0.9, save_every=save_every)
    return Fit({"model": model}, adamw([(model.parameters(), 0.1)]), plan, path)


def loss_of(training):
    def loss(step):
        points = torch.randn(8, 3, generator=generator_of(0, step))
        return (training.modules["model"](points) - points.sum(dim=1, keepdim=True)).square().mean()

    return loss


def test_training_lowers_the_loss(tmp_path):
    training = fit(tmp_path / "fit.pt", steps=100)
    before = loss_of(training)(0).item()

    training.run(loss_of(training))

    assert loss_of(training)(0).item() < 0.1 * before


def test_a_resumed_training_ends_where_an_uninterrupted_one_does(tmp_path):
    whole = fit(tmp_path / "whole.pt")
    whole.run(loss_of(whole))

    def interrupt(step):
        if step == 10:
            raise KeyboardInterrupt

    first = fit(tmp_path / "parts.pt")
    with pytest.raises(KeyboardInterrupt):
        first.run(loss_of(first), interrupt)
    second = fit(tmp_path / "parts.pt")
    second.run(loss_of(second))

    assert first.step == 10
    for name in ("modules", "averages"):
        ours, theirs = (getattr(one, name)["model"].state_dict() for one in (second, whole))
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_the_average_lags_behind_the_weights(tmp_path):
    training = fit(tmp_path / "fit.pt")
    training.run(loss_of(training))

    assert training.best("model") is training.averages["model"]
    assert not torch.equal(training.best("model").weight, training.modules["model"].weight)


def test_the_learning_rate_rises_then_falls():
    plan = Plan(steps=100, warmup=10)
    rates = [plan.rate(step) for step in range(101)]

    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[100] == pytest.approx(plan.floor)
