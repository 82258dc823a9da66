# SPDX-License-Identifier: GPL-2.0-or-later
"""A small system whose qubes and dom0 have the services that are installed in them, and the default policy.

The files are laid out as `ninja install` does it, from what meson says it would install.
"""

import json
import shutil
import struct
import subprocess
import zlib

from harness import *
from system import Qube, System

FIRST_POLICY = "* * @anyvm @anyvm deny notify=no\n"


def _read_links(name):
    with open(os.path.join(BUILD, name), encoding="utf-8") as file:
        return [line.split() for line in file if line.strip() and not line.startswith("#")]


def _installed():
    """(path of a built or source file, where it would be installed)"""
    with open(os.path.join(BUILD, "meson-info/meson-info.json"), encoding="utf-8") as file:
        folders = json.load(file)["directories"]
    with open(os.path.join(BUILD, "meson-info/intro-installed.json"), encoding="utf-8") as file:
        for path, where in json.load(file).items():
            for known, real in ((folders["build"], BUILD), (folders["source"], SOURCE)):
                if path.startswith(known + "/"):
                    yield real + path[len(known):], where
                    break


def option(name):
    with open(os.path.join(BUILD, "meson-info/intro-buildoptions.json"), encoding="utf-8") as file:
        return next(entry["value"] for entry in json.load(file) if entry["name"] == name)


class ServicesSystem(System):
    """Qubes with their installed services. policy: lines that come before the default policy."""

    def __init__(self, t, qubes, policy="", **more):
        super().__init__(t.path("s"), BUILD, qubes, policy, **more)
        self.t = t
        self.tree = os.path.join(option("prefix"), option("qube_tree")) + "/"
        for path, where in _installed():
            if where.startswith(self.tree):
                for name in self.qubes:
                    self._place(path, self.inside(name, where[len(self.tree):]))
            elif where.startswith("/etc/"):
                self._place(path, self.path(where[1:]))
        for link, target in _read_links("qube/services/links"):
            for name in self.qubes:
                self.folder("q", name, os.path.dirname(link))
                os.symlink(target, self.inside(name, link))
        for link, target in _read_links("services/dom0/links"):
            os.symlink(os.path.join(BUILD, "services/dom0", target), self.path(link))
        self.folder("usr/bin")
        for name in ("qrexec-client", "qrexec-client-vm"):
            os.symlink(self.program(name), self.path("usr/bin", name))

    def _place(self, path, where):
        self.folder(os.path.dirname(os.path.relpath(where, self.root)))
        if not os.path.lexists(where):
            os.symlink(path, where) if path.startswith(BUILD) else shutil.copy(path, where)

    def env(self, qube=None):
        env = super().env(qube)
        inside = self.root if qube is None else self.inside(qube)
        env["PATH"] = f"{inside}/usr/bin:{env['PATH']}"
        return env

    def run(self, qube, *argv, stdin=b"", env=None):
        """A program in a qube (None: dom0), by its name or path. CompletedProcess."""
        more = {}
        if os.geteuid() == 0:
            more.update(user=self.account.pw_uid, group=self.account.pw_gid, extra_groups=[])
        return subprocess.run([str(a) for a in argv], env=dict(self.env(qube), **(env or {})), input=stdin,
                              capture_output=True, timeout=HANG, check=False,
                              cwd=self.root if qube is None else self.inside(qube, "home/user"), **more)

    def rpc(self, qube, name, argument=None, stdin=b"", env=None):
        """A service's program itself, as the agent would start it."""
        path = self.path("etc/qubes-rpc", name) if qube is None else self.inside(qube, "etc/qubes-rpc", name)
        return self.run(qube, path, *([] if argument is None else [argument]), stdin=stdin, env=env)

    def done(self):
        self.stop()
        for path in glob.glob(self.path("var/log/qubes/*")):
            with open(path, "rb") as file:
                text = file.read()
            check(not SANITIZER_REPORT.search(text), text.decode(errors="replace"))


def logs(sut):
    for path in sorted(glob.glob(sut.path("var/log/qubes/*"))):
        with open(path, "rb") as file:
            print("# " + path + "\n# " + file.read()[-3000:].decode(errors="replace").replace("\n", "\n# "))


def services(name, qubes=("vma", "vmb"), policy="", start=True):
    """A case with a system: function(t, sut). start=False: nothing runs, only the files are there."""
    def register(function):
        def run(t):
            made = [q if isinstance(q, Qube) else Qube(q, i + 1) for i, q in enumerate(qubes)]
            sut = ServicesSystem(t, made, policy)
            try:
                if start:
                    sut.start()
                function(t, sut)
            except Exception:
                logs(sut)
                raise
            sut.done()
        case(name)(run)
        return function
    return register


class Qubesd:
    """Stands for the admin service on one of its sockets: answers by method, and keeps what was asked."""

    def __init__(self, sut, socket_name, answers):
        self.asked, self.answers = [], answers
        self.responder = sut.t.respond(sut.path("run", socket_name), self._answer)

    def _answer(self, channel):
        header, _, payload = channel.recv_to_eof().partition(b"\0")
        method, source, kind, dest = header.decode().split(" ", 3)
        self.asked.append((method, source, kind, dest, payload))
        answer = self.answers.get(method, b"2\0QubesException\0\0no such method\0")
        channel.send(answer(source, dest, payload) if callable(answer) else answer)


RENDERERS = all(shutil.which(name) for name in ("pdftoppm", "pdfinfo", "gm", "rsvg-convert"))
NEEDS = None if RENDERERS else "poppler-utils, graphicsmagick, librsvg2-bin are not installed"


def png(width, height, pixels, kind=6):
    """A PNG file of RGBA pixels."""
    row = width * (4 if kind == 6 else 3)
    raw_rows = b"".join(b"\0" + pixels[y * row:(y + 1) * row] for y in range(height))

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(raw_rows)) + chunk(b"IEND", b""))


def read_png(data):
    """(width, height, RGBA) of a file of ours: one filter, eight bits."""
    check(data.startswith(b"\x89PNG\r\n\x1a\n"), data[:8])
    at, packed, head = 8, b"", None
    while at < len(data):
        length, name = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        equal(struct.unpack(">I", data[at + 8 + length:at + 12 + length])[0], zlib.crc32(name + body), "CRC")
        if name == b"IHDR":
            head = struct.unpack(">IIBBBBB", body)
        elif name == b"IDAT":
            packed += body
        at += 12 + length
    width, height, channels = head[0], head[1], 4 if head[3] == 6 else 3
    flat, rows, row = zlib.decompress(packed), b"", width * channels
    equal(len(flat), height * (row + 1))
    for y in range(height):
        line = bytearray(flat[y * (row + 1) + 1:(y + 1) * (row + 1)])
        equal(flat[y * (row + 1)], 1, "filter")
        for x in range(channels, row):
            line[x] = (line[x] + line[x - channels]) & 255
        rows += bytes(line)
    return width, height, rows
