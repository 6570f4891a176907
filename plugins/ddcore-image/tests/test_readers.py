"""Readers on files written byte by byte from the formats' public descriptions, whole and damaged."""

from __future__ import annotations

import gzip
import pickle
import struct

import numpy as np
import pytest
from ddcore_image import problems
from ddcore_image.imagenet import SUBSETS
from ddcore_image.readers import read_cifar, read_idx, read_mnist, read_svhn
from PIL import Image

from ddcore.errors import DataError

pytestmark = pytest.mark.usefixtures("cache")


def rng():
    return np.random.default_rng(0)


def idx(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def mnist(folder, *, zipped=False, train=40, test=20):
    """The four files; the images and labels that they hold."""
    folder.mkdir(parents=True, exist_ok=True)
    held = []
    for prefix, n in (("train", train), ("t10k", test)):
        x, y = rng().integers(0, 256, (n, 28, 28), np.uint8), (np.arange(n) % 10).astype(np.uint8)
        for stem, array in ((f"{prefix}-images-idx3-ubyte", x), (f"{prefix}-labels-idx1-ubyte", y)):
            data = idx(array)
            name = folder / (stem + ".gz" if zipped else stem)
            name.write_bytes(gzip.compress(data) if zipped else data)
        held.append((x, y))
    return held


def npz(folder, classes, shape, n=40):
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("train", "test"):
        np.savez(folder / name, x=rng().integers(0, 256, (n, *shape), np.uint8), y=np.arange(n) % classes)


# ---------------------------------------------------------------------------------------------------------------------
# MNIST and Fashion-MNIST


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("problem", "inside"), [("mnist", ""), ("mnist", "MNIST/raw"), ("fashion-mnist", "FashionMNIST/raw")]
)
def test_idx_files_zipped_or_not_wherever_they_are_left(tmp_path, zipped, problem, inside):
    held = mnist(tmp_path / inside, zipped=zipped)
    for split, (x, y) in zip(read_mnist(tmp_path, problem, "a site"), held, strict=True):
        assert split.x.shape == (len(x), 28, 28, 1)
        assert np.array_equal(split.x[..., 0], x)
        assert np.array_equal(split.y, y)


def test_fashion_mnist_as_npz(tmp_path):
    npz(tmp_path, 10, (28, 28))
    problem = problems.fashion_mnist(tmp_path)
    assert problem.data.take(problem.data.ids(split="test")).x.shape == (40, 1, 28, 28)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda data: data[:-9], "its header says"),
        (lambda data: data[:6], "not an idx file"),
        (lambda data: b"<!DOCTYPE html>", "not an idx file"),
        (lambda data: b"", "not an idx file"),
    ],
)
def test_damaged_idx_files_are_named(tmp_path, damage, says):
    mnist(tmp_path)
    file = tmp_path / "t10k-images-idx3-ubyte"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DataError, match=f"t10k-images-idx3-ubyte.*{says}"):
        read_mnist(tmp_path, "mnist", "a site")


def test_a_download_that_broke_off_is_named(tmp_path):
    file = tmp_path / "x.gz"
    file.write_bytes(gzip.compress(idx(rng().integers(0, 256, (9, 9), np.uint8)))[:-20])
    with pytest.raises(DataError, match=r"x\.gz cannot be unpacked"):
        read_idx(file)


def test_images_and_labels_of_different_files_are_not_put_together(tmp_path):
    mnist(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(39, np.uint8)))
    with pytest.raises(DataError, match=r"train-images.*39"):
        read_mnist(tmp_path, "mnist", "a site")


# ---------------------------------------------------------------------------------------------------------------------
# CIFAR


