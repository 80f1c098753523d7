"""A language model in eight bits, on the CPU: its linear layers and its head.

    as stored (16 bits) ─ adapters put in ─▶ to_int8 ─▶ int8, the rest in float32

It becomes smaller layer by layer, so it is never there in 32 bits.  Adapters stay as
they are: they are small, and were trained on other weights.  What that costs in tokens
and saves in time, docs/adr/0022 says.
"""

from pathlib import Path

from torch import nn

from engine.llm import LanguageModel, load_llm, stored_dtype
from engine.quantise import Int8Linear, quantise
from engine.vocabulary import PrunedHead

ADAPTERS = "lora_"  # beginning of the names of peft's modules


def load_as_stored(folder: Path) -> LanguageModel:
    """Load a language model that is to be made smaller; see `engine.llm.load_llm`.

    Raises:
        WeightsError: As `load_llm` does.
    """
    return load_llm(folder, stored_dtype(folder))


def to_int8(llm: LanguageModel) -> None:
    """Make a language model smaller, in place."""
    quantise(llm.model.base_model, but=ADAPTERS)
    head = llm.model.get_output_embeddings()
    if isinstance(head, PrunedHead):
        head.to_int8()
    else:
        assert isinstance(head, nn.Linear), "a head that is in eight bits already"
        llm.model.set_output_embeddings(Int8Linear(head))
    llm.model.float()
