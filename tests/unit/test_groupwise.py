"""Class after class (idc): what of the networks is matched, and networks that train on real rows."""

import random

import pytest
import toys
from gradients import SGD, Small, equals, mse, resumes, same, start
from torch import nn

from ddcore.errors import NotSupported
from ddcore.loop import optimise
from ddcore.objectives.gradient import GradientMatching, GroupwiseMatching, Theta
from ddcore.objectives.networks import TrainedOnReal, TrainedOnSet
from ddcore.problem import Output


@pytest.mark.parametrize("augment", [None, "match"])
def test_idc_compares_the_convolutions_of_one_class(augment):
    def of_convolutions(net, pairs):
        ((have, want),) = pairs
        assert [n for n, _ in net.named_parameters()] == ["conv.weight", "conv.bias", "head.weight", "head.bias"]
        return mse(have[:1], want[:1])

    equals(GroupwiseMatching(n_real=6, augment=augment), of_convolutions)


def test_idc_updates_class_after_class_and_trains_on_real_rows_after_each_round():
    drawn, s = toys.recorded(Small), start()
    networks = TrainedOnReal(outer=2, steps=3, size=5, augment=None)
    optimise(drawn.problem, s, GroupwiseMatching(n_real=4, networks=networks), steps=9, optimiser=SGD)
    of_groups = [{i % 3 for i in ids} if len(ids) == 4 else "all" for ids in drawn.data.taken]
    assert of_groups == [{0}, {1}, {2}, "all", "all", "all", {0}, {1}, {2}, {0}, {1}, {2}]
    assert len(drawn.networks) == 2


def test_idc_with_one_class_all_parameters_and_networks_of_dc_is_dc():
    networks = TrainedOnSet(outer=2, epochs=2, lr=0.3)
    same(
        GroupwiseMatching(6, "layer-cosine", "match", networks, parameters="all"),
        GradientMatching(6, "layer-cosine", "match", networks),
        groups=1,
    )


def test_a_run_that_is_taken_up_in_the_middle_of_its_networks_ends_the_same():
    networks = TrainedOnReal(outer=2, steps=1, size=8, augment="train")
    resumes(
        GroupwiseMatching(4, augment="match", networks=networks),
        start,
        lambda: toys.recorded(toys.dropping),
        steps=14,
    )


@pytest.mark.parametrize("name", toys.ALL)
def test_the_classifier_is_what_features_do_not_depend_on(name):
    p, s = toys.case(name)
    net = p.new_model(random.Random(0))
    theta, names = Theta(net, s.batch), {id(q): n for n, q in net.named_parameters()}
    head = {"image": "head", "graph": "h", "text": "head", "recommender": "head"}[name]
    assert {names[id(q)] for q in theta.classifier} == {f"{head}.weight", f"{head}.bias"}
    body = [names[id(q)] for q in theta.matched("body")]
    assert (
        body
        == {
            "image": ["conv.weight"],
            "graph": ["a.weight"],
            "text": ["query.weight", "value.weight"],
            "recommender": ["body.weight"],
        }[name]
    )


def test_a_network_that_is_all_classifier_has_no_body_to_match():
    class Linear(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(64, 3)

        def forward(self, b):
            return Output(self.head(b.x.flatten(1)), b.x.flatten(1))

    p, s = toys.case("image", models={"linear": Linear})
    with pytest.raises(NotSupported, match="Linear has no weights before its classifier"):
        optimise(p, s, GroupwiseMatching(n_real=4), steps=1, optimiser=SGD)
