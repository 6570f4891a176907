"""The image problems: data from its public format, networks, siamese augmentation, pixels."""

from __future__ import annotations

from functools import partial
from math import log2
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from PIL import Image
from pydantic import Field

from ddcore.errors import DataError
from ddcore.packing import Packed, check_filled, class_folders, listing_key
from ddcore.problem import Preprocessing, Problem
from ddcore.recipes import MATCHING, Recipe
from ddcore.rows import Classification, Rows, row_set
from ddcore.splits import carve, fewer, stratified_split

from .augment import DSA, DSA_DIGITS, Mixed, Siamese
from .corrupt import blur, noise
from .data import image_data
from .files import Picture, image_files, pack_images
from .imagenet import SUBSETS, read_tiny_imagenet
from .kernels import kernels
from .models import zoo
from .preprocess import normalise
from .readers import Split, missing, read_cifar, read_mnist, read_svhn
from .show import gallery

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = [
    "cifar10",
    "cifar100",
    "digits",
    "fashion_mnist",
    "image_problem",
    "imagefruit",
    "imagemeow",
    "imagenet_1k",
    "imagenette",
    "imagesquawk",
    "imagewoof",
    "imageyellow",
    "mnist",
    "svhn",
    "tiny_imagenet",
]

Depth = Annotated[
    int | None, Field(ge=1, description="blocks of the default ConvNet; 3 at 28 and 32 px, one more at each doubling")
]
Width = Annotated[int, Field(ge=1, description="channels of the default ConvNet")]
Val = Annotated[
    float, Field(ge=0, lt=1, description="part of the training images that is held out for model selection")
]
TrainRows = Annotated[
    int | None, Field(ge=1, description="use this many training images, a seeded stratified draw; all by default")
]
Zca = Annotated[bool, Field(description="ZCA whitening (eps 0.1, fitted on the training images)")]
Side = Annotated[
    int, Field(ge=8, description="side in pixels; images are resized by the shorter side and cut at the centre")
]


def image_problem(
    x: NDArray[np.uint8],  # (n, h, w, c)
    y: NDArray[np.int64],  # (n,)
    splits: dict[str, list[int]],
    class_names: Sequence[str],
    *,
    depth: int | None = None,
    width: int = 128,
    fitted: Preprocessing | None = None,
    zca: bool = False,
    flips: bool = True,
    drawn: bool = False,
    rows: int | None = None,
    recipe: Recipe = MATCHING,
    digest: str = "",
) -> Problem[Rows]:
    """An image problem from arrays: the way for data that no reader here knows.

    `splits` holds row ids of train, val and test; `drawn` says that they were drawn here and should be stored with
    every artifact; `fitted` is a known normalisation, otherwise it is fitted on the training images; `flips` says
    whether a mirrored image is still of its class.

    Raises DataError, and OptionError for a network that does not fit the images.
    """
    if rows is not None:
        splits = {**splits, "train": fewer(y, splits["train"], rows)}
    data, done = image_data(x, y, splits, fitted=fitted, zca=zca, drawn=drawn, digest=digest)
    _, h, w, c = x.shape
    depth = depth or max(round(log2(min(h, w))) - 2, 2)
    strategy = DSA if flips else DSA_DIGITS
    per_row = Siamese(strategy, per_row=True)
    classes = len(class_names)
    return Problem(
        name="image",
        data=data,
        task=Classification(classes),
        models=zoo((c, h, w), classes, depth=depth, width=width),
        synthetic=row_set((c, h, w)),
        recipe=recipe,
        augmentations={"match": Siamese(strategy), "train": per_row, "mixed": Mixed(per_row, classes)},
        corruptions={"noise": noise, "blur": blur},
        kernels=kernels(depth=depth),
        preprocessing=done,
        class_names=tuple(class_names),
        render=partial(gallery, tuple(class_names), done),
    )


