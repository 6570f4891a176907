"""The parts of the methods against what they are defined by."""

import math
import random
from dataclasses import replace
from itertools import product

import pytest
import torch
from ddcore_text.augment import Mixup, TokenDropout
from ddcore_text.batch import Sentences, TextClassification
from ddcore_text.data import text_data, token_space
from ddcore_text.heads import head_gradients
from ddcore_text.kernels import bag_ntk
from ddcore_text.language_model import LanguageModel, corpus_language_model, masked_mean_loss
from ddcore_text.methods.gradmm import readable
from ddcore_text.methods.selection import medoids
from ddcore_text.objectives import GeneratorMatching, NearWords, text_weights
from ddcore_text.parametrizations import (
    GeneratedTexts,
    VocabularyDistributions,
    WrittenTexts,
    texts_of,
    vocabulary_set,
)
from ddcore_text.parametrizations.vocabulary import straight_through_gumbel
from ddcore_text.tokens import word_vectors

from ddcore.errors import NotSupported
from ddcore.loop import Run
from ddcore.problem import Output, Subset
from ddcore.seeds import generator


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# ---------------------------------------------------------------------------------------------------------------------
# attention labels


def test_the_loss_of_attention_labels_is_cross_entropy_and_a_divergence():
    n, layers, heads, t = 3, 2, 2, 4
    wanted, maps = noise(n, layers, heads, 1, t).softmax(-1), noise(n, layers, heads, t, t, seed=1).softmax(-1)
    logits, y = noise(n, 3, seed=2), torch.tensor([0, 2, 1])
    batch = Sentences(noise(n, t, 5), y, attention=wanted)
    found = TextClassification(3).losses(Output(logits, logits, {"attention": maps}), batch)
    for i in range(n):
        by_hand = -float(logits[i].log_softmax(0)[y[i]])
        divergences = []
        for layer, head in product(range(layers), range(heads)):
            p, q = wanted[i, layer, head, 0], maps[i, layer, head, 0]
            divergences.append(sum(float(p[k]) * float((p[k] / q[k]).log()) for k in range(t)))
        assert float(found[i]) == pytest.approx(by_hand + sum(divergences) / len(divergences), rel=1e-5)


def test_networks_without_attention_learn_from_the_labels_and_others_are_refused():
    batch = Sentences(noise(2, 4, 5), torch.tensor([0, 1]), attention=noise(2, 2, 2, 1, 4).softmax(-1))
    out = Output(noise(2, 3), noise(2, 3))
    plain = torch.nn.functional.cross_entropy(out.logits, batch.y, reduction="none")
    assert torch.equal(TextClassification(3).losses(out, batch), plain)
    other = Output(out.logits, out.features, {"attention": noise(2, 3, 2, 4, 4).softmax(-1)})
    with pytest.raises(NotSupported, match="2 layers of 2 heads"):
        TextClassification(3).losses(other, batch)


# ---------------------------------------------------------------------------------------------------------------------
# distributions over the vocabulary


def test_gumbel_draws_follow_the_softmax():
    logits, rng = torch.tensor([1.0, 0.0, -1.0, 2.0]), random.Random(0)
    draws = straight_through_gumbel(logits.expand(20_000, 4), 1.0, rng)
    assert torch.all((draws.round() - draws).abs() < 1e-5)
    expected = logits.softmax(0)
    deviation = (expected * (1 - expected) / 20_000).sqrt()
    assert torch.all((draws.mean(0) - expected).abs() < 4 * deviation)


def test_the_gradient_of_a_draw_is_that_of_the_relaxed_one():
    logits, weights = noise(3, 5).requires_grad_(), noise(3, 5, seed=1)
    (straight,) = torch.autograd.grad((straight_through_gumbel(logits, 0.7, None) * weights).sum(), logits)
    (soft,) = torch.autograd.grad(((logits / 0.7).softmax(-1) * weights).sum(), logits)
    assert torch.allclose(straight, soft)


