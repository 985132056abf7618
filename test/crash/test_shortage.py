"""What runs short on a real machine: descriptors, the size a file may have, a folder. Nothing
acknowledged is lost, peers hear 4yz, and service goes on by itself when there is enough again."""

import os
import resource
import shutil
import signal
import subprocess

import pytest
from faults import Faults
from journey import judge, settle
from letterlock import Home, until
from load import ACCEPTED, Load

SIZES = (500, 20000, 60000, 100000, 1500000)


def limit(pid, what, soft):
    """Sets a limit of another process and returns what undoes it."""
    _, hard = before = resource.prlimit(pid, what)
    try:
        resource.prlimit(pid, what, (soft, hard))
    except PermissionError:
        pytest.skip("only root may limit processes that are closed to others")
    return lambda: resource.prlimit(pid, what, before)


def under_shortage(road, shorten):
    """Load before, during and after; `shorten` begins the shortage and returns what ends it."""
    with Load(road.home, clients=6, sizes=SIZES) as load:
        until(lambda: load.count(ACCEPTED) >= 10, "mail comes in")
        end = shorten()
        seen = load.count(ACCEPTED) + sum(load.refusals.values())
        until(lambda: load.count(ACCEPTED) + sum(load.refusals.values()) >= seen + 30 or
              load.ending.wait(3), "the shortage is felt")
        try:
            end()
        except ProcessLookupError:
            pass  # it ended of it; its successor has no such limit
        before = load.count(ACCEPTED)
        until(lambda: load.count(ACCEPTED) >= before + 10, "mail comes in again", timeout=60)
    assert not load.hung
    assert set(load.refusals) <= {"421", "451", "452"}, load.refusals
    settle(road.home)
    judge(load, road.hop, doubts=True)
    return load


@pytest.mark.parametrize("role, spare", [("mx", 1), ("store", 1)] + [
    pytest.param(role, spare, marks=pytest.mark.slow)
    for role, spare in (("mx", 0), ("mx", 3), ("store", 0), ("store", 3), ("relay", 0), ("relay", 2))])
def test_descriptors_run_out(road, role, spare):
    """EMFILE wherever it happens to hit: accept, memory files, descriptors that come with a question."""
    road.home.cli("config", "set", "relay.retry", "1s")

    def shorten():
        pid = road.home.roles()[role]
        open_now = max(int(fd) for fd in os.listdir(f"/proc/{pid}/fd")) + 1
        return limit(pid, resource.RLIMIT_NOFILE, open_now + spare)

    under_shortage(road, shorten)


def test_files_may_not_grow(road):
    """RLIMIT_FSIZE: a write beyond it is refused as any other, and told; it is no silent death by
    SIGXFSZ."""
    road.home.cli("config", "set", "relay.retry", "1s")
    load = under_shortage(
        road, lambda: limit(road.home.roles()["store"], resource.RLIMIT_FSIZE, 200000))
    assert load.refusals["451"]
    assert any("store.failed database: disk I/O error" in line for line in road.home.log())
    assert not [line for line in road.home.log() if f"signal={signal.SIGXFSZ:d}" in line]


def test_a_lost_spool_is_not_made_anew(road):
    """Large mail in the queue would wait in vain for its bodies: better to be told."""
    home = road.home
    home.stop()
    shutil.rmtree(home.folder / "spool")
    with pytest.raises(AssertionError, match="spool: No such file or directory"):
        home.serve()
    assert not (home.folder / "spool").exists()
    home.process = None
    (home.folder / "spool").mkdir(mode=0o700)
    home.serve()


def test_setup_syncs_the_folders_it_makes(tmp_path):
    """A home that was just set up takes mail at once; a power cut must not take the home with it."""
    home = Home(tmp_path / "home")
    home.folder.mkdir()
    faults = Faults(home)
    faults.arm("letterlock", "sync", "*/home", times=0)
    faults.arm("letterlock", "sync", "*/home/..", times=0, slot=1)
    subprocess.run([home.program, "setup", "--hostname", "mx.example"],
                   env={**home.env, **home.preload}, check=True, stdout=subprocess.DEVNULL)
    assert faults.seen() >= 1 and faults.seen(slot=1) >= 1
