"""Four toy modalities written against the contract alone: pictures, a graph, sentences and users."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddcore.kernels import FullyConnected
from ddcore.parametrizations import Synthetic
from ddcore.problem import DataSource, Metric, Output, Problem, Task
from ddcore.recipes import Recipe
from ddcore.rows import Classification, RowData, Rows, row_set
from ddcore.seeds import generator

RECIPE = Recipe("toy@1", epochs=20, size=64, lr=0.1)
SHORT = Recipe("short@1", epochs=8, size=4, lr=0.1)


# ---------------------------------------------------------------------------------------------------------------------
# image: free pixels, two networks, a shift that both sides share


def pictures(n: int = 300, dtype: torch.dtype = torch.float32) -> RowData:
    g = torch.Generator().manual_seed(0)
    y = torch.arange(n) % 3
    x = torch.randn(3, 1, 8, 8, generator=g)[y] + 0.8 * torch.randn(n, 1, 8, 8, generator=g)
    cut = [0, n * 8 // 15, n * 10 // 15, n]
    spans = {name: range(a, b) for name, a, b in zip(("train", "val", "test"), cut, cut[1:])}
    return RowData(x.to(dtype), y, spans)


class ConvNet(nn.Module):
    def __init__(self, drop: float = 0.0, batch_norm: bool = False) -> None:
        super().__init__()
        norm = nn.BatchNorm2d(8) if batch_norm else nn.GroupNorm(4, 8)
        self.conv, self.norm, self.head = nn.Conv2d(1, 8, 3, padding=1), norm, nn.Linear(8 * 16, 3)
        self.drop = nn.Dropout(drop)

    def forward(self, b: Rows) -> Output:  # x (n, 1, 8, 8)
        z = F.avg_pool2d(F.relu(self.norm(self.conv(b.x))), 2).flatten(1)
        return Output(self.head(self.drop(z)), z)


class MLP(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(64, 32), nn.Linear(32, 3)

    def forward(self, b: Rows) -> Output:
        z = F.relu(self.body(b.x.flatten(1)))
        return Output(self.head(z), z)


def dropping() -> ConvNet:
    return ConvNet(drop=0.5)


def roll(batch: Rows, seed: int) -> Rows:
    """One shift for the whole batch."""
    shifts = torch.randint(-1, 2, (2,), generator=torch.Generator().manual_seed(seed)).tolist()
    return replace(batch, x=batch.x.roll(shifts, (2, 3)))


def ntk(a: Rows, b: Rows) -> Tensor:  # (n, m)
    """Of an infinitely wide network of one hidden layer; users, too, have an `x`."""
    return FullyConnected()(a.x.flatten(1), b.x.flatten(1))


class Auc(Classification):
    metrics = (Metric("auc"),)

    def score(self, pairs):
        x, y = zip(*((o.logits[:, 0], b.y == 0) for o, b in pairs))
        x, y = torch.cat(x), torch.cat(y)
        return {"auc": (x[y][:, None] > x[~y][None]).float().mean().item()}


def image(**changes: object) -> Problem[Rows]:
    problem = Problem(
        name="image/toy",
        data=pictures(),
        task=Classification(3),
        models={"convnet": ConvNet, "mlp": MLP},
        synthetic=row_set((1, 8, 8)),
        recipe=RECIPE,
        augmentations={"match": roll, "train": roll},
        kernels={"fc-ntk": ntk},
    )
    return replace(problem, **changes)


# ---------------------------------------------------------------------------------------------------------------------
# graph: a batch is the whole graph and its target rows


@dataclass(frozen=True)
class GraphBatch:
    x: Tensor  # (N, d)
    adj: Tensor  # (N, N), normalised
    rows: Tensor  # (n,) target nodes
    y: Tensor  # (n,)
    values: None = None


def normalise(a: Tensor) -> Tensor:  # (N, N)
    a = a + torch.eye(len(a))
    d = a.sum(1).clamp_min(1e-6).rsqrt()
    return d[:, None] * a * d


class GraphData(DataSource[GraphBatch]):
    groups = (0, 1, 2)
    spans: Mapping[str, range] = {"train": range(60), "test": range(60, 90)}

    def __init__(self) -> None:
        g, n = torch.Generator().manual_seed(0), 90
        self.y = torch.arange(n) % 3
        same = (self.y[:, None] == self.y).float()
        a = torch.bernoulli(0.2 * same + 0.02, generator=g).triu(1)
        self.adj = normalise(a + a.T)
        self.x = torch.randn(3, 12, generator=g)[self.y] + 1.5 * torch.randn(n, 12, generator=g)

    def ids(self, group: int | None = None, split: str = "train") -> Sequence[int]:
        return [i for i in self.spans.get(split, ()) if group is None or i % 3 == group]

    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> GraphBatch:
        rows = torch.tensor(ids)
        return GraphBatch(self.x, self.adj, rows, self.y[rows])


class GCN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.h = nn.Linear(12, 16), nn.Linear(16, 3)

    def forward(self, b: GraphBatch) -> Output:
        z = F.relu(b.adj @ self.a(b.x))
        return Output((b.adj @ self.h(z))[b.rows], z[b.rows])


class CondensedGraph(Synthetic[GraphBatch]):
    """Free features; an adjacency from a small network over pairs (GCond)."""

    parametrization = "graph/toy-pairs"

    def __init__(self, counts: Mapping[int, int], start: GraphBatch | None, rng: random.Random) -> None:
        super().__init__(counts, 0.13)
        n, g = sum(counts.values()), generator(rng)
        noise = torch.randn(n, 12, generator=g)
        self.x = nn.Parameter(noise if start is None else start.x[start.rows].clone())
        self.w1 = nn.Parameter(torch.randn(24, 16, generator=g) / 8)
        self.w2 = nn.Parameter(torch.randn(16, generator=g) / 7)
        self.register_buffer("y", torch.tensor([g for g, k in counts.items() for _ in range(k)]))

    def adjacency(self) -> Tensor:  # (n, n)
        n = len(self.x)
        pair = torch.cat([self.x[:, None].expand(n, n, -1), self.x[None].expand(n, n, -1)], -1)
        a = F.relu(pair @ self.w1) @ self.w2
        return torch.sigmoid((a + a.T) / 2) * (1 - torch.eye(n))

    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> GraphBatch:
        rows = torch.tensor(ids)
        return GraphBatch(self.x, normalise(self.adjacency()), rows, self.y[rows])

    def penalty(self) -> Tensor:
        return 0.01 * self.adjacency().mean()

    def param_groups(self) -> list[dict[str, object]]:
        groups: list[dict[str, object]] = [
            {"name": "features", "params": [self.x]},
            {"name": "adjacency", "params": [self.w1, self.w2], "lr": 1e-3},
        ]
        steps = [{"name": "step_size", "params": [self.log_step_size]}] if self.log_step_size.requires_grad else []
        return [*groups, *steps]


def graph(**changes: object) -> Problem[GraphBatch]:
    return replace(
        Problem("graph/toy", GraphData(), Classification(3), {"gcn": GCN}, CondensedGraph, RECIPE), **changes
    )


# ---------------------------------------------------------------------------------------------------------------------
# text: tokens or embeddings, soft labels, attention labels

TABLE = torch.randn(22, 8, generator=torch.Generator().manual_seed(7))  # frozen, shared by all models: the input space


@dataclass(frozen=True)
class TextBatch:
    y: Tensor  # (n,) or (n, k)
    ids: Tensor | None = None  # (n, t) real tokens
    embeds: Tensor | None = None  # (n, t, d) synthetic ones
    attention: Tensor | None = None  # (n, t) attention labels
    values: None = None


class TextData(DataSource[TextBatch]):
    groups = (0, 1)
    spans: Mapping[str, range] = {"train": range(150), "test": range(150, 200)}

    def __init__(self) -> None:
        self.y = torch.arange(200) % 2
        self.tokens = torch.randint(0, 20, (200, 6), generator=torch.Generator().manual_seed(0))
        self.tokens[:, 0] = torch.where(self.y == 0, 20, 21)

    def ids(self, group: int | None = None, split: str = "train") -> Sequence[int]:
        return [i for i in self.spans.get(split, ()) if group is None or i % 2 == group]

    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> TextBatch:
        return TextBatch(self.y[list(ids)], self.tokens[list(ids)])


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding.from_pretrained(TABLE)
        self.query, self.value, self.head = nn.Linear(8, 1), nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, b: TextBatch) -> Output:
        e = self.table(b.ids) if b.embeds is None else b.embeds
        w = self.query(e).squeeze(-1).softmax(-1)
        z = torch.tanh(torch.einsum("nt,ntd->nd", w, self.value(e)))
        return Output(self.head(z), z, {"attention": w})


class TextTask(Classification):
    def losses(self, out: Output, b: TextBatch) -> Tensor:
        losses = super().losses(out, b)
        if b.attention is None:
            return losses
        maps = out.extras["attention"].clamp_min(1e-9).log()
        return losses + F.kl_div(maps, b.attention, reduction="none").sum(-1)


class SoftTokens(Synthetic[TextBatch]):
    parametrization = "text/toy-tokens"
    label_kind = "attention"

    def __init__(self, counts: Mapping[int, int], start: TextBatch | None, rng: random.Random) -> None:
        super().__init__(counts, 0.2)
        y = torch.tensor([g for g, k in counts.items() for _ in range(k)])
        noise = torch.randn(len(y), 6, 8, generator=generator(rng))
        self.e = nn.Parameter(noise if start is None else TABLE[start.ids].clone())
        self.logits, self.maps = nn.Parameter(3 * F.one_hot(y, 2).float()), nn.Parameter(torch.zeros(len(y), 6))

    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> TextBatch:
        return TextBatch(self.logits[ids].softmax(-1), embeds=self.e[ids], attention=self.maps[ids].softmax(-1))


def text(**changes: object) -> Problem[TextBatch]:
    models = {"attention": Attention}
    problem = Problem("text/toy", TextData(), TextTask(2), models, SoftTokens, RECIPE, input_space="table-7/22x8")
    return replace(problem, **changes)


# ---------------------------------------------------------------------------------------------------------------------
# recommender: no classes, rows that are drawn


@dataclass(frozen=True)
class Users:
    x: Tensor  # (n, items)
    hidden: Tensor | None = None  # (n, items) held out, to score


class RecData(DataSource[Users]):
    groups = (0,)
    spans: Mapping[str, range] = {"train": range(180), "test": range(180, 240)}

    def __init__(self) -> None:
        g = torch.Generator().manual_seed(0)
        self.x = (torch.randn(240, 3, generator=g) @ torch.randn(3, 25, generator=g) > 1.0).float()
        shown = (torch.rand(240, 25, generator=g) < 0.6).float()
        self.keep = torch.where(torch.arange(240)[:, None] < 180, 1.0, shown)

    def ids(self, group: int | None = None, split: str = "train") -> Sequence[int]:
        return self.spans.get(split, range(0))

    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> Users:
        x, keep = self.x[list(ids)], self.keep[list(ids)]
        return Users(x * keep, x * (1 - keep))


class AutoEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(25, 16), nn.Linear(16, 25)

    def forward(self, b: Users) -> Output:
        z = torch.tanh(self.body(b.x))
        return Output(self.head(z), z)


class Reconstruct(Task[Users]):
    metrics = (Metric("recall@5"),)

    def targets(self, b: Users) -> Tensor:
        return b.x

    def losses(self, out: Output, b: Users) -> Tensor:
        return -(out.logits.log_softmax(-1) * b.x).sum(-1)

    def score(self, pairs: Iterable[tuple[Output, Users]]) -> Mapping[str, float]:
        recalls = []
        for out, b in pairs:
            top = out.logits.masked_fill(b.x > 0, -1e9).topk(5, 1).indices
            recalls.append(b.hidden.gather(1, top).sum(1) / b.hidden.sum(1).clamp(1, 5))
        return {"recall@5": torch.cat(recalls).mean().item()}


class GumbelUsers(Synthetic[Users]):
    """Each user is the sum of a few Gumbel-softmax draws of items (Distill-CF)."""

    parametrization = "recommender/toy-gumbel"
    label_kind = "values"

    def __init__(self, counts: Mapping[int, int], start: Users | None, rng: random.Random) -> None:
        super().__init__(counts, 0.13)
        noise = torch.randn(counts[0], 25, generator=generator(rng))
        self.logits = nn.Parameter(noise if start is None else 3 * start.x)

    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> Users:
        logits, g = self.logits[ids], generator(rng or random.Random(0))  # (n, items)
        u = torch.rand(4, *logits.shape, generator=g).clamp(1e-6, 1 - 1e-6)
        return Users(((logits - (-u.log()).log()) / 0.5).softmax(-1).sum(0).clamp(max=1.0))


def recommender(**changes: object) -> Problem[Users]:
    models = {"autoencoder": AutoEncoder}
    problem = Problem("recommender/toy", RecData(), Reconstruct(), models, GumbelUsers, RECIPE, kernels={"fc-ntk": ntk})
    return replace(problem, **changes)


# ---------------------------------------------------------------------------------------------------------------------

ALL = {"image": image, "graph": graph, "text": text, "recommender": recommender}
COUNTS = {"image": {0: 2, 1: 2, 2: 2}, "graph": {0: 3, 1: 3, 2: 3}, "text": {0: 2, 1: 2}, "recommender": {0: 8}}


def case(name: str, *, start: bool = False, **changes: object) -> tuple[Problem, Synthetic]:
    """A problem, and a set of its own parametrization: noise, or from real rows."""
    problem, counts, rng = ALL[name](**changes), COUNTS[name], random.Random(1)
    ids = [i for g, n in counts.items() for i in rng.sample(list(problem.data.ids(g)), n)]
    return problem, problem.synthetic(counts, problem.data.take(ids) if start else None, random.Random(0))


# ---------------------------------------------------------------------------------------------------------------------
# what an objective drew, for references that compute the same by a plain loop


class Drawn(RowData):
    """Real rows that remember which of them were taken."""

    def __init__(self, data: RowData) -> None:
        super().__init__(data.x, data.y, data.splits)
        self.taken: list[list[int]] = []

    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> Rows:
        self.taken.append(list(ids))
        return super().take(ids, rng)


@dataclass
class Recorded:
    """A picture problem in float64 that remembers its draws, in order: networks, augmentations, real rows."""

    problem: Problem[Rows]
    networks: list[nn.Module]  # as they were initialised
    reads: list[tuple[int, int, bool]]  # of a network: its number, the rows, whether they are learned
    seeds: list[tuple[str, int]]  # augmentation and seed
    data: Drawn


def recorded(model: type[nn.Module] = MLP, n: int = 300, **model_options: object) -> Recorded:
    networks: list[nn.Module] = []
    reads: list[tuple[int, int, bool]] = []
    seeds: list[tuple[str, int]] = []
    data = Drawn(pictures(n, torch.float64))

    def make() -> nn.Module:
        net = model(**model_options).double()
        twin = model(**model_options).double()
        twin.load_state_dict(net.state_dict())
        number = len(networks)
        net.register_forward_pre_hook(lambda _, b: reads.append((number, len(b[0].x), b[0].x.requires_grad)))
        networks.append(twin)
        return net

    def spied(name: str) -> object:
        def augment(batch: Rows, seed: int) -> Rows:
            seeds.append((name, seed))
            return roll(batch, seed)

        return augment

    augmentations = {name: spied(name) for name in ("match", "train")}
    return Recorded(image(data=data, models={"net": make}, augmentations=augmentations), networks, reads, seeds, data)