def cifar_records(n, classes):
    """Records as the binary version has them: label (coarse, fine), then 1,024 red, green and blue bytes."""
    x, y = rng().integers(0, 256, (n, 32, 32, 3), np.uint8), rng().integers(0, classes, n)
    rows = []
    for image, label in zip(x, y, strict=True):
        head = bytes([label]) if classes == 10 else bytes([19 - label % 20, label])
        rows.append(head + image[..., 0].tobytes() + image[..., 1].tobytes() + image[..., 2].tobytes())
    return b"".join(rows), x, y


@pytest.mark.parametrize("inside", ["", "cifar-10-batches-bin"])
def test_cifar10_binary(tmp_path, inside):
    folder = tmp_path / inside
    folder.mkdir(exist_ok=True)
    data, x, y = cifar_records(12, 10)
    for name in ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"):
        (folder / f"{name}.bin").write_bytes(data)
    train, test = read_cifar(tmp_path, 10, "a site")
    assert np.array_equal(test.x, x)
    assert np.array_equal(test.y, y)
    assert np.array_equal(train.x[24:36], x)
    assert len(train.y) == 60


def test_cifar100_binary_has_the_fine_label_second(tmp_path):
    data, x, y = cifar_records(200, 100)
    for name in ("train", "test"):
        (tmp_path / f"{name}.bin").write_bytes(data)
    train, _ = read_cifar(tmp_path, 100, "a site")
    assert np.array_equal(train.y, y)
    assert np.array_equal(train.x, x)


def test_cifar_as_npz(tmp_path):
    npz(tmp_path, 10, (32, 32, 3))
    train, test = read_cifar(tmp_path, 10, "a site")
    assert train.x.shape == test.x.shape == (40, 32, 32, 3)


class Trap:
    """What a pickle can do to who reads it."""

    def __reduce__(self):
        return pytest.fail, ("a pickle was read",)


@pytest.mark.parametrize(
    ("classes", "inside", "file"),
    [
        (10, "", "data_batch_1"),
        (10, "cifar-10-batches-py", "data_batch_1"),
        (100, "", "meta"),
        (100, "cifar-100-python", "meta"),
    ],
)
def test_the_pickled_version_is_refused_unread(tmp_path, classes, inside, file):
    folder = tmp_path / inside
    folder.mkdir(exist_ok=True)
    (folder / file).write_bytes(pickle.dumps(Trap()))
    binary = "cifar-10-batches-bin" if classes == 10 else "cifar-100-binary"
    with pytest.raises(DataError, match=rf"pickled.*{binary}.*a site"):
        read_cifar(tmp_path, classes, "a site")


def test_an_npz_of_objects_is_refused_unread(tmp_path):
    trap = np.empty(1, object)
    trap[0] = Trap()
    np.savez(tmp_path / "train.npz", x=trap, y=np.zeros(1))
    with pytest.raises(DataError, match=r"train\.npz: expected the arrays"):
        read_cifar(tmp_path, 10, "a site")


@pytest.mark.parametrize(
    "stored",
    [
        {"x": np.zeros((4, 32, 32, 3)), "y": np.zeros(4)},  # [0, 1] would all become 0 as bytes
        {"x": np.zeros((4, 32, 32, 3), np.uint8), "y": np.zeros(5)},
        {"x": np.zeros((4, 32, 32, 3), np.uint8), "y": np.full(4, 10)},
        {"images": np.zeros((4, 32, 32, 3), np.uint8)},
    ],
)
def test_an_npz_that_holds_something_else_is_named(tmp_path, stored):
    np.savez(tmp_path / "train.npz", **stored)
    with pytest.raises(DataError, match=r"train\.npz"):
        read_cifar(tmp_path, 10, "a site")


def flipped(data):
    """One byte in the middle of the compressed pixels is another."""
    return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 0xFF]) + data[len(data) // 2 + 1 :]


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:-9], flipped], ids=["empty", "cut", "flipped"])
def test_a_damaged_npz_is_named(tmp_path, damage):
    x = rng().integers(0, 256, (4, 32, 32, 3), np.uint8)
    np.savez_compressed(tmp_path / "train.npz", x=x, y=np.arange(4))
    file = tmp_path / "train.npz"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DataError, match=r"train\.npz: expected the arrays x .*: .+"):
        read_cifar(tmp_path, 10, "a site")