def test_a_seeded_draw_and_its_gradient_are_those_of_the_definition():
    logits, weights, tau = noise(3, 5).requires_grad_(), noise(3, 5, seed=1), 0.7
    drawn = straight_through_gumbel(logits, tau, random.Random(3))
    (found,) = torch.autograd.grad((drawn * weights).sum(), logits)
    u = torch.rand(3, 5, generator=generator(random.Random(3)))
    for i in range(3):
        perturbed = [logits[i, j].item() - math.log(-math.log(float(u[i, j]))) for j in range(5)]
        assert int(drawn[i].argmax()) == max(range(5), key=perturbed.__getitem__)
        p = [math.exp(v / tau) for v in perturbed]
        p = [v / sum(p) for v in p]
        mean = sum(p[j] * float(weights[i, j]) for j in range(5))
        slope = [
            p[j] * (float(weights[i, j]) - mean) / tau for j in range(5)
        ]  # d softmax / d logits, times the weights
        assert found[i].tolist() == pytest.approx(slope, abs=1e-5)


def test_drawn_vectors_are_on_average_the_expected_ones(tokens):
    space = token_space(tokens())
    words = [i for i in range(len(space.table)) if i not in space.special]
    logits = 2 * noise(1, 2, len(words))
    made = VocabularyDistributions(
        space, {0: 1}, logits, torch.ones(1, 2, dtype=torch.bool), relaxation="gumbel", temperature=0.5
    )
    rng, n = random.Random(0), 1000
    with torch.no_grad():
        drawn = made.take([0] * n, rng).x[:, 1:]  # (n, 2, d), behind [CLS]
    p = logits[0].softmax(-1)
    mean = p @ space.table[words]
    deviation = (p @ space.table[words].square() - mean.square()).sqrt() / n**0.5
    assert torch.all((drawn.mean(0) - mean).abs() < 5 * deviation)


def test_a_softmax_reads_the_expected_vector(tokens):
    problem = tokens()
    space = token_space(problem)
    made = vocabulary_set(space, {0: 1, 1: 1, 2: 1}, None, random.Random(0))
    e = made.take([1]).x[0]
    words = [i for i in range(len(space.table)) if i not in space.special]
    p = made.x[1].softmax(-1)
    by_hand = torch.stack([sum(p[t, j] * space.table[w] for j, w in enumerate(words)) for t in range(3)])
    assert torch.allclose(e[1:4], by_hand, atol=1e-5)
    assert torch.equal(e[0], space.table[space.beginning[0]])


def test_real_texts_are_read_back_from_their_distributions(tokens):
    problem = tokens()
    ids = [problem.data.ids(g)[0] for g in problem.data.groups]
    made = vocabulary_set(token_space(problem), {0: 1, 1: 1, 2: 1}, problem.data.take(ids), random.Random(0))
    assert [row.text for row in made.readings()] == problem.data.texts(ids)
    drawn = VocabularyDistributions(made.space, made.counts, made.x, made.mask, relaxation="gumbel")
    assert torch.allclose(
        drawn.batch().x[:, :3], token_space(problem).table[problem.data.take(ids).x[:, :3]], atol=1e-5
    )
    assert all(row.distance == 0.0 for row in drawn.readings())


# ---------------------------------------------------------------------------------------------------------------------
# language models and matching


@pytest.fixture(scope="module")
def space(tokens):
    return token_space(tokens())


def test_texts_weigh_as_much_as_the_mean_of_their_token_losses_says(space):
    torch.manual_seed(0)
    model = LanguageModel(space, 2, hidden=6).eval()
    texts, y = [[7, 9, 8], [6], [12, 5]], torch.tensor([0, 0, 0])
    padded = torch.tensor([text + [space.pad] * (4 - len(text)) for text in texts])
    torch.nn.init.normal_(model.bias)
    means = []
    for text in texts:
        state, e, losses = None, model.classes(y[:1]).unsqueeze(1), []
        for token in [*text, space.pad]:
            out, state = model.gru(e, state)
            p = (model.out(out[0, 0]) @ model.table.T + model.bias[0]).softmax(0)
            losses.append(-p[token].log().item())
            e = model.table[token].view(1, 1, -1)
        means.append(sum(losses) / len(losses))
    rates = model.rates(padded, y)
    assert rates.tolist() == pytest.approx(means, rel=1e-4)
    weights = torch.tensor([2.718281828 ** (-m / 0.5) for m in means])
    assert torch.allclose(text_weights(rates, 0.5), weights / weights.sum(), atol=1e-5)


