# SPDX-License-Identifier: GPL-2.0-or-later
"""Recorded runs of the original's command line tools, replayed with ours.

If this fails, a script that calls qvm-* gets another output or exit status than from the original, or
the Admin API is asked for something else.

usage: tools_programs.py FILE-OR-DIRECTORY... [ID...]   (tool-*.jsonl; tests/vectors/admin/README.md)

Each row is one run. A stand-in for the admin service checks every request and gives the recorded reply;
stand-ins for qrexec-client, sudo and qvm-appmenus note how they are called. Imports go through dom0's
real service. Requests must come in the
recorded order, but for those that differ only in the name of a qube where the original goes through a
set.
"""

import base64
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

BUILD = os.environ.get("SKERRY_BUILD", "build")
QVM = os.path.join(BUILD, "tools", "qvm", "qvm")
IMPORT = os.path.abspath(os.path.join(BUILD, "services", "dom0", "dom0-import-volume"))  # the service itself
LIMIT = float(os.environ.get("SKERRY_HANG", "90"))  # seconds; only stops what would wait for ever
FILES = {"notesfile": b"Imported note\nline 2\n", "img100k": bytes(102400)}
STUB = """#!/bin/sh
# What it was called with, a NUL behind each word and an empty word at the end.
{ printf '%%s\\0' "${0##*/}" "$@"; printf '\\0'; } >>"%(log)s"
case "${0##*/} $1" in
"sudo losetup" | losetup*) echo /dev/loop7 ;;
esac
"""

def data(value):
    """A field of a row as bytes."""
    if value is None:
        return b""
    if isinstance(value, str):
        return value.encode("utf-8")
    return value["t"].encode("latin-1") if "t" in value else base64.b64decode(value["b64"])


def canonical(request):
    """The pairs of a device line stand in any order."""
    header, nul, payload = request.partition(b"\0")
    if b".device." in header and payload:
        payload = b" ".join(sorted(payload.split(b" ")))
    return header + nul + payload


def without_qube(request):
    header, nul, payload = request.partition(b"\0")
    return header.rsplit(b" ", 1)[0] + nul + payload


class Server:
    """Answers as recorded, notes what does not fit."""

    def __init__(self, root, calls):
        self.calls = [(c["sock"], canonical(data(c["req"])), data(c["resp"])) for c in calls]
        self.used = [False] * len(calls)
        self.complaints = []
        self.lock = threading.Lock()
        self.listeners = []
        for name in ("qubesd.sock", "qubesd.internal.sock", "qubesd.misc.sock"):
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(os.path.join(root, "run", name))
            listener.listen(64)
            self.listeners.append(listener)
            threading.Thread(target=self.serve, args=(listener, name), daemon=True).start()

    def serve(self, listener, name):
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            with connection:
                request = b"".join(iter(lambda: connection.recv(65536), b""))
                try:
                    connection.sendall(self.answer(name, request))
                except OSError as e:
                    self.complaints.append("%r: %s" % (request, e))

    def answer(self, name, request):
        # Ours alone: the recorded service has it not, and after its refusal all must be as recorded.
        if name == "qubesd.internal.sock" and request.startswith(b"internal.vm.property.Table+ dom0 name dom0\0"):
            return b"2\0ProtocolError\0\0no such method\0"
        wanted = canonical(request)
        with self.lock:
            for i, (sock, recorded, reply) in enumerate(self.calls):
                if self.used[i]:
                    continue
                if (sock, recorded) == (name, wanted):
                    self.used[i] = True
                    return reply
                if without_qube(recorded) != without_qube(wanted) and not self.later(i, name, wanted):
                    break
            expected = next((c for i, c in enumerate(self.calls) if not self.used[i]), None)
        self.complaints.append("asked %r, recorded is %r" % (request, expected and expected[1]))
        return b"2\0QubesException\0\0not recorded\0"

    def later(self, at, name, wanted):
        """Whether it comes later, and everything before it only differs in the qube, in blocks of a set."""
        qube = lambda r: r.partition(b"\0")[0].rsplit(b" ", 1)[1]
        rest = [c for i, c in enumerate(self.calls) if i >= at and not self.used[i]]
        index = next((i for i, c in enumerate(rest) if (c[0], c[1]) == (name, wanted)), None)
        kinds = {without_qube(c[1]) for c in rest[:index]} if index is not None else set()
        return index is not None and without_qube(wanted) in kinds and qube(rest[0][1]) != qube(wanted)

    def close(self):
        for listener in self.listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for used, call in zip(self.used, self.calls):
            if not used:
                self.complaints.append("did not ask %r" % call[1])


def shell_words(text):
    """Words as bash prints them: backslashes, and $'…' with escapes."""
    ansi = re.compile(r"\$'((?:\\.|[^'\\])*)'")
    return shlex.split(ansi.sub(lambda m: shlex.quote(m.group(1).encode().decode("unicode_escape")), text))


