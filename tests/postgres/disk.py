"""A disk of a few megabytes, for what becomes of a server whose disk is full."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.postgres.server import is_root, scratch_folder


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A folder on one. Skips where it may not be mounted: that takes root, and a container that may mount."""
    if not is_root():
        pytest.skip("only root may mount a small disk")
    folder = scratch_folder()
    owner = folder.stat()
    options = f"size={megabytes}m,uid={owner.st_uid},gid={owner.st_gid},mode=700"
    mounted = _run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder))
    try:
        if mounted.returncode:
            pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
        yield folder
    finally:
        if not mounted.returncode:
            _run("umount", "--lazy", str(folder))
        folder.rmdir()


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True)
