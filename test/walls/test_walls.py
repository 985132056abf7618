"""The walls of the living processes: what the kernel says of each role while mail passes, and what
each holds in its hands. (What each role cannot do even if it tries: src/role/walls_test.c.)"""

import os
import re
import subprocess
from pathlib import Path

import pytest
from letterlock import build_folder
from smtpclient import message, send

ROLES = ("mx", "user", "control", "store", "relay", "keys")


def status(pid):
    text = Path(f"/proc/{pid}/status").read_text()
    return dict(re.findall(r"^(\w+):\s*(.*)$", text, re.M))


def descriptors(pid):
    """What the process's descriptors point at; needs root or the same user and dumpable."""
    found = []
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(os.readlink(fd))
        except OSError:
            pass
    return found


@pytest.fixture
def working(road):
    """A road on which a message has passed: everything that starts late has started."""
    send(road.home.smtp, message())
    road.home.wait_state("b@example.org", "delivered")
    return road.home


def test_privileges_are_gone(working):
    roles = working.roles()
    assert set(ROLES) <= set(roles)
    for name, pid in roles.items():
        told = status(pid)
        assert told["NoNewPrivs"] == "1", name
        assert told["Seccomp"] == "2", name
        for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
            assert int(told[kind], 16) == 0, (name, kind)
        # serve's filter and its own.
        assert int(told.get("Seccomp_filters", 2)) >= 2, name
    told = status(working.process.pid)
    assert told["NoNewPrivs"] == "1" and told["Seccomp"] == "2"
    # What it keeps, and only if it is root: binding, files of others, users and views for its children.
    allowed = {"CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_FOWNER": 3, "CAP_KILL": 5,
               "CAP_SETGID": 6, "CAP_SETUID": 7, "CAP_SETPCAP": 8, "CAP_NET_BIND_SERVICE": 10,
               "CAP_SYS_CHROOT": 18}
    assert int(told["CapEff"], 16) & ~sum(1 << bit for bit in allowed.values()) == 0


def test_missing_walls_are_named(working):
    """Whatever this machine cannot give stands in the status, role by role."""
    for one in working.cli_json("service", "list")["roles"]:
        if one["role"] == "serve":
            continue
        told = status(one["pid"])
        missing = one.get("missing", one.get("walls", ""))
        assert "seccomp" not in missing
        uid = int(told["Uid"].split()[0])
        if uid in (0, os.getuid()):
            assert "uid" in missing, one


def test_roles_cannot_be_looked_into(working):
    if os.getuid() == 0:
        pytest.skip("root may look into anything")
    for pid in working.roles().values():
        with pytest.raises(PermissionError):
            list(Path(f"/proc/{pid}/fd").iterdir())


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to look into the processes")
def test_what_each_role_holds(working):
    databases = re.compile(r"/(site|node)\.db")
    keys = re.compile(r"/keys/")
    inet = internet_sockets()
    for name, pid in working.roles().items():
        held = descriptors(pid)
        assert name == "store" or not [h for h in held if databases.search(h)], (name, held)
        assert name == "keys" or not [h for h in held if keys.search(h)], (name, held)
        sockets = [h for h in held if h in inet]
        assert name in ("mx", "user", "relay") or not sockets, (name, sockets)
        folders = [h for h in held if h.startswith("/") and os.path.isdir(h)]
        assert name in ("store", "keys") or not folders, (name, folders)


def internet_sockets():
    found = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            found.add(f"socket:[{line.split()[9]}]")
    return found


# What each role is linked with, and why; all that is in a process is there for who takes it over, and
# takes time at its start. With all that these in turn need: the closure, as the loader has it.
SYSTEM = {"libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1",
          "linux-vdso.so.1", "libasan.so.8", "libubsan.so.1", "libgcc_s.so.1", "libstdc++.so.6"}
SMALL = {"libevent_core-2.1.so.7",  # its loop
         "libseccomp.so.2", "libcap-ng.so.0"}  # its walls
LIBRARIES = {
    "serve": SMALL,
    "keys": SMALL | {"libcrypto.so.3"},  # signs
    "import": SMALL | {"libcrypto.so.3"},  # reads certificates
    "edge": SMALL | {"libcrypto.so.3", "libssl.so.3",  # speaks TLS
                     "libevent_extra-2.1.so.7"},  # HTTP, for the group control
    "store": SMALL | {"libsqlite3.so.0", "libjansson.so.4"},  # databases; admin API
    "relay": SMALL | {"libcrypto.so.3", "libssl.so.3",
                      # DNSSEC; it brings the rest along
                      "libunbound.so.8", "libevent-2.1.so.7", "libhogweed.so.6", "libnettle.so.8",
                      "libgmp.so.10"},
}


@pytest.mark.parametrize("role", sorted(LIBRARIES))
def test_library_list_is_pinned(role):
    told = subprocess.run(["ldd", build_folder() / "libexec" / "letterlock" / role],
                          capture_output=True, text=True, check=True).stdout
    loaded = {line.split()[0].rsplit("/", 1)[-1] for line in told.splitlines()}
    assert loaded - SYSTEM == LIBRARIES[role]
