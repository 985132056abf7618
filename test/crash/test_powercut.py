"""Power cuts on the writer: what was answered with 250 is there, whole, and nothing half exists.

The load runs once through the real writer (powercut_load); its log of writes, syncs and names is cut
at many moments, each time a disk image is made of what may have survived, and the real start-up code
runs on it (powercut_recover). The letters Q1 to Q9 are those of src/store/writer.c, doc/QUEUE.md.
"""

import random
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from letterlock import build_folder
from powercut_model import LINK, MARK, SYNC, SYNC_KINDS, UNLINK, Choice, Disk, read_log

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
IMAGES_AT_A_TIME = 25


def id_text(number):
    return "".join(ALPHABET[number >> 5 * k & 31] for k in range(12, -1, -1))


@pytest.fixture
def fast_folder():
    """In memory if there is room enough: images are many and nobody keeps them."""
    memory = Path("/dev/shm")
    where = memory if memory.is_dir() and shutil.disk_usage(memory).free > 2 << 30 else None
    with tempfile.TemporaryDirectory(prefix="powercut", dir=where) as folder:
        yield Path(folder)


def run_load(tmp_path, seed, rounds):
    home = tmp_path / f"home{seed}"
    home.mkdir()
    subprocess.run([build_folder() / "test/crash/powercut_load", home, tmp_path / "log", str(seed),
                    str(rounds)], check=True, timeout=300)
    return read_log(tmp_path / "log")


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


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 15))
def test_a_thousand_images(tmp_path, fast_folder, seed):
    assert check_images(tmp_path, fast_folder, seed=seed, rounds=150, images=200) == 200
