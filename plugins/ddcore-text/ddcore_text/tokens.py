"""The input space `tokens`: a vocabulary and a frozen table of word vectors, of the corpus or of a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ddcore.errors import DataError

from .corpus import parts_of
from .store import kept, key_of

if TYPE_CHECKING:
    from .corpus import Corpus, Text

__all__ = ["CLS", "PAD", "SEP", "TokenSpace", "corpus_space", "train_tokenizer", "word_vectors"]

PAD, UNK, CLS, SEP, MASKED = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
SPECIAL = (PAD, UNK, CLS, SEP, MASKED)


@dataclass(frozen=True, eq=False)
class TokenSpace:
    """One table of vectors for all networks of a problem. Its entries have a mean square of one; a checkpoint's own are
    `scale` times as large."""

    name: str  # of the input space: what an artifact was made in
    tokenizer: Any  # tokenizers.Tokenizer
    table: Tensor  # (V, d), frozen; the row of padding is 0
    length: int  # tokens of a text at most
    pad: int
    special: frozenset[int]  # ids that are no words
    scale: float = 1.0
    checkpoint: str | None = None  # the folder or name that the table is of

    @property
    def width(self) -> int:
        """d."""
        return self.table.shape[1]

    def encode(self, texts: Sequence[Text]) -> Tensor:  # (n, t), padded at the end
        """Token ids; a text of more than `length` tokens is cut."""
        tokenizer = self._ready
        found = [e.ids for e in tokenizer.encode_batch(list(texts))]
        t = max(map(len, found), default=1)
        ids = torch.full((len(found), t), self.pad, dtype=torch.int64)
        for row, tokens in zip(ids, found, strict=True):
            row[: len(tokens)] = torch.tensor(tokens, dtype=torch.int64)
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids, without padding and the marks of the vocabulary."""
        return str(self._ready.decode([i for i in ids if i not in self.special], skip_special_tokens=True))

    @cached_property
    def words(self) -> list[str]:
        """The token of each id."""
        return [self.tokenizer.id_to_token(i) or "" for i in range(len(self.table))]

    @property
    def beginning(self) -> list[int]:
        """What stands before every text: [CLS], or nothing (GPT-2)."""
        return self._marks[0]

    @property
    def ending(self) -> list[int]:
        """What stands behind every text: [SEP] of a checkpoint's vocabulary, or nothing."""
        return self._marks[1]

    @property
    def room(self) -> int:
        """Tokens of a text at most, without what begins and what ends it."""
        return self.length - len(self.beginning) - len(self.ending)

    def bare(self, ids: Tensor) -> Tensor:  # (n, t) -> (n, t - marks), padded at the end
        """Token ids without what begins and what ends every text."""
        a, b = len(self.beginning), len(self.ending)
        text = ids[:, a : ids.shape[1] - b]
        n = (ids != self.pad).sum(1, keepdim=True) - a - b
        return text.masked_fill(torch.arange(text.shape[1], device=ids.device) >= n, self.pad)

    def framed(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Token ids (n, t) or vectors (n, t, d) of bare texts, whose last positions may be padding (mask (n, t)), with what
        begins and what ends every text; and which positions count then."""
        a, b, t = len(self.beginning), len(self.ending), x.shape[1]
        marks = torch.tensor([*self.beginning, *self.ending], dtype=torch.int64, device=x.device)
        frame = (marks if x.ndim == 2 else self.table.to(x)[marks]).expand(len(x), *(-1 for _ in x.shape[1:]))
        whole = torch.cat([frame[:, :a], x, frame[:, a:]], 1)
        n, at = mask.sum(1, keepdim=True), torch.arange(a + t + b, device=x.device)
        order = torch.where(at < a + n, at, torch.where(at < a + n + b, at + t - n, at - b))  # text, end, padding
        return whole[torch.arange(len(x), device=x.device).unsqueeze(1), order], at < a + n + b

    @cached_property
    def _marks(self) -> tuple[list[int], list[int]]:
        self._ready.no_truncation()
        text = self._ready.encode("a")
        self._ready.enable_truncation(self.length)
        words = [i for i, mark in enumerate(text.special_tokens_mask) if not mark] or [len(text.ids)]
        return text.ids[: words[0]], [i for i in text.ids[words[-1] + 1 :] if i != self.pad]

    @cached_property
    def _ready(self) -> Any:
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(self.length)
        return self.tokenizer

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_ready",)}


# ---------------------------------------------------------------------------------------------------------------------
# of the corpus


def corpus_space(corpus: Corpus, *, length: int, vocabulary: int, width: int) -> TokenSpace:
    """Words of the training texts and their vectors, both made from the training texts alone and without their classes."""
    tokenizer = train_tokenizer(corpus.train, vocabulary)
    key = key_of("ppmi-svd@1", corpus.digest, vocabulary, width)

    def make() -> dict[str, Tensor]:
        every = [e.ids for e in tokenizer.encode_batch(list(corpus.train))]
        return {"table": word_vectors(every, tokenizer.get_vocab_size(), width)}

    table = kept(key, f"word vectors, {width} wide", make)["table"]
    special = frozenset(tokenizer.token_to_id(word) for word in SPECIAL)
    name = f"tokens/corpus-{key[:12]}/{len(table)}x{width}/{length}"
    return TokenSpace(name, tokenizer, table, length, tokenizer.token_to_id(PAD), special)


def train_tokenizer(texts: Sequence[Text], size: int) -> Any:
    """Whole words in lower case: the `size` most frequent ones that occur twice or more. A text begins with [CLS], and [SEP]
    stands between the parts of a pair."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.WordLevel(unk_token=UNK))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordLevelTrainer(
        vocab_size=size, min_frequency=2, special_tokens=list(SPECIAL), show_progress=False
    )
    tokenizer.train_from_iterator((part for text in texts for part in parts_of(text)), trainer)
    ids = [(word, tokenizer.token_to_id(word)) for word in (CLS, SEP)]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{CLS} $A", pair=f"{CLS} $A {SEP} $B", special_tokens=ids
    )
    return tokenizer