def test_a_single_array_under_the_name_of_an_npz_is_named(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((4, 32, 32, 3), np.uint8))
    (tmp_path / "x.npy").rename(tmp_path / "train.npz")
    with pytest.raises(DataError, match=r"train\.npz: expected the arrays x"):
        read_cifar(tmp_path, 10, "a site")


def test_a_truncated_cifar_file_is_named(tmp_path):
    data, _, _ = cifar_records(3, 10)
    (tmp_path / "data_batch_1.bin").write_bytes(data[:-1])
    with pytest.raises(DataError, match=r"data_batch_1\.bin.*not a multiple of 3073"):
        read_cifar(tmp_path, 10, "a site")


# ---------------------------------------------------------------------------------------------------------------------
# SVHN


def test_svhn_has_rows_last_and_ten_for_zero(tmp_path):
    from scipy.io import savemat

    x, y = rng().integers(0, 256, (20, 32, 32, 3), np.uint8), np.arange(20) % 10
    for name in ("train", "test"):
        savemat(tmp_path / f"{name}_32x32.mat", {"X": x.transpose(1, 2, 3, 0), "y": np.where(y == 0, 10, y)[:, None]})
    train, _ = read_svhn(tmp_path, "a site")
    assert np.array_equal(train.x, x)
    assert np.array_equal(train.y, y)


@pytest.mark.parametrize(
    "data",
    [b"not a mat file" * 20, b"", b"short", b"\0" * 10, b"\0" * 300],
    ids=["text", "empty", "short", "10 zeros", "zeros"],
)
def test_a_file_that_is_not_svhns_is_named(tmp_path, data):
    (tmp_path / "train_32x32.mat").write_bytes(data)
    with pytest.raises(DataError, match=r"train_32x32\.mat"):
        read_svhn(tmp_path, "a site")


# ---------------------------------------------------------------------------------------------------------------------
# folders: Tiny ImageNet, ImageNet


def photo(file, seed=0, size=(40, 30)):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)).save(file)


def test_tiny_imagenet(tmp_path):
    wnids = ["n02", "n01", "n03"]
    root = tmp_path / "tiny-imagenet-200"
    for k, wnid in enumerate(wnids):
        for i in range(10):
            photo(root / "train" / wnid / "images" / f"{wnid}_{i}.JPEG", i + 10 * k, (64, 64))
    for i in range(6):
        photo(root / "val" / "images" / f"val_{i}.JPEG", i, (64, 64))
    rows = "".join(f"val_{i}.JPEG\t{wnids[i % 3]}\t0\t0\t62\t62\n" for i in range(6))
    (root / "val" / "val_annotations.txt").write_text(rows)
    (root / "wnids.txt").write_text("\n".join(wnids))
    (root / "words.txt").write_text("n01\tgoldfish, Carassius auratus\nn02\tbullfrog\n")
    problem = problems.tiny_imagenet(tmp_path)
    assert problem.class_names == ("goldfish", "bullfrog", "n03")
    assert [len(problem.data.ids(split=s)) for s in ("train", "val", "test")] == [27, 3, 6]
    test = problem.data.take(problem.data.ids(split="test"))
    assert test.x.shape == (6, 3, 64, 64)
    assert test.y.tolist() == [1, 0, 2, 1, 0, 2]
    (root / "val" / "val_annotations.txt").write_text("")
    with pytest.raises(DataError, match="val_annotations"):
        problems.tiny_imagenet(tmp_path)


@pytest.mark.parametrize("name", sorted(SUBSETS))
def test_subsets_are_ten_classes_of_imagenet(name):
    assert len(SUBSETS[name]) == 10
    assert all(len(wnid) == 9 and wnid[0] == "n" and wnid[1:].isdigit() for wnid in SUBSETS[name])


