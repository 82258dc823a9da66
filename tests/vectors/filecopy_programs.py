# SPDX-License-Identifier: GPL-2.0-or-later
"""Recorded streams of qubes.Filecopy, replayed through the real receivers and the real sender.

If this fails, a copy from or to a qube that runs the original's programs ends otherwise than it did
there: another error, other bytes, or another tree.

usage: filecopy_programs.py FILE-OR-DIRECTORY...   (index.json, sender.json and the .bin files beside)

validators.json and codepoints.json are replayed by filecopy_vectors.c.
"""
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import zlib

BUILD = os.environ["SKERRY_BUILD"]
RECEIVERS = {"vm": "qube/filecopy/qfile-unpacker", "dom0": "tools/qfile-dom0-unpacker"}
SENDER = os.path.join(BUILD, "qube/filecopy/qfile-agent")
HANG = 120
OLD = 1000000000
SHOWN = 300


class Wrong(Exception):
    pass


def equal(got, want, what):
    if got != want:
        raise Wrong("%s: got %s, want %s" % (what, repr(got)[:SHOWN], repr(want)[:SHOWN]))


def environment(**more):
    env = {k: v for k, v in os.environ.items() if k.startswith(("ASAN", "UBSAN", "PATH"))}
    env.update(more)
    return env


# --- trees -----------------------------------------------------------------------------------------

def deep(fd, name):
    """A folder below one that is open: paths may be longer than the system takes at once."""
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)


def read(fd, name, mode):
    if not mode & 0o400:
        os.chmod(name, 0o400, dir_fd=fd)
    with os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=fd), "rb") as f:
        data = f.read()
    if not mode & 0o400:
        os.chmod(name, mode, dir_fd=fd)
    return data


