"""The input space `sentence`: one vector a text, by a frozen encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ddcore.errors import DataError
from ddcore.problem import Preprocessing

from .corpus import Corpus, joined
from .store import kept, key_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .corpus import Text

__all__ = ["checkpoint_vectors", "corpus_vectors", "sentence_vectors", "standardised"]

LSA_WIDTH = 128


def sentence_vectors(corpus: Corpus, encoder: str, length: int) -> tuple[Tensor, Preprocessing, str]:
    """The standardised vectors (n, d) of all texts, how to undo that, and the name of the space. What was computed is cached.

    `encoder` is "corpus" (latent semantic analysis of the training texts), "minilm", or a checkpoint.
    """
    if encoder == "corpus":
        key = key_of("lsa@1", corpus.digest, LSA_WIDTH)
        what = "sentence vectors by latent semantic analysis"
        x = kept(key, what, lambda: {"x": corpus_vectors(corpus)})["x"]
        name = f"sentence/corpus-{key[:12]}/{x.shape[1]}"
    else:
        from .checkpoints import checkpoint_digest, found_checkpoint

        place = found_checkpoint(encoder)
        key = key_of("mean@1", checkpoint_digest(place), length, [joined(text) for text in corpus.texts])
        what = f"sentence vectors of {encoder}"
        x = kept(key, what, lambda: {"x": checkpoint_vectors(place, corpus.texts, length)})["x"]
        name = f"sentence/{checkpoint_digest(place)[:12]}-{length}/{x.shape[1]}"
    done = standardised(x[list(corpus.splits["train"])])
    return (x - done.tensors["mean"]) / done.tensors["std"], done, name


def standardised(x: Tensor) -> Preprocessing:  # (n, d), the training rows
    """Zero mean and unit variance of each coordinate."""
    std = x.std(0).clamp_min(1e-6)
    return Preprocessing("standardise", "x * std + mean", {"mean": x.mean(0), "std": std})


def corpus_vectors(corpus: Corpus) -> Tensor:  # (n, d)
    """Latent semantic analysis (Deerwester et al. 1990): tf-idf of words and pairs of words, projected on the leading singular
    vectors of the training texts, of length one. Raises DataError where these share too few words."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import normalize

    tfidf = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, token_pattern=r"(?u)\b\w+\b|[!?]")
    try:
        counts = tfidf.fit_transform([joined(text) for text in corpus.train])
        width = min(LSA_WIDTH, min(counts.shape) - 1)
    except ValueError:  # no word is in two texts
        width = 0
    if width < 1:
        raise DataError(
            f"the {len(corpus.train)} training texts share fewer than two words, too few for sentence vectors of their own: give "
            "more texts, or the encoder of a checkpoint"
        )
    svd = TruncatedSVD(width, random_state=0).fit(counts)
    found = svd.transform(tfidf.transform([joined(text) for text in corpus.texts]))
    return torch.from_numpy(normalize(found)).float()


@torch.no_grad()
def checkpoint_vectors(place: str, texts: Sequence[Text], length: int, size: int = 64) -> Tensor:  # (n, d)
    """The mean of the last hidden states over the tokens, of length one (Reimers and Gurevych 2019). Raises OptionError where
    texts may be longer than the network reads."""
    from .checkpoints import check_length, checkpoint_tokenizer, pretrained

    tokenizer, net = checkpoint_tokenizer(place), pretrained(place).eval()
    check_length(net, place, length)
    order = sorted(
        range(len(texts)), key=lambda i: len(joined(texts[i]))
    )  # texts of like length together: little padding
    found: dict[int, Tensor] = {}
    for at in range(0, len(order), size):
        part = order[at : at + size]
        said = [texts[i] for i in part]
        first = [t if isinstance(t, str) else t[0] for t in said]
        second = None if isinstance(said[0], str) else [t[1] for t in said]
        batch = tokenizer(first, second, padding=True, truncation=True, max_length=length, return_tensors="pt")
        hidden = net(**batch).last_hidden_state  # (n, t, d)
        mask = batch["attention_mask"].unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * mask).sum(1) / mask.sum(1)
        found.update(zip(part, torch.nn.functional.normalize(mean, dim=1), strict=True))
    return torch.stack([found[i] for i in range(len(texts))])
