"""Train LoRA adapters over the upper layers of a sentence model, on a CPU in minutes.

The lower layers keep their weights, so what they make of each text is computed once and kept; a step runs and
differentiates the upper layers alone. That halves the time of a step and more.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.encoding import BATCH_SIZE, DEFAULT_MODEL, Encoder, precision

if TYPE_CHECKING:
    import torch


_WEIGHTS, _CONFIG = "adapter_model.safetensors", "adapter_config.json"


@dataclass(frozen=True)
class AdapterOptions:
    """Seed, sizes and rates of a training."""

    seed: int = 20210804
    epochs: int = 3
    learning_rate: float = 4e-4
    rank: int = 16
    """Rank of the adapter's matrices."""
    first_layer: int = 6
    """Layers from 0 to this keep their weights."""
    max_tokens: int = 256


class SplitModel:
    """A sentence model cut in two: lower layers that keep their weights, and the upper layers above them.

    Args:
        model: folder or name of the sentence model; "" is the default.
        first_layer: the cut.
        max_tokens: longer texts are cut off.
        adapter: folder of an adapter to merge into the upper layers; "" for none.
    """

    def __init__(self, model: str, first_layer: int, max_tokens: int, adapter: str = "") -> None:
        self._first_layer, self._max_tokens = first_layer, max_tokens
        # A fresh copy: it is taken apart in place.
        self._sentence_model = Encoder(model, adapter=adapter).load()
        self._bert = self._sentence_model[0].auto_model
        self._layers = list(self._bert.encoder.layer)
        self._embeddings = self._bert.embeddings
        self._use(upper=True)

    @property
    def dimensions(self) -> int:
        """Width of the hidden states."""
        return int(self._bert.config.hidden_size)

    def _use(self, upper: bool) -> None:
        import torch

        class Passthrough(torch.nn.Module):
            def forward(self, inputs_embeds: torch.Tensor, **others: Any) -> torch.Tensor:
                return inputs_embeds

        cut = self._first_layer
        self._bert.embeddings = Passthrough() if upper else self._embeddings
        self._bert.encoder.layer = torch.nn.ModuleList(self._layers[cut:] if upper else self._layers[:cut])

    def _mend(self) -> None:
        """Put the model together again."""
        import torch

        self._bert.embeddings = self._embeddings
        self._bert.encoder.layer = torch.nn.ModuleList(self._layers)

    def lower(self, texts: Sequence[str], prompt: str) -> list[torch.Tensor]:
        """Return what the lower layers make of each text, each of shape (tokens, dimensions)."""
        import torch

        training = self._bert.training
        self._use(upper=False)
        self._bert.eval()
        tokenizer = self._sentence_model.tokenizer
        before = self._sentence_model.prompts.get(prompt, "")
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        found: dict[int, torch.Tensor] = {}
        with torch.no_grad(), precision():
            for start in range(0, len(order), BATCH_SIZE):
                part = order[start : start + BATCH_SIZE]
                batch = tokenizer(
                    [before + texts[i] for i in part],
                    padding=True,
                    truncation=True,
                    max_length=self._max_tokens,
                    return_tensors="pt",
                )
                hidden = self._bert(**batch).last_hidden_state
                for i, row, mask in zip(part, hidden, batch["attention_mask"], strict=True):
                    found[i] = row[: int(mask.sum())].to(torch.bfloat16).clone()
        self._use(upper=True)
        self._bert.train(training)
        return [found[i] for i in range(len(texts))]

    def upper(self, hidden: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the last states, shape (texts, tokens, dimensions), and which of them are no padding (0 or 1)."""
        import torch

        padded = torch.nn.utils.rnn.pad_sequence(list(hidden), batch_first=True).float()
        mask = torch.zeros(padded.shape[:2], dtype=torch.long)
        for row, states in enumerate(hidden):
            mask[row, : len(states)] = 1
        with precision():
            states = self._bert(inputs_embeds=padded, attention_mask=mask).last_hidden_state
        return states.float(), mask

    def join(
        self, first: Sequence[torch.Tensor], second: Sequence[torch.Tensor], bias: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the mean last states of pairs of texts that see each other, each of shape (pairs, dimensions).

        Args:
            first: what the lower layers made of the first texts.
            second: of the second texts.
            bias: added to the attention between the two; the lower, the less they see of each other.
        """
        import torch

        lengths = [len(a) + len(b) for a, b in zip(first, second, strict=True)]
        joined = [torch.cat([a.float(), b.float()]) for a, b in zip(first, second, strict=True)]
        padded = torch.nn.utils.rnn.pad_sequence(joined, batch_first=True)
        place = torch.arange(padded.shape[1])
        is_first = place < torch.tensor([len(a) for a in first])[:, None]
        is_second = (place < torch.tensor(lengths)[:, None]) & ~is_first
        mask = torch.where(is_first[:, :, None] == is_first[:, None, :], 0.0, bias)
        mask = mask.masked_fill(~(is_first | is_second)[:, None, :], -1e4)[:, None]
        with precision():
            if torch.is_autocast_enabled("cpu"):
                mask = mask.to(torch.bfloat16)
            states = self._bert(inputs_embeds=padded, attention_mask=mask).last_hidden_state.float()
        means = [
            (states * part[:, :, None]).sum(1) / part.sum(1, keepdim=True)
            for part in (is_first.float(), is_second.float())
        ]
        return means[0], means[1]

    def embed(self, hidden: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return unit vectors, shape (texts, dimensions), of texts that went through the lower layers."""
        import torch

        # Texts of like length go through together: padding costs as much as text.
        order = sorted(range(len(hidden)), key=lambda i: len(hidden[i]))
        pooled = []
        for start in range(0, len(order), BATCH_SIZE):
            states, mask = self.upper([hidden[i] for i in order[start : start + BATCH_SIZE]])
            pooled.append((states * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True))
        back = torch.argsort(torch.tensor(order))
        return torch.nn.functional.normalize(torch.cat(pooled)[back], dim=-1)


class AdapterTraining(SplitModel):
    """A split model in training: an adapter over the upper layers learns.

    Args:
        model: folder or name of the sentence model; "" is the default.
        options: seed, sizes and rates.
        start: folder of an adapter of the same shape to go on from; "" starts anew.
    """

    def __init__(self, model: str, options: AdapterOptions, start: str = "") -> None:
        import torch
        from peft import LoraConfig, get_peft_model, set_peft_model_state_dict
        from safetensors.torch import load_file

        torch.manual_seed(options.seed)
        super().__init__(model, options.first_layer, options.max_tokens)
        self.options = options
        self._model = model
        self._mend()
        self._network = get_peft_model(
            self._bert,
            LoraConfig(
                r=options.rank,
                lora_alpha=2 * options.rank,
                layers_to_transform=list(range(options.first_layer, self._bert.config.num_hidden_layers)),
                layers_pattern="layer",
                target_modules=[
                    "query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense",
                ],
            ),
        )  # fmt: skip
        if start:
            set_peft_model_state_dict(self._network, load_file(Path(start) / _WEIGHTS))
        self.weights = [parameter for parameter in self._network.parameters() if parameter.requires_grad]
        self._layers = list(self._bert.encoder.layer)
        for layer in self._layers:
            # Drawing which attention to drop costs a seventh of a step; that of the states is enough.
            layer.attention.self.dropout.p = 0.0
        self._use(upper=True)
        self._network.train()

    def optimiser(self, others: Sequence[torch.nn.Parameter], steps: int) -> tuple[Any, Any]:
        """Return AdamW with a short warm-up and a cosine decay; others are learnt ten times faster."""
        import torch

        rate = self.options.learning_rate
        optimiser = torch.optim.AdamW(
            [
                {"params": self.weights, "lr": rate, "weight_decay": 0.01},
                {"params": list(others), "lr": 10 * rate, "weight_decay": 0.0},
            ]
        )
        warm = max(1.0, 0.08 * steps)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser,
            lambda step: min(1.0, (step + 1) / warm) * max(0.02, 0.5 + 0.5 * math.cos(math.pi * step / steps)),
        )
        return optimiser, schedule

    def step(self, loss: torch.Tensor, optimiser: Any, schedule: Any) -> None:
        """Take one step down the loss."""
        import torch

        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
        optimiser.step()
        schedule.step()

    def save(self, folder: str | Path) -> None:
        """Save the adapter (PEFT format, safetensors)."""
        self._mend()
        self._network.save_pretrained(str(folder))
        (Path(folder) / _WEIGHTS).chmod(0o644)  # it is written for its owner alone
        values = json.loads((Path(folder) / _CONFIG).read_text(encoding="utf-8"))
        # The name of the sentence model, not the place where it lay on this machine.
        values["base_model_name_or_path"] = Path(self._model or DEFAULT_MODEL).name
        _write_config(folder, values)
        card = Path(folder) / "README.md"
        if card.exists():
            card.unlink()  # PEFT's empty card; the card of the whole model says it all
        self._use(upper=True)


def average_adapters(folders: Sequence[str | Path], target: str | Path) -> None:
    """Save the mean of adapters of one shape, trained apart on the same texts, as one adapter.

    What such trainings learn differently by chance falls out of the mean (Wortsman et al. 2022, "Model soups", found
    it better than any one of them on texts unlike those learnt from). The products of the adapters' matrices are
    averaged: the matrices stand side by side, so the rank is the sum of theirs. Merged into the model it costs nothing.

    Args:
        folders: of the adapters.
        target: folder of the mean.
    """
    import torch
    from safetensors.torch import load_file, save_file

    parts = [load_file(Path(folder) / _WEIGHTS) for folder in folders]
    mean = {
        name: torch.cat([part[name] for part in parts], dim=0)
        if "lora_A" in name
        else torch.cat([part[name] for part in parts], dim=1) / len(parts)
        for name in parts[0]
    }
    config = json.loads((Path(folders[0]) / _CONFIG).read_text(encoding="utf-8"))
    # The scale of an adapter is alpha by rank; it stays.
    config |= {"r": len(parts) * config["r"], "lora_alpha": len(parts) * config["lora_alpha"]}
    Path(target).mkdir(parents=True, exist_ok=True)
    save_file({name: weight.contiguous() for name, weight in mean.items()}, Path(target) / _WEIGHTS)
    (Path(target) / _WEIGHTS).chmod(0o644)
    _write_config(target, config)


def _write_config(folder: str | Path, values: dict[str, Any]) -> None:
    text = json.dumps(values, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    (Path(folder) / _CONFIG).write_text(text, encoding="utf-8")
