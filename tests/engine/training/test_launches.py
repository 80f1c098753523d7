"""The configurations for `accelerate launch`, as accelerate itself reads them."""

from types import SimpleNamespace

import pytest
from accelerate import FullyShardedDataParallelPlugin
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils import (
    ComputeEnvironment,
    DistributedType,
    prepare_multi_gpu_env,
)
from torch.distributed.fsdp import CPUOffloadPolicy, OffloadPolicy

from engine.training.__main__ import main
from engine.training.sharding import ShardingError, asks_for_shards
from engine.training.stages import launches

KINDS = {
    "1-gpu": (DistributedType.NO, 1),
    "8-gpus": (DistributedType.MULTI_GPU, 8),
    "8-gpus-sharded": (DistributedType.FSDP, 8),
}


def environment_of(name):
    """Return what `accelerate launch` would start the processes with."""
    command = ["--config_file", str(launches()[name]), "-m", "engine.training", "13b-1"]
    args, *_ = _validate_launch_command(launch_command_parser().parse_args(command))
    assert (args.module, args.training_script) == (True, "engine.training")
    assert args.training_script_args == ["13b-1"]
    return args, prepare_multi_gpu_env(args)


def test_the_configurations_that_come_along_are_known():
    assert launches().keys() == KINDS.keys()


@pytest.mark.parametrize("name", KINDS)
def test_accelerate_reads_what_comes_along(name):
    config = load_config_from_file(str(launches()[name]))
    assert (config.distributed_type, config.num_processes) == KINDS[name]
    assert config.compute_environment is ComputeEnvironment.LOCAL_MACHINE
    assert (config.mixed_precision, config.num_machines) == ("bf16", 1)
    assert not config.use_cpu
    assert bool(config.fsdp_config) == name.endswith("-sharded")


@pytest.mark.parametrize("name", [name for name in KINDS if name != "1-gpu"])
def test_eight_processes_would_be_launched(name):
    args, environment = environment_of(name)
    assert args.nproc_per_node == "8"
    assert environment["ACCELERATE_MIXED_PRECISION"] == "bf16"
    assert ("ACCELERATE_USE_FSDP" in environment) == name.endswith("-sharded")


def asked(plugin):
    return SimpleNamespace(
        distributed_type=DistributedType.FSDP, state=SimpleNamespace(fsdp_plugin=plugin)
    )


def test_what_is_launched_spread_asks_for_shards_as_we_make_them(monkeypatch):
    for key, value in environment_of("8-gpus-sharded")[1].items():
        monkeypatch.setenv(key, value)
    plugin = FullyShardedDataParallelPlugin()
    assert plugin.reshard_after_forward is True
    assert asks_for_shards(asked(plugin))
    whole = SimpleNamespace(distributed_type=DistributedType.MULTI_GPU)
    assert not asks_for_shards(whole)


@pytest.mark.parametrize(
    ("version", "offload", "told"),
    [
        (1, OffloadPolicy(), "fsdp_version is 1; expected 2"),
        (2, CPUOffloadPolicy(), "weights cannot be offloaded"),
    ],
)
def test_shards_of_another_kind_are_refused(version, offload, told):
    plugin = SimpleNamespace(fsdp_version=version, cpu_offload=offload)
    with pytest.raises(ShardingError, match=told):
        asks_for_shards(asked(plugin))


def test_the_command_names_the_file_to_launch_with(capsys):
    assert main(["--accelerate", "8-gpus"]) == 0
    assert capsys.readouterr().out == f"{launches()['8-gpus']}\n"
