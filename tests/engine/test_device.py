"""Where the engine computes: chosen by a name, or refused in a sentence."""

import pytest
import torch

from engine import device as devices
from engine.api import load
from engine.config import EngineConfig, PartsConfig
from engine.device import check_dtype, choose, room_on, send, sixteen_bits
from engine.errors import DeviceError, EngineError, NoRoomError, UnsupportedError
from engine.heads import load_language_model
from engine.llm import load_llm
from tests.engine.tiny_salmonn import write_salmonn

CPU, GPU = torch.device("cpu"), torch.device("cuda:0")


@pytest.fixture
def without_cuda(monkeypatch):
    if torch.cuda.is_available():
        pytest.skip("there is CUDA here; what is said without it cannot be seen")


@pytest.mark.parametrize(
    "name", ["gpu", "cuda:", "cuda:x", "CPU", "", "cuda:1 ", "mps", "cuda:0\n"]
)
def test_a_device_that_is_no_name_of_one_is_a_wrong_setting(name):
    with pytest.raises(ValueError, match="it must be auto, cpu, cuda or"):
        EngineConfig(device=name)


@pytest.mark.parametrize("name", ["auto", "cpu", "cuda", "cuda:1"])
def test_names_of_devices_are_settings_wherever_they_are_written(name):
    assert EngineConfig(device=name).device == name


def test_without_cuda_auto_is_the_cpu(without_cuda):
    assert choose("auto") == choose("cpu") == CPU


@pytest.mark.parametrize("name", ["cuda", "cuda:3"])
def test_cuda_that_is_not_there_is_refused_before_anything_is_loaded(
    without_cuda, name, tmp_path
):
    parts = PartsConfig(whisper=tmp_path / "nowhere", ckpt=tmp_path / "nothing")
    with pytest.raises(DeviceError) as caught:
        load(EngineConfig(device=name, parts=parts))
    reason = "this PyTorch was built without CUDA"
    if torch.version.cuda is not None:
        reason = "this PyTorch sees no such device"
    assert str(caught.value) == f"no device {name!r} ({reason}); there are cpu"


@pytest.mark.parametrize(
    ("kind", "dtype", "device"),
    [
        ("dtype", "int8", GPU),
        ("dtype", "float16", CPU),
        ("llm_dtype", "int8", GPU),
        ("llm_dtype", "8bit", CPU),
    ],
)
def test_a_type_that_a_device_does_not_compute_in_is_refused(kind, dtype, device):
    with pytest.raises(UnsupportedError, match=f"no {kind} on {device} '{dtype}'"):
        check_dtype(kind, dtype, device)


@pytest.mark.parametrize("device", [CPU, GPU])
@pytest.mark.parametrize("kind", ["dtype", "llm_dtype"])
def test_what_is_left_to_the_engine_is_never_refused(kind, device):
    check_dtype(kind, "auto", device)


def test_a_wrong_type_is_refused_before_anything_is_loaded(tmp_path):
    parts = PartsConfig(whisper=tmp_path / "nowhere")
    with pytest.raises(EngineError, match="no dtype on cpu 'float16'; there are auto,"):
        load(EngineConfig(dtype="float16", parts=parts))


@pytest.mark.parametrize(
    ("capability", "dtype"), [((7, 5), "float16"), ((8, 0), "bfloat16")]
)
def test_a_gpu_computes_in_bfloat16_where_it_has_it(monkeypatch, capability, dtype):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert sixteen_bits(GPU) == dtype


@pytest.mark.parametrize(
    ("stored", "has", "dtype"),
    [
        ("float16", "float16", "float16"),
        ("bfloat16", "float16", "float32"),  # values may lie beyond float16's
        ("bfloat16", "bfloat16", "bfloat16"),
        ("float16", "bfloat16", "bfloat16"),
    ],
)
def test_weights_too_large_for_float16_are_not_computed_in_it(
    tmp_path, monkeypatch, stored, has, dtype
):
    files = write_salmonn(tmp_path)
    load_llm(files.llm, stored).model.save_pretrained(files.llm)
    monkeypatch.setattr("engine.heads.sixteen_bits", lambda _: has)
    monkeypatch.setattr("engine.heads.load_llm", lambda *how, device: (*how, device))
    config = EngineConfig(device="cuda")
    assert load_language_model(files.llm, config, GPU) == (files.llm, dtype, "cuda:0")
    exact = EngineConfig(device="cuda", dtype="float32")
    assert load_language_model(files.llm, exact, GPU)[1] == "float32"


def test_few_bits_are_chosen_by_a_setting_where_the_gpu_is(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "engine.heads.load_in", lambda bits, _, *, device: asked.append((bits, device))
    )
    for bits in ("8bit", "4bit"):
        load_language_model(tmp_path, EngineConfig(llm_dtype=bits), GPU)
    assert asked == [("8bit", "cuda:0"), ("4bit", "cuda:0")]


def test_weights_that_do_not_fit_are_told_in_a_sentence():
    with pytest.raises(NoRoomError) as caught, room_on(GPU):
        raise torch.OutOfMemoryError("Tried to allocate 26 GiB.\nSee the manual.")
    assert str(caught.value) == (
        "the weights do not fit on cuda:0 (salmonn-ask --dry-run says what they "
        "need): Tried to allocate 26 GiB."
    )


def test_a_folder_is_not_blamed_for_memory_that_is_full(tmp_path, monkeypatch):
    files = write_salmonn(tmp_path)

    def full(*_, **__):
        raise torch.OutOfMemoryError("Tried to allocate 26 GiB.")

    monkeypatch.setattr("engine.llm.AutoModelForCausalLM.from_pretrained", full)
    with pytest.raises(NoRoomError), room_on(GPU):
        load_llm(files.llm)


def test_what_is_sent_may_change_its_type_on_the_way():
    tensor = torch.ones(3)
    assert send(tensor, CPU) is tensor
    assert send(tensor, CPU, torch.bfloat16).dtype == torch.bfloat16


def test_the_cpu_has_no_other_name():
    assert devices.describe(CPU) == "cpu"
