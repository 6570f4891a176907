"""A sound toy modality, and modalities broken in one way each: what the conformance kit must catch.

Not collected by itself; `test_kit.py` runs it and looks at what failed.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddcore.parametrizations.base import Synthetic
from ddcore.problem import DataSource, Output, Problem
from ddcore.recipes import MATCHING
from ddcore.rows import Classification, RowData, Rows, RowSynthetic, row_set
from ddcore.splits import stratified_split
from ddcore.testing import ProblemConformance

K, WIDTH = 3, 6


class MLP(nn.Module):
    def __init__(self, hidden: int = 8) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(WIDTH, hidden), nn.Linear(hidden, K)

    def forward(self, batch: Rows) -> Output:
        z = torch.tanh(self.body(batch.x))
        return Output(self.head(z), z)


def wide() -> MLP:
    return MLP(16)


def dots() -> RowData:
    g = torch.Generator().manual_seed(0)
    y = torch.arange(150) % K
    x = 2 * torch.randn(K, WIDTH, generator=g)[y] + torch.randn(150, WIDTH, generator=g)
    return RowData(x, y, stratified_split(y.tolist(), test=0.3), drawn=True)


def flip(batch: Rows, seed: int) -> Rows:
    """A sign for each column, the same for all rows."""
    signs = torch.randint(0, 2, (WIDTH,), generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return replace(batch, x=batch.x * signs)


def problem(**changes: object) -> Problem[Rows]:
    sound = Problem(
        name="toy/dots",
        data=dots(),
        task=Classification(K),
        models={"mlp": MLP, "wide": wide},
        synthetic=row_set((WIDTH,)),
        recipe=MATCHING,
        augmentations={"match": flip},
        corruptions={"flipped": flip, "turned": flip_always},
    )
    return replace(sound, **changes)


class Toy(ProblemConformance):
    entry_module = "twin_plugin"
    updates = 60
    changes: Mapping[str, object] = {}

    @pytest.fixture
    def case(self):
        p = problem(**self.changes)
        return p, p.synthetic(dict.fromkeys(p.data.groups, 2), None, random.Random(0))


class TestSound(Toy):
    pass


# ---------------------------------------------------------------------------------------------------------------------
# the set


class Detached(RowSynthetic):
    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> Rows:
        return Rows(self.x.detach()[list(ids)], *self.labels.rows(ids))


class OtherGroup(RowSynthetic):
    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> Rows:
        batch = super().take(ids, rng)
        return replace(batch, y=(batch.y + 1) % K)


class Forgetful(RowSynthetic):
    """Stores its rows without what makes them worth their place."""

    def stored(self) -> dict[str, Tensor]:
        return {**super().stored(), "x": self.x.detach().round()}


class Impure(RowSynthetic):
    """Draws from the global generator."""

    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> Rows:
        batch = super().take(ids, rng)
        return replace(batch, x=batch.x + 0.1 * torch.randn(batch.x.shape))


class WrongDerivative(RowSynthetic):
    """A straight-through estimator where the contract promises a derivative."""

    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> Rows:
        batch = super().take(ids, rng)
        return replace(batch, x=batch.x + (batch.x.sign() * batch.x.square() - batch.x).detach())


def made_of(kind: type[RowSynthetic]) -> object:
    def synthetic(counts: Mapping[int, int], start: Rows | None, rng: random.Random) -> RowSynthetic:
        return kind(counts, row_set((WIDTH,))(counts, start, rng).x)

    return synthetic


class TestDetached(Toy):
    changes = {"synthetic": made_of(Detached)}


class TestOtherGroup(Toy):
    changes = {"synthetic": made_of(OtherGroup)}


class TestForgetful(Toy):
    changes = {"synthetic": made_of(Forgetful)}


class TestImpure(Toy):
    changes = {"synthetic": made_of(Impure)}


class TestWrongDerivative(Toy):
    changes = {"synthetic": made_of(WrongDerivative)}


# ---------------------------------------------------------------------------------------------------------------------
# the data


class MisfiledData(RowData):
    """Groups that are shifted by one class."""

    def ids(self, group: int | None = None, split: str = "train") -> Sequence[int]:
        return super().ids(group if group is None else (group + 1) % K, split)


class LeakingData(RowData):
    """Scores on rows that it trains on."""

    def ids(self, group: int | None = None, split: str = "train") -> Sequence[int]:
        return super().ids(group, "train" if split == "test" else split)


def as_kind(kind: type[RowData]) -> RowData:
    data = dots()
    return kind(data.x, data.y, data.splits)


class TestMisfiled(Toy):
    changes = {"data": as_kind(MisfiledData)}


class TestLeaking(Toy):
    changes = {"data": as_kind(LeakingData)}


class TestNoise(Toy):
    """Labels that have nothing to do with the rows."""

    @pytest.fixture
    def case(self):
        data = dots()
        p = problem(data=RowData(torch.zeros_like(data.x), data.y, data.splits))
        return p, p.synthetic(dict.fromkeys(p.data.groups, 2), None, random.Random(0))


# ---------------------------------------------------------------------------------------------------------------------
# augmentations


def scale_by_the_global_generator(batch: Rows, seed: int) -> Rows:
    return replace(batch, x=batch.x * torch.rand(WIDTH))


def flip_always(batch: Rows, seed: int) -> Rows:
    return replace(batch, x=-batch.x)


def flip_each_row(batch: Rows, seed: int) -> Rows:
    signs = torch.randint(0, 2, (len(batch.x), 1), generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return replace(batch, x=batch.x * signs.flip(0))


class TestGlobalAugmentation(Toy):
    changes = {"augmentations": {"match": scale_by_the_global_generator}}


class TestConstantAugmentation(Toy):
    changes = {"augmentations": {"match": flip_always}}


class TestAugmentationPerRow(Toy):
    changes = {"augmentations": {"match": flip_each_row}}


def unharmed(batch: Rows, seed: int) -> Rows:
    return replace(batch)


def fewer(batch: Rows, seed: int) -> Rows:
    return Rows(-batch.x[1:], batch.y[1:])


def relabelled(batch: Rows, seed: int) -> Rows:
    return Rows(-batch.x, batch.y.roll(1))


class TestGlobalCorruption(Toy):
    changes = {"corruptions": {"scaled": scale_by_the_global_generator}}


class TestNoCorruption(Toy):
    changes = {"corruptions": {"flipped": flip_always, "unharmed": unharmed}}


class TestFewerRows(Toy):
    changes = {"corruptions": {"fewer": fewer}}


class TestRelabelled(Toy):
    changes = {"corruptions": {"relabelled": relabelled}}


# ---------------------------------------------------------------------------------------------------------------------
# the task


class Reduced(Classification):
    def losses(self, out: Output, batch: Rows) -> Tensor:
        return super().losses(out, batch).mean()


class Averaged(Classification):
    def losses(self, out: Output, batch: Rows) -> Tensor:
        losses = super().losses(out, batch)
        return losses.mean().expand(len(losses))


class Unreduced(Classification):
    def loss(self, out: Output, batch: Rows) -> Tensor:
        return self.losses(out, batch)


class MeanOfBatches(Classification):
    def score(self, pairs: Iterable[tuple[Output, Rows]]) -> Mapping[str, float]:
        scores = [super(MeanOfBatches, self).score([pair])["accuracy"] for pair in pairs]
        return {"accuracy": sum(scores) / len(scores)}


class TestReduced(Toy):
    changes = {"task": Reduced(K)}


class TestAveraged(Toy):
    changes = {"task": Averaged(K)}


class TestUnreduced(Toy):
    changes = {"task": Unreduced(K)}


class TestMeanOfBatches(Toy):
    changes = {"task": MeanOfBatches(K)}


# ---------------------------------------------------------------------------------------------------------------------
# the models: real rows are tokens, synthetic ones embeddings


@dataclass(frozen=True)
class Tokens:
    y: Tensor  # (n,)
    ids: Tensor | None = None  # (n, t)
    embeds: Tensor | None = None  # (n, t, d)
    values: Tensor | None = None  # (n, k)


TABLES = torch.randn(2, 12, 4, generator=torch.Generator().manual_seed(7))


class TokenData(DataSource[Tokens]):
    groups = (0, 1)
    spans = {"train": range(80), "test": range(80, 120)}

    def __init__(self) -> None:
        self.tokens = torch.randint(0, 10, (120, 3), generator=torch.Generator().manual_seed(0))
        self.tokens[:, 0] = 10 + torch.arange(120) % 2

    def ids(self, group: int | None = None, split: str = "train") -> Sequence[int]:
        return [i for i in self.spans.get(split, ()) if group is None or i % 2 == group]

    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> Tokens:
        rows = torch.tensor(ids)
        return Tokens(rows % 2, self.tokens[rows])


class Reader(nn.Module):
    """Reads tokens through a frozen table."""

    def __init__(self, table: int = 0) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding.from_pretrained(TABLES[table]), nn.Linear(12, 2)

    def forward(self, batch: Tokens) -> Output:
        z = (self.table(batch.ids) if batch.embeds is None else batch.embeds).flatten(1)
        return Output(self.head(z), z)


class ReaderOfAnotherTable(Reader):
    def __init__(self) -> None:
        super().__init__(1)


class Embeddings(Synthetic[Tokens]):
    parametrization = "toy/embeddings"

    def __init__(self, counts: Mapping[int, int], start: Tokens | None, rng: random.Random) -> None:
        super().__init__(counts)
        generator = torch.Generator().manual_seed(rng.getrandbits(31))
        noise = torch.randn(sum(counts.values()), 3, 4, generator=generator)
        self.e = nn.Parameter(noise if start is None else F.embedding(start.ids, TABLES[0]))
        self.register_buffer("y", torch.tensor([g for g, n in counts.items() for _ in range(n)]))

    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> Tokens:
        return Tokens(self.y[list(ids)], embeds=self.e[list(ids)])


class Text(Toy):
    expected_failures = {"test_a_set_is_stored_and_restored": "a toy that is never stored"}
    models: Mapping[str, type[nn.Module]] = {"reader": Reader}

    @pytest.fixture
    def case(self):
        p = Problem(
            "toy/tokens", TokenData(), Classification(2), self.models, Embeddings, MATCHING, input_space="table 0"
        )
        return p, p.synthetic(dict.fromkeys(p.data.groups, 2), None, random.Random(0))


class TestText(Text):
    pass


class TestTwoTables(Text):
    models = {"reader": Reader, "other": ReaderOfAnotherTable}


class Narrow(nn.Module):
    """Expects rows of another width."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(WIDTH - 1, K)

    def forward(self, batch: Rows) -> Output:
        return Output(self.head(batch.x), batch.x)


