"""Power cuts on the writer: what was answered with 250 is there, whole, and nothing half exists.

The load runs once through the real writer (powercut_load); its log of writes, syncs and names is cut
at many moments, each time a disk image is made of what may have survived, and the real start-up code
runs on it (powercut_recover). The letters Q1 to Q9 are those of src/store/writer.c, doc/QUEUE.md.
"""

import collections
import random
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from letterlock import build_folder
from powercut_model import (FOLDER, LINK, MARK, MKDIR, SYNC, SYNC_KINDS, UNLINK, Choice, Disk,
                            read_log)

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
IMAGES_AT_A_TIME = 25
NOT_TOLD = ("reserve", "clock", "suspect")  # files of data/ that keep nothing of which anybody heard


def id_text(number):
    return "".join(ALPHABET[number >> 5 * k & 31] for k in range(12, -1, -1))


@pytest.fixture
def fast_folder():
    """In memory if there is room enough: images are many and nobody keeps them."""
    memory = Path("/dev/shm")
    where = memory if memory.is_dir() and shutil.disk_usage(memory).free > 2 << 30 else None
    with tempfile.TemporaryDirectory(prefix="powercut", dir=where) as folder:
        yield Path(folder)


def run_load(tmp_path, seed, rounds, records=None):
    """The log of a load. With `records` the process dies when it has noted so many. Another run in the same
    folder goes on with what was left, synced or not, and with the same log."""
    home, log = tmp_path / "home", tmp_path / "log"
    home.mkdir(exist_ok=True)
    command = [build_folder() / "test/crash/powercut_load", home, log, seed, rounds, records or ""]
    subprocess.run([str(one) for one in command if one != ""], check=True, timeout=300)
    return read_log(log)


def recover(images):
    """What start-up found: image -> (messages, complaints)."""
    out = subprocess.run([build_folder() / "test/crash/powercut_recover", *images], check=True,
                         timeout=300, capture_output=True, text=True).stdout
    found, messages, bad = {}, None, None
    for line in out.splitlines():
        word, _, rest = line.partition(" ")
        if word == "home":
            messages, bad = {}, []
            found[Path(rest)] = (messages, bad)
        elif word == "message":
            name, size, state = rest.split()
            messages[name] = (int(size), state)
        elif word == "bad":
            bad.append(rest)
    assert out.rstrip().endswith("end")
    return found


def judge(told, messages, bad):
    """Complaints about one image; `told` is what the world knew at the moment of the cut."""
    complaints = list(bad)
    for number, words in told.items():
        name = id_text(number)
        if name not in messages:
            complaints.append(f"{name} was {words[0]} and is gone")
        elif words[0] == "finished" and messages[name][1] != "finished":
            complaints.append(f"{name} was finished and is open again")
        elif words[0] == "accepted" and messages[name][0] != int(words[1]):
            complaints.append(f"{name} has another size")
    return complaints


def interesting_moments(records):
    """Just before and after each sync, each change of a name, each word to the world."""
    return sorted({at + side for at, record in enumerate(records)
                   if record[0] in (SYNC, LINK, UNLINK, MARK) for side in (0, 1)})


def cut(records, moments, rng, folder, without=None, modes=Choice.MODES):
    """Makes an image at each moment and yields (moment, mode, complaints)."""
    disk, at, made = Disk(without), 0, {}
    for moment in moments:
        while at < moment:
            disk.play(records[at])
            at += 1
        if disk.root is None:
            continue
        mode = modes[len(made) % len(modes)]
        image = folder / f"image{moment}"
        disk.image(image, Choice(mode, rng))
        made[image] = (moment, mode, dict(disk.told))
        if len(made) == IMAGES_AT_A_TIME or moment == moments[-1]:
            found = recover(made)
            for image, (moment, mode, told) in made.items():
                yield moment, mode, judge(told, *found[image])
                shutil.rmtree(image)
            made.clear()


def check_images(tmp_path, fast_folder, seed, rounds, images):
    records = run_load(tmp_path, seed, rounds)
    rng = random.Random(seed)
    moments = interesting_moments(records)
    chosen = sorted(rng.sample(moments, min(images, len(moments))))
    looked_at = 0
    for moment, mode, complaints in cut(records, chosen, rng, fast_folder):
        assert not complaints, f"cut at record {moment}, {mode} of what was not synced survived"
        looked_at += 1
    return looked_at


def test_nothing_acknowledged_is_lost(tmp_path, fast_folder):
    """W1, W2, W6: a cut at any of Q1 to Q9."""
    assert check_images(tmp_path, fast_folder, seed=1, rounds=60, images=100) == 100


