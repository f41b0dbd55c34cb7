"""The record of an environment: versions, and what the processor is called."""

import sys

from certifuse.base import environment
from certifuse.base.digests import canonical_json
from certifuse.base.environment import environment_record, package_versions, processor


def test_versions_are_recorded_and_what_is_absent_is_null(monkeypatch):
    monkeypatch.setattr(environment, "RECORDED_PACKAGES", ("torch", "no-such-package"))
    versions = package_versions()
    assert versions["torch"].startswith("2.")
    assert versions["no-such-package"] is None
    assert versions["python"] == ".".join(map(str, sys.version_info[:3]))


def test_the_record_is_plain_json():
    record = environment_record()
    assert canonical_json(record)
    assert set(record) == {"command", "git", "machine", "packages", "platform", "processor"}


def test_the_processor_is_told_by_name_and_numbers(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    first = "processor\t: 0\ncpu family\t: 26\nmodel\t\t: 2\nmodel name\t: AMD EPYC: 9555\nflags\t\t: fpu avx2\n"
    cpuinfo.write_text(f"{first}\n{first.replace('26', '25')}\n")
    assert processor(cpuinfo) == "model name AMD EPYC: 9555, cpu family 26, model 2"
    cpuinfo.write_text("processor\t: 0\nBogoMIPS\t: 50.00\n")
    assert processor(cpuinfo) is None


def test_without_cpuinfo_the_platform_names_the_processor(tmp_path, monkeypatch):
    for named, told in {"arm": "arm", "": None}.items():
        monkeypatch.setattr("platform.processor", lambda named=named: named)
        assert processor(tmp_path / "absent") == told
