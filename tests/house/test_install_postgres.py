"""scripts/install-postgres with an apt-get that only writes down what it is asked."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "install-postgres"
APT = '#!/bin/sh\necho "$*" >>"$LOG"\ncat "$CLUSTERS/kvot.conf" "$POLICY" >>"$LOG"\nexit "${APT_FAILS-0}"\n'


@pytest.fixture
def machine(tmp_path):
    """A path with the few commands that the script needs, and no server and no pooler on the machine."""
    (tmp_path / "bin").mkdir()
    for name in ("cat", "chmod", "mkdir", "rm"):
        (tmp_path / "bin" / name).symlink_to(f"/bin/{name}")
    program(tmp_path, "id", "#!/bin/sh\necho 0\n")
    program(tmp_path, "apt-get", APT)
    program(tmp_path, "update-rc.d", '#!/bin/sh\necho "update-rc.d $*" >>"$LOG"\n')
    return tmp_path


def program(machine, name, text="#!/bin/sh\n"):
    path = machine / "bin" / name
    path.write_text(text)
    path.chmod(0o755)


def install(machine, **environment):
    environment = {
        "PATH": str(machine / "bin"),
        "POSTGRES_ROOT": str(machine / "postgresql"),
        "PGBOUNCER": str(machine / "pgbouncer"),
        "CLUSTERS": str(machine / "clusters"),
        "POLICY": str(machine / "policy-rc.d"),
        "LOG": str(machine / "log"),
        **environment,
    }
    return subprocess.run(["/bin/sh", str(SCRIPT)], env=environment, capture_output=True, text=True, check=False)


def asked(machine):
    return (machine / "log").read_text().splitlines() if (machine / "log").exists() else []


FORBIDDEN = ["create_main_cluster = false", "#!/bin/sh", "exit 101"]


def test_what_is_missing_is_installed_and_nothing_of_it_runs(machine):
    assert install(machine).returncode == 0
    update, *forbidden, disabled = asked(machine)
    installed = forbidden.pop(3)
    assert (update, installed.split()[-2:]) == ("-qq update", ["postgresql", "pgbouncer"])
    assert forbidden == FORBIDDEN * 2
    assert disabled == "update-rc.d pgbouncer disable", "nor when the machine starts"
    left = (os.listdir(machine / "clusters"), (machine / "policy-rc.d").exists())
    assert left == ([], False), "what the machine does next is its owner's to decide on"


def test_a_policy_that_is_there_is_left_alone(machine):
    (machine / "policy-rc.d").write_text("mine\n")
    assert install(machine).returncode == 0
    assert (machine / "policy-rc.d").read_text() == "mine\n"


def test_a_failed_installation_leaves_nothing_and_fails(machine):
    assert install(machine, APT_FAILS="3").returncode == 3
    assert (os.listdir(machine / "clusters"), (machine / "policy-rc.d").exists()) == ([], False)


def server_on_the_path(machine):
    program(machine, "initdb")


def server_of_debian(machine):
    (machine / "postgresql/15/bin").mkdir(parents=True)
    (machine / "postgresql/15/bin/initdb").touch(mode=0o755)


def pooler_on_the_path(machine):
    program(machine, "pgbouncer")


def pooler_of_debian(machine):
    (machine / "pgbouncer").touch(mode=0o755)


@pytest.mark.parametrize("pooler", [pooler_on_the_path, pooler_of_debian])
@pytest.mark.parametrize("server", [server_on_the_path, server_of_debian])
def test_what_is_there_is_left_alone(machine, server, pooler):
    server(machine)
    pooler(machine)
    assert (install(machine).returncode, asked(machine)) == (0, [])


@pytest.mark.parametrize(
    ("there", "missing"),
    [(server_on_the_path, "pgbouncer"), (server_of_debian, "pgbouncer"), (pooler_of_debian, "postgresql")],
)
def test_only_what_is_missing_is_installed(machine, there, missing):
    there(machine)
    assert install(machine).returncode == 0
    packages = {line.rpartition("recommends ")[2] for line in asked(machine) if "install" in line}
    assert packages == {missing}
    assert ("update-rc.d pgbouncer disable" in asked(machine)) == (missing == "pgbouncer")


def test_who_is_not_root_is_told_what_to_do(machine):
    program(machine, "id", "#!/bin/sh\necho 1000\n")
    ran = install(machine)
    assert (ran.returncode, asked(machine)) == (0, [])
    assert "apt-get install postgresql pgbouncer" in ran.stderr