@pytest.mark.parametrize("kind", SYNC_KINDS)
def test_every_sync_is_needed(tmp_path, fast_folder, kind):
    """The test is worth something: without any one kind of sync it turns red."""
    records = run_load(tmp_path, seed=2, rounds=40)
    rng = random.Random(2)
    moments = [at + 1 for at, record in enumerate(records) if record[0] == MARK]
    chosen = sorted(rng.sample(moments, min(100, len(moments))))
    for _, _, complaints in cut(records, chosen, rng, fast_folder, without=kind,
                                modes=("none", "some", "torn")):
        if complaints:
            return
    pytest.fail(f"nobody noticed that the syncs of kind {kind!r} did nothing")


def complaints_without(records, number, folder):
    """What is wrong when the sync that is record `number` did nothing: at moments up to the next sync of the
    same file, with nothing else that was unsynced, or with all of it. The moments: when all of a batch have
    heard, three times, and the last one."""
    inode = records[number][1]
    end = next_sync(records, number)
    moments = [at + 1 for at in range(number, end) if records[at][0] == MARK
               and (at + 1 == end or records[at + 1][0] != MARK)][:3]
    moments += [end] * (end not in moments)
    told = {}
    for moment in moments:
        disk = Disk(number)
        for record in records[:moment]:
            disk.play(record)
        for rest in ("lost", "written"):
            image = folder / f"image{moment}{rest}"
            if rest == "written":
                disk.sync_all_but(inode)
            disk.image(image, Choice("none", random))
            told[image] = dict(disk.told)
    found = recover(told)
    for image in told:
        shutil.rmtree(image)
    return [one for image in told for one in judge(told[image], *found[image])]


def next_sync(records, number):
    """The next sync of the same file, or the end."""
    return next((at for at in range(number + 1, len(records))
                 if records[at][:2] == records[number][:2]), len(records))


def syncs_that_matter(records):
    """Numbers of the syncs that made something durable of which somebody was told before the next one, and
    those of a checkpoint. Not those that SQLite does while a process starts and has told nobody anything:
    what they keep, it keeps once more in the WAL."""
    disk, told = Disk(), False
    for number, record in enumerate(records):
        if record[0] in (FOLDER, MARK):
            told = record[0] == MARK
        elif record[0] == SYNC:
            entry = disk.by_inode[record[1]]
            kind = disk.sync_kind(entry)
            heard = any(one[0] == MARK for one in records[number:next_sync(records, number)])
            news = kind not in NOT_TOLD and any(
                change[0] not in NOT_TOLD for change in entry.pending)
            if news and heard and (told or kind not in ("data", "database")):
                yield number, kind
        disk.play(record)


@pytest.mark.slow
def test_every_single_sync_is_needed(tmp_path, fast_folder):
    """Not only each kind: leaving out any one call, once, loses something that somebody was told."""
    records = run_load(tmp_path, seed=3, rounds=40)
    kinds = collections.Counter()
    for number, kind in syncs_that_matter(records):
        assert complaints_without(records, number, fast_folder), \
            f"nobody noticed that the sync of kind {kind} at record {number} did nothing"
        kinds[kind] += 1
    print(dict(kinds))
    assert set(kinds) >= {"body", "directory", "spool", "wal", "database"}


def run_until_a_new_directory(tmp_path):
    """A process that made a new directory below spool/, named a body in it, and died: its folder."""
    probe = tmp_path / "probe"
    probe.mkdir()
    made = next(at for at, record in enumerate(run_load(probe, seed=4, rounds=20))
                if record[0] == MKDIR and len(record[3]) == 2)
    # No two runs are quite alike.
    for turn in range(150):
        records = max(1, made - 4 + turn % 9)
        folder = tmp_path / str(turn)
        folder.mkdir()
        log = run_load(folder, seed=4, rounds=20, records=records)
        last = max((at for at, one in enumerate(log) if one[0] == MKDIR), default=len(log))
        named = {one[1] for one in log[last:] if one[0] == LINK}
        if named and all(one[0] == LINK or one[1] in named for one in log[last + 1:]):
            return folder  # bodies may be synced, directories are not
    raise AssertionError("no such moment was met")


def test_a_power_cut_after_a_death(tmp_path, fast_folder):
    """What one process named and did not sync, the next must sync before it relies on it: it sees the
    directory, and not that its name is in memory only."""
    folder = run_until_a_new_directory(tmp_path)
    records = run_load(folder, seed=5, rounds=10)
    begun = max(at for at, record in enumerate(records) if record[0] == FOLDER)
    moments = [at + 1 for at, record in enumerate(records) if record[0] == MARK]
    for moment, mode, complaints in cut(records, moments[:60], random.Random(5), fast_folder):
        assert not complaints, f"cut at record {moment}, {mode} of what was not synced survived"
    disk = Disk()
    for record in records[:begun]:
        disk.play(record)
    spool = next(inode for inode, one in disk.by_inode.items() if one.name == "spool")
    sweep = records.index((SYNC, spool, 0, b""), begun)
    assert complaints_without(records, sweep, fast_folder), "start-up need not sync spool/"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 15))
def test_a_thousand_images(tmp_path, fast_folder, seed):
    assert check_images(tmp_path, fast_folder, seed=seed, rounds=150, images=200) == 200