class TestTwoWidths(Toy):
    changes = {"models": {"mlp": MLP, "narrow": Narrow}}


class Seedless(MLP):
    """The same weights whatever the seed."""

    def __init__(self) -> None:
        super().__init__()
        for q in self.parameters():
            nn.init.constant_(q, 0.1)


class TestSeedless(Toy):
    changes = {"models": {"mlp": MLP, "seedless": Seedless}}


class Restless(MLP):
    """Trained by numbers that no seed moves, as threads that add up in any order do."""

    def forward(self, batch: Rows) -> Output:
        shaken = 1 + 1e-6 * random.SystemRandom().random() if self.training else 1.0
        return super().forward(Rows(batch.x * shaken, batch.y))


class TestRestless(Toy):
    changes = {"models": {"mlp": MLP, "restless": Restless}}


# ---------------------------------------------------------------------------------------------------------------------
# the entry module, and expected failures


class TestHeavyEntry(Toy):
    entry_module = "heavy_plugin"


class TestUnnamedEntry(Toy):
    entry_module = ""


class TestTypoEntry(Toy):
    entry_module = "typo_plugin"


class TestMissingTarget(Toy):
    entry_module = "good_plugin"


class TestExcused(Toy):
    changes = {"task": Averaged(K)}
    expected_failures = {"test_losses_are_of_single_rows": "a contrastive task: its rows depend on each other"}


class TestExcusedForNothing(Toy):
    expected_failures = {"test_same_seed_same_model": "not true"}
