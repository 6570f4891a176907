"""What the core itself provides, through the same hook as every plugin."""

from __future__ import annotations

from collections.abc import Iterator

from .plugins import Entry, hookimpl

ddcore_api = 1


@hookimpl
def ddcore_entries() -> Iterator[Entry]:
    """Methods, objectives, parametrizations, protocols and exporters that serve every modality."""
    yield Entry("method", "dm", "ddcore.methods.dm:DM", "Distribution matching: class means in random networks.")
    yield Entry(
        "method",
        "datadam",
        "ddcore.methods.distribution_matching:DATADAM",
        "Attention matching: where the layers of random networks answer.",
    )
    yield Entry(
        "method",
        "cafe",
        "ddcore.methods.distribution_matching:CAFE",
        "Layer-wise means that tell real rows apart, along watched networks.",
    )
    yield Entry(
        "method", "m3d", "ddcore.methods.distribution_distances:M3D", "Kernel matching: all moments of features."
    )
    yield Entry(
        "method",
        "iid",
        "ddcore.methods.distribution_matching:IID",
        "DM with close classes in trained networks, and covariances.",
    )
    yield Entry(
        "method",
        "dsdm",
        "ddcore.methods.distribution_matching:DSDM",
        "Means and covariances in trained networks, with a memory of means.",
    )
    yield Entry("method", "lqm", "ddcore.methods.distribution_distances:LQM", "Quantiles of every feature.")
    yield Entry(
        "method",
        "dance",
        "ddcore.methods.distribution_matching:DANCE",
        "DM along the way of experts, whose ends calibrate the set.",
    )
    yield Entry(
        "method", "idm", "ddcore.methods.distribution_distances:IDM", "Class-wise means in a queue of trained networks."
    )
    yield Entry(
        "method",
        "bacon",
        "ddcore.methods.distribution_distances:BACON",
        "A likelihood of class-wise means in trained networks.",
    )
    yield Entry(
        "method",
        "ncfm",
        "ddcore.methods.distribution_distances:NCFM",
        "Characteristic functions at learned frequencies.",
    )
    yield Entry(
        "method",
        "wmdd",
        "ddcore.methods.distribution_distances:WMDD",
        "Wasserstein barycentres of classes, under a teacher.",
    )
    yield Entry("method", "dc", "ddcore.methods.dc:DC", "Gradient matching along the training of networks.")
    yield Entry("method", "dsa", "ddcore.methods.dc:DSA", "Gradient matching under siamese augmentation.")
    yield Entry(
        "method",
        "dcc",
        "ddcore.methods.gradient_matching:DCC",
        "Gradient matching of all classes' sum: what tells them apart.",
    )
    yield Entry(
        "method",
        "egm",
        "ddcore.methods.gradient_matching:EGM",
        "Gradient matching within and across classes, by angle and length.",
    )
    yield Entry(
        "method",
        "idc",
        "ddcore.methods.gradient_matching:IDC",
        "Gradient matching in networks trained on real rows, class after class.",
    )
    yield Entry(
        "method",
        "dream",
        "ddcore.methods.gradient_matching:DREAM",
        "IDC's matching against real rows that represent their class.",
    )
    yield Entry(
        "method",
        "acc-dd",
        "ddcore.methods.gradient_matching:ACC_DD",
        "IDC's matching in perturbed early-stage networks.",
    )
    yield Entry(
        "method",
        "pdd",
        "ddcore.methods.gradient_matching:PDD",
        "A set in parts, each learned on top of the earlier ones, by IDC's matching.",
    )
    yield Entry(
        "method",
        "lcmat",
        "ddcore.methods.gradient_matching:LCMAT",
        "Gradient matching that also matches how the loss bends.",
    )
    yield Entry(
        "method",
        "mtt",
        "ddcore.methods.trajectory_matching:MTT",
        "Training on the set follows experts over many steps.",
    )
    yield Entry(
        "method", "tesla", "ddcore.methods.trajectory_matching:TESLA", "MTT's loss in the memory of one training step."
    )
    yield Entry("method", "ftd", "ddcore.methods.trajectory_matching:FTD", "MTT with experts of flat training.")
    yield Entry(
        "method", "att", "ddcore.methods.matched_stretches:ATT", "MTT with the student's step that comes closest."
    )
    yield Entry(
        "method",
        "datm",
        "ddcore.methods.aligned_trajectories:DATM",
        "MTT with soft labels and stretches as hard as the set can hold.",
    )
    yield Entry(
        "method", "pad", "ddcore.methods.aligned_trajectories:PAD", "DATM with easy rows first, over the deep layers."
    )
    yield Entry(
        "method",
        "seqmatch",
        "ddcore.methods.aligned_trajectories:SEQMATCH",
        "MTT on a set in parts, one after another.",
    )
    yield Entry("method", "pp", "ddcore.methods.matched_stretches:PP", "MTT over the parameters that can be matched.")
    yield Entry("method", "mct", "ddcore.methods.matched_stretches:MCT", "MTT along straight lines.")
    yield Entry(
        "method",
        "dd",
        "ddcore.methods.meta_learning:DD",
        "Back-propagation through training on the set, with learned step sizes.",
    )
    yield Entry(
        "method",
        "sldd",
        "ddcore.methods.meta_learning:SLDD",
        "Back-propagation through training on rows, soft labels and step sizes that are all learned.",
    )
    yield Entry(
        "method",
        "ld",
        "ddcore.methods.meta_learning:LD",
        "Learned soft labels for real rows, through training on them.",
    )
    yield Entry(
        "method",
        "rat-bptt",
        "ddcore.methods.meta_learning:RAT_BPTT",
        "Back-propagation through a random window of a long training.",
    )
    yield Entry(
        "method", "rtp", "ddcore.methods.meta_learning:RTP", "Back-propagation through a long training with momentum."
    )
    yield Entry("method", "kip", "ddcore.methods.kernel_regression:KIP", "Infinite-width kernel regression on the set.")
    yield Entry("method", "ls", "ddcore.methods.kernel_regression:LS", "Real rows with solved labels.")
    yield Entry("method", "rfad", "ddcore.methods.kernel_regression:RFAD", "Regression on many random networks.")
    yield Entry(
        "method", "frepo", "ddcore.methods.kernel_regression:FREPO", "Regression on a pool of trained networks."
    )
    yield Entry("method", "rcig", "ddcore.methods.kernel_regression:RCIG", "Implicit gradients of linearised networks.")
    yield Entry(
        "method", "random", "ddcore.methods.coresets:RANDOM", "Uniform real rows: the baseline of every report."
    )
    yield Entry(
        "method", "herding", "ddcore.methods.coresets:HERDING", "Real rows whose feature mean follows the class mean."
    )
    yield Entry(
        "method", "k-center", "ddcore.methods.coresets:K_CENTER", "Real rows that cover each class in feature space."
    )
    yield Entry(
        "method", "k-means", "ddcore.methods.coresets:K_MEANS", "Real rows nearest to each class's k-means centres."
    )
    yield Entry(
        "objective",
        "gradient",
        "ddcore.objectives.gradient:GradientMatching",
        "Match gradients of real and synthetic batches.",
    )
    yield Entry(
        "objective",
        "gradient-sum",
        "ddcore.objectives.gradient:ContrastiveMatching",
        "Match gradients summed over classes.",
    )
    yield Entry(
        "objective",
        "gradient-by-class",
        "ddcore.objectives.gradient:GroupwiseMatching",
        "Match the body's gradients, an update for each class.",
    )
    yield Entry(
        "objective",
        "gradient-in-parts",
        "ddcore.objectives.gradient:ProgressiveMatching",
        "Match gradients part after part of the set.",
    )
    yield Entry(
        "objective",
        "gradient-levels",
        "ddcore.objectives.gradient:MultiLevelMatching",
        "Match gradients within classes and across them.",
    )
    yield Entry(
        "objective",
        "curvature",
        "ddcore.objectives.gradient:CurvatureMatching",
        "Match gradients and how the loss bends.",
    )
    yield Entry(
        "objective", "distribution", "ddcore.objectives.distribution:DistributionMatching", "Match feature means."
    )
    yield Entry("objective", "kernel-mmd", "ddcore.objectives.mmd:KernelMatching", "Match features in all moments.")
    yield Entry(
        "objective",
        "class-wise",
        "ddcore.objectives.classwise:ClasswiseMatching",
        "Match means class by class, and classify.",
    )
    yield Entry(
        "objective", "quantiles", "ddcore.objectives.quantiles:QuantileMatching", "Match quantiles of features."
    )
    yield Entry(
        "objective",
        "characteristic",
        "ddcore.objectives.characteristic:CharacteristicMatching",
        "Match characteristic functions of features.",
    )
    yield Entry(
        "objective",
        "barycentre",
        "ddcore.objectives.barycentre:BarycentreMatching",
        "Match barycentres of classes under a teacher.",
    )
    yield Entry(
        "objective",
        "bayesian",
        "ddcore.objectives.bayesian:BayesianMatching",
        "Make means of features likely, class by class.",
    )
    yield Entry(
        "objective",
        "attention",
        "ddcore.objectives.layers:AttentionMatching",
        "Match spatial attention, layer by layer.",
    )
    yield Entry(
        "objective", "layers", "ddcore.objectives.layers:LayerMatching", "Match every layer's means, and discriminate."
    )
    yield Entry(
        "objective", "kernel", "ddcore.objectives.kernel:KernelRegression", "Predict real rows by ridge regression."
    )
    yield Entry(
        "objective",
        "implicit",
        "ddcore.objectives.implicit:ImplicitRegression",
        "Predict real rows by linearised networks, with implicit gradients.",
    )
    yield Entry(
        "objective",
        "relations",
        "ddcore.objectives.moments:RelationMatching",
        "Match means and covariances, and centralise classes.",
    )
    yield Entry(
        "objective",
        "semantic",
        "ddcore.objectives.moments:SemanticMatching",
        "Match means, covariances and a memory of means.",
    )
    yield Entry(
        "objective",
        "calibrated",
        "ddcore.objectives.moments:CalibratedMatching",
        "Match means; trained networks classify the set.",
    )
    yield Entry(
        "objective",
        "meta",
        "ddcore.objectives.meta:BackpropThroughTraining",
        "What a network trained on the set gets wrong, differentiated through that training.",
    )
    yield Entry("objective", "trajectory", "ddcore.objectives.trajectory:TrajectoryMatching", "Follow experts' paths.")
    yield Entry("parametrization", "rows", "ddcore.rows:RowSynthetic", "Free rows with labels of any kind.")
    yield Entry("parametrization", "selected", "ddcore.parametrizations.base:Selected", "Real rows, held by id.")
    yield Entry("recipe", "matching@1", "ddcore.recipes:MATCHING", "SGD, 300 epochs, no augmentation (DC, DM, MTT).")
    yield Entry(
        "recipe",
        "matching-augmented@1",
        "ddcore.recipes:MATCHING_AUGMENTED",
        "The same, augmented, 1,000 epochs (DSA).",
    )
    yield Entry(
        "recipe", "idc@1", "ddcore.recipes:IDC", "SGD, 1,000 epochs, CutMix on half of the batches (IDC, DREAM)."
    )
    yield Entry(
        "recipe",
        "decoupled@1",
        "ddcore.recipes:DECOUPLED",
        "AdamW, cosine, 300 epochs, mixed rows that a set's teacher labels (SRe2L, CDA).",
    )
    yield Entry(
        "exporter", "pt", "ddcore.exporters:to_pt", "One .pt file of tensors, read by torch.load(weights_only=True)."
    )
    yield Entry("importer", "pt", "ddcore.importers:from_pt", "What the code of DC, DM, MTT and DATM saves.")
    yield Entry("exporter", "hf", "ddcore.exporters:to_hf", "A Hugging Face data set on disk (needs ddcore[hf]).")
