"""Card: the README.md of an artifact, which is a data set card for the Hugging Face hub."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from .problem import Preprocessing
    from .recipes import Recipe

__all__ = ["card", "properties_in_words"]

RULES = {"sgd": "SGD", "momentum": "SGD with momentum", "adam": "Adam", "adamw": "AdamW"}

TRAINING = {
    "ids": "`y` holds class numbers: cross-entropy.",
    "probabilities": "Each row of `y` is a probability for every class: cross-entropy takes it as it is.",
    "values": "`values` are targets of any sign: mean squared error on the network's outputs, without a softmax.",
    "per-epoch": "`y` is (epochs, rows, classes), a teacher's probabilities for the views of each epoch: in epoch `e`, "
    "cross-entropy with `y[e % len(y)]`.",
    "teacher": "A teacher labels every augmented view: load the tensors `teacher.*` into the network named in "
    "`manifest.json`; divide its outputs and the network's own by the temperature there, and take the "
    "softmax of the former as the targets of cross-entropy.",
    "attention": "Besides `y`, attention maps of a teacher are stored: the network's own are drawn towards them.",
}


def card(
    manifest: Mapping[str, Any], tensors: Mapping[str, Tensor], preprocessing: Preprocessing, recipe: Recipe
) -> str:
    """The card: front matter, picture, summary, and how to load, train on, undo, cite and evaluate the set."""
    sections = (
        _front(manifest),
        _summary(manifest, tensors),
        _loading(tensors),
        _training(manifest, tensors, recipe),
        _undoing(preprocessing),
        _evaluating(manifest),
        _citing(manifest),
    )
    return "\n".join(section for section in sections if section)


def _front(manifest: Mapping[str, Any]) -> str:
    name, method, rows = manifest["problem"]["name"], manifest["method"]["name"], sum(manifest["counts"].values())
    size = next((s for n, s in ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K")) if rows < n), "100K<n<1M")
    tags = ["dataset-distillation", "dataset-condensation", "ddcore", *dict.fromkeys([name.partition("/")[0], method])]
    lines = [f"pretty_name: {_quoted(f'{name} distilled by {method}')}", "tags:", *(f"- {_quoted(t)}" for t in tags)]
    return "\n".join(["---", *lines, "size_categories:", f"- {size}", "viewer: false", "---", ""])


def _quoted(text: str) -> str:
    """A JSON string is a YAML string."""
    return json.dumps(text, ensure_ascii=False)


def _summary(manifest: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    name, method, counts = manifest["problem"]["name"], manifest["method"], manifest["counts"]
    rows, picture = sum(counts.values()), manifest["picture"]
    *parts, total = (
        (f"{n:,} {part}" for part, n in manifest["bytes"].items() if part != "total"),
        manifest["bytes"]["total"],
    )
    steps = manifest["step_sizes"]
    facts = {
        "Distilled from": f"`{name}`{_options(manifest['problem']['options'])}",
        "Method": f"`{method['name']}`" + (f", preset `{method['preset']}`" if method.get("preset") else ""),
        "Budget": ", ".join(f"{k} {v}" for k, v in manifest["budget"].items()),
        "Rows": f"{rows:,}, {_per_group(list(counts.values()))}",
        "Ratio": ", ".join(f"{100 * part:.3g} % of {of} rows" for of, part in manifest["ratios"].items()),
        "Tensors": ", ".join(f"`{k}` {tuple(x.shape)} {str(x.dtype)[6:]}" for k, x in tensors.items() if "." not in k),
        "Labels": manifest["label_kind"],
        "Properties": properties_in_words(manifest.get("properties", {})),
        "Classes": ", ".join(_cell(c) for c in manifest["class_names"][:20])
        + (" ..." if len(manifest["class_names"]) > 20 else ""),
        "Bytes": f"{total:,} ({', '.join(*parts)})",
        "Preprocessing": manifest["preprocessing"]["name"],
        "Step sizes": "" if steps is None else ", ".join(f"{s:.4g}" for s in steps[:5]) + (" ..." if steps[5:] else ""),
        "Seed": str(manifest["seed"]),
        "Made with": _versions(manifest["versions"]),
    }
    table = "\n".join(f"| {k} | {v} |" for k, v in facts.items() if v)
    shown = (
        f"![The distilled set]({picture})\n\n" if picture and picture.endswith((".png", ".svg", ".jpg", ".gif")) else ""
    )
    if picture and not shown:
        shown = f"[See the distilled set]({picture})\n\n"
    intro = f"{rows:,} synthetic or selected rows that stand in for the training set of `{name}`."
    return f"# {name}, distilled by {method['name']}\n\n{intro}\n\n{shown}| | |\n|---|---|\n{table}\n"


def properties_in_words(properties: Mapping[str, float]) -> str:
    """What a set is like: `density 0.0217, homophily 0.95`."""
    return ", ".join(f"{name} {value:.4g}" for name, value in properties.items())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _options(options: Mapping[str, Any]) -> str:
    return " (" + ", ".join(f"{k} {v}" for k, v in options.items()) + ")" if options else ""


def _per_group(counts: list[int]) -> str:
    low, high = min(counts), max(counts)
    each = f"{low}" if low == high else f"{low} to {high}"
    return f"{each} in each of {len(counts)} groups" if len(counts) > 1 else "one group"


def _versions(versions: Mapping[str, Any]) -> str:
    plugin = versions["plugin"] or {}
    return ", ".join(
        f"{k} {v}" for k, v in {"ddcore": versions["ddcore"], **plugin, "torch": versions["torch"]}.items()
    )


def _loading(tensors: Mapping[str, Tensor]) -> str:
    names = [name for name in tensors if name.isidentifier()]
    last = _unpacked(names, "data") if names else "print(sorted(data))"
    return f"""## Load

