"""Gemma from a GGUF file to a folder that `transformers` loads.

`transformers` reads GGUF itself, but takes a minute for it; this is done once.
It knows nothing of where files come from or go to.
"""

import contextlib
import io
from pathlib import Path

from engine.errors import WeightsError


def convert(source: Path, target: Path) -> None:
    """Write a folder that `transformers` loads, its weights in bfloat16.

    Args:
        source: Folder with `model.gguf`.
        target: Folder to write to; it exists.

    Raises:
        WeightsError: If `transformers` cannot read the file.
    """
    # Here, not above: nobody waits for torch who only checks ready weights.
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        # The one bar that cannot be turned off; warnings come through all the same.
        with contextlib.redirect_stderr(io.StringIO()):
            model = AutoModelForCausalLM.from_pretrained(
                source,
                gguf_file="model.gguf",
                quantization_config=GgufConfig(dequantize=True),
                dtype=torch.bfloat16,
            )
            tokenizer = AutoTokenizer.from_pretrained(source, gguf_file="model.gguf")
    except (ImportError, ValueError, KeyError) as exc:
        raise WeightsError(f"cannot convert {source / 'model.gguf'}: {exc}") from exc
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
