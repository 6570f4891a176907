"""Text problems: a corpus in an input space, its networks, and sets of sentences."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from ddcore.errors import OptionError
from ddcore.problem import Problem
from ddcore.rows import Rows, row_set

from .augment import Mixup, TokenDropout
from .batch import TextClassification
from .checkpoints import checkpoint_space
from .data import TokenData, VectorData
from .docstrings import docstring_corpus
from .kernels import bag_ntk, vector_ntk
from .models import token_zoo, vector_zoo
from .parametrizations import embedding_set
from .pretraining import CorpusEncoder
from .recipes import SENTENCES, TOKENS
from .sentence import sentence_vectors
from .show import cards
from .tokens import corpus_space

if TYPE_CHECKING:
    from .corpus import Corpus

__all__ = ["docstrings", "text_problem"]

Space = Annotated[
    Literal["tokens", "sentence"],
    Field(description="what networks read: word vectors of a frozen table, or one vector a text of a frozen encoder"),
]
EncoderName = Annotated[
    str,
    Field(
        description='where the table or the sentence vectors come from: "corpus" (the training texts), "minilm", or a '
        "checkpoint, local or of the hub"
    ),
]
Length = Annotated[int, Field(ge=1, le=512, description="tokens of a text at most; longer ones are cut")]
Vocabulary = Annotated[int, Field(ge=1, description="words of a corpus's own vocabulary")]
Width = Annotated[int, Field(ge=1, description="width of a corpus's own word vectors")]
TrainRows = Annotated[
    int | None, Field(ge=1, description="use this many training texts, a seeded stratified draw; all by default")
]


def text_problem(
    corpus: Corpus,
    *,
    space: str = "tokens",
    encoder: str = "corpus",
    length: int = 64,
    vocabulary: int = 10_000,
    width: int = 64,
) -> Problem[Rows]:
    """A problem of any corpus: the way for texts that no reader here knows (`ddcore_text.corpus.corpus` checks and splits them).

    Raises DataError, and OptionError for a checkpoint that is not there.
    """
    if not 1 <= length <= 512:
        raise OptionError(f"length = {length}: give 1 to 512 tokens")
    classes = len(corpus.class_names)
    shared: dict[str, Any] = {
        "name": "text",
        "task": TextClassification(classes),
        "class_names": tuple(corpus.class_names),
    }
    if space == "sentence":
        x, done, name = sentence_vectors(corpus, encoder, length)
        vectors = VectorData(x, corpus, name)
        return Problem(
            **shared,
            data=vectors,
            models=vector_zoo(x.shape[1], classes),
            synthetic=row_set((x.shape[1],)),
            recipe=SENTENCES,
            augmentations={"mixup": Mixup(classes)},
            input_space=name,
            kernels={"fc-ntk": vector_ntk},
            preprocessing=done,
            render=partial(cards, vectors, corpus.class_names),
        )
    if space != "tokens":
        raise OptionError(f'space = "{space}": expected tokens or sentence')
    table = (
        corpus_space(corpus, length=length, vocabulary=vocabulary, width=width)
        if encoder == "corpus"
        else checkpoint_space(encoder, length)
    )
    data = TokenData(table, corpus)
    return Problem(
        **shared,
        data=data,
        models=token_zoo(table, classes, CorpusEncoder(corpus)),
        synthetic=partial(embedding_set, table),
        recipe=TOKENS,
        augmentations={
            "match": TokenDropout(),
            "train": TokenDropout(per_row=True),
            "mixup": Mixup(classes, table),
        },
        corruptions={"dropped words": TokenDropout(0.2, per_row=True)},
        input_space=table.name,
        kernels={"bag-ntk": partial(bag_ntk, table)},
        render=partial(cards, data, corpus.class_names),
        quick={"dc": {"inner": 10}, "dm": {"n_real": 64, "renew": 2}},  # a minute, where the core's take more
    )


def docstrings(
    *,
    space: Space = "tokens",
    encoder: EncoderName = "corpus",
    length: Length = 64,
    vocabulary: Vocabulary = 10_000,
    width: Width = 64,
    rows: TrainRows = None,
) -> Problem[Rows]:
    """Which library a docstring's first paragraph comes from: the standard library, numpy, torch, transformers or datasets, as
    installed; their names are masked, and each has as many."""
    found = docstring_corpus(rows)
    return text_problem(found, space=space, encoder=encoder, length=length, vocabulary=vocabulary, width=width)