Nothing of ddcore is needed; `pip install safetensors torch`, and in this folder:

```python
import json
from safetensors.torch import load_file
manifest = json.load(open("manifest.json", encoding="utf-8"))
data = load_file("data.safetensors")
{last}
```

`manifest.json` says what everything is, and holds the sha256 of each file.
"""


def _unpacked(names: list[str], source: str) -> str:
    return f"{', '.join(names)} = {', '.join(f'{source}[{_quoted(name)}]' for name in names)}"


def _training(manifest: Mapping[str, Any], tensors: Mapping[str, Tensor], recipe: Recipe) -> str:
    steps, prescribed = manifest["step_sizes"], manifest["train_steps"]
    lines = [TRAINING[manifest["label_kind"]]] if {"y", "values"} & tensors.keys() else []
    if manifest["input_space"] != "raw":
        lines.append(f"The rows live in the input space `{manifest['input_space']}`; networks must read that one.")
    if prescribed is not None:
        blocks = manifest["parametrization"]["config"].get("blocks", 1)
        rows = "all rows" if blocks == 1 else f"rows `t % {blocks}`, `t % {blocks} + {blocks}` ... of each group"
        lines.append(
            f"The set prescribes its own training: {prescribed} steps of plain SGD without weight decay or augmentation. "
            f"Step `t` takes {rows}, and its learning rate is `step_sizes[t]` in `manifest.json`."
        )
    elif steps is not None:
        lines.append("Learning rates were learned with the set: `step_sizes` in `manifest.json`.")
    size = "the whole set at once" if recipe.size is None else f"batches of {recipe.size}"
    rate = "the set's own learning rate" if recipe.lr is None else f"learning rate {recipe.lr:g}"
    if recipe.schedule is not None:
        rate += f", {recipe.schedule}"
    augment = f", augmented ({recipe.augment})" if recipe.augment else ""
    protocol = (
        f"The protocol `{recipe.name}` trains a fresh network on it for {recipe.epochs} epochs: {RULES[recipe.rule]}, {rate},\n"
        f"weight decay {recipe.weight_decay:g}, {size}{augment}."
    )
    return f"""## Train on it

{" ".join(lines)}

{protocol if prescribed is None else "Protocols replay these steps, whatever else they say."}
Test data is preprocessed as the set was: `{manifest["preprocessing"]["name"]}`.
"""


def _undoing(preprocessing: Preprocessing) -> str:
    if preprocessing.name == "none":
        return ""
    names = sorted(preprocessing.tensors)
    lines = ["import torch"] if "torch." in preprocessing.inverse else []
    if names:
        lines.append('done = load_file("preprocessing.safetensors")')
        lines.append(_unpacked(names, "done"))
    code = "\n".join([*lines, f"raw = {preprocessing.inverse}"])
    return f"""## Back to raw data

The rows are preprocessed (`{preprocessing.name}`). After the lines above, this undoes it:

```python
{code}
```
"""


def _evaluating(manifest: Mapping[str, Any]) -> str:
    packages = " ".join(dict.fromkeys(["ddcore", *(manifest["versions"]["plugin"] or {})]))
    return f"""## Evaluate it

```console
pip install {packages}
ddcore evaluate .
```

This trains fresh networks on the set under `{manifest["recipe"]}` and scores them on the held-out test split, beside
random real rows of the same budget.
"""


def _citing(manifest: Mapping[str, Any]) -> str:
    paper = manifest["method"].get("paper")
    return f"## Cite\n\n{paper}\n" if paper else ""
