"""What this machine cannot give is named: an older kernel (lib/oldkernel.py answers for it), no root, no
users of its own. And with users of its own, each role is kept out by the rights of files alone."""

import os
import platform
import pwd
import sys
from pathlib import Path

import pytest
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
