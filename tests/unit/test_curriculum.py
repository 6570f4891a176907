"""PAD's experts: rows from easy to all to hard."""

from dataclasses import replace

import torch
import toys
from unrolled import NAMES, experts, logits, one_hot, problem

from ddcore.experts import Curriculum, Training
from ddcore.experts.opinions import by_difficulty
from ddcore.experts.training import Path, Ranked


def test_rows_in_the_order_of_their_error_norm():
    p, paths = problem(), experts(2, epochs=2)
    ranked = by_difficulty(p, paths)
    scores = {}
    for i in p.data.ids():
        errors = [logits(p.data.x[i][None], e.snapshots[-1]).softmax(1)[0] - one_hot()[p.data.y[i]] for e in paths]
        scores[i] = sum(e.norm().item() for e in errors) / 2
    for g in range(3):
        assert ranked.data.easiest(g) == sorted(p.data.ids(g), key=scores.get)
        assert list(ranked.data.ids(g)) == list(p.data.ids(g))
    assert list(ranked.data.ids(split="test")) == list(p.data.ids(split="test"))
    assert ranked.data.fingerprint() != p.data.fingerprint()


def test_a_curriculum_goes_from_easy_to_all_to_hard():
    c, ids = Curriculum(first=0.5, whole=4, harder=6, dropped=0.3), list(range(10))
    seen = [c.rows(ids, e) for e in range(9)]
    assert [len(s) for s in seen] == [5, 6, 7, 8, 10, 10, 10, 7, 7]
    assert all(s == ids[: len(s)] for s in seen[:7])
    assert seen[7] == ids[3:]
    for ranked in (False, True):  # ids come the easiest first, or rows have a difficulty
        drawn = toys.Drawn(problem().data)
        data = Ranked(drawn, {i: -i for i in drawn.ids()}) if ranked else drawn
        path = Path(problem(data=data), Training(epochs=2, size=4, augment=None, curriculum=c), 0)
        path.advance()
        easiest = [drawn.ids(g)[::-1] if ranked else drawn.ids(g) for g in range(3)]
        assert {i for batch in drawn.taken for i in batch} == {i for ids in easiest for i in ids[: len(ids) // 2]}


def test_a_curriculum_of_everything_trains_like_none():
    ends = []
    for curriculum in (None, Curriculum(first=1.0, whole=0, harder=9)):
        p = problem()
        p = replace(p, data=Ranked(p.data, {i: -i for i in p.data.ids()})) if curriculum else p
        path = Path(p, Training(epochs=2, size=4, augment=None, curriculum=curriculum), 0)
        path.advance()
        ends.append(path.snapshot())
    assert all(torch.equal(ends[0][k], ends[1][k]) for k in NAMES)