def word_vectors(texts: Sequence[Sequence[int]], size: int, width: int, window: int = 5) -> Tensor:  # (size, width)
    """Vectors by what words stand together: positive pointwise mutual information in a window, with counts of contexts to the
    power 0.75, factorised as U sqrt(S) (Levy, Goldberg and Dagan 2015). Marks get vectors of noise; padding gets 0.

    Raises DataError where the texts have too few different words for that width.
    """
    from scipy.sparse import coo_matrix, csr_matrix
    from sklearn.utils.extmath import randomized_svd

    n = len(SPECIAL)
    if size - n <= width:
        raise DataError(
            f"the training texts have {size - n} words that occur twice or more, too few for vectors of width {width}: "
            "give more texts, a lower width or the table of a checkpoint"
        )
    left: list[np.ndarray[Any, Any]] = []
    right: list[np.ndarray[Any, Any]] = []
    flat = np.concatenate([np.concatenate([np.asarray(text), np.full(window, -1)]) for text in texts])
    for shift in range(1, window + 1):
        a, b = flat[:-shift], flat[shift:]
        both = (a >= n) & (b >= n)
        left += [a[both], b[both]]
        right += [b[both], a[both]]
    rows, columns = np.concatenate(left), np.concatenate(right)
    counts = csr_matrix(coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(size, size)))
    word = np.maximum(np.asarray(counts.sum(1)).ravel(), 1.0)
    context = word**0.75
    pairs = counts.tocoo()
    pmi = np.log(pairs.data * context.sum() / (word[pairs.row] * context[pairs.col]))
    ppmi = csr_matrix((np.maximum(pmi, 0.0), (pairs.row, pairs.col)), shape=(size, size))
    u, s, _ = randomized_svd(ppmi, width, random_state=0)
    table = torch.from_numpy(np.ascontiguousarray(u * np.sqrt(s))).float()
    table = table / table[n:].square().mean().sqrt()
    table[:n] = torch.randn(n, width, generator=torch.Generator().manual_seed(0))
    table[0] = 0.0
    return table
