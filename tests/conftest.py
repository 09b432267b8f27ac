"""What all tests share: the project's root, and its plugins loaded from where they stand."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import ansible.module_utils
import pytest

ROOT = Path(__file__).resolve().parent.parent
# Packages that no installer knows: the host's program, which is sent to hosts as it is, and what plugins share.
sys.path[:0] = [str(ROOT / "roles" / role / "files") for role in ("release", "preflight", "machine", "rendered_files")]
# Nor do the parts that renew certificates have an installer; modules find theirs as Ansible gives it to them.
CERTIFICATES = ROOT / "roles" / "certificates"
sys.path += [str(CERTIFICATES / folder) for folder in ("module_utils", "files/renewal", "files/reach")]
SHARED = [str(ROOT / "roles" / role / "module_utils") for role in ("certificates", "rendered_files")]
ansible.module_utils.__path__ += SHARED


def load(path: str) -> ModuleType:
    """Import a file that is in no package, such as a plugin of a role."""
    name = path.replace("/", "_").removesuffix(".py").replace("-", "_")
    spec = importlib.util.spec_from_file_location(name, ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def apps_filter() -> ModuleType:
    return load("roles/preflight/filter_plugins/apps.py")


@pytest.fixture(scope="session")
def release_action() -> ModuleType:
    return load("roles/release/action_plugins/release.py")


@pytest.fixture(scope="session")
def rendered_files() -> ModuleType:
    return load("roles/rendered_files/library/rendered_files.py")


@pytest.fixture(scope="session")
def host_certificates() -> ModuleType:
    return load("roles/certificates/library/host_certificates.py")
