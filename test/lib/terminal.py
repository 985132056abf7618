"""A terminal for one program: what it shows can be read, keys can be pressed, its size changed.
Knows the few escape sequences that our own programs use, and fails on all others."""

import fcntl
import os
import pty
import re
import select
import struct
import termios
import time

SEQUENCE = re.compile(rb"\x1b\[(\??[0-9;]*)([A-Za-z])")


class Terminal:
    """with Terminal(["program", ...], env) as t: t.until(lambda text: "word" in text)"""

    def __init__(self, command, env, columns=80, rows=24):
        self.columns, self.rows = columns, rows
        self.alternate, self.cursor_hidden, self.status = False, False, None
        self._clear()
        self.pending = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(command[0], [str(word) for word in command], {**env, "TERM": "xterm"})
        self._set_size()
        self.before = termios.tcgetattr(self.fd)

    def _clear(self):
        self.lines = [[" "] * self.columns for _ in range(self.rows)]
        self.row = self.column = 0

    def _set_size(self):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", self.rows, self.columns, 0, 0))

    def resize(self, columns, rows):
        self.columns, self.rows = columns, rows
        self._clear()
        self._set_size()

    def press(self, keys):
        os.write(self.fd, keys.encode())

    def text(self):
        return "\n".join("".join(line).rstrip() for line in self.lines)

    def _sequence(self, argument, letter):
        if letter == b"m":
            return
        if letter == b"H":
            self.row = self.column = 0
        elif letter == b"K":
            self.lines[self.row][self.column:] = [" "] * (self.columns - self.column)
        elif letter == b"J" and argument == b"2":
            self._clear()
        elif letter == b"J":
            self._sequence(b"", b"K")
            for line in self.lines[self.row + 1:]:
                line[:] = [" "] * self.columns
        elif argument == b"?1049" and letter in b"hl":
            self.alternate = letter == b"h"
        elif argument == b"?25" and letter in b"hl":
            self.cursor_hidden = letter == b"l"
        else:
            raise AssertionError(f"what is ESC [ {argument} {letter}?")

    def _take(self, data):
        self.pending += data
        while self.pending:
            found = SEQUENCE.match(self.pending)
            if found:
                self._sequence(*found.groups())
                self.pending = self.pending[found.end():]
            elif self.pending[:1] == b"\x1b":
                assert len(self.pending) < 16, self.pending
                return  # the rest is still to come
            else:
                self._character(self.pending[:1])
                self.pending = self.pending[1:]

    def _character(self, byte):
        if byte == b"\r":
            self.column = 0
        elif byte == b"\n":
            self.row += 1
            assert self.row < self.rows, "it writes below the last line"
        else:
            assert self.column < self.columns, f"a line is too long: {self.text()}"
            self.lines[self.row][self.column] = byte.decode("ascii", "replace")
            self.column += 1

    def read(self, seconds=0.05):
        """Takes what comes in so many seconds; False when the program has closed its end."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not select.select([self.fd], [], [], left)[0]:
                return True
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                data = b""
            if not data:
                return False
            self._take(data)
        return True

    def until(self, condition, timeout=15):
        """Reads until condition(text of the screen) is true; returns its value."""
        end = time.monotonic() + timeout
        while not (value := condition(self.text())):
            assert time.monotonic() < end, f"not on the screen after {timeout} s:\n{self.text()}"
            assert self.read(), f"the program has ended:\n{self.text()}"
        return value

    def wait(self, timeout=15):
        """Its wait status, when it has ended."""
        end = time.monotonic() + timeout
        while self.status is None:
            self.read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = status
            assert time.monotonic() < end, "it does not end"
        return self.status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.status is None:
            os.kill(self.pid, 9)
            os.waitpid(self.pid, 0)
        os.close(self.fd)
