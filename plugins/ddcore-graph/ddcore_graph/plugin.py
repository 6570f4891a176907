"""What the graph plugin provides. Imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ddcore.plugins import Entry, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator

ddcore_api = 1

PROBLEMS = {
    "digits-knn": "Nearest-neighbour graph of handwritten digits, 10 classes; part of scikit-learn.",
    "cora": "Papers that cite each other, 7 classes; Planetoid's public split.",
    "citeseer": "Papers that cite each other, 6 classes; Planetoid's public split.",
    "pubmed": "Papers that cite each other, 3 classes; Planetoid's public split.",
    "cora-ml": "Papers that cite each other, 7 classes.",
    "amazon-photo": "Products that are bought together, 8 classes.",
    "amazon-computers": "Products that are bought together, 10 classes.",
    "coauthor-cs": "Authors who wrote together, 15 classes.",
    "coauthor-physics": "Authors who wrote together, 5 classes.",
    "ogbn-arxiv": "169,343 papers that cite each other, 40 classes.",
    "ogbn-products": "2,449,029 products that are bought together, 47 classes.",
    "flickr": "89,250 pictures of common places or galleries, 7 classes; inductive.",
    "reddit": "232,965 posts with common commenters, 41 classes; inductive.",
    "file": "Your own graph: a folder of CSV files, one .npz, or a saved torch-geometric Data.",
}

GRAPH_PROBLEMS = {
    "tu": "Any TUDataset: whole graphs with a class each.",
    "mutag": "188 molecules, 2 classes; a TUDataset.",
    "proteins": "1,113 proteins, 2 classes; a TUDataset.",
    "ogbg-molhiv": "41,127 molecules, 2 classes, scored by AUC.",
    "ogbg-molbace": "1,513 molecules, 2 classes, scored by AUC.",
    "ogbg-molbbbp": "2,039 molecules, 2 classes, scored by AUC.",
}

PARAMETRIZATIONS = {
    "features": ("features:FeaturesOnly", "Nodes without edges."),
    "graphs": ("graphs:GraphSet", "Whole graphs: free features, constant edges."),
    "dense": ("dense:DenseGraph", "Nodes and a dense adjacency, whatever made it."),
    "several": ("several:SeveralGraphs", "Nodes and several sparse adjacencies, which take turns."),
}

METHODS = {
    "degree": ("selection:DEGREE", "The nodes of each class with the most edges."),
    "pagerank": ("selection:PAGERANK", "The nodes of each class that random walks visit most."),
    "averaging": ("coarsening:AVERAGING", "The mean of each class, as often as it has nodes."),
    "clustering": ("coarsening:CLUSTERING", "Cluster means of each class."),
    "vng": ("coarsening:VNG", "Clusters in a trained network's layers, with edges that carry what real ones carry."),
    "variation-neighborhoods": (
        "coarsening:VARIATION_NEIGHBORHOODS",
        "Contracted neighbourhoods that keep the graph's smoothest signals.",
    ),
    "gcond": ("gradient:GCOND", "Gradient matching on nodes; edges from pairs of features."),
    "gcond-x": ("gradient:GCOND_X", "Gradient matching on nodes, without edges."),
    "doscond": ("gradient:DOSCOND_NODE", "One-step gradient matching: edges and features together."),
    "doscond-x": ("gradient:DOSCOND_X", "One-step gradient matching on nodes, without edges."),
    "gcdm": ("distribution:GCDM", "Class means of receptive fields; edges from pairs of features."),
    "gcdm-x": ("distribution:GCDM_X", "Class means in random networks, without edges."),
    "cgc": ("training_free:CGC", "Clusters of each class, with edges between those alike, without training."),
    "cgc-x": ("training_free:CGC_X", "Clusters of each class, without training and without edges."),
    "gecc": ("training_free:GECC", "Fuzzy clusters of each class, without training."),
    "sfgc": ("trajectory:SFGC", "Long trainings on nodes without edges follow those on the real graph."),
    "geom": ("trajectory:GEOM", "SFGC with experts that see easy nodes first, a growing window and soft labels."),
    "gdem": ("gdem:GDEM", "The eigenbasis of the real graph and what it sees of the features are matched."),
    "simgc": ("simgc:SIMGC", "What nodes see hop by hop, and what a trained teacher says of them, is aligned."),
    "ctrl": ("structures:CTRL", "Gradient matching by direction and length; edges from pairs of features."),
    "msgc": ("structures:MSGC", "Gradient matching with several sparse structures over one set of features."),
    "sgdd": ("structures:SGDD", "Gradient matching with edges of a graphon and optimal transport."),
    "gcsr": ("gcsr:GCSR", "Short trajectories; edges in closed form from how features express each other."),
    "bonsai": ("bonsai:BONSAI", "Real nodes whose computation trees cover the most others, without gradients."),
    "doscond-graphs": ("whole_graphs:DOSCOND_GRAPHS", "One-step gradient matching on whole graphs; edges from logits."),
    "kidd": ("whole_graphs:KIDD", "Regression with a light kernel of graph networks, on whole graphs."),
    "gc-sntk": ("gc_sntk:GC_SNTK", "Kernel regression with the kernel of infinitely wide graph networks."),
}

EXPORTERS = {
    "pyg": "One .pt file that torch-geometric's Data.from_dict takes.",
    "networkx": "A JSON file of NetworkX's node-link data.",
    "csv": "A folder of CSV files, as graph/file reads it.",
}

RECIPES = {
    "graph@1": ("GRAPH", "GCN's training: full batch, Adam 0.01, 600 epochs, best on val."),
    "graph-level@1": ("GRAPH_LEVEL", "Graph classification: Adam 0.001, 500 epochs, best on val."),
}


@hookimpl
def ddcore_entries() -> Iterator[Entry]:
    """The problems, parametrizations, methods, exporters and recipes."""
    for name, summary in PROBLEMS.items():
        here = name == "digits-knn"
        module = "own" if name == "file" else "problems"
        target = f"ddcore_graph.{module}:{name.replace('-', '_')}"
        yield Entry("problem", f"graph/{name}", target, summary, offline=here, default=here)
    for name, summary in GRAPH_PROBLEMS.items():
        target = f"ddcore_graph.graph_problems:{name.replace('-', '_')}"
        yield Entry("problem", f"graph/{name}", target, summary)
    for name, (target, summary) in PARAMETRIZATIONS.items():
        yield Entry("parametrization", f"graph/{name}", f"ddcore_graph.parametrizations.{target}", summary)
    for name, (target, summary) in METHODS.items():
        yield Entry("method", f"graph/{name}", f"ddcore_graph.methods.{target}", summary)
    for name, summary in EXPORTERS.items():
        yield Entry("exporter", f"graph/{name}", f"ddcore_graph.export:to_{name}", summary)
    yield Entry("importer", "graph/graphslim", "ddcore_graph.importing:from_graphslim", "What GraphSlim saves.")
    for name, (target, summary) in RECIPES.items():
        yield Entry("recipe", name, f"ddcore_graph.recipes:{target}", summary)
