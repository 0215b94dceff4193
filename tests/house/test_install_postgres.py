"""scripts/install-postgres with an apt-get that only writes down what it is asked."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "install-postgres"
APT = '#!/bin/sh\necho "$*" >>"$LOG"\ncat "$CLUSTERS/kvot.conf" >>"$LOG"\nexit "${APT_FAILS-0}"\n'


@pytest.fixture
def machine(tmp_path):
    """A path with the few commands that the script needs, and no server on the machine."""
    (tmp_path / "bin").mkdir()
    for name in ("cat", "mkdir", "rm"):
        (tmp_path / "bin" / name).symlink_to(f"/bin/{name}")
    program(tmp_path, "id", "#!/bin/sh\necho 0\n")
    program(tmp_path, "apt-get", APT)
    return tmp_path


def program(machine, name, text):
    path = machine / "bin" / name
    path.write_text(text)
    path.chmod(0o755)


def install(machine, **environment):
    environment = {
        "PATH": str(machine / "bin"),
        "POSTGRES_ROOT": str(machine / "postgresql"),
        "CLUSTERS": str(machine / "clusters"),
        "LOG": str(machine / "log"),
        **environment,
    }
    return subprocess.run(["/bin/sh", str(SCRIPT)], env=environment, capture_output=True, text=True, check=False)


def asked(machine):
    return (machine / "log").read_text().splitlines() if (machine / "log").exists() else []


def test_what_is_missing_is_installed_and_no_cluster_is_made_of_it(machine):
    assert install(machine).returncode == 0
    update, forbidden, installed, still_forbidden = asked(machine)
    assert (update, installed.split()[-1]) == ("-qq update", "postgresql")
    assert forbidden == still_forbidden == "create_main_cluster = false"
    assert os.listdir(machine / "clusters") == [], "the machine's next cluster is its owner's to decide on"


def test_a_failed_installation_leaves_nothing_and_fails(machine):
    assert install(machine, APT_FAILS="3").returncode == 3
    assert os.listdir(machine / "clusters") == []


def test_a_server_on_the_path_is_left_alone(machine):
    program(machine, "initdb", "#!/bin/sh\n")
    assert (install(machine).returncode, asked(machine)) == (0, [])


def test_a_server_of_debian_is_left_alone(machine):
    (machine / "postgresql/15/bin").mkdir(parents=True)
    (machine / "postgresql/15/bin/initdb").touch(mode=0o755)
    assert (install(machine).returncode, asked(machine)) == (0, [])


def test_who_is_not_root_is_told_what_to_do(machine):
    program(machine, "id", "#!/bin/sh\necho 1000\n")
    ran = install(machine)
    assert (ran.returncode, asked(machine)) == (0, [])
    assert "apt-get install postgresql" in ran.stderr
