"""The import works in a fresh process, whether or not torchvision's compiled part fits this PyTorch."""

import importlib

import pytest

from certifuse.data.images import torchvision_import
from certifuse.data.images.torchvision_import import import_torchvision_datasets


def test_cifar_is_there_and_a_second_import_is_the_same_module():
    datasets = import_torchvision_datasets()
    assert datasets.CIFAR100.base_folder == "cifar-100-python"
    assert import_torchvision_datasets() is datasets


@pytest.mark.parametrize("error", [RuntimeError("another reason"), ImportError("no module named torchvision")])
def test_any_other_failure_is_not_papered_over(monkeypatch, error):
    def fail(name):
        raise error

    declared = []
    monkeypatch.setattr(importlib, "import_module", fail)
    monkeypatch.setattr(torchvision_import, "_declare_operators", lambda: declared.append(1))
    with pytest.raises(type(error), match=str(error)):
        import_torchvision_datasets()
    assert not declared
