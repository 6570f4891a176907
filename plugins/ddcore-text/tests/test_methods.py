"""Every method of the plugin runs, is stored, and is reopened; the core's own run on text."""

import json

import pytest
import torch
from ddcore_text.data import token_space
from ddcore_text.language_model import LanguageModel, corpus_language_model
from ddcore_text.objectives import GeneratorMatching
from ddcore_text.parametrizations import GeneratedTexts, texts_of

import ddcore
from ddcore.errors import NotSupported

SMALL = {
    "text/tdd": {"steps": 3, "n_real": 16},
    "text/skip-lookup": {"steps": 2, "n_real": 16, "model": "textcnn"},
    "text/vocab-distill": {"steps": 2, "n_real": 16, "model": "textcnn", "relaxation": "gumbel"},
    "text/attention-labels": {"steps": 3, "n_real": 16, "train_steps": 2},
    "text/dilm": {
        "steps": 3,
        "train_steps": 20,
        "n_syn": 8,
        "n_real": 8,
        "inner": 1,
        "overgenerate": 3,
        "judge_steps": 5,
    },
    "text/gradmm": {
        "outer": 2,
        "inner": 2,
        "n_real": 8,
        "before": 3,
        "lm_steps": 20,
        "overgenerate": 3,
        "judge_steps": 5,
    },
    "text/k-medoids": {},
    "text/rank-by-lm": {"train_steps": 20},
}


@pytest.fixture(scope="module")
def problem(tokens):
    return tokens()


@pytest.mark.parametrize("preset", ["quick", "paper"])
@pytest.mark.parametrize("method", SMALL)
def test_methods_of_tokens_run_and_are_reopened(problem, method, preset, tmp_path):
    made = ddcore.distill(problem, method, ipc=2, preset=preset, options=SMALL[method])
    made.save(tmp_path / "set")
    again = ddcore.open(tmp_path / "set").synthetic(problem)
    batch, first = again.batch(), made.synthetic(problem).batch()
    assert torch.allclose(problem.task.targets(batch), problem.task.targets(first))
    assert torch.allclose(batch.x, first.x)
    assert "== weather" in made.files["sentences.txt"].decode()
    report = ddcore.evaluate(made, problem, seeds=1, models=["bag"])
    assert 0 <= report.scores[0].values[0] <= 1


OTHER = {  # what SMALL does not choose, and the labels that come of it
    "text/attention-labels": ({"labels": "hard", "attention": "none"}, "ids"),
    "text/attention-labels, unrestricted": ({"labels": "unrestricted", "attention": "none"}, "values"),
    "text/tdd": ({"labels": "hard"}, "ids"),
    "text/vocab-distill": ({"relaxation": "softmax", "start": "noise", "labels": "hard"}, "ids"),
    "text/k-medoids": ({"encoder": "corpus"}, "ids"),
}


@pytest.mark.parametrize("case", OTHER)
def test_other_options_run_and_are_reopened(problem, case, tmp_path):
    method, (options, kind) = case.partition(",")[0], OTHER[case]
    made = ddcore.distill(problem, method, ipc=1, options={**SMALL[method], **options})
    made.save(tmp_path / "set")
    assert made.manifest["label_kind"] == kind
    again = ddcore.open(tmp_path / "set").synthetic(problem).batch()
    assert torch.equal(again.x, made.synthetic(problem).batch().x)
    if kind == "values":
        learned = made.tensors["values"]
        assert learned.argmax(1).tolist() == [0, 1, 2]
        assert not torch.equal(learned, learned.round())  # from one-hot to values of any sign


@pytest.mark.parametrize("labels", ["hard", "unrestricted"])
def test_attention_is_labelled_beside_labels_of_any_kind(problem, labels):
    options = {**SMALL["text/attention-labels"], "labels": labels}
    made = ddcore.distill(problem, "text/attention-labels", ipc=1, options=options)
    again = made.synthetic(problem)
    assert again.label_kind == "attention"
    assert again.labels.kind == ("ids" if labels == "hard" else "values")
    assert again.batch().attention is not None


