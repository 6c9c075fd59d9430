"""Vectors of the same texts by several adapters over one sentence model, the layers that they share run once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pipeline.encoding import Encoder, precision

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer


def encode_together(
    encoders: Sequence[Encoder],
    texts: Sequence[str],
    kind: Literal["query", "passage"] = "query",
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Put the vectors of texts into the caches of several encoders; their encode finds them there.

    An adapter leaves the lower layers as they are. Where the encoders have such layers in common, they run once
    for all of them; where they have none, each encodes for itself.

    Args:
        encoders: each with a cache.
        texts: the texts.
        kind: which of the model's prompts stands before each text.
        progress: called with (done, all) between batches.

    Raises:
        ModelNotFoundError: a model cannot be loaded.

    Example:
        >>> linker = Encoder(adapter="models/linker/adapter", cache=VectorCache())       # doctest: +SKIP
        >>> encode_together([linker, Encoder(cache=VectorCache())], ["细则已印发。"])      # doctest: +SKIP
        >>> linker.encode(["细则已印发。"]).shape  # nothing is left to compute           # doctest: +SKIP
        (1, 384)
    """
    caches = {encoder.fingerprint(): (encoder, encoder.cache) for encoder in encoders if encoder.cache}
    known = [(encoder, cache, encoder.keys(texts, kind)) for encoder, cache in caches.values()]
    missing: set[str] = set()
    for _, cache, keys in known:
        found = cache.get(list(keys.values()))
        missing |= {text for text, key in keys.items() if key not in found}
    if len(known) < 2 or not missing:
        return
    models = [encoder.load() for encoder, _, _ in known]
    shared = _shared_layers(models)
    if not shared:
        return
    prompt, size = models[0].prompts.get(kind, ""), known[0][0].batch_size
    # Texts of like length go through together: padding costs as much as text.
    order = sorted(missing, key=lambda text: (-len(text), text))
    for start in range(0, len(order), size):
        part = order[start : start + size]
        made = _encode(models, [prompt + text for text in part], shared)
        for (_, cache, keys), vectors in zip(known, made, strict=True):
            cache.put({keys[text]: vector for text, vector in zip(part, vectors, strict=True)})
        if progress:
            progress(start + len(part), len(order))


def _layers(model: SentenceTransformer) -> list[Any]:
    """The layers of a BERT-like model; none of another."""
    encoder = getattr(getattr(model[0], "auto_model", None), "encoder", None)
    return list(getattr(encoder, "layer", ()))


def _shared_layers(models: Sequence[SentenceTransformer]) -> int:
    """Return how many layers, counted from the lowest, have the same weights in all models."""
    import torch

    def alike(parts: Sequence[Any]) -> bool:
        first, *others = ([*part.state_dict().values()] for part in parts)
        return all(
            len(first) == len(other) and all(torch.equal(a, b) for a, b in zip(first, other, strict=True))
            for other in others
        )

    layers = [_layers(model) for model in models]
    if not all(layers) or not alike([model[0].auto_model.embeddings for model in models]):
        return 0
    depth = min(map(len, layers))
    return next((place for place in range(depth) if not alike([stack[place] for stack in layers])), depth - 1)


def _encode(models: Sequence[SentenceTransformer], texts: Sequence[str], shared: int) -> list[np.ndarray]:
    """Return the unit vectors of texts by each model, each of shape (texts, dimensions)."""
    import torch

    first = models[0]
    batch = first.tokenizer(
        list(texts), padding=True, truncation=True, max_length=first.max_seq_length, return_tensors="pt"
    )
    met: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    hook = _layers(first)[shared].register_forward_pre_hook(
        lambda _, positional, named: met.append((positional, named)), with_kwargs=True
    )
    try:
        with torch.inference_mode(), precision():
            states = [first[0].auto_model(**batch).last_hidden_state]
            (hidden, *others), named = met[0]
            states += [_upper(_layers(model)[shared:], hidden, others, named) for model in models[1:]]
            return [_pooled(model, found, batch["attention_mask"]) for model, found in zip(models, states, strict=True)]
    finally:
        hook.remove()


def _upper(layers: Sequence[Any], hidden: torch.Tensor, others: Sequence[Any], named: dict[str, Any]) -> torch.Tensor:
    for layer in layers:
        made = layer(hidden, *others, **named)
        hidden = made[0] if isinstance(made, tuple) else made
    return hidden


def _pooled(model: SentenceTransformer, states: torch.Tensor, mask: torch.Tensor) -> np.ndarray:
    """Pass states through the modules above the transformer, and to length one."""
    import torch

    features = {"token_embeddings": states.float(), "attention_mask": mask}
    for module in list(model)[1:]:
        features = module(features)
    vectors: np.ndarray = torch.nn.functional.normalize(features["sentence_embedding"], dim=-1).numpy()
    return vectors
