"""A journalled ext4 on a loop device on a disk that notes every write and flush (blockcut.c), and what
that disk may hold after the power went."""

import subprocess
import time
from contextlib import ExitStack, contextmanager

import pytest
from powercut_model import MARK, SYNC, WRITE, Choice, File, read_log

from letterlock import build_folder, until

DISK_MB = 96


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise OSError(f"{' '.join(done.args)}: {done.stderr.strip()}")
    return done.stdout.strip()


def unmount(where):
    """A process that is being killed may hold it a moment longer. In no case it stays in its place."""
    def done():
        return subprocess.run(["umount", str(where)], capture_output=True).returncode == 0

    try:
        until(done, f"{where} is unmounted", timeout=30, pause=0.2)
    except AssertionError:
        run("umount", "--lazy", where)
        raise


class BlockDisk:
    """disk = BlockDisk(tmp_path); with disk.mounted(): ... files under disk.folder ..., disk.say(text);
    then for image in disk.images(moments, rng): with disk.mounted_image(...): ..."""

    def __init__(self, folder):
        self.folder = folder / "mounted"
        self.fuse, self.contents, self.log = folder / "fuse", folder / "disk", folder / "blocks"
        self.folder.mkdir()
        self.fuse.mkdir()
        self.marks = None
        with open(self.contents, "wb") as file:
            file.truncate(DISK_MB << 20)
        run("mkfs.ext4", "-q", "-F", self.contents)
        self.empty = self.contents.read_bytes()

    @contextmanager
    def mounted(self):
        """Skips the test where this may not be done."""
        with ExitStack() as stack:
            try:
                self._put_up(stack)
            except OSError as e:
                pytest.skip(f"no loop device on a disk of ours here: {e}")
            yield

    def _put_up(self, stack):
        served = subprocess.Popen([build_folder() / "test/crash/blockcut", self.fuse, self.contents,
                                   self.log], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        stack.callback(served.wait)
        if served.stdout.readline() != "ready\n":
            raise OSError(served.stderr.read().strip())
        stack.callback(unmount, self.fuse)
        loop = run("losetup", "--find", "--show", self.fuse / "disk")
        stack.callback(run, "losetup", "--detach", loop)
        run("mount", "-t", "ext4", loop, self.folder)
        stack.callback(unmount, self.folder)
        self.marks = stack.enter_context(open(self.fuse / "marks", "wb", buffering=0))

    def say(self, text):
        """What the world knows from now on: stands in the log behind all that the disk took before."""
        self.marks.write(text.encode())

    def images(self, count, modes, rng, to):
        """Cuts the power at `count` moments between the first mark and the last; writes what the disk may
        hold to the file `to` and yields (moment, mode, marks said so far)."""
        records = read_log(self.log)
        marked = [at for at, record in enumerate(records) if record[0] == MARK]
        moments = sorted(rng.sample(range(marked[0], marked[-1] + 1), count))
        disk, told, at = File(), [], 0
        disk.durable = bytearray(self.empty)
        for number, moment in enumerate(moments):
            for kind, _, offset, data in records[at:moment]:
                if kind == WRITE:
                    disk.pending.append((offset, data))
                elif kind == SYNC:
                    disk.sync()
                elif kind == MARK:
                    told.append(data.decode())
            at = moment
            mode = modes[number % len(modes)]
            to.write_bytes(disk.contents(Choice(mode, rng)))
            yield moment, mode, list(told)

    @contextmanager
    def mounted_image(self, image):
        """The kernel replays the journal; afterwards the file system must be found in order."""
        run("mount", "-t", "ext4", "-o", "loop", image, self.folder)
        try:
            yield
        finally:
            unmount(self.folder)
        time.sleep(0.1)  # the kernel lets go of its loop device
        run("e2fsck", "-fn", image)