def test_padding_is_no_part_of_a_mean():
    every, counts = noise(2, 3).abs(), torch.tensor([[True, True, False], [True, False, False]])
    assert masked_mean_loss(every, counts).tolist() == pytest.approx([float(every[0, :2].mean()), float(every[1, 0])])


def test_what_is_sampled_is_words_and_ends_once(space):
    torch.manual_seed(0)
    model = LanguageModel(space, 2, hidden=6).eval()
    written = model.sample(torch.tensor([0, 1] * 20), 6, random.Random(0))
    assert torch.equal(written, model.sample(torch.tensor([0, 1] * 20), 6, random.Random(0)))
    for row in written.tolist():
        n = row.index(space.pad) if space.pad in row else len(row)
        assert n >= 1
        assert set(row[n:]) <= {space.pad}
        assert not space.special & set(row[:n])


def test_what_a_trained_model_writes_is_of_its_class(tokens, space):
    corpus = text_data(tokens().data).corpus
    model = corpus_language_model(space, corpus, 100)
    read = [{w for i, text in enumerate(corpus.texts) if corpus.y[i] == g for w in text.split()} for g in range(3)]
    common = set.intersection(*read)
    for g in range(3):
        written = model.sample(torch.full((60,), g), 12, random.Random(0))
        said = [w for row in written.tolist() for w in space.decode(row).split() if w not in common]
        assert len(said) > 60  # two or three a text in the corpus
        assert sum(w in read[g] for w in said) > 0.8 * len(said)


def test_a_nucleus_of_one_word_is_the_most_likely_one(space):
    torch.manual_seed(0)
    model = LanguageModel(space, 2, hidden=6).eval()
    written = model.sample(torch.tensor([1]), 1, random.Random(0), top_p=1e-6)
    out, _ = model.gru(model.classes(torch.tensor([1])).unsqueeze(1))
    logits = model.logits(out[:, 0], torch.tensor([1]))[0]
    best = max((i for i in range(len(space.table)) if i not in space.special), key=lambda i: logits[i].item())
    assert written.tolist() == [[best]]


def test_the_gradient_of_every_row_is_that_of_autograd(tokens):
    problem = tokens()
    net, batch = problem.new_model(random.Random(0)), problem.data.take(list(problem.data.ids())[::80])
    out, targets = net(batch), problem.task.targets(batch)
    found = head_gradients(out, targets)
    for i in range(len(targets)):
        loss = torch.nn.functional.cross_entropy(net(batch).logits[i : i + 1], targets[i : i + 1])
        weight, bias = torch.autograd.grad(loss, [net.classifier.weight, net.classifier.bias])
        assert torch.allclose(found[i], torch.cat([weight, bias.unsqueeze(1)], 1), atol=1e-6)


@pytest.fixture(scope="module")
def one_each(tokens):
    """The small problem with one training text of each class: every draw of real rows is these."""
    problem = tokens()
    return replace(problem, data=Subset(problem.data, [problem.data.ids(g)[0] for g in problem.data.groups]))


def gradient(problem, net, batch):
    """Of the classifier's mean loss, by autograd."""
    loss = problem.task.losses(net(batch), batch).mean()
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, [net.classifier.weight, net.classifier.bias])])


def distance(a, b):
    return 1 - float(a @ b / (a.norm() * b.norm()))


def test_a_generator_is_matched_by_the_weighted_gradient_of_its_texts(one_each, space):
    problem, tau, written = one_each, 0.5, {g: torch.tensor([[7, 9], [6, 0], [12, 5 + g]]) for g in range(3)}
    torch.manual_seed(0)
    net, model = problem.new_model(random.Random(0)), LanguageModel(space, 3, hidden=6).eval()

    class Written(GeneratedTexts):
        def write(self, y, rng):
            return written[int(y[0])]

    class One:
        def networks(self, problem, synthetic, run):
            yield net

    made = Written(space, dict.fromkeys(range(3), 1), model)
    loss = next(GeneratorMatching(3, 1, tau, One()).losses(problem, made, Run(0)))
    terms = []
    for g, texts in written.items():
        rates = [float(model.rates(text[None], torch.tensor([g])).detach()) for text in texts]
        shares = [math.exp(-rate / tau) for rate in rates]
        total = sum(
            share / sum(shares) * gradient(problem, net, made.sentences(text[None], torch.tensor([g])))
            for share, text in zip(shares, texts, strict=True)
        )
        terms.append(distance(total, gradient(problem, net, problem.data.take(problem.data.ids(g)))))
    assert loss.item() == pytest.approx(sum(terms) / 3, abs=1e-5)
    loss.backward()
    assert all(p.grad is not None for p in model.parameters())


