"""What one server is put through in one cell, and the figures that come of it. A figure "void" says
why the others mean nothing."""

import os
import re
import statistics
import subprocess
import time

from cells import CELLS
from group import settle_disk
from servers import BUILD, Trouble, run

MOST_BYTES = 256 << 20  # of one load, so that no round fills the disk
MOST_MESSAGES = 20000
WRONG = "rej4", "rej5", "lost", "conn_err"


def blast_command(cell, server, count):
    port = server.accept_port if cell.kind != "relay" else server.relay_port
    command = [BUILD / "bench" / "smtpblast", "-n", count, "-c", cell.connections, "-s", cell.size,
               "-T", 60, *cell.options]
    if cell.per_session:
        command += ["-m", cell.per_session]
    if cell.per_session == 1 and not server.quits:
        command.append("-Q")
    return [str(word) for word in [*command, port]]


def figures(text):
    """The key=value words of a generator's last line as numbers."""
    if not text:
        raise Trouble("the generator ended without a word")
    return {k: float(v) for k, v in re.findall(r"(\w+)=(-?[\d.]+)", text.splitlines()[-1])}


def blast(cell, server, count):
    """One load of accept or relay. Its figures; "void" says why they mean nothing."""
    if cell.kind == "relay":
        server.sink.expect(count)
    settle_disk()
    cpu, start = server.group.cpu(), time.monotonic()
    done = subprocess.run(blast_command(cell, server, count), text=True, timeout=120,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    got = figures(done.stdout)
    wrong = [f"{k}={got[k]:g}" for k in WRONG if got[k]]
    if wrong:
        got["void"] = f"{' '.join(wrong)} {done.stderr.strip()}"
    elif cell.kind == "relay":
        last = server.sink.wait(60)
        if last is None:
            got["void"] = "not all messages reached the next hop within 60 s"
            server.empty()
        else:
            got["rate"] = count / (last - start)
    server.group.settle()
    got["cpu"] = (server.group.cpu() - cpu) * 1000 / count
    if cell.kind == "accept" and not wrong and server.queued() not in (None, count):
        got["void"] = f"{server.queued()} messages in the queue, not {count}"
    return got


def memory(cell, server):
    """Memory of a server just started: the most while sessions send and when all are open; and what
    each of the open ones, now idle, adds to none."""
    server.restart()
    server.hold(True)
    server.group.settle()
    idle = most = server.group.pss()
    load = subprocess.Popen(blast_command(cell, server, max(cell.count, 1)), text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    os.set_blocking(load.stdout.fileno(), False)
    end, opened = time.monotonic() + 60, ""
    while not opened and time.monotonic() < end:
        opened = load.stdout.readline()
        most = max(most, server.group.pss())
        time.sleep(0.05)
    server.group.settle()
    still = server.group.pss()
    os.set_blocking(load.stdout.fileno(), True)
    got = figures(load.communicate("")[0])
    got["pss"] = max(most, still)
    got["kib_each"] = (still - idle) * 1024 / cell.connections
    if opened != f"open={cell.connections}\n" or any(got[k] for k in WRONG):
        got["void"] = f"{opened.strip() or 'not open in time'}, lost={got['lost']:g}"
    return got


def seconds_of(action, before=lambda: None):
    """The median of three."""
    took = []
    for _ in range(3):
        before()
        start = time.monotonic()
        action()
        took.append(time.monotonic() - start)
    return statistics.median(took)


def drop_caches():
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as f:
        f.write("3")


def accept_rate(server, emptied):
    """The median of three loads of accept-20 of about a second each."""
    cell, rates, count = CELLS["accept-20"], [], 400
    server.hold(True)
    for _ in range(4):  # the first says how many are a second
        got = figures(subprocess.run(blast_command(cell, server, count), text=True, timeout=120,
                                     stdout=subprocess.PIPE, check=True).stdout)
        if emptied:
            server.empty()
        server.group.settle()
        rates.append(got["rate"])
        count = min(max(int(rates[0]), 400), MOST_MESSAGES)
    return statistics.median(rates[1:])


def deferred(cell, server):
    """A queue full of what a dead next hop has left there. Mail is sent there as any other is: each
    message was tried, or put with those that failed."""
    server.restart()
    empty_rate = accept_rate(server, True)
    idle = server.group.pss()
    server.hold(False)
    server.sink.stop()
    try:
        got = figures(subprocess.run(
            [BUILD / "bench" / "smtpblast", "-n", str(cell.count), "-c", str(cell.connections),
             "-T", "300", str(server.relay_port)], text=True, timeout=400,
            stdout=subprocess.PIPE).stdout)
        server.group.settle(300)
        waiting = server.deferred()
        got["kib_each"] = (server.group.pss() - idle) * 1024 / cell.count
        listed = server.list_queue()
        got["page_s"] = seconds_of(server.list_page)
        got["page_cold_s"] = seconds_of(server.list_page, before=drop_caches)
        got["list_warm_s"] = seconds_of(server.list_queue)
        got["list_cold_s"] = seconds_of(server.list_queue, before=drop_caches)
        got["accept_share"] = accept_rate(server, False) / empty_rate
        got["start_s"] = seconds_of(server.start, before=server.shut_down)
    finally:
        server.sink.start()
        server.hold(True)
    if not waiting == listed == cell.count or any(got[k] for k in WRONG):
        got["void"] = f"of {cell.count} messages {waiting} deferred, {listed} listed"
    return got


def handshakes(cell, server):
    """TLS 1.3 through the role `keys`, as a share of the rate with the key at hand."""
    text = run(BUILD / "bench" / "tls_handshake", "1", cell.connections)
    found = re.findall(r"^(\w+) +TLS 1.3 +(\d+) at once:.* ratio ([\d.]+)", text, re.M)
    return {key: float(share) for key, at_once, share in found if int(at_once) == cell.connections}


APART = {"memory": memory, "deferred": deferred, "handshakes": handshakes}


def measure(cell, server, count):
    server.hold(cell.kind != "relay")
    return APART[cell.kind](cell, server) if cell.kind in APART else blast(cell, server, count)


def clear(cell, server):
    if cell.kind != "relay":
        server.empty()
        server.group.settle()


def calibrate(cell, server, seconds):
    """Warms the server up; the count that keeps it busy about so long."""
    if cell.kind in APART:
        return cell.count
    most = min(MOST_MESSAGES, MOST_BYTES // cell.size)
    count = max(2 * cell.connections, 100)
    for aim in seconds / 3, seconds:
        got = measure(cell, server, count)
        clear(cell, server)
        if "void" in got:
            return count
        count = int(min(max(got["rate"] * aim, 2 * cell.connections, 100), most))
    return count
