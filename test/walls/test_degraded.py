"""What this machine cannot give is named: an older kernel (lib/oldkernel.py answers for it), no root, no
users of its own. And with users of its own, each role is kept out by the rights of files alone."""

import os
import platform
import shutil
import sys
import tempfile
from errno import EACCES, EPERM
from pathlib import Path

import pytest
from inject import AT_FDCWD, Inside
from letterlock import Home
from smtpclient import message, send

pytestmark = pytest.mark.skipif(
    os.getuid() != 0 or platform.machine() != "x86_64", reason="another kernel is played by a filter: "
    "needs root, and x86-64")

OLDKERNEL = Path(__file__).parents[1] / "lib" / "oldkernel.py"
WALLED = {"mx", "user", "control", "store", "relay", "keys"}
ALL = WALLED | {"serve"}


def missing(home):
    """Which walls the status names, for whom: {wall: {role}}; each with what to do about it."""
    text = " ".join(home.cli("status").split())
    found = {}
    for one in home.cli_json("status")["degraded"]:
        if one["what"] == "walls":
            found[one["wall"]] = set(one["roles"])
            assert f"the wall {one['wall']} is missing (" in text
            assert ". To have it: " in one["text"]
    return found


def later(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize("kernel, expected", [
    ("landlock=2,no-mdwe", {"landlock-net": ALL, "landlock-scope": ALL, "mdwe": {"serve"}}),
    ("landlock=0,no-seccomp", {"landlock": ALL, "seccomp": ALL}),
    later("landlock=0", {"landlock": ALL}),
    later("landlock=1", {"landlock-net": ALL, "landlock-scope": ALL}),
    later("landlock=3", {"landlock-net": ALL, "landlock-scope": ALL}),
    later("landlock=4", {"landlock-scope": ALL}),
    later("landlock=5", {"landlock-scope": ALL}),
    later("landlock=6", {}),
    later("no-seccomp", {"seccomp": ALL}),
])
def test_an_older_kernel(new_home, kernel, expected):
    home = new_home()
    home.launcher = [sys.executable, OLDKERNEL, kernel]
    home.serve()
    named = missing(home)
    assert named.pop("uid") == WALLED  # root, and no users of its own: see below
    assert named == expected
    home.cli("domain", "add", "example.org", "--route", "127.0.0.1:1")
    send(home.smtp, message())
    # It is told in the log as well, by each role.
    for word in expected:
        assert [line for line in home.log() if "serve.running role=keys" in line and word in line] or \
            word == "mdwe"


@pytest.mark.parametrize("mode, expected", [
    ("off", {"landlock": ALL, "seccomp": ALL, "uid": WALLED}),
    ("log", {"seccomp": ALL, "uid": WALLED}),
])
def test_walls_that_were_taken_down(new_home, mode, expected):
    home = new_home()
    home.options = ["--walls", mode]
    home.serve()
    assert missing(home) == expected


USERS = {"edge": 61001, "relay": 61002, "import": 61003, "store": 61004, "keys": 61005}
UID_OF = {"mx": "edge", "user": "edge", "control": "edge", "store": "store", "relay": "relay",
          "keys": "keys"}


@pytest.fixture
def users_home():
    """A home for a machine with the system users; only serve's own view of /etc/passwd has them."""
    folder = Path(tempfile.mkdtemp(prefix="letterlock-users-"))
    folder.chmod(0o711)
    passwd = folder / "passwd"
    passwd.write_text(Path("/etc/passwd").read_text() + "".join(
        f"letterlock-{name}:x:{uid}:{uid}::/:/usr/sbin/nologin\n" for name, uid in USERS.items()))
    home = Home(folder / "home").setup()
    home.launcher = ["unshare", "--mount", "sh", "-c",
                     f'mount --bind {passwd} /etc/passwd && exec "$@"', "sh"]
    home.folder.chmod(0o711)
    for name, user in (("data", "store"), ("spool", "store"), ("keys", "keys")):
        top = home.folder / name
        for path in (top, *top.iterdir()):
            os.chown(path, USERS[user], USERS[user])
    yield home
    try:
        home.stop()
    finally:
        shutil.rmtree(folder)


def test_each_role_has_a_user_of_its_own(users_home):
    home = users_home.serve()
    assert missing(home) == {}
    for name, pid in home.roles().items():
        uids = Path(f"/proc/{pid}/status").read_text().split("Uid:")[1].split()[:4]
        assert set(uids) == {str(USERS[UID_OF[name]])}, name
        groups = Path(f"/proc/{pid}/status").read_text().split("Groups:")[1].split("\n")[0].split()
        assert groups == [], name
    home.cli("domain", "add", "example.org", "--route", "127.0.0.1:1")
    send(home.smtp, message())
    assert home.queue()


def test_the_rights_of_files_alone_keep_a_role_out(users_home):
    """Without Landlock and seccomp: what its user may not, it cannot."""
    users_home.options = ["--walls", "off"]
    home = users_home.serve()
    key = next((home.folder / "keys").iterdir())
    roles = home.roles()

    def tries(who, name, *arguments):
        with Inside(roles[who]) as role:
            return role.call(name, *arguments)

    def opens(who, path):
        return tries(who, "openat", AT_FDCWD, str(path), os.O_RDONLY)

    database = home.folder / "data" / "site.db"
    assert opens("store", database) >= 0
    assert opens("store", key) == -EACCES
    assert opens("keys", key.name) >= 0
    for who in ("mx", "relay", "keys"):
        assert opens(who, database) < 0, who
    for who in ("mx", "relay"):
        assert opens(who, key) < 0, who
    for who in UID_OF:
        assert tries(who, "setresuid", 0, 0, 0) == -EPERM, who
        assert tries(who, "kill", roles["keys"], 0) == (0 if who == "keys" else -EPERM), who
        assert tries(who, "ptrace", 0x4206, home.process.pid, 0, 0) == -EPERM, who