def test_vectors_near_words_follow_the_method_of_multipliers(one_each):
    problem, rho, seen = one_each, 0.3, []
    start = replace(
        problem.data.take(problem.data.ids()), x=noise(3, 4, 16), mask=torch.tensor([[True] * 3 + [False]] * 3)
    )
    synthetic = problem.synthetic(dict.fromkeys(range(3), 1), start, random.Random(0))

    def project(v):
        seen.append(v.clone())
        return v.round()

    run = Run(0)
    losses = NearWords(project, inner=1, rho=rho, n_real=1, before=2).losses(problem, synthetic, run)
    dual = torch.zeros_like(synthetic.x)
    for _ in range(3):
        loss, x = next(losses), synthetic.x.detach().clone()
        assert torch.allclose(seen[-1], x + dual / rho, atol=1e-6)
        z, net = (x + dual / rho).round(), run.state["net"].requires_grad_()
        pull = sum(float((x - z + dual / rho)[i, j].square().sum()) for i in range(3) for j in range(3)) / 3
        apart = [
            distance(gradient(problem, net, synthetic.batch(g)), gradient(problem, net, problem.data.take([i])))
            for g, i in enumerate(problem.data.ids())
        ]
        assert loss.item() == pytest.approx(sum(apart) / 3 + rho / 2 * pull, rel=1e-4)
        (slope,) = torch.autograd.grad(loss, synthetic.x)
        with torch.no_grad():
            synthetic.x -= 0.5 * slope
        dual = dual + rho * (synthetic.x.detach() - z)
    assert len(seen) == 3


def test_words_are_projected_to_themselves(space):
    torch.manual_seed(0)
    model = LanguageModel(space, 2, hidden=6).eval()
    ids = torch.tensor([[*space.beginning, 7, 9, 8, space.pad]])
    mask = ids != space.pad
    assert torch.equal(readable(space, model, space.table[ids], mask, torch.tensor([1]), 1), ids)
    chosen = readable(
        space, model, space.table[ids], mask, torch.tensor([1]), 10**6
    )  # the language model alone decides
    state, e = None, model.classes(torch.tensor([1])).unsqueeze(1)
    for token in chosen[0, 1:4].tolist():
        out, state = model.gru(e, state)
        logits = model.logits(out[:, 0], torch.tensor([1]))[0]
        assert token == max(
            (i for i in range(len(space.table)) if i not in space.special), key=lambda i: logits[i].item()
        )
        e = model.table[token].view(1, 1, -1)


def test_medoids_of_rows_that_are_mostly_equal_are_as_many_as_asked_for():
    x = torch.tensor([[0.0], [0.0], [0.0], [1.0], [0.0]])
    found = medoids(x, 3, random.Random(0))
    assert 3 in found
    assert len(set(found)) == 3


