"""Power cuts below a real file system: the whole server runs under load on a journalled ext4 whose disk
notes each write and each flush. At many moments the power goes: writes that no flush followed are
dropped, reordered or torn. The kernel replays the journal of what is left, the server starts on it,
and every message that was answered 250 is there, whole, once or more."""

import random
import shutil
import time

import pytest
from blockcut import BlockDisk
from faults import Faults
from letterlock import Home
from load import ACCEPTED, Load, is_whole
from nexthop import Delay
from powercut_model import Choice

pytestmark = pytest.mark.slow
LOAD_S = 6
SIZES = (500, 4000, 40000, 100000)


class MarkedLoad(Load):
    """Says on the disk what was accepted, when it was."""

    def __init__(self, home, say, **options):
        super().__init__(home, **options)
        self.say = say

    def _note(self, mark, outcome):
        super()._note(mark, outcome)
        if outcome == ACCEPTED:
            self.say(f"accepted {mark}")


@pytest.fixture
def disk(tmp_path):
    if not shutil.which("mkfs.ext4"):
        pytest.skip("there is no mkfs.ext4")
    return BlockDisk(tmp_path)


@pytest.fixture
def hop(new_hop, pki):
    return new_hop(certificate=pki.certificate("good"))


def run_load(disk, hop, pki, lie=False):
    """A home on the disk, mail in and out, then the end of everything at once."""
    hop.on_message = lambda message: disk.say(f"arrived {message.queue_marks[0]}")
    hop.replies["end"] = Delay(0.15)  # slower than mail comes in, so that some waits at every cut
    with disk.mounted():
        home = Home(disk.folder / "home").setup()
        home.cli("connector", "add", "hop", f"localhost:{hop.port}", "--for", "*", "--tls", "verify",
                 "--trust", pki.root.pem)
        if lie:
            Faults(home).arm("store", "sync", act="lie", times=1 << 30)
        home.serve()
        with MarkedLoad(home, disk.say, sizes=SIZES):
            time.sleep(LOAD_S)
        hop.on_message = None
        hop.replies.clear()
        home.kill()
    home.preload = {}
    return home


def lost(home, hop, told, patience=60):
    """Starts the home on what is left and lets everything go out; what was accepted and came neither
    before the cut nor now."""
    said = [one.split() for one in told]
    accepted = {mark for word, mark in said if word == "accepted"}
    arrived = {mark for word, mark in said if word == "arrived"}
    hop.messages.clear()
    try:
        home.serve()
        home.wait_queue_empty(patience)
        home.stop()
    finally:
        if home.process:
            home.kill()
    for message in hop.messages:
        assert is_whole(message.data), f"half a message: {message.queue_marks}"
        arrived.update(message.queue_marks)
    return accepted - arrived


def test_power_cuts_below_ext4(disk, hop, pki, tmp_path):
    home = run_load(disk, hop, pki)
    image, waited = tmp_path / "image", 0
    told = []
    for moment, mode, told in disk.images(30, Choice.MODES, random.Random(5), image):
        with disk.mounted_image(image):
            assert lost(home, hop, told) == set(), f"cut at record {moment}, {mode} survived"
        waited += len(hop.messages)
    print(f"{len(told)} words, {waited} messages waited at the cuts")
    assert waited > 300, "there was mail in the queue"


def test_without_syncs_mail_is_lost(disk, hop, pki, tmp_path):
    """The test above is worth something: when store's syncs do nothing, it turns red."""
    home = run_load(disk, hop, pki, lie=True)
    image, noticed = tmp_path / "image", 0
    for _, _, told in disk.images(5, ("none", "some"), random.Random(6), image):
        with disk.mounted_image(image):
            try:
                gone = lost(home, hop, told, patience=20)
            except AssertionError:  # no server comes to an end with what is left
                continue
            noticed += bool(gone)
    assert noticed >= 2
