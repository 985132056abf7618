"""The test's hand on faults.c: arms rules in the file that the roles of a home have mapped."""

import errno
import mmap
import struct

from letterlock import build_folder

RULES, TEXT = 8, 48
LAYOUT = struct.Struct(f"=IIiIIIII{TEXT}s{TEXT}s{TEXT}s")
ACTS = {name: number for number, name in
        enumerate(("fail", "lie", "half", "die before", "die after"), 1)}
SEEN_AT, HITS_AT = 6 * 4, 7 * 4


class Faults:
    """faults = Faults(home); home.serve(); faults.arm("store", "sync", "*-wal"); ...; faults.hits();
    faults.clear()"""

    def __init__(self, home):
        path = home.folder / "faults"  # where the walls of serve, which roles inherit, let it be mapped
        path.write_bytes(bytes(RULES * LAYOUT.size))
        path.chmod(0o666)  # roles have users of their own
        with open(path, "r+b") as file:
            self.rules = mmap.mmap(file.fileno(), 0)
        home.preload = {"FAULTS": str(path),
                        "LD_PRELOAD": str(build_folder() / "test/crash/faults.so")}

    def arm(self, role, call, pattern="*", error=errno.EIO, act="fail", skip=0, times=1, stall_ms=0,
            slot=0):
        """From now on the call fails `times` times, after `skip` that pass."""
        self._put(slot, 0)
        at = slot * LAYOUT.size
        rule = LAYOUT.pack(0, ACTS[act], error, stall_ms, skip, times, 0, 0, role.encode(),
                           call.encode(), pattern.encode())
        self.rules[at:at + LAYOUT.size] = rule
        self._put(slot, 1)

    def _put(self, slot, armed):
        self.rules[slot * LAYOUT.size:slot * LAYOUT.size + 4] = struct.pack("=I", armed)

    def clear(self):
        for slot in range(RULES):
            self._put(slot, 0)

    def _count(self, slot, at):
        return struct.unpack_from("=I", self.rules, slot * LAYOUT.size + at)[0]

    def seen(self, slot=0):
        """How often the call was made since the rule was armed."""
        return self._count(slot, SEEN_AT)

    def hits(self, slot=0):
        """How often the rule struck."""
        return self._count(slot, HITS_AT)