def listed(fd, above=b""):
    """What is below a folder, as the vectors list it, without times."""
    found = {}
    for name in os.listdir(fd):
        name = os.fsencode(name)
        st = os.stat(name, dir_fd=fd, follow_symlinks=False)
        path, mode = above + name, stat.S_IMODE(st.st_mode)
        one = {"mtime": [st.st_mtime_ns // 10**9, st.st_mtime_ns % 10**9]}
        if stat.S_ISLNK(st.st_mode):
            one.update(type="symlink", target_hex=os.readlink(name, dir_fd=fd).hex())
        elif stat.S_ISDIR(st.st_mode):
            one.update(type="dir", mode="%04o" % mode)
            if mode & 0o500 != 0o500:
                os.chmod(name, 0o700, dir_fd=fd)
            below = deep(fd, name)
            found.update(listed(below, path + b"/"))
            os.close(below)
        else:
            data = read(fd, name, mode)
            one.update(type="file", mode="%04o" % mode, size=st.st_size, nlink=st.st_nlink,
                       sha256=hashlib.sha256(data).hexdigest())
        found[path.hex()] = one
    return found


def remove(fd):
    for name in os.listdir(fd):
        name = os.fsencode(name)
        if stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
            os.chmod(name, 0o700, dir_fd=fd)
            below = deep(fd, name)
            remove(below)
            os.close(below)
            os.rmdir(name, dir_fd=fd)
        else:
            os.unlink(name, dir_fd=fd)


class Folder:
    """A temporary one that anything may be found in."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="skfc-")
        self.fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        return self

    def __exit__(self, *_):
        remove(self.fd)
        os.close(self.fd)
        os.rmdir(self.path)


def compare_trees(got, want):
    want = {one["path_hex"]: one for one in want}
    equal(sorted(bytes.fromhex(p) for p in got), sorted(bytes.fromhex(p) for p in want), "names")
    for path, one in want.items():
        for key in ("type", "mode", "size", "sha256", "nlink", "target_hex"):
            if key in one:
                equal(got[path].get(key), one[key], "%s of %s" % (key, bytes.fromhex(path)))
        if one.get("mtime"):
            equal(got[path]["mtime"], one["mtime"], "mtime of %s" % bytes.fromhex(path))


# --- receivers -------------------------------------------------------------------------------------

def set_up(folder, things):
    for one in things or []:
        path = os.path.join(folder, one["path"])
        if one["type"] == "dir":
            os.mkdir(path)
        elif one["type"] == "symlink":
            os.symlink(one["target"], path)
        else:
            with open(path, "w") as f:
                f.write(one["content"])
        if one["type"] != "symlink":
            os.chmod(path, int(one["mode"], 8))
    for one in reversed(things or []):
        os.utime(os.path.join(folder, one["path"]), (OLD, OLD), follow_symlinks=False)


def receiver(case, place):
    with open(os.path.join(place, case["stream"]), "rb") as f:
        stream = f.read()
    if "sha256" in case:
        equal(hashlib.sha256(stream).hexdigest(), case["sha256"], "the recorded stream")
    program = os.path.join(BUILD, RECEIVERS[case["unpacker"]])
    with Folder() as folder:
        set_up(folder.path, case.get("setup"))
        if case["unpacker"] == "vm":
            argv = [program] + case["options"] + ["", folder.path]
        else:
            argv = [program, str(os.getuid()), folder.path] + case["options"]
        done = subprocess.run(argv, input=stream, env=environment(**case.get("env") or {}), timeout=HANG,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, umask=0o022)
        want = case["expect"]
        try:
            equal(done.returncode, want["exit_code"], "exit status")
            equal(done.stdout.hex(), want["reply_hex"], "reply")
            compare_trees(listed(folder.fd), want["tree"])
        except Wrong as e:
            raise Wrong("%s; it said %s" % (e, done.stderr[-SHOWN:])) from None


# --- sender ----------------------------------------------------------------------------------------

def make_tree(folder, things):
    for one in things:
        path = os.path.join(folder, one["path"])
        if one["type"] == "dir":
            os.mkdir(path)
        elif one["type"] == "symlink":
            os.symlink(one["target"], path)
        elif one["type"] == "fifo":
            os.mkfifo(path)
        else:
            with open(path, "wb") as f:
                f.write(bytes.fromhex(one["content_hex"]))
    for one in reversed(things):
        path = os.path.join(folder, one["path"])
        if one["type"] != "symlink":
            os.chmod(path, int(one["mode"], 8))
        times = [one[which][0] * 10**9 + one[which][1] for which in ("atime", "mtime")]
        os.utime(path, ns=tuple(times), follow_symlinks=False)


def start_sender(folder, args, env, stdin):
    return subprocess.Popen([SENDER] + args, cwd=folder, env=environment(**env), stdin=stdin,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def answered(process, reply_of):
    """Everything it sends; then the answer. (stream, stderr, status)"""
    stream = b""
    while not stream.endswith(bytes(32)):
        more = os.read(process.stdout.fileno(), 1 << 16)
        if not more:
            break
        stream += more
    try:
        process.stdin.write(reply_of(stream))
        process.stdin.flush()
    except BrokenPipeError:
        pass
    out, err = process.communicate(timeout=HANG)
    return stream + out, err, process.returncode


def pack(case, place):
    with open(os.path.join(place, case["stream"]), "rb") as f:
        want = f.read()
    with Folder() as folder:
        make_tree(folder.path, case["tree"])
        process = start_sender(folder.path, case["args"], case["env"], subprocess.PIPE)
        stream, err, status = answered(process, lambda stream: bytes(8) + zlib.crc32(stream).to_bytes(8, "little") +
                                       bytes(4))
        equal(stream.hex(), want.hex(), "stream")
        equal(status, case["exit_code"], "exit status")
        equal(err.decode(), case["stderr"], "stderr")


def reply_bytes(case, stream):
    reply = bytes.fromhex(case["reply_hex"])
    if case["crc"] == "match":
        reply = reply[:8] + zlib.crc32(stream).to_bytes(8, "little") + reply[16:]
    elif case["crc"] == "wrong":
        reply = reply[:8] + (zlib.crc32(stream) ^ 1).to_bytes(8, "little") + reply[16:]
    return reply


def reply(case, first):
    """@first: the case whose tree is sent."""
    with Folder() as folder:
        make_tree(folder.path, first["tree"])
        early = case["when"].startswith("before")
        read_end, write_end = os.pipe()
        if early:
            os.write(write_end, reply_bytes(case, b""))
            os.close(write_end)
        process = start_sender(folder.path, first["args"], first["env"], read_end if early else subprocess.PIPE)
        os.close(read_end)
        if early:
            err, status = process.communicate(timeout=HANG)[1], process.returncode
        else:
            os.close(write_end)
            _, err, status = answered(process, lambda stream: reply_bytes(case, stream))
        equal(status, case["exit_code"], "exit status")
        equal(err.decode(), case["stderr"], "stderr")


# --- which cases -----------------------------------------------------------------------------------

def cases_of(path):
    """(name, function) of each case in a file; None: the file holds cases of another kind."""
    with open(path, encoding="utf-8") as f:
        data = json.load(f)
    place = os.path.dirname(os.path.abspath(path))
    if not isinstance(data, dict):
        return None
    found = []
    for case in data.get("cases", []):
        found.append((case["name"], lambda case=case: receiver(case, place)))
    for case in data.get("pack", []):
        found.append((case["name"], lambda case=case: pack(case, place)))
    for case in data.get("replies", []):
        found.append((case["name"], lambda case=case: reply(case, data["pack"][0])))
    return found or None


def main():
    found, elsewhere = [], 0
    for path in sys.argv[1:]:
        files = [os.path.join(path, n) for n in sorted(os.listdir(path)) if n.endswith(".json")] \
            if os.path.isdir(path) else [path]
        for file in files:
            cases = cases_of(file)
            found += cases or []
            elsewhere += cases is None
    if not found:
        print("1..0 # SKIP every case is one of lib/untrusted" if elsewhere else "Bail out! no recorded cases")
        return 0 if elsewhere else 1
    print("1..%d" % len(found))
    failed = 0
    for number, (name, run) in enumerate(found, 1):
        try:
            run()
            print("ok %d - %s" % (number, name), flush=True)
        except (Wrong, OSError, subprocess.TimeoutExpired) as e:
            failed += 1
            print("not ok %d - %s\n# %s" % (number, name, e), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
