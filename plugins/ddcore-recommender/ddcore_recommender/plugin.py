"""What the recommender plugin provides. Imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ddcore.plugins import Entry, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator

ddcore_api = 1

PUBLIC = {
    "file": "Your own interactions: CSV, Parquet, RecBole's .inter, a CSR matrix.",
    "ml-100k": "MovieLens 100K: 943 users, 1,682 films.",
    "ml-1m": "MovieLens 1M: 6,040 users, 3,706 films.",
    "movietweetings": "Films rated on Twitter.",
    "lastfm": "Listening counts of HetRec 2011: 1,892 users, 17,632 artists.",
    "amazon-beauty": "Amazon reviews 2023, beauty.",
    "amazon-books": "Amazon reviews 2023, books.",
    "amazon-magazine": "Amazon reviews 2023, magazine subscriptions.",
    "amazon-toys": "Amazon reviews 2023, toys and games.",
    "amazon-video-games": "Amazon reviews 2023, video games.",
}

PARAMETRIZATIONS = {
    "users": ("users:UserSet", "Fake users: a weight for each user and item."),
    "gumbel-users": ("gumbel:GumbelUsers", "Fake users as sums of relaxed draws from the items."),
    "sequences": ("sequences:SequenceSet", "Fake sequences: weights of items at each position."),
    "low-rank-sequences": ("latent:LowRankSequences", "Fake sequences of low rank."),
    "tucker-sequences": ("latent:TuckerSequences", "Fake sequences by Tucker decomposition."),
    "clicks": ("clicks:ClickSet", "Fake rows: a distribution over the values of each field."),
    "kept-interactions": ("keeping:KeptInteractions", "Interactions with probabilities of being kept."),
    "histories": ("users:SparseUsers", "Whole or partial histories of users, kept sparse."),
}

METHODS = {
    "distill-cf": ("distill_cf:DISTILL_CF", "Fake users that reconstruct the real ones, by kernel regression."),
    "farzi": ("farzi:FARZI", "Low-rank sequences, through training by Adam."),
    "td3": ("td3:TD3", "Sequences by Tucker decomposition, through windows of training."),
    "cgm": ("cgm:CGM", "One-step gradient matching of dense relaxations of categorical fields."),
    "dconrec": ("dconrec:DCONREC", "Interactions that are kept with learned probabilities."),
    "head-users": ("samplers:HEAD_USERS", "The users with the longest histories."),
    "random-interactions": ("samplers:RANDOM_INTERACTIONS", "Uniform interactions, of whomever they are."),
    "stratified": ("samplers:STRATIFIED", "The same share of every user's interactions."),
    "temporal": ("samplers:TEMPORAL", "The latest interactions."),
    "pagerank": ("samplers:PAGERANK", "Interactions among the users and items of the highest PageRank."),
    "forest-fire": ("samplers:FOREST_FIRE", "Interactions that fires in the graph reach."),
    "svp-cf": ("svp_cf:SVP_CF", "The interactions that a small model gets wrong."),
    "svp-cf-prop": ("svp_cf:SVP_CF_PROP", "The same, with rare users and items weighted up."),
}

EXPORTERS = {
    "csv": ("to_csv", "Discrete fake users: user_id,item_id,weight."),
    "inter": ("to_inter", "Discrete fake users as RecBole's atomic file."),
    "csr": ("to_csr", "Discrete fake users as a sparse matrix."),
    "weights": ("to_dense_csr", "Fake users with their weights as a sparse matrix."),
}

RECIPES = {
    "recommender@1": ("RECOMMENDER", "Mult-VAE's training: Adam, 200 epochs."),
    "sequential@1": ("SEQUENTIAL", "SASRec's training: Adam, the best epoch of 200 on val."),
    "clicks@1": ("CLICKS", "DeepFM's training: Adam, 20 epochs."),
}


@hookimpl
def ddcore_entries() -> Iterator[Entry]:
    """The problems, methods, parametrizations, protocols and exporters."""
    summary = "Which source files of Python, NumPy and PyTorch import which names; read from the installation."
    yield Entry(
        "problem", "recommender/imports", "ddcore_recommender.problems:imports", summary, offline=True, default=True
    )
    summary = "The order in which source files of Python, NumPy and PyTorch import names."
    yield Entry(
        "problem", "recommender/import-order", "ddcore_recommender.sequential:import_order", summary, offline=True
    )
    summary = "Whether a file of a folder imports a name, in Python, NumPy and PyTorch."
    yield Entry("problem", "recommender/import-clicks", "ddcore_recommender.ctr:import_clicks", summary, offline=True)
    for name, summary in PUBLIC.items():
        target = f"ddcore_recommender.public:{name.replace('-', '_')}"
        yield Entry("problem", f"recommender/{name}", target, summary)
    for name, (target, summary) in PARAMETRIZATIONS.items():
        yield Entry("parametrization", f"recommender/{name}", f"ddcore_recommender.{target}", summary)
    for name, (target, summary) in METHODS.items():
        yield Entry("method", f"recommender/{name}", f"ddcore_recommender.methods.{target}", summary)
    for name, (target, summary) in EXPORTERS.items():
        yield Entry("exporter", f"recommender/{name}", f"ddcore_recommender.export:{target}", summary)
    yield Entry(
        "importer",
        "recommender/csv",
        "ddcore_recommender.importing:from_table",
        "Interactions: CSV, .inter, CSR.",
    )
    for name, (target, summary) in RECIPES.items():
        yield Entry("recipe", name, f"ddcore_recommender.protocol:{target}", summary)
