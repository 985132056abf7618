"""G13: services are started and stopped from the local tool; administration is local only."""

import os
import stat
import subprocess

import pytest
from letterlock import until
from nexthop import Silence
from smtpclient import Raw, message, queue_id, send


def answers(port):
    try:
        with Raw(port, timeout=5) as client:
            return client.reply().startswith("220")
    except OSError:
        return False


def states(home):
    return {one["role"]: one["state"] for one in home.cli_json("service", "list")["roles"]}


def test_G13_stop_and_start_listeners(home):
    assert answers(home.smtp) and answers(home.submission)
    home.cli("service", "stop", "mx")
    until(lambda: not answers(home.smtp), "port closes")
    assert answers(home.submission), "the other service goes on"
    assert states(home)["mx"] != "running" and states(home)["user"] == "running"
    home.cli("service", "start", "mx")
    until(lambda: answers(home.smtp), "port opens")
    assert states(home)["mx"] == "running"


def test_G13_stopped_relay_keeps_mail(road):
    road.home.cli("service", "stop", "relay")
    id = queue_id(send(road.home.smtp, message()))
    assert road.home.recipient(id)["state"] in ("ready", "deferred")
    assert road.hop.messages == []
    road.home.cli("service", "start", "relay")
    road.home.wait_state(id, "delivered")


def test_G13_relay_stopped_amid_an_attempt(road):
    """Twice, with a peer that says nothing: the message must not pass for one that kills relay."""
    road.hop.set(MAIL=Silence())
    id = queue_id(send(road.home.smtp, message()))
    until(lambda: road.home.recipient(id)["state"] == "active", "the attempt")
    road.home.cli("service", "stop", "relay")
    assert road.home.recipient(id)["state"] == "ready"
    road.home.cli("service", "start", "relay")
    until(lambda: road.home.recipient(id)["state"] == "active", "the attempt")
    road.home.cli("service", "stop", "relay")
    road.hop.set(MAIL=None)
    road.home.cli("service", "start", "relay")
    road.home.wait_state(id, "delivered")


def test_G13_dead_role_is_restarted_alone(road):
    before = road.home.roles()
    assert {"mx", "user", "control", "store", "relay", "keys"} <= set(before)
    for name in ("mx", "relay", "keys", "store"):
        old = road.home.kill_role(name)
        road.home.wait_role(name, not_pid=old)
        now = road.home.roles()
        assert [r for r in now if now[r] != before[r]] == [name], "the others live on"
        before = now
        until(lambda: answers(road.home.smtp), "the port answers")
        id = queue_id(send_patiently(road.home.smtp))
        road.home.wait_state(id, "delivered")


def send_patiently(port):
    """As a peer would: what is put off with 4yz is tried again."""
    reply = []

    def go():
        try:
            reply.append(send(port, message()))
            return True
        except Exception:
            return False

    until(go, "the message is accepted", timeout=20, pause=0.3)
    return reply[-1]


def test_G13_unknown_service_is_refused(home):
    for name in ("store", "nonsense"):
        assert "relay" in home.refused("service", "stop", name), "it says which there are"


def test_G13_control_socket_is_local_and_for_its_owner(home):
    path = home.folder / "control.sock"
    assert stat.S_ISSOCK(path.stat().st_mode)
    if os.getuid() != 0:
        pytest.skip("needs root, to be somebody else")
    # Another user is refused by who he is, even if the folders let him through.
    for folder in (home.folder, *home.folder.parents):
        if folder != folder.parent and str(folder).startswith("/tmp/"):
            folder.chmod(folder.stat().st_mode | 0o711)
    path.chmod(0o777)
    asked = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", "/usr/bin/python3", "-c", f"""
import socket
s = socket.socket(socket.AF_UNIX)
s.connect({str(path)!r})
s.sendall(b"POST /v1/queue.list HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 2\\r\\n\\r\\n{{}}")
print(s.recv(65536).decode())
"""], capture_output=True, text=True)
    assert " 403 " in asked.stdout.split("\n")[0], asked


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to look into the processes")
def test_G13_no_admin_on_the_network(home):
    """The ports that are open are the three that were asked for."""
    opened = set()
    for pid in (home.process.pid, *home.children()):
        listed = subprocess.run(["ls", "-l", f"/proc/{pid}/fd"], capture_output=True, text=True).stdout
        inodes = {word.split("[")[1].rstrip("]") for word in listed.split() if word.startswith("socket:[")}
        for table in ("tcp", "tcp6"):
            for line in open(f"/proc/net/{table}").read().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and fields[9] in inodes:
                    opened.add(int(fields[1].rsplit(":", 1)[1], 16))
    assert opened == {home.smtp, home.submission, home.submissions}
