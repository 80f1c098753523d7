"""The frozen language model spread over the processes of a run, a layer at a time.

    each process   ears, bridge, LoRA, words: whole │ a share of each frozen layer
    a layer's turn  ─ gathered from all ─▶ computed ─▶ let go of again, and so backwards

What learns stays whole in each process, with its gradients and its averages.  So steps,
checkpoints and states are those of any run (`engine.training.loop`), and one may go on
spread that began whole.  But a layer is gathered by all processes together: each has to
call the model as often as the others do.
"""

from typing import Any

from accelerate import Accelerator
from accelerate.utils import DistributedType
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import CPUOffloadPolicy, FSDPModule, fully_shard

from engine.errors import EngineError
from engine.training.student import Student

VERSION = 2


class ShardingError(EngineError):
    """Raised when a model cannot be spread as it is asked for."""


def asks_for_shards(accelerator: Accelerator) -> bool:
    """Return whether the processes were started to share a model.

    Raises:
        ShardingError: If they are to do so in a way that we have not.
    """
    if accelerator.distributed_type is not DistributedType.FSDP:
        return False
    plugin: Any = accelerator.state.fsdp_plugin
    if plugin.fsdp_version != VERSION:
        raise ShardingError(
            f"fsdp_version is {plugin.fsdp_version}; expected {VERSION}: "
            "`salmonn-train --accelerate 8-gpus-sharded` names a file that says so"
        )
    if isinstance(plugin.cpu_offload, CPUOffloadPolicy):
        raise ShardingError("fsdp_offload_params is true; weights cannot be offloaded")
    return True


def shard(student: Student, accelerator: Accelerator) -> None:
    """Spread the layers of a student's language model; move it to where it computes.

    Args:
        student: Whole, on the CPU, and the same in all processes.
        accelerator: The processes; all of them call this.
    """
    # On CPUs accelerate has none.
    plugin: Any = getattr(accelerator.state, "fsdp_plugin", None)
    reshards = plugin is None or plugin.reshard_after_forward
    device = accelerator.device
    mesh = init_device_mesh(device.type, (accelerator.num_processes,))
    model = student.llm.base_model
    learned = {parameter for _, parameter in student.learned()}
    layers: nn.ModuleList = model.layers
    for layer in layers:
        fully_shard(
            layer, mesh=mesh, ignored_params=learned, reshard_after_forward=reshards
        )
    # The root lets a layer be fetched while the one before computes.  Words are read
    # beside it (`Student`), so what is not in a layer stays whole.
    spread = {p for layer in layers for p in layer.parameters()}
    fully_shard(
        model, mesh=mesh, ignored_params={*model.parameters()} - spread | learned
    )
    student.to(device)


def is_sharded(student: Student) -> bool:
    """Return whether a student's language model is spread over processes."""
    return isinstance(student.llm.base_model, FSDPModule)