def _official(
    train: Split, test: Split, names: Sequence[str], val: float, *, fitted: Preprocessing, **options: Any
) -> Problem[Rows]:
    """An official train and test split; val is carved from train by a fixed draw."""
    channels, shape = len(fitted.tensors["mean"]), train.x.shape[1:]
    if shape != test.x.shape[1:] or shape[-1] != channels:
        raise DataError(
            f"expected images of one size and {channels} channels; train has {'x'.join(map(str, shape))} "
            f"(height, width, channels) and test {'x'.join(map(str, test.x.shape[1:]))}: is it another data set?"
        )
    present = set(train.y.tolist())
    if empty := [name for label, name in enumerate(names) if label not in present]:
        raise DataError(f"no training image in class {', '.join(empty)}: is the file whole, or of another data set?")
    x, y = np.concatenate([train.x, test.x]), np.concatenate([train.y, test.y])
    kept, held_out = carve(y, range(len(train.y)), val)
    splits = {"train": kept, "val": held_out, "test": list(range(len(train.y), len(y)))}
    return image_problem(x, y, splits, names, fitted=fitted, **options)


# ---------------------------------------------------------------------------------------------------------------------
# part of the install


def digits(
    *, width: Width = 64, depth: Annotated[int, Field(ge=1, le=3, description="blocks of the default ConvNet")] = 2
) -> Problem[Rows]:
    """scikit-learn's digits: 1,797 handwritten digits of 8x8 pixels, in a seeded stratified split of 60/10/30."""
    from sklearn.datasets import load_digits

    found = load_digits()
    x = np.round(found.images * (255 / 16)).astype(np.uint8)[..., None]
    y = found.target.astype(np.int64)
    splits = stratified_split(y.tolist(), test=0.3)
    names = [str(d) for d in range(10)]
    return image_problem(x, y, splits, names, depth=depth, width=width, flips=False, drawn=True)


# ---------------------------------------------------------------------------------------------------------------------
# by --data


def mnist(
    data: Path | None = None, *, depth: Depth = None, width: Width = 128, val: Val = 0.1, rows: TrainRows = None
) -> Problem[Rows]:
    """MNIST (LeCun et al. 1998): the four idx files, gzipped or not."""
    train, test = read_mnist(data, "mnist", "yann.lecun.com/exdb/mnist or a mirror of it")
    names = [str(d) for d in range(10)]
    fitted = normalise("mnist")
    return _official(train, test, names, val, depth=depth, width=width, rows=rows, fitted=fitted, flips=False)


def fashion_mnist(
    data: Path | None = None, *, depth: Depth = None, width: Width = 128, val: Val = 0.1, rows: TrainRows = None
) -> Problem[Rows]:
    """Fashion-MNIST (Xiao et al. 2017): the four idx files, gzipped or not."""
    train, test = read_mnist(data, "fashion-mnist", "github.com/zalandoresearch/fashion-mnist, folder data/fashion")
    names = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
    fitted = normalise("fashion-mnist")
    return _official(train, test, names, val, depth=depth, width=width, rows=rows, fitted=fitted)


def cifar10(
    data: Path | None = None,
    *,
    depth: Depth = None,
    width: Width = 128,
    val: Val = 0.1,
    rows: TrainRows = None,
    zca: Zca = False,
) -> Problem[Rows]:
    """CIFAR-10 (Krizhevsky 2009): the binary version, or train.npz and test.npz."""
    train, test = read_cifar(data, 10, "www.cs.toronto.edu/~kriz/cifar.html")
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    fitted = normalise("cifar10")
    return _official(train, test, names, val, depth=depth, width=width, rows=rows, fitted=fitted, zca=zca)


def cifar100(
    data: Path | None = None,
    *,
    depth: Depth = None,
    width: Width = 128,
    val: Val = 0.1,
    rows: TrainRows = None,
    zca: Zca = False,
) -> Problem[Rows]:
    """CIFAR-100 (Krizhevsky 2009), fine labels: the binary version, or train.npz and test.npz."""
    train, test = read_cifar(data, 100, "www.cs.toronto.edu/~kriz/cifar.html")
    listed = [p for p in (data, data and data / "cifar-100-binary") if p and (p / "fine_label_names.txt").is_file()]
    names = (listed[0] / "fine_label_names.txt").read_text().split() if listed else [str(i) for i in range(100)]
    fitted = normalise("cifar100")
    return _official(train, test, names, val, depth=depth, width=width, rows=rows, fitted=fitted, zca=zca)


def svhn(
    data: Path | None = None,
    *,
    depth: Depth = None,
    width: Width = 128,
    val: Val = 0.1,
    rows: TrainRows = None,
    zca: Zca = False,
) -> Problem[Rows]:
    """SVHN (Netzer et al. 2011), cropped digits: train_32x32.mat and test_32x32.mat."""
    train, test = read_svhn(data, "ufldl.stanford.edu/housenumbers")
    names = [str(d) for d in range(10)]
    fitted = normalise("svhn")
    return _official(train, test, names, val, depth=depth, width=width, rows=rows, fitted=fitted, zca=zca, flips=False)


