"""What is said to run brings exactly what is missing, on every kind of Python."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from splat_addon.environment import remedies
from splat_addon.environment.requirements import read_requirements


def test_packages_get_the_versions_that_training_needs(monkeypatch):
    monkeypatch.setattr(remedies, "is_managed", lambda: False)
    command = remedies.install_command(["torch", "pillow", "numba==0.68.1", "other"])
    assert command == f'"{sys.executable}" -m pip install torch==2.13.0 pillow==13.0.0 numba==0.68.1 other'


@pytest.mark.skipif(sys.platform == "win32", reason="paths of an environment differ there")
def test_a_python_of_the_system_gets_an_environment_of_its_own(monkeypatch):
    monkeypatch.setattr(remedies, "is_managed", lambda: True)
    command = remedies.install_command(["torch"])
    place = Path.home() / "splat_trainer_python"
    make, install = command.split(" && ")
    assert make == f'"{sys.executable}" -m venv "{place}"'
    assert install == f'"{place}/bin/python" -m pip install {" ".join(read_requirements("cpu").packages)}'


def test_which_python_the_system_manages(monkeypatch, tmp_path):
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    assert not remedies.is_managed()
    (tmp_path / "EXTERNALLY-MANAGED").write_text("")
    assert remedies.is_managed()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert not remedies.is_managed(), "an environment is nobody else's"


def test_the_command_is_one_that_a_shell_takes(monkeypatch):
    monkeypatch.setattr(remedies, "is_managed", lambda: False)
    command = remedies.install_command(["--version"]).replace("install --version", "--version")
    assert "pip" in subprocess.run(command, shell=True, capture_output=True, text=True, check=False).stdout
