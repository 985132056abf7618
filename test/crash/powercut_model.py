"""What a disk may hold after a power cut, from the log that powercut.c writes.

A write is durable once its file was synced, a name once its directory was. What was not synced may be
there or not, in any combination, and the write at the very edge may be torn at a sector (512 bytes).
Only names reach files: a synced file whose name was never synced is gone.
"""

import struct
from pathlib import Path

FOLDER, MAKE, MKDIR, WRITE, TRUNCATE, SYNC, LINK, UNLINK, MARK = range(1, 10)
SECTOR = 512

#: Kinds of syncs: taking out any one of them must lose something (test_powercut.py).
SYNC_KINDS = ("body", "directory", "spool", "home", "data", "wal", "database")


def read_log(path):
    """The records as (kind, inode, offset, bytes)."""
    data = Path(path).read_bytes()
    records, at = [], 0
    head = struct.Struct("<BQQI")
    while at < len(data):
        kind, inode, offset, length = head.unpack_from(data, at)
        at += head.size
        records.append((kind, inode, offset, data[at:at + length]))
        at += length
    return records


class File:
    """One file: what is durable, and what was done to it since."""

    def __init__(self):
        self.name = ""
        self.durable = bytearray()
        self.pending = []  # (offset, bytes), or (size, None) for a new length

    def sync(self):
        for change in self.pending:
            apply(self.durable, change)
        self.pending.clear()

    def contents(self, choose):
        """After a cut: `choose` picks what of the pending changes survived."""
        data = bytearray(self.durable)
        for change in choose.changes(self.pending):
            apply(data, change)
        return data


class Folder:
    """A directory: durable names, and what happened to names since."""

    def __init__(self, name):
        self.name = name
        self.durable = {}
        self.pending = []  # (name, File or Folder), or (name, None) for one that went

    def sync(self):
        for name, entry in self.pending:
            self.put(self.durable, name, entry)
        self.pending.clear()

    @staticmethod
    def put(names, name, entry):
        if entry is None:
            names.pop(name, None)
        else:
            names[name] = entry

    def names(self, choose):
        names = dict(self.durable)
        for name, entry in choose.names(self.pending):
            self.put(names, name, entry)
        return names


def apply(data, change):
    offset, written = change
    if written is None:
        if offset < len(data):
            del data[offset:]
        else:
            data.extend(bytes(offset - len(data)))
        return
    if offset > len(data):
        data.extend(bytes(offset - len(data)))
    data[offset:offset + len(written)] = written


class Choice:
    """How much of what was not synced is there after the cut."""

    MODES = ("none", "all", "some", "first", "torn")

    def __init__(self, mode, rng):
        self.mode, self.rng = mode, rng

    def names(self, pending):
        if self.mode in ("none", "torn"):
            return []
        if self.mode == "all":
            return pending
        return [change for change in pending if self.rng.random() < 0.5]

    def changes(self, pending):
        if self.mode == "none" or not pending:
            return []
        if self.mode == "all":
            return pending
        if self.mode == "some":
            return [change for change in pending if self.rng.random() < 0.5]
        cut = self.rng.randrange(len(pending) + 1)
        if self.mode == "first":
            return pending[:cut]
        return [piece for change in pending[:cut] for piece in self.torn(change)]

    def torn(self, change):
        """Each sector of a write may be there or not."""
        offset, written = change
        if written is None or self.rng.random() < 0.5:
            return [change]
        end = offset + len(written)
        edges = [offset, *range((offset // SECTOR + 1) * SECTOR, end, SECTOR), end]
        return [(a, written[a - offset:b - offset])
                for a, b in zip(edges, edges[1:]) if self.rng.random() < 0.5]


class Disk:
    """Plays a log. `without` names a kind of sync that does nothing, or is the number of the one record
    that does not."""

    def __init__(self, without=None):
        self.root = None
        self.by_inode = {}
        self.without = without
        self.played = 0
        self.told = {}  # queue id -> what the world was told last

    def play(self, record):
        kind, inode, offset, data = record
        if kind == FOLDER:  # once more: the next process on the same folder
            self.root = self.by_inode.setdefault(inode, Folder(""))
        elif kind == MAKE:
            self.by_inode[inode] = File()
            if offset:
                self.name(offset, data.decode(), self.by_inode[inode])
        elif kind == MKDIR:
            self.by_inode[inode] = Folder(data.decode())
            self.name(offset, data.decode(), self.by_inode[inode])
        elif kind == WRITE:
            self.by_inode[inode].pending.append((offset, data))
        elif kind == TRUNCATE:
            self.by_inode[inode].pending.append((offset, None))
        elif kind == SYNC:
            if self.without not in (self.played, self.sync_kind(self.by_inode[inode])):
                self.by_inode[inode].sync()
        elif kind == LINK:
            self.name(offset, data.decode(), self.by_inode[inode])
        elif kind == UNLINK:
            self.by_inode[offset].pending.append((data.decode(), None))
        elif kind == MARK:
            self.told[offset] = data.decode().split()
        self.played += 1

    def name(self, folder, name, entry):
        entry.name = name
        self.by_inode[folder].pending.append((name, entry))

    def sync_kind(self, entry):
        if isinstance(entry, Folder):
            return {"": "home", "spool": "spool", "data": "data"}.get(entry.name, "directory")
        if entry.name.endswith("-wal"):
            return "wal"
        if entry.name in ("clock", "suspect"):
            return entry.name
        return "database" if entry.name.startswith("node.db") else "body"

    def sync_all_but(self, inode):
        """As if the kernel had written back everything else by itself."""
        for other, entry in self.by_inode.items():
            if other != inode:
                entry.sync()

    def image(self, to, choose):
        """Writes what is there after a cut at this moment into the new folder `to`."""
        self.write_folder(self.root, Path(to), choose)

    def write_folder(self, folder, to, choose):
        to.mkdir()
        for name, entry in folder.names(choose).items():
            if isinstance(entry, Folder):
                self.write_folder(entry, to / name, choose)
            else:
                (to / name).write_bytes(entry.contents(choose))
