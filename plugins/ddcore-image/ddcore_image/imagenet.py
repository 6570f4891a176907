"""ImageNet's subsets, and the layout of Tiny ImageNet."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PIL import Image

from ddcore.errors import DataError

from .files import Picture, image_files

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SUBSETS", "read_tiny_imagenet"]

SUBSETS: dict[str, dict[str, str]] = {
    "imagenette": {
        "n01440764": "tench",
        "n02102040": "English springer",
        "n02979186": "cassette player",
        "n03000684": "chain saw",
        "n03028079": "church",
        "n03394916": "French horn",
        "n03417042": "garbage truck",
        "n03425413": "gas pump",
        "n03445777": "golf ball",
        "n03888257": "parachute",
    },
    "imagewoof": {
        "n02096294": "Australian terrier",
        "n02093754": "Border terrier",
        "n02111889": "Samoyed",
        "n02088364": "beagle",
        "n02086240": "Shih-Tzu",
        "n02089973": "English foxhound",
        "n02087394": "Rhodesian ridgeback",
        "n02115641": "dingo",
        "n02099601": "golden retriever",
        "n02105641": "Old English sheepdog",
    },
    "imagefruit": {
        "n07753275": "pineapple",
        "n07753592": "banana",
        "n07745940": "strawberry",
        "n07747607": "orange",
        "n07749582": "lemon",
        "n07768694": "pomegranate",
        "n07753113": "fig",
        "n07720875": "bell pepper",
        "n07718472": "cucumber",
        "n07742313": "Granny Smith",
    },
    "imagemeow": {
        "n02123045": "tabby",
        "n02123159": "tiger cat",
        "n02123394": "Persian cat",
        "n02123597": "Siamese cat",
        "n02124075": "Egyptian cat",
        "n02129165": "lion",
        "n02129604": "tiger",
        "n02128925": "jaguar",
        "n02128757": "snow leopard",
        "n02127052": "lynx",
    },
    "imagesquawk": {
        "n01806143": "peacock",
        "n02007558": "flamingo",
        "n01818515": "macaw",
        "n02051845": "pelican",
        "n02056570": "king penguin",
        "n01614925": "bald eagle",
        "n01843383": "toucan",
        "n01518878": "ostrich",
        "n01860187": "black swan",
        "n01819313": "sulphur-crested cockatoo",
    },
    "imageyellow": {
        "n02206856": "bee",
        "n12057211": "yellow lady's slipper",
        "n07753592": "banana",
        "n07749582": "lemon",
        "n12144580": "corn",
        "n04146614": "school bus",
        "n03530642": "honeycomb",
        "n02129165": "lion",
        "n01773157": "black and gold garden spider",
        "n01531178": "goldfinch",
    },
}
"""wnid -> name of each class, in the order of the matching papers' code (MTT, Cazenavette et al. 2022)."""


def read_tiny_imagenet(folder: Path) -> tuple[list[Picture], list[str], list[Path]]:
    """Pictures, class names and files of tiny-imagenet-200: train/WNID/images/*.JPEG, val/images with val_annotations.txt.

    Classes are numbered in the order of their wnids, and named by words.txt where it is there. The val images are the
    test split, since the official test labels are not public.
    """
    folder = folder / "tiny-imagenet-200" if (folder / "tiny-imagenet-200").is_dir() else folder
    for needed in ("wnids.txt", "train", "val/val_annotations.txt"):
        if not (folder / needed).exists():
            raise DataError(f"tiny-imagenet: no {needed} in {folder}: --data is the unpacked tiny-imagenet-200")
    at = {wnid: i for i, wnid in enumerate(sorted((folder / "wnids.txt").read_text().split()))}
    files = [(file, at[wnid], "train") for wnid in at for file in image_files(folder / "train" / wnid)]
    wnid_of = _table(folder / "val" / "val_annotations.txt")
    for file in image_files(folder / "val" / "images"):
        if wnid_of.get(file.name) not in at:
            raise DataError(f"tiny-imagenet: val_annotations.txt has no class for val/images/{file.name}")
        files.append((file, at[wnid_of[file.name]], "test"))
    words = _table(folder / "words.txt") if (folder / "words.txt").is_file() else {}
    names = [words.get(wnid, wnid).split(",")[0] for wnid in at]
    pictures: list[Picture] = [
        (split, str(file.relative_to(folder)), c, partial(Image.open, file)) for file, c, split in files
    ]
    return pictures, names, [file for file, _, _ in files]


def _table(file: Path) -> dict[str, str]:
    """First column -> second, of a file with tabs."""
    rows = (line.split("\t") for line in file.read_text().splitlines())
    return {row[0]: row[1] for row in rows if len(row) > 1}
