"""What the image plugin provides. Imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ddcore.plugins import Entry, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator

ddcore_api = 1

PROBLEMS = {
    "digits": "Handwritten digits, 8x8 grey, 10 classes; part of scikit-learn.",
    "mnist": "Handwritten digits, 28x28 grey, 10 classes.",
    "fashion-mnist": "Clothes, 28x28 grey, 10 classes.",
    "cifar10": "Photographs, 32x32 RGB, 10 classes.",
    "cifar100": "Photographs, 32x32 RGB, 100 classes.",
    "svhn": "Street view house numbers, 32x32 RGB, 10 classes.",
    "tiny-imagenet": "Photographs, 64x64 RGB, 200 classes.",
    "imagenette": "ImageNet subset: ten easy classes.",
    "imagewoof": "ImageNet subset: ten breeds of dogs.",
    "imagefruit": "ImageNet subset: ten fruits.",
    "imagemeow": "ImageNet subset: ten cats.",
    "imagesquawk": "ImageNet subset: ten birds.",
    "imageyellow": "ImageNet subset: ten yellow things.",
    "imagenet-1k": "ImageNet, 1,000 classes.",
    "folder": "Your own images: a folder per class, with train, val and test folders where you have them.",
    "hf": "Any Hugging Face image data set, from the hub or a local path.",
}


@hookimpl
def ddcore_entries() -> Iterator[Entry]:
    """The problems, and the PNG exporter."""
    for name, summary in PROBLEMS.items():
        module = "own" if name in ("folder", "hf") else "problems"
        target = f"ddcore_image.{module}:{name.replace('-', '_')}"
        here = name == "digits"
        yield Entry("problem", f"image/{name}", target, summary, offline=here, default=here)
    yield Entry("exporter", "image/png", "ddcore_image.export:to_png", "A folder of PNG files per class.")
    yield Entry(
        "importer", "image/png", "ddcore_image.importing:from_png", "Image folders of SRe2L and RDED, and our own."
    )
