"""What `auto` means on each device, and what the process is set to."""

import pytest
import torch

from certifuse.base.errors import UserError
from certifuse.models.compute import runtime as runtimes
from certifuse.study.settings.evaluation import ExecutionSettings


@pytest.fixture
def devices(monkeypatch):
    """`devices(cuda, cuda_bf16, avx512_bf16, amx)`: pretend to be such a machine."""

    def pretend(cuda=False, cuda_bf16=False, avx512_bf16=False, amx=False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(
            torch.cuda, "is_bf16_supported", lambda including_emulation=True: cuda_bf16 or including_emulation
        )
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)

    return pretend


@pytest.mark.parametrize(
    ("machine", "device", "bf16", "compiled"),
    [
        ({}, "cpu", False, False),
        ({"avx512_bf16": True}, "cpu", True, False),
        ({"amx": True}, "cpu", True, False),
        ({"cuda": True, "cuda_bf16": True}, "cuda", True, True),
        ({"cuda": True}, "cuda", False, True),  # emulated bf16 is slower than fp32
    ],
)
def test_automatic_choices(devices, machine, device, bf16, compiled):
    devices(**machine)
    runtime = runtimes.start(ExecutionSettings())
    assert (runtime.device.type, runtime.bf16, runtime.compile) == (device, bf16, compiled)
    assert runtime.channels_last
    assert runtime.deterministic


@pytest.mark.parametrize("cuda", [True, False])
def test_explicit_choices_win(devices, cuda):
    devices(cuda=cuda, cuda_bf16=True, avx512_bf16=True)
    settings = ExecutionSettings(
        device="cpu", precision="fp32", channels_last="off", compile="off", deterministic=False
    )
    runtime = runtimes.start(settings)
    assert (runtime.device.type, runtime.bf16, runtime.channels_last) == ("cpu", False, False)
    assert (runtime.compile, runtime.deterministic) == (False, False)
    settings = ExecutionSettings(device="cpu", precision="bf16", channels_last="on", compile="on")
    runtime = runtimes.start(settings)
    assert (runtime.bf16, runtime.channels_last, runtime.compile) == (True, True, True)


def test_cuda_that_is_not_there_is_refused(devices):
    devices(cuda=False)
    with pytest.raises(UserError, match=r"execution\.device: expected a CUDA device, found none: use auto or cpu"):
        runtimes.start(ExecutionSettings(device="cuda"))


@pytest.mark.parametrize("deterministic", [True, False])
def test_the_process_is_set(devices, deterministic):
    devices()
    torch.use_deterministic_algorithms(False)
    runtimes.start(ExecutionSettings(threads=2, deterministic=deterministic))
    assert torch.get_num_threads() == 2
    assert torch.are_deterministic_algorithms_enabled() == deterministic


def test_new_tensors_are_not_filled(devices):
    """Which determinism does by default, at the cost of a tenth of a step."""
    devices()
    runtimes.start(ExecutionSettings())
    assert not torch.utils.deterministic.fill_uninitialized_memory


@pytest.mark.parametrize(("setting", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_the_forward_pass_has_the_chosen_precision(setting, dtype):
    runtime = runtimes.start(ExecutionSettings(device="cpu", precision=setting))
    with runtime.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


@pytest.mark.parametrize("setting", ["on", "off"])
def test_networks_and_batches_have_the_chosen_layout(setting):
    runtime = runtimes.start(ExecutionSettings(device="cpu", channels_last=setting))
    network = runtime.place(torch.nn.Conv2d(3, 4, 3))
    batch = runtime.arrange(torch.zeros(2, 3, 8, 8))
    for tensor in (network.weight, batch):
        assert tensor.is_contiguous(memory_format=torch.channels_last) == (setting == "on")


def test_what_ran_is_recorded(devices, monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    devices(avx512_bf16=True)
    expected = {
        "device": "cpu",
        "precision": "bf16",
        "channels_last": True,
        "compile": False,
        "deterministic": True,
        "cublas_workspace": ":4096:8",
        "threads": 3,
        "tf32": False,
    }
    assert runtimes.start(ExecutionSettings(threads=3)).record() == expected


def test_another_c_library_is_no_obstacle(monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    runtimes.keep_freed_memory()