def programs_called(path):
    try:
        with open(path, "rb") as f:
            calls = f.read().decode().split("\0\0")
    except FileNotFoundError:
        return []
    return [c.split("\0") for c in calls if c]


def programs_recorded(row):
    """Those that the tool itself starts; the rest of the list are the service's."""
    own = ("qvm-appmenus", "sudo losetup") + (("qrexec-client",) if row["id"].startswith("T-run-") else ())
    words = [shell_words(s) for s in row.get("spawned", []) if s.startswith(own)]
    return [w[w[0] == "sudo" and os.geteuid() == 0:] for w in words]  # root needs no sudo


def error_text(text, row):
    """What counts of standard error: no progress; of a list from a set, no order."""
    lines = [line for line in text.split("\n") if not line.startswith("please wait...")]
    if row.get("traceback"):
        return [line for line in lines if line][-1:]
    listed = [i for i, line in enumerate(lines) if line.startswith(" - ")]
    for i, line in zip(listed, sorted(lines[i] for i in listed)):
        lines[i] = line
    return lines


def prepare(folder):
    root, bin_dir, rpc = (os.path.join(folder, d) for d in ("root", "bin", "root/etc/qubes-rpc"))
    for path in (root, os.path.join(root, "run"), bin_dir, rpc, os.path.join(folder, "cwd")):
        os.makedirs(path, exist_ok=True)
    for name, content in FILES.items():
        with open(os.path.join(folder, "cwd", name), "wb") as f:
            f.write(content)
    for name in ("qrexec-client", "sudo", "losetup", "qvm-appmenus"):
        write_program(os.path.join(bin_dir, name), STUB % {"log": os.path.join(folder, "called")})
    for name in ("Import", "ImportWithSize"):
        os.symlink(IMPORT, os.path.join(rpc, "admin.vm.volume." + name))
    # Where the recorded service has the data of an import written.
    target = os.path.join(root, "var/lib/qubes/appvms/work/private-import.img")
    os.makedirs(os.path.dirname(target))
    with open(target, "wb"):
        pass
    return root, bin_dir


def write_program(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, 0o755)


def replay(row, bin_source):
    """The differences, as lines."""
    with tempfile.TemporaryDirectory(prefix="skerry-tools-") as folder:
        root, bin_dir = prepare(folder)
        os.link(bin_source, os.path.join(bin_dir, "qvm"))
        words = shlex.split(row["cmd"])
        os.symlink("qvm", os.path.join(bin_dir, words[0]))
        server = Server(root, row["calls"])
        env = {k: v for k, v in os.environ.items() if k.startswith(("ASAN_", "UBSAN_", "LSAN_"))}
        env.update(SKERRY_ROOT=root, PATH=bin_dir + ":/usr/bin:/bin", LC_ALL="C.UTF-8", HOME=folder)
        result = subprocess.run([os.path.join(bin_dir, words[0])] + words[1:], env=env, input=data(row.get("stdin")),
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT, check=False,
                                cwd=os.path.join(folder, "cwd"))
        server.close()
        wrong = server.complaints
        for what, got, wanted in (
                ("exit", result.returncode, row["exit"]),
                ("stdout", result.stdout.decode(), data(row["stdout"]).decode()),
                ("stderr", error_text(result.stderr.decode(), row), error_text(data(row["stderr"]).decode(), row)),
                ("started", programs_called(os.path.join(folder, "called")), programs_recorded(row))):
            if got != wanted:
                wrong.append("%s: is %r" % (what, got))
                wrong.append("%s: should be %r" % (what, wanted))
        return wrong


def rows_of(paths):
    for path in paths:
        names = [path]
        if os.path.isdir(path):
            names = [os.path.join(path, n) for n in sorted(os.listdir(path)) if n.startswith("tool-")]
        for name in names:
            with open(name, encoding="utf-8") as f:
                yield from (json.loads(line) for line in f if line.strip())


def main():
    paths = [a for a in sys.argv[1:] if os.path.exists(a)]
    ids = [a for a in sys.argv[1:] if not os.path.exists(a)]
    rows = [r for r in rows_of(paths) if not ids or any(i in r["id"] for i in ids)]
    if not rows:
        sys.exit(__doc__)
    # A link must be on the file system of the program.
    with tempfile.TemporaryDirectory(prefix="skerry-qvm-") as folder:
        program = shutil.copy2(QVM, os.path.join(folder, "qvm"))
        print("1..%d" % len(rows))
        failed = 0
        for i, row in enumerate(rows, 1):
            wrong = replay(row, program)
            failed += bool(wrong)
            print("%sok %d - %s %s" % ("not " if wrong else "", i, row["id"], row["cmd"].replace("#", "")))
            for line in wrong[:8]:
                print("# " + line[:2000])
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