def test_methods_that_write_texts_refuse_pairs_and_the_others_do_not(pairs):
    for method in ("text/dilm", "text/gradmm", "text/vocab-distill"):
        with pytest.raises(NotSupported, match="its rows are pairs of texts"):
            ddcore.distill(pairs, method, ipc=1, options=SMALL[method])
    made = ddcore.distill(pairs, "text/tdd", ipc=1, options={"steps": 1, "n_real": 8})
    assert made.tensors["x"].isfinite().all()
    ranked = ddcore.distill(pairs, "text/rank-by-lm", ipc=1, options=SMALL["text/rank-by-lm"])
    assert all(len(text) == 2 for text in pairs.data.texts(ranked.tensors["ids"].tolist()))


def test_the_most_likely_texts_are_those_of_the_lowest_loss(problem):
    space, corpus = token_space(problem), problem.data.corpus
    steps = SMALL["text/rank-by-lm"]["train_steps"]
    made = ddcore.distill(problem, "text/rank-by-lm", ipc=2, options={"train_steps": steps})
    model, chosen = corpus_language_model(space, corpus, steps), made.tensors["ids"].tolist()
    for g in problem.data.groups:
        ids = problem.data.ids(g)
        tokens = space.bare(space.encode(problem.data.texts(ids)))
        rates = model.rates(tokens, torch.full((len(ids),), g)).tolist()
        assert chosen[2 * g : 2 * g + 2] == [ids[k] for k in sorted(range(len(ids)), key=rates.__getitem__)[:2]]


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("text/dilm", {"train_steps": 60}),
        ("text/gradmm", {"outer": 1, "inner": 40, "lr": 0.2, "rho": 1e-4, "top_k": 20}),
    ],
)
def test_the_surest_of_the_written_texts_speak_of_their_class(problem, method, options):
    corpus = problem.data.corpus
    read = [{w for i, text in enumerate(corpus.texts) if corpus.y[i] == g for w in text.split()} for g in range(3)]
    common = set.intersection(*read)

    def own(surest):  # of the words of one class alone
        chosen = {"overgenerate": 20, "surest": surest, "judge_steps": 100}
        made = ddcore.distill(problem, method, ipc=6, options={**SMALL[method], **options, **chosen}).synthetic(problem)
        said = [(i // 6, w) for i, row in enumerate(made.readings()) for w in row.text.split() if w not in common]
        return sum(w in read[g] for g, w in said) / len(said)

    assert own(0.2) > max(own(1.0), 0.8)


def test_a_run_is_a_function_of_its_seed(problem):
    for method in ("text/vocab-distill", "text/dilm", "text/gradmm"):
        a, b = (ddcore.distill(problem, method, ipc=1, options=SMALL[method], seed=4).tensors for _ in range(2))
        assert all(torch.equal(a[k], b[k]) for k in a), method


def test_an_interrupted_run_ends_as_one_that_was_not(problem, tmp_path):
    class Stop(Exception):
        pass

    def stop(run):
        if run.step == 3:
            raise Stop

    for method in ("text/gradmm", "text/dilm"):
        options = {**SMALL[method], **({"inner": 1, "outer": 5} if "gradmm" in method else {"steps": 5, "outer": 1})}
        whole = ddcore.distill(problem, method, ipc=1, options=options)
        out = tmp_path / method.rpartition("/")[2]
        with pytest.raises(Stop):
            ddcore.distill(problem, method, ipc=1, options=options, out=out, callbacks=[stop])
        resumed = ddcore.distill(problem, method, ipc=1, options=options, out=out, resume=True)
        assert all(torch.equal(whole.tensors[k], resumed.tensors[k]) for k in whole.tensors), method


def test_attention_labels_learn_what_they_say(problem):
    options = SMALL["text/attention-labels"]
    made = ddcore.distill(
        problem, "text/attention-labels", ipc=2, options={**options, "attention": "all", "per_step": 1}
    )
    assert made.manifest["label_kind"] == "attention"
    n, t = made.tensors["x"].shape[:2]
    assert made.tensors["attention"].shape == (n, 2, 2, t, t)
    assert made.manifest["bytes"]["attention"] == 4 * n * 2 * 2 * t * t
    assert made.manifest["bytes"]["total"] == sum(x.numel() * x.element_size() for x in made.tensors.values())
    assert made.manifest["train_steps"] == 4  # two blocks of one row a class, twice
    plain = ddcore.distill(problem, "text/attention-labels", ipc=2, options={**options, "attention": "none"})
    assert "attention" not in plain.tensors
    with pytest.raises(NotSupported, match="no attention to label"):
        ddcore.distill(problem, "text/attention-labels", ipc=1, options={**options, "model": "textcnn"})


def test_written_texts_are_stored_as_text(problem):
    made = ddcore.distill(problem, "text/dilm", ipc=2, options=SMALL["text/dilm"])
    texts = texts_of(made.tensors)
    assert len(texts) == 6
    assert all(text.strip() for text in texts)
    assert all(text in made.files["sentences.txt"].decode().replace("\n     ", " ") for text in texts)


def test_generator_matching_moves_the_generator(problem):
    torch.manual_seed(0)
    space = token_space(problem)
    made = GeneratedTexts(space, dict.fromkeys(problem.data.groups, 1), LanguageModel(space, 3, hidden=8))
    before = {k: x.clone() for k, x in made.state_dict().items()}
    distilled = ddcore.distill(problem, objective=GeneratorMatching(n_syn=8, n_real=8), synthetic=made, steps=2)
    assert any(not torch.equal(before[f"model.{k[6:]}"], x) for k, x in distilled.tensors.items())
    again = distilled.synthetic(problem)
    assert isinstance(again, GeneratedTexts)


def test_centres_of_sentence_vectors_are_cluster_means(sentences):
    problem = sentences()
    made = ddcore.distill(problem, "text/lm-embedding", ipc=1)
    for row, g in zip(made.tensors["x"], problem.data.groups, strict=True):
        assert torch.allclose(row, problem.data.take(problem.data.ids(g)).x.mean(0), atol=1e-4)
    centres, half, whole, nearest = (
        ddcore.distill(problem, "text/lm-embedding", ipc=2, options=options).tensors
        for options in ({}, {"shrink": 0.5}, {"shrink": 1.0}, {"decode": "nearest"})
    )
    for g in problem.data.groups:
        rows, ids = slice(2 * g, 2 * g + 2), list(problem.data.ids(g))
        x = problem.data.take(ids).x
        assert torch.allclose(whole["x"][rows], x.mean(0).expand(2, -1), atol=1e-5)
        assert torch.allclose(half["x"][rows], (centres["x"][rows] + x.mean(0)) / 2, atol=1e-5)
        left = dict(zip(ids, x, strict=True))
        for centre, chosen in zip(centres["x"][rows], nearest["ids"][rows].tolist(), strict=True):
            assert chosen == min(left, key=lambda i: float((left[i] - centre).norm()))
            del left[chosen]  # no text stands for two


def test_methods_refuse_the_other_space(problem, sentences):
    with pytest.raises(NotSupported, match="sentence vectors"):
        ddcore.distill(sentences(), "text/tdd", ipc=1)
    with pytest.raises(NotSupported, match="its rows are tokens"):
        ddcore.distill(problem, "text/lm-embedding", ipc=1)


GENERIC = {
    "random": {},
    "herding": {"epochs": 1},
    "k-means": {"epochs": 1},
    "dm": {"steps": 2},
    "dc": {"steps": 2},
    "dsa": {"steps": 2},
    "mtt": {"steps": 2, "experts": 1, "train_epochs": 2, "max_start_epoch": 1, "expert_epochs": 1},
    "dd": {"steps": 2},
    "sldd": {"steps": 2},
    "ld": {"steps": 2},
    "kip": {"steps": 2, "n_real": 16},
    "frepo": {"steps": 2},
}


@pytest.mark.parametrize("space", ["tokens", "sentence"])
@pytest.mark.parametrize("method", GENERIC)
def test_methods_of_the_core_run_on_text(tokens, sentences, method, space):
    problem = tokens() if space == "tokens" else sentences()
    if method == "dsa" and space == "sentence":
        with pytest.raises(NotSupported, match="no siamese augmentation"):
            ddcore.distill(problem, method, ipc=1, options=GENERIC[method])
        return
    made = ddcore.distill(problem, method, ipc=1, options=GENERIC[method])
    json.dumps(dict(made.manifest))
    assert made.synthetic(problem).batch().x.isfinite().all()
