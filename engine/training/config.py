"""What a stage of training is: one TOML file, read into these dataclasses.

Defaults are those of the official 13B (configs/config.yaml), so a stage file says only
what differs.  Knows no model and no data.

Source:
    bytedance/SALMONN@a58bba7, configs/config.yaml.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from engine.qformer import BridgeConfig


def _at_least(least: float, section: object, *names: str) -> None:
    for name in names:
        value = getattr(section, name)
        values = value if isinstance(value, tuple) else (value,)
        for number in values:
            if number is not None and number < least:
                raise ValueError(f"{name} is {number}; it must be at least {least:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """Which frozen models are taught, and in what numbers they compute."""

    preset: Literal["mini", "salmonn-7b", "salmonn-13b"] = "salmonn-13b"
    whisper: Path | None = None
    """Folder as transformers writes it; None means the preset's, in the cache."""
    beats: Path | None = None
    """The official file; None means that the model has no second encoder."""
    llm: Path | None = None
    """Folder as transformers writes it, or a name on the hub (docs/weights.md); None
    means the preset's, in the cache."""
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    """Of frozen weights and of products; what is trained stays in float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraConfig:
    """The adapters of the language model."""

    rank: int = 8
    alpha: float = 32.0
    """Their output is multiplied by alpha / rank: the LoRA scale, officially 4."""
    dropout: float = 0.1
    targets: tuple[str, ...] = ("self_attn.q_proj", "self_attn.v_proj")

    def __post_init__(self) -> None:
        _at_least(1, self, "rank")

    @property
    def scale(self) -> float:
        """What the adapters' output is multiplied by."""
        return self.alpha / self.rank


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """What is learned, and in what portions."""

    train: tuple[Path, ...] = ()
    """Official annotation (.json) or ours (.jsonl)."""
    dev: tuple[Path, ...] = ()
    tasks: tuple[str, ...] = ()
    """Only examples of these groups of wordings; empty means all."""
    batch: int = 8
    """Examples at once in a process; groups of them where `together` is above 1."""
    together: int = 1
    """The most examples about one clip that are learned together: its audio goes
    through the models once for all of them."""
    accumulation: int = 1
    """Batches of a process before the weights change."""
    sort_steps: int = 1
    """So many steps' examples are sorted by length before they are cut into batches."""
    workers: int = 8
    """Processes that read audio; 0 reads in the training process."""
    max_target_tokens: int = 300
    """What is longer is cut, without its end-of-text."""

    def __post_init__(self) -> None:
        _at_least(1, self, "batch", "together", "accumulation")
        _at_least(1, self, "sort_steps", "max_target_tokens")
        _at_least(0, self, "workers")


@dataclass(frozen=True, slots=True, kw_only=True)
class HearingConfig:
    """How the frozen encoders hear a clip (docs/adr/0004)."""

    mode: Literal["exact", "streaming"] = "exact"
    """`exact` pads to 30 s, as the original does; `streaming` is how we serve."""
    use_kept_frames: bool = True
    """Whether frames that `python -m engine.training.features` kept are read, where a
    clip has some; only in `streaming`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimiserConfig:
    """AdamW, warm-up and cosine."""

    first_rate: float = 1e-6
    """Learning rate of the first step."""
    peak_rate: float = 3e-5
    last_rate: float = 1e-5
    warm_up_steps: int = 3000
    betas: tuple[float, ...] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.05
    max_gradient_norm: float | None = None
    """Gradients are scaled down to it; None, as officially, leaves them."""

    def __post_init__(self) -> None:
        _at_least(0, self, "first_rate", "peak_rate", "last_rate", "warm_up_steps")
        _at_least(0, self, "weight_decay", "max_gradient_norm")
        if len(self.betas) != 2:
            raise ValueError(f"betas are {len(self.betas)} numbers; expected 2")


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskConfig:
    """SpecAugment over the frames that the bridge reads; 0 is off."""

    time_masks: int = 0
    max_frames: int = 25
    """The widest mask in time, 20 ms each."""
    max_share: float = 0.2
    """The most of a clip that one mask in time covers."""
    channel_masks: int = 0
    max_channels: int = 64

    def __post_init__(self) -> None:
        _at_least(0, self, "time_masks", "channel_masks")
        _at_least(1, self, "max_frames", "max_channels")
        if not 0 < self.max_share <= 1:
            raise ValueError(f"max_share is {self.max_share}; it must be above 0 to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoriesConfig:
    """Activation tuning: the model writes stories that it is then tuned on."""

    clips: Path
    """A manifest; its clips are heard, its labels are not read."""
    count: int = 12
    lora_scale: float = 2.0
    """While writing: lower than in training, so that the language model speaks."""
    max_tokens: int = 300
    min_tokens: int = 60
    """What is shorter is no story; another clip is tried."""
    top_p: float = 0.9

    def __post_init__(self) -> None:
        _at_least(1, self, "count", "max_tokens", "min_tokens")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}; it must be above 0 to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """How a run is told and kept; none of this changes what is learned."""

    log_steps: int = 10
    validate_steps: int = 3000
    save_steps: int = 1000
    max_dev_examples: int = 512
    """Evenly spread over what `data.dev` has."""

    def __post_init__(self) -> None:
        _at_least(1, self, "log_steps", "validate_steps", "save_steps")
        _at_least(1, self, "max_dev_examples")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageConfig:
    """One stage."""

    name: str
    out: Path
    """Folder for checkpoints and logs; a run that finds its own there goes on."""
    start: Path | None = None
    """The last stage's checkpoint; None begins with new weights."""
    steps: int = 90_000
    seed: int = 42
    loss_words: Literal["all", "seen"] = "all"
    """`seen` scores only tokens that occur in the targets: faster by far on a CPU."""
    model: ModelConfig = field(default_factory=ModelConfig)
    bridge: BridgeConfig = field(default_factory=BridgeConfig)
    lora: LoraConfig = field(default_factory=LoraConfig)
    data: DataConfig = field(default_factory=DataConfig)
    hearing: HearingConfig = field(default_factory=HearingConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    mask: MaskConfig = field(default_factory=MaskConfig)
    stories: StoriesConfig | None = None
    run: RunConfig = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        _at_least(1, self, "steps")
        if bool(self.data.train) == bool(self.stories):
            raise ValueError(
                "data.train and [stories] are alternatives; expected one of them"
            )