def test_a_subset_takes_its_classes_in_the_papers_order(tmp_path):
    wnids = list(SUBSETS["imagemeow"])
    for k, wnid in enumerate([*wnids, "n00000001"]):
        for i in range(3):
            photo(tmp_path / "train" / wnid / f"{i}.JPEG", 100 * k + i)
            photo(tmp_path / "val" / wnid / f"{i}.JPEG", 100 * k + 50 + i)
    problem = problems.imagemeow(tmp_path, size=16, depth=2, width=8)
    assert problem.class_names[5] == "lion"
    assert problem.data.take(problem.data.ids(split="test")).y.tolist() == [c for c in range(10) for _ in range(3)]
    assert len(problems.imagenet_1k(tmp_path, size=16, depth=2, width=8).class_names) == 11
    with pytest.raises(DataError, match=r"train/n02206856 in .*the classes of imageyellow are"):
        problems.imageyellow(tmp_path, size=16, depth=2, width=8)


# ---------------------------------------------------------------------------------------------------------------------
# another data set


def two(folder, train, test, classes=range(10)):
    for name, shape in (("train", train), ("test", test)):
        y = np.repeat(list(classes), 2)
        np.savez(folder / name, x=rng().integers(0, 256, (len(y), *shape), np.uint8), y=y)


@pytest.mark.parametrize("problem", ["mnist", "fashion_mnist", "cifar10", "svhn"])
def test_images_of_other_channels_are_refused(tmp_path, problem):
    grey = problem in ("mnist", "fashion_mnist")
    two(tmp_path, *[(32, 32, 3) if grey else (32, 32)] * 2)
    with pytest.raises(DataError, match=f"{1 if grey else 3} channels; train has 32x32x{3 if grey else 1} "):
        getattr(problems, problem)(tmp_path)


def test_train_and_test_of_different_sizes_are_refused(tmp_path):
    two(tmp_path, (32, 32, 3), (28, 28, 3))
    with pytest.raises(DataError, match=r"one size .*train has 32x32x3 .* test 28x28x3"):
        problems.cifar10(tmp_path)


def test_a_class_without_a_training_image_is_named(tmp_path):
    two(tmp_path, (32, 32, 3), (32, 32, 3), classes=[0, 1, 2, 3, 4, 5, 6, 8, 9])
    with pytest.raises(DataError, match="no training image in class horse: "):
        problems.cifar10(tmp_path)


# ---------------------------------------------------------------------------------------------------------------------
# wrong --data

NEEDS = {
    "mnist": "train-images-idx3-ubyte",
    "fashion_mnist": "train-images-idx3-ubyte",
    "cifar10": "data_batch_1.bin",
    "cifar100": "train.bin",
    "svhn": "train_32x32.mat",
    "tiny_imagenet": "tiny-imagenet-200",
    "imagenette": "train/WNID",
    "imagenet_1k": "train/WNID",
}


@pytest.mark.parametrize(("problem", "file"), NEEDS.items())
def test_without_data_the_error_says_which_file_goes_where(tmp_path, problem, file):
    with pytest.raises(DataError, match=rf"{file}.*--data.*(\.org|\.com|\.edu)"):
        getattr(problems, problem)(None)


@pytest.mark.parametrize(("problem", "file"), [*NEEDS.items()])
def test_an_empty_folder_and_a_file_are_told_apart_from_the_data(tmp_path, problem, file):
    empty, plain = tmp_path / "empty", tmp_path / "plain"
    empty.mkdir()
    plain.write_text("hello")
    wanted = "wnids.txt" if problem == "tiny_imagenet" else file
    with pytest.raises(DataError, match=rf"no .*{wanted}.* in {empty}"):
        getattr(problems, problem)(empty)
    with pytest.raises(DataError, match=str(plain)):
        getattr(problems, problem)(plain)
