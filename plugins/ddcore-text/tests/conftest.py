"""What the tests share: a cache of their own, and small corpora and problems that they write themselves."""

import random
import tempfile
from dataclasses import replace
from functools import partial

import pytest
from ddcore_text.corpus import Corpus, corpus
from ddcore_text.data import token_space
from ddcore_text.models import Bag, Encoded, Recurrent, TextCNN
from ddcore_text.models.encoders import Encoder
from ddcore_text.problems import text_problem

from ddcore.problem import Problem
from ddcore.rows import Rows

ABOUT = {
    "weather": "rain snow wind storm cloud sun heat frost fog thunder drizzle hail",
    "kitchen": "bread soup knife oven salt butter pan plate sugar onion flour lemon",
    "music": "song drum violin choir note melody piano rhythm chord opera flute tune",
}
COMMON = "the a some this near with after before very old new small great and then we saw had like was"


def small(n: int = 120, classes: int = 3) -> Corpus:
    """n sentences of each class: two or three words of its own among common ones."""
    rng = random.Random(0)
    names = list(ABOUT)[:classes]
    texts, y = [], []
    for k, name in enumerate(names):
        for _ in range(n):
            words = rng.choices(ABOUT[name].split(), k=rng.randint(2, 3)) + rng.choices(
                COMMON.split(), k=rng.randint(3, 7)
            )
            rng.shuffle(words)
            texts.append(" ".join(words))
            y.append(k)
    return corpus({"train": (texts, y)}, names, source="small")


def token_problem(first: str = "textcnn", length: int = 12) -> Problem[Rows]:
    """The small corpus as tokens, with every family of networks at a small size."""
    problem = replace(text_problem(small(), length=length, width=16), name="text/small")
    space = token_space(problem)
    models = {
        "textcnn": partial(TextCNN, space, 3, filters=8),
        "bag": partial(Bag, space, 3),
        "bilstm": partial(Recurrent, space, 3, hidden=8),
        "bigru": partial(Recurrent, space, 3, cell="gru", hidden=8),
        "transformer": partial(Encoded, space, 3, partial(Encoder, d=16, hidden=32)),
    }
    return replace(problem, models={first: models[first], **models})


def pair_problem() -> Problem[Rows]:
    """Each text of the small corpus as a pair: its first two words, and the others."""
    alone = small()
    halves = [tuple(" ".join(part) for part in (text.split()[:2], text.split()[2:])) for text in alone.texts]
    paired = corpus({"train": (halves, list(alone.y))}, alone.class_names, source="pairs")
    return replace(text_problem(paired, length=12, width=16), name="text/pairs")


def sentence_problem() -> Problem[Rows]:
    """The small corpus as sentence vectors."""
    return replace(text_problem(small(), space="sentence"), name="text/small")


@pytest.fixture(autouse=True, scope="session")
def _cache():
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DDCORE_CACHE", folder)
        yield


@pytest.fixture(scope="session")
def corpus_of():
    """The function that writes a small corpus."""
    return small


@pytest.fixture(scope="session")
def tokens(_cache):
    """The function that makes a small problem of tokens."""
    return token_problem


@pytest.fixture(scope="session")
def pairs(_cache):
    """A small problem of pairs of texts."""
    return pair_problem()


@pytest.fixture(scope="session")
def sentences(_cache):
    """The function that makes a small problem of sentence vectors."""
    return sentence_problem