def tiny_imagenet(
    data: Path | None = None,
    *,
    depth: Depth = None,
    width: Width = 128,
    val: Val = 0.1,
    rows: TrainRows = None,
    zca: Zca = False,
) -> Problem[Rows]:
    """Tiny ImageNet (Le and Yang 2015): the folder tiny-imagenet-200. Its labelled val images are the test split."""
    if data is None:
        raise missing("tiny-imagenet", data, "the folder tiny-imagenet-200", "cs231n.stanford.edu")
    pictures, names, files = read_tiny_imagenet(data)
    packed = pack_images(pictures, listing_key(files, data), 64, 3)
    return _train_and_test(
        packed, names, val, depth=depth, width=width, rows=rows, zca=zca, fitted=normalise("imagenet")
    )


def _train_and_test(packed: Packed, names: Sequence[str], val: float, **options: Any) -> Problem[Rows]:
    """Val is carved from train."""
    check_filled(packed, names, "image")
    if not packed.splits["test"]:
        raise DataError("no readable image in val, whose images are the test split: check the folder")
    kept, held_out = carve(packed.y, packed.splits["train"], val)
    splits = {"train": kept, "val": held_out, "test": packed.splits["test"]}
    return image_problem(packed.x, packed.y, splits, names, digest=packed.digest, **options)


def imagenet_1k(
    data: Path | None = None,
    *,
    size: Side = 224,
    depth: Depth = None,
    width: Width = 128,
    val: Val = 0.1,
    rows: TrainRows = None,
) -> Problem[Rows]:
    """ImageNet (Deng et al. 2009): folders train/WNID and val/WNID of JPEG files. Its val images are the test split."""
    return _imagenet(data, None, "imagenet-1k", size, val, depth=depth, width=width, rows=rows)


def _imagenet(
    data: Path | None, subset: dict[str, str] | None, name: str, size: int, val: float, **options: Any
) -> Problem[Rows]:
    if data is None or not (data / "train").is_dir() or not (data / "val").is_dir():
        raise missing(name, data, "ImageNet's train/WNID/*.JPEG and val/WNID/*.JPEG", "image-net.org")
    wnids = class_folders(data / "train") if subset is None else list(subset)
    files: list[Path] = []
    pictures: list[Picture] = []
    for part, split in (("train", "train"), ("val", "test")):
        for label, wnid in enumerate(wnids):
            if not (data / part / wnid).is_dir():
                which = "" if subset is None else f"; the classes of {name} are {', '.join(wnids)}"
                raise DataError(f"{name}: no folder {part}/{wnid} in {data}{which}")
            for file in image_files(data / part / wnid):
                files.append(file)
                pictures.append((split, f"{part}/{wnid}/{file.name}", label, partial(Image.open, file)))
    packed = pack_images(pictures, listing_key(files, data), size, 3)
    names = wnids if subset is None else list(subset.values())
    return _train_and_test(packed, names, val, fitted=normalise("imagenet"), **options)


def _subset(name: str, what: str) -> Callable[..., Problem[Rows]]:
    def problem(
        data: Path | None = None,
        *,
        size: Side = 128,
        depth: Depth = None,
        width: Width = 128,
        val: Val = 0.1,
        rows: TrainRows = None,
    ) -> Problem[Rows]:
        return _imagenet(data, SUBSETS[name], name, size, val, depth=depth, width=width, rows=rows)

    problem.__name__ = problem.__qualname__ = name
    problem.__doc__ = f"{what}, from ImageNet's folders train/WNID and val/WNID. Its val images are the test split."
    return problem


imagenette = _subset("imagenette", "ImageNette: ten easy ImageNet classes")
imagewoof = _subset("imagewoof", "ImageWoof: ten breeds of dogs")
imagefruit = _subset("imagefruit", "ImageFruit (Cazenavette et al. 2022): ten fruits")
imagemeow = _subset("imagemeow", "ImageMeow (Cazenavette et al. 2022): ten cats")
imagesquawk = _subset("imagesquawk", "ImageSquawk (Cazenavette et al. 2022): ten birds")
imageyellow = _subset("imageyellow", "ImageYellow (Cazenavette et al. 2022): ten yellow things")
