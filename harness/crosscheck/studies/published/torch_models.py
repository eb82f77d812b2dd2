"""PyTorch modules of Transformers, with random weights, few layers and small inputs."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from crosscheck.studies.published.jax_models import Made, draw

__all__ = ["MODELS"]

_SMALL = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "vocab_size": 11,
}
_WORDS = np.array([[1, 4, 2, 7]])


def _model(name: str, arrays: Mapping[str, Any], **settings: Any) -> Made:
    transformers: Any = importlib.import_module("transformers")
    torch: Any = importlib.import_module("torch")
    torch.manual_seed(0)
    prefix = name.removesuffix("Model").removesuffix("EncoderModel")
    config = getattr(transformers, f"{prefix}Config")(**settings)
    config._attn_implementation = "eager"
    model = getattr(transformers, name)(config).eval()
    return model, dict(arrays)


MODELS: Mapping[str, Callable[[], Made]] = MappingProxyType(
    {
        "transformers BertModel": lambda: _model(
            "BertModel", {"input_ids": _WORDS}, **_SMALL, use_cache=False
        ),
        "transformers GPT2Model": lambda: _model(
            "GPT2Model",
            {"input_ids": _WORDS},
            n_embd=8,
            n_layer=1,
            n_head=2,
            vocab_size=11,
            n_positions=6,
            use_cache=False,
        ),
        "transformers LlamaModel": lambda: _model(
            "LlamaModel", {"input_ids": _WORDS}, **_SMALL, use_cache=False
        ),
        "transformers DistilBertModel": lambda: _model(
            "DistilBertModel",
            {"input_ids": _WORDS},
            dim=8,
            n_layers=1,
            n_heads=2,
            hidden_dim=12,
            vocab_size=11,
        ),
        "transformers ViTModel": lambda: _model(
            "ViTModel",
            {"pixel_values": draw(1, 1, 4, 4)},
            **{k: v for k, v in _SMALL.items() if k != "vocab_size"},
            image_size=4,
            patch_size=2,
            num_channels=1,
        ),
        "transformers ConvNextModel": lambda: _model(
            "ConvNextModel",
            {"pixel_values": draw(1, 1, 16, 16)},
            num_channels=1,
            hidden_sizes=[4, 4, 6, 6],
            depths=[1, 1, 1, 1],
            patch_size=2,
        ),
    }
)
"""By name, what makes one."""