def test_medoids_are_the_rows_nearest_to_separate_clusters():
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    x = torch.cat([c + 0.1 * noise(15, 2, seed=k) for k, c in enumerate(centres)])
    found = medoids(x, 3, random.Random(0))
    assert sorted(i // 15 for i in found) == [0, 1, 2]
    for i in found:
        own = x[15 * (i // 15) : 15 * (i // 15) + 15]
        assert int((own - own.mean(0)).norm(dim=1).argmin()) == i % 15


# ---------------------------------------------------------------------------------------------------------------------
# tables, texts, augmentation


def test_words_of_the_same_company_have_like_vectors():
    rng = random.Random(0)
    a, b = range(5, 15), range(15, 25)
    texts = [rng.choices(rng.choice((a, b)), k=12) for _ in range(400)]
    table = torch.nn.functional.normalize(word_vectors(texts, 25, 4)[5:], dim=1)
    like = table @ table.T
    assert float(like[:10, :10].mean()) > float(like[:10, 10:].mean()) + 0.5


def test_texts_are_stored_as_they_are_and_counted_in_bytes(tokens):
    space, said = token_space(tokens()), ["rain över the song", "", "a tune 🎵"]
    made = WrittenTexts(space, {0: 1, 1: 1, 2: 1}, said)
    stored = made.stored()
    assert texts_of(stored) == said
    assert stored["text"].numel() == sum(len(text.encode()) for text in said)
    assert set(stored) == {"text", "ends", "y"}


def test_dropped_words_are_masked_and_the_first_stays(tokens):
    problem = tokens()
    batch = problem.data.take(list(problem.data.ids())[:50])
    seen = TokenDropout(0.5, per_row=True)(batch, 3)
    assert seen.mask[:, 0].all()
    assert not (seen.mask & ~batch.mask).any()
    rate = 1 - seen.mask[:, 1:].sum() / batch.mask[:, 1:].sum()
    assert 0.4 < float(rate) < 0.6
    alike = TokenDropout(0.5)(batch, 3).mask | ~batch.mask
    assert (alike[:, 1:4] == alike[0, 1:4]).all() or not batch.mask[:, 1:4].all()


def test_more_padding_changes_no_draw_of_dropped_words(tokens):
    problem = tokens()
    batch = problem.data.take(problem.data.ids()[:6])
    longer = padded(batch, token_space(problem).pad)
    for per_row in (False, True):
        short, long = (TokenDropout(0.5, per_row=per_row)(b, 3).mask for b in (batch, longer))
        assert torch.equal(long[:, : short.shape[1]], short)
        assert not long[:, short.shape[1] :].any()


def test_more_padding_changes_no_divergence_of_attention():
    n, t, more = 2, 4, 3
    mask = torch.tensor([[True] * 4, [True, True, True, False]])
    found = []
    for extra in (0, more):
        wide = torch.cat([mask, torch.zeros(n, extra, dtype=torch.bool)], 1)
        kept = wide[:, None, None, None, :].expand(n, 2, 2, t + extra, t + extra)
        rows = [torch.zeros(n, 2, 2, t + extra, t + extra) for _ in range(2)]
        for x, of in zip(rows, (noise(n, 2, 2, t, t), noise(n, 2, 2, t, t).flip(3)), strict=True):
            x[..., :t, :t] = of
        wanted, maps = (x.masked_fill(~kept, -torch.inf).softmax(-1) for x in rows)
        logits = noise(n, 3)
        batch = Sentences(noise(n, t + extra, 5), torch.tensor([0, 1]), attention=wanted, mask=wide)
        found.append(TextClassification(3).losses(Output(logits, logits, {"attention": maps}), batch))
    assert torch.allclose(found[0], found[1], atol=1e-6)


def padded(batch, pad):
    """Four more positions, without a word."""
    n = len(batch.x)
    x = torch.cat([batch.x, torch.full((n, 4), pad)], 1)
    return replace(batch, x=x, mask=torch.cat([batch.mask, torch.zeros(n, 4, dtype=torch.bool)], 1))


def test_more_padding_changes_neither_the_kernel_nor_mixup(tokens):
    problem = tokens()
    space, batch = token_space(problem), problem.data.take([problem.data.ids(g)[0] for g in problem.data.groups])
    longer = padded(batch, space.pad)
    assert torch.allclose(bag_ntk(space, longer, batch), bag_ntk(space, batch, batch), atol=1e-5)
    mixed, same = (Mixup(3, space, alpha=1.0)(b, 4) for b in (batch, longer))
    assert torch.equal(same.x[:, : batch.x.shape[1]], mixed.x)
    assert not same.x[:, batch.x.shape[1] :].any()
    e = space.table[batch.x] * batch.mask.unsqueeze(-1)
    assert torch.allclose(mixed.x, torch.einsum("nm,mtd->ntd", mixed.y, e), atol=1e-5)  # one row of each class


def test_mixup_blends_vectors_and_targets_alike(sentences):
    problem = sentences()
    batch = problem.data.take([problem.data.ids(g)[0] for g in problem.data.groups])
    mixed = Mixup(3, alpha=1.0)(batch, 4)
    assert torch.allclose(mixed.x, mixed.y @ batch.x, atol=1e-5)  # one row of each class: targets are the weights
    assert torch.allclose(mixed.y.sum(1), torch.ones(3))
