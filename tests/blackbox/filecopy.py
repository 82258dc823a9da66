# SPDX-License-Identifier: GPL-2.0-or-later
"""qfile-unpacker, qfile-dom0-unpacker and qfile-agent alone: the conformance cases of the protocol.

If one of these failed, a copy between qubes would go wrong in a way that the original's does not, or
another qube could put something where it must not. The numbers are those of doc/protocol/filecopy.md.
"""

from filecopy_common import *


@case("filecopy-01 a lone end mark is a complete transfer of nothing")
def _(t):
    r = receive(t, END)
    equal((r.status, r.out.hex()), (0, "0000000000000000ad550a190000000000000000"))
    equal(r.tree(), {})


@case("filecopy-02 one file arrives with bytes, mode, time and checksum")
def _(t):
    stream = entry("a", data=b"hello\n") + END
    r = receive(t, stream)
    r.is_fine(b"a", stream)
    equal(r.tree(), {"a": (FILE, 0o644, 6)})
    equal(os.stat(r.place + "/a").st_mtime_ns, (TIME + 5) * 10**9 + 2)


# If this failed, files would arrive with other rights than they were sent with, where a folder has an access list.
@case("filecopy-02 modes of many files, also in a folder whose default access list takes rights away")
def _(t):
    modes = (0o644, 0o644, 0o600, 0o666, 0o666, 0o755, 0o4755, 0o1644, 0o000, 0o222, 0o7777, 0o666)
    place = tempfile.mkdtemp(dir=t.dir)
    for name in ("plain", "listed"):
        os.mkdir(os.path.join(place, name))
    # user::rw-, group::---, other::---
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", tag, rights, 0xffffffff) for tag, rights in ((1, 6), (4, 0), (32, 0)))
    try:
        os.setxattr(os.path.join(place, "listed"), "system.posix_acl_default", acl)
    except OSError:
        raise Skip("this file system has no access lists") from None
    stream = b"".join(entry(f"{folder_name}/{number}", FILE | mode, b"data") for number, mode in enumerate(modes)
                      for folder_name in ("plain", "listed"))
    got = receive(t, stream + END, place=place)
    equal(got.status, 0, got)
    for folder_name in ("plain", "listed"):
        for number, mode in enumerate(modes):
            equal(oct(os.stat(os.path.join(place, folder_name, str(number))).st_mode & 0o7777), oct(mode), (folder_name, number))


@case("filecopy-03 a folder sent once stays 0700, sent twice it has its mode and time")
def _(t):
    equal(receive(t, entry("d", FOLDER | 0o755) + END).tree(), {"d": (FOLDER, 0o700, None)})
    r = receive(t, folder("d") + END)
    equal(r.tree(), {"d": (FOLDER, 0o755, None)})
    equal(os.stat(r.place + "/d").st_mtime, TIME + 5)


@case("filecopy-04 a folder that cannot be written to arrives with its contents")
def _(t):
    r = receive(t, folder("d", entry("d/f", data=b"x"), mode=FOLDER | 0o555) + END)
    equal((r.status, r.tree()), (0, {"d": (FOLDER, 0o555, None), "d/f": (FILE, 0o644, 1)}))
    os.chmod(r.place + "/d", 0o755)


@case("filecopy-05 an existing file is never touched, an existing folder is merged into")
def _(t):
    place = t.path("there")
    t.file("there/a", b"old")
    t.file("there/d/old", b"old")
    receive(t, entry("a", data=b"new") + END, place=place).is_error(errno.EEXIST, b"a")
    equal(t.read("there/a"), b"old")
    stream = folder("d", entry("d/new", data=b"new")) + END
    receive(t, stream, place=place).is_fine(b"d", stream)
    equal(sorted(os.listdir(place + "/d")), ["new", "old"])


@case("filecopy-06 no path leads through a link, received or there before")
def _(t):
    os.mkdir(t.path("outside"))
    for made in (folder("d", entry("d/real", FOLDER), link("d/s", "real"), entry("d/s/f", data=b"x")),
                 folder("d", entry("d/real", FOLDER), link("d/s", "real"), entry("d/s/e", FOLDER))):
        receive(t, made + END).is_error(errno.ENOTDIR, b"s")
    place = tempfile.mkdtemp(dir=t.dir)
    os.symlink(t.path("outside"), place + "/s")
    receive(t, entry("s/f", data=b"x") + END, place=place).is_error(errno.ENOTDIR, b"s")
    receive(t, entry("s", FOLDER) + END, place=place).is_error(errno.ENOTDIR, b"s")
    receive(t, entry("s", data=b"x") + END, place=place).is_error(errno.EEXIST, b"s")
    equal(os.listdir(t.path("outside")), [])


@case("filecopy-07 paths that are no plain ones")
def _(t):
    for name in (b"../x", b"/x", b"a/../b", b"./a", b"a//b", b"a/", b"..", b".", b"", b"/"):
        for options in ((), ("--allow-all-names",)):
            receive(t, entry(name, data=b"x") + END, *options).is_error(errno.EILSEQ, name)
            receive(t, entry(name, FOLDER) + END, *options).is_error(-errno.EILSEQ, name)
    equal([n for n in os.listdir(t.dir) if n == "x"], [])


@case("filecopy-08 characters that are not shown, with and without allow-all-names")
def _(t):
    for name in ("\x1b[2J", "a\nb", "a\x7f", b"caf\xe9", "\u202egnp", "\U0001f600", "\u05e9\u05dc", "e\u0301"):
        name = raw(name)
        r = receive(t, entry(name, data=b"x") + END)
        r.is_error(errno.EILSEQ, name)
        equal(r.tree(), {})
        r = receive(t, entry(name, data=b"x") + END, "--allow-all-names")
        equal((r.status, os.listdir(raw(r.place))), (0, [name]))


@case("filecopy-09 links: inside the object or refused, and the reply names the target")
def _(t):
    for name, target, good in (("d/s", "t", True), ("d/s", "../x", False), ("d/e/s", "../x", True),
                               ("d/e/s", "../../x", False), ("d/s", "/etc/passwd", False),
                               ("d/e/s", "x/../y", False), ("s", "t", False)):
        stream = entry("d", FOLDER) + entry("d/e", FOLDER) + link(name, target) + END
        r = receive(t, stream)
        if good:
            r.is_fine(raw(name), stream)
            equal(os.readlink(os.path.join(r.place, name)), target)
        else:
            r.is_error(errno.ENOLINK, raw(target))


@case("filecopy-10 types that are not received, also with a bad name")
def _(t):
    for kind in (0o010000, 0o020000, 0o060000, 0o140000, 0, 0o170000):
        for name in (b"n", b"../n", b"\x1b"):
            receive(t, entry(name, kind | 0o644) + END).is_error(errno.EINVAL, name)


@case("filecopy-11 names that are too long are not read")
def _(t):
    for length in (16384, 0xffffffff):
        r = receive(t, entry("n" * 20, namelen=length))
        equal((r.code, len(r.out), r.status), (errno.ENAMETOOLONG, 16, errno.ENAMETOOLONG))


@case("filecopy-12 the stream ends early: no file is visible, in dom0 one of mode 0")
def _(t):
    whole = entry("a", data=b"hello")
    receive(t, b"").is_error(errno.EREMOTEIO, b"")
    receive(t, whole + END[:7]).is_error(errno.EREMOTEIO, b"a")
    r = receive(t, whole[:33])
    equal((r.code, len(r.out), r.status), (EOF_CODE, 16, 118))
    r = receive(t, whole[:-2])
    r.is_error(EOF_CODE, b"a")
    equal(r.tree(), {})
    r = receive(t, whole[:-2], dom0=True)
    r.is_error(EOF_CODE, b"a")
    equal(r.tree(), {"a": (FILE, 0, 3)})


@case("filecopy-13 a time that is none: status 1, no reply; in a folder's first header it means nothing")
def _(t):
    for bad in ({"atime": (0, 10**9)}, {"mtime": (0, 0xffffffff)}):
        r = receive(t, entry("a", data=b"x", **bad) + END)
        equal((r.status, r.out, r.tree()), (1, b"", {"a": (FILE, 0o700, 1)}))
        stream = entry("d", FOLDER | 0o755, **bad) + END
        receive(t, stream).is_fine(b"d", stream)
        equal(receive(t, folder("d", **bad) + END).status, 1)


@case("filecopy-14 limits of dom0: exactly is fine, one more is not, and no sum wraps around")
def _(t):
    files = {"UPDATES_MAX_FILES": "2"}
    two = entry("a") + entry("b")
    receive(t, two + END, dom0=True, env=files).is_fine(b"b", two + END)
    receive(t, two + entry("c") + END, dom0=True, env=files).is_error(errno.EDQUOT, b"b")
    size = {"UPDATES_MAX_BYTES": "10"}
    exact = entry("a", data=b"12345") + entry("b", data=b"67890")
    receive(t, exact + END, dom0=True, env=size).is_fine(b"b", exact + END)
    receive(t, exact + entry("c", data=b"x") + END, dom0=True, env=size).is_error(errno.EDQUOT, b"c")
    for huge in (2**63 - 1, 2**63, 2**64 - 1, 2**64 - 5):
        receive(t, exact + entry("c", size=huge) + END, dom0=True, env=size).is_error(errno.EDQUOT, b"c")
    for options in ((), ("--max-files=2",)):
        r = receive(t, two + entry("c") + END, *options)
        equal((r.status, r.name), (122, b"b") if options else (0, b"c"))
    receive(t, exact + entry("c", data=b"x") + END, "--max-bytes=10").is_error(errno.EDQUOT, b"c")


@case("filecopy-14 dom0's limits without a word: 4096 objects, and 4 GiB or nine tenths of what is free")
def _(t):
    most = b"".join(entry(f"f{i}") for i in range(4096))
    receive(t, most + END, dom0=True).is_fine(b"f4095", most + END)
    receive(t, most + entry("more") + END, dom0=True).is_error(errno.EDQUOT, b"f4095")
    free = os.statvfs(t.dir)
    limit = min(free.f_bsize * free.f_bavail // 10 * 9, 1 << 32)
    receive(t, entry("a", size=(1 << 32) + 1), dom0=True).is_error(errno.EDQUOT, b"a")
    if limit == 1 << 32:  # else it moves while others write
        receive(t, entry("a", size=limit), dom0=True).is_error(EOF_CODE, b"a")
    none = {"UPDATES_MAX_BYTES": "0", "UPDATES_MAX_FILES": "0"}
    receive(t, most + entry("more", size=1 << 40), dom0=True, env=none).is_error(EOF_CODE, b"more")
    for wrong in ("", "-1", "x", "1x", "18446744073709551616"):
        equal(receive(t, END, dom0=True, env={"UPDATES_MAX_FILES": wrong}).status, 1, wrong)


@case("filecopy-14 a folder that is merged into counts with its size, a link with its target's length")
def _(t):
    place = t.path("there")
    os.makedirs(place + "/d")
    size = os.stat(place + "/d").st_size
    stream = entry("d", FOLDER | 0o755) + entry("d/a", data=b"12345") + END
    limit = {"UPDATES_MAX_BYTES": str(size + 5)}
    receive(t, stream, dom0=True, env=limit, place=place).is_fine(b"d/a", stream)
    limit = {"UPDATES_MAX_BYTES": str(size + 4)}
    os.unlink(place + "/d/a")
    receive(t, stream, dom0=True, env=limit, place=place).is_error(errno.EDQUOT, b"d/a")
    stream = entry("l", FOLDER | 0o755) + link("l/s", "12345") + END
    receive(t, stream, dom0=True, env={"UPDATES_MAX_BYTES": "5"}).is_fine(b"l/s", stream)
    receive(t, stream, dom0=True, env={"UPDATES_MAX_BYTES": "4"}).is_error(errno.EDQUOT, b"l/s")


@case("filecopy-15 --only-regular-files refuses folders and links")
def _(t):
    for stream in (entry("d", FOLDER), link("s", "t")):
        receive(t, stream + END, "--only-regular-files", dom0=True).is_error(errno.EINVAL, stream[32:33])
    stream = entry("f", data=b"x") + END
    receive(t, stream, "--only-regular-files", dom0=True).is_fine(b"f", stream)


@case("filecopy-16 what follows the end mark means nothing")
def _(t):
    r = receive(t, entry("a") + END + entry("b") + b"\xff" * 5000)
    equal((r.status, r.name, list(r.tree())), (0, b"a", ["a"]))


@case("filecopy-17 a tree comes out as it went in")
def _(t):
    source, place = t.path("from"), t.path("to")
    os.makedirs(place)
    for name, size in (("a", 0), ("b/c", 1), ("b/d/e", 4096), ("b/d/f", 300000), ("b/g", 1 << 20)):
        t.file("from/" + name, os.urandom(size))
    os.symlink("d/e", source + "/b/link")
    os.mkdir(source + "/b/empty", 0o711)
    os.mkfifo(source + "/b/pipe")
    os.chmod(source + "/b/c", 0o4751)
    os.utime(source + "/b/d", ns=(1, 10**9 + 7))
    sender, receiver = copy(t, [source], place)
    equal((sender.wait(), receiver.wait()), (0, 0), (sender.stderr + receiver.stderr).decode())
    want = digest_of(source)
    del want["b/pipe"]
    got = digest_of(place + "/from")
    for where in (want, got):
        where.pop("b/link")
        equal(os.readlink(source + "/b/link"), "d/e")
    equal(got, want)


@case("filecopy-18 what the receiver may answer")
def _(t):
    t.file("a", b"hello")

    def answered(reply, crc=True):
        sender = t.start(QUBE + "qfile-agent", "a", cwd=t.dir)
        sender.wait_output(END)
        reply = reply[:8] + struct.pack("<Q", zlib.crc32(sender.stdout) ^ (not crc)) + reply[16:] if reply else reply
        sender.write(reply)
        sender.close_stdin()
        return sender.wait(), sender.stderr

    fine = bytes(16) + struct.pack("<I", 1) + b"a"
    equal(answered(fine), (0, b""))
    equal(answered(fine, crc=False)[0], 1)
    equal(answered(fine[:16]), (0, b"EOF\n"))
    equal(answered(b""), (1, b"EOF\n"))
    early = t.start(QUBE + "qfile-agent", "a", cwd=t.dir, stdin=subprocess.PIPE)
    early.write(struct.pack("<IIQI", errno.ENOSPC, 0, 0, 1) + b"a")
    early.close_stdin()
    equal(early.wait(), 1)
    check(b"No space left on device; Last file: a" in early.stderr, early.stderr)


@case("filecopy-18 an answer that is cut off: before its checksum no success, after it what it said")
def _(t):
    t.file("a", b"hello")
    for code in (0, errno.ENOSPC):
        for cut in range(22):
            sender = t.start(QUBE + "qfile-agent", "a", cwd=t.dir)
            sender.wait_output(END)
            reply = struct.pack("<IIQI", code, 0, zlib.crc32(sender.stdout), 1) + b"a"
            sender.write(reply[:cut])
            sender.close_stdin()
            equal(sender.wait(), 0 if code == 0 and cut >= 16 else 1, (code, cut))
            equal(b"EOF\n" in sender.stderr, cut < 20, (code, cut, sender.stderr))


# If this failed, a file that is written to meanwhile would arrive as one that it never was, and be called whole.
@case("a file that shrinks while it is sent is an error, one that grows is cut at its size")
def _(t):
    size = 16 << 20
    for name, now in (("shrinks", size // 2), ("grows", size * 2)):
        t.file(name, bytes(size - 1) + b"x")
        read_end, write_end = os.pipe()
        sender = t.start(QUBE + "qfile-agent", name, cwd=t.dir, stdout=write_end)
        os.close(write_end)
        got = os.read(read_end, 1 << 16)  # the header, and the size in it, are on their way
        os.truncate(t.path(name), now)
        while not got.endswith(END) or len(got) <= size:
            more = os.read(read_end, 1 << 20)
            if not more:
                break
            got += more
        os.close(read_end)
        whole = entry(name, size=size, data=bytes(size - 1) + b"x")
        if name == "grows":
            equal((len(got), got[-33:]), (len(whole) + 32, b"x" + END))
            sender.write(struct.pack("<IIQI", 0, 0, zlib.crc32(got), 0))
        sender.close_stdin()
        equal(sender.wait(), 0 if name == "grows" else 1, sender.stderr)
        equal(b"Unexpected end of data while reading shrinks" in sender.stderr, name == "shrinks", sender.stderr)
        check(name == "grows" or len(got) < len(whole), "an end where none was")


@case("with PROGRESS_TYPE=gui a fatal error is shown in a window: zenity's, else kdialog's, of one plain argument")
def _(t):
    t.file("a", b"hello")
    for program, more in (("zenity", ["--error", "--no-markup", "--text"]), ("kdialog", ["--sorry"])):
        folder_of = t.path("bin-" + program)
        os.mkdir(folder_of)
        t.script(f"bin-{program}/{program}", f'printf "%s\\n" "$DISPLAY" "$#" "$@" >{t.path(program)}\n')
        for env in ({}, {"DISPLAY": ":7"}):
            sender = t.start(QUBE + "qfile-agent", "a", cwd=t.dir, env={"PROGRESS_TYPE": "gui", "PATH": folder_of, **env})
            sender.write(struct.pack("<IIQI", errno.EEXIST, 0, 0, 6) + b"\x1b[2J`a")
            sender.close_stdin()
            equal(sender.wait(), 1)
            shown = t.read(program).decode().splitlines()
            equal(shown[:2 + len(more)], [env.get("DISPLAY", ":0"), str(len(more) + 1)] + more)
            equal(shown[2 + len(more):], ['A file named "_[2J`a" already exists in QubesIncoming dir'])


@case("filecopy-19 progress on a terminal and for programs")
def _(t):
    t.file("a", bytes(3000))
    place = t.path("to")

    def run(kind, more=()):
        os.makedirs(place)
        read_end, write_end = os.pipe()
        env = {"PROGRESS_TYPE": kind, "FILECOPY_TOTAL_BYTES": 3000, "SAVED_FD_1": write_end}
        there_in, here_out = os.pipe()
        here_in, there_out = os.pipe()
        sender = t.start(QUBE + "qfile-agent", "a", env=env, cwd=t.dir, stdin=here_in, stdout=here_out,
                         pass_fds=[write_end])
        receiver = t.start(QUBE + "qfile-unpacker", "", place, stdin=there_in, stdout=there_out)
        for fd in (there_in, here_out, here_in, there_out, write_end):
            os.close(fd)
        equal((sender.wait(), receiver.wait()), (0, 0))
        said = os.read(read_end, 1000)
        os.close(read_end)
        shutil.rmtree(place)
        return sender.stderr, said

    equal(run("console"), (b"sent 0/3 KB\rsent 3/3 KB\r\n", b""))
    equal(run("gui"), (b"", b"0\n3000\n"))
    equal(run("lines"), (b"", b"0 3000\n3000 3000\n"))
    equal(run("none"), (b"", b""))


@case("filecopy-19 who closes the progress window ends the copy with status 32")
def _(t):
    t.file("a", bytes(3000))
    read_end, write_end = os.pipe()
    os.close(read_end)
    sender = t.start(QUBE + "qfile-agent", "a", cwd=t.dir, pass_fds=[write_end],
                     env={"PROGRESS_TYPE": "gui", "SAVED_FD_1": write_end})
    os.close(write_end)
    equal(sender.wait(), 32)


@case("filecopy-20 the service takes no other argument than allow-all-names")
def _(t):
    env = {"QREXEC_REMOTE_DOMAIN": "work", "HOME": t.dir}
    for argument, status in (("foo", 1), ("", 121), ("allow-all-names", 121)):
        service = t.start(QUBE + "filecopy-service", argument, env=env)
        service.close_stdin()
        equal(service.wait(), status)
        equal(len(service.stdout), 20 if status == 121 else 0)


@case("filecopy-20 the user's hook runs first, and can say nothing into the answer")
def _(t):
    env = {"QREXEC_REMOTE_DOMAIN": "work", "HOME": t.dir}
    os.makedirs(os.path.join(t.root, "usr/lib/qubes"), exist_ok=True)
    hook = os.path.join(t.root, "usr/lib/qubes/qvm_bookmark.sh")
    with open(hook, "w", encoding="ascii") as file:
        file.write(f"#!/bin/sh\ncat\necho nvm\necho nvm >&2\n: >{t.path('ran')}\nexit 3\n")
    for mode, ran in ((0o644, False), (0o755, True)):
        os.chmod(hook, mode)
        service = t.start(QUBE + "filecopy-service", env=env)
        service.write(END)
        service.close_stdin()
        equal((service.wait(), service.stdout.hex(), service.stderr), (0, "0000000000000000ad550a190000000000000000", b""))
        equal(os.path.exists(t.path("ran")), ran)


@case("filecopy-21 what comes from work arrives in QubesIncoming/work, mode 0700")
def _(t):
    stream = entry("a", data=b"x") + END
    for _ in range(2):  # the second time the folders are there
        receiver = t.start(QUBE + "filecopy-service", env={"QREXEC_REMOTE_DOMAIN": "work", "HOME": t.dir})
        receiver.write(stream)
        receiver.close_stdin()
        receiver.wait()
    for name in ("QubesIncoming", "QubesIncoming/work"):
        equal(stat.S_IMODE(os.stat(t.path(name)).st_mode), 0o700, name)
    equal(t.read("QubesIncoming/work/a"), b"x")
    for qube in (None, "", "..", ".", "a/b", "../etc"):
        receiver = t.start(QUBE + "qfile-unpacker", env={"QREXEC_REMOTE_DOMAIN": qube, "HOME": t.dir})
        receiver.close_stdin()
        equal((receiver.wait(), receiver.stdout), (1, b""), qube)


@case("filecopy-22 qubes-fs-tree-check says what would be taken")
def _(t):
    t.file("d/plain", bytes(100))
    t.file("d/e\x1bc", bytes(11))
    os.symlink("plain", t.path("d/link"))
    os.symlink("../..", t.path("d/out"))
    os.symlink("/etc", t.path("top"))
    allow = ("--allow-symlinks", "--allow-directories")

    def run(*words):
        done = t.start(QUBE + "qubes-fs-tree-check", "--machine-readable", *words, cwd=t.dir)
        return done.wait(), done.stdout
    equal(run("d/plain"), (0, b"100\n"))
    equal(run("d/e\x1bc"), (2, b"11\n"))
    equal(run("--allow-all-names", "d/e\x1bc"), (0, b"11\n"))
    equal(run("d")[0], 1)
    equal(run("--allow-directories", "--ignore-symlinks", "d"), (2, b"111\n"))
    equal(run(*allow, "d")[0], 1)
    os.unlink(t.path("d/out"))
    equal(run(*allow, "d"), (2, b"116\n"))
    equal(run(*allow, "top")[0], 1)
    for bad in ("", ".", "..", "/", "d/.", "d/..", "missing"):
        equal(run(*allow, bad)[0], 1, bad)
    t.file("-x", b"1")
    equal((run("-x")[0], run("--", "-x")), (1, (0, b"1\n")))


# The last name goes into the sender's messages: from a hostile receiver, it must not drive a terminal.
@case("a hostile answer's name reaches the terminal as plain text")
def _(t):
    t.file("a", b"hello")
    sender = t.start(QUBE + "qfile-agent", "a", cwd=t.dir)
    name = b"\x1b]0;owned\x07\n\xff\"" + b"n" * 70000
    sender.write(struct.pack("<IIQI", errno.EEXIST, 0, 0, len(name)) + name[:20000])
    sender.close_stdin()
    equal(sender.wait(), 1)
    check(re.fullmatch(rb"[ -~]+\n", sender.stderr), sender.stderr)
    check(b'"_]0;owned____nnn' in sender.stderr, sender.stderr)


@case("command lines of the receivers")
def _(t):
    stream, place = entry("\x1b", data=b"x") + END, t.path("p")
    os.mkdir(place)
    uid = str(os.getuid())
    for words, status in (([uid, place], 84), ([uid, place, "-v"], 84), ([uid, place, "-v", "-w", "5"], 84),
                          ([uid, place, "-w"], 84), ([uid, place, "-x"], 1), ([uid, place, "-w", "x"], 1),
                          (["-w", "2147483648", "", place], 1), (["--wait-for-space=1", "", place], 84),
                          (["--wait-for-space", "-1", "", place], 1), (["--allow-all", "", place], 1),
                          (["", place, "more"], 1), (["--verbose=1", "", place], 1),
                          (["--no-such", "", place], 1), (["--", "", place], 84),
                          (["--allow-all-names", "--no-allow-all-names", "", place], 84),
                          (["99999999999", place], 1), (["0" if uid != "0" else "0x", place], 1),
                          (["", place + "/missing"], 1)):
        receiver = t.start(QUBE + "qfile-unpacker", *words)
        try:
            receiver.write(stream)
        except BrokenPipeError:
            pass
        receiver.close_stdin()
        equal(receiver.wait(), status, words)
    r = receive(t, stream, "-v", "--allow-all-names")
    equal((r.status, r.err), (0, b"\\x1b\n"), "verbose names are escaped")
    for words in ((uid,), (uid, place, "-y"), ("no-such-user", place), (uid, place, "-w", "z")):
        receiver = t.start(DOM0 + "qfile-dom0-unpacker", *words)
        receiver.close_stdin()
        equal(receiver.wait(), 1, words)
    r = receive(t, entry("f", FILE | 0o6755) + END, "--no-special-modes")
    equal(r.tree(), {"f": (FILE, 0o755, 0)})


def complete(t, *words):
    """What Tab offers in the folder t.dir after these words."""
    script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _qvm_copy; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    shell = t.start("/bin/bash", "-c", script, "bash", os.path.join(SOURCE, "tools/completion/qvm-copy"), *words,
                    cwd=t.path("c"))
    equal((shell.wait(), shell.stderr), (0, b""))
    return sorted(shell.stdout.decode().split())


@case("completion of the commands", None if os.path.exists("/bin/bash") else "no bash")
def _(t):
    t.file("c/file-a")
    t.file("c/file-b")
    files = ["file-a", "file-b"]
    equal(complete(t, "qvm-copy", "f"), files)
    equal(complete(t, "qvm-move", "--ignore-symlinks", "file-a", "f"), files)
    equal(complete(t, "qvm-copy", "--with"), ["--with-progress", "--without-progress"])
    equal(complete(t, "qvm-copy", "--", "--with"), [])
    equal(complete(t, "qvm-copy-to-vm", "f"), [])
    equal(complete(t, "/usr/bin/qvm-move-to-vm", "--ignore-symlinks", "vault", "f"), files)
    equal(complete(t, "qvm-copy-to-vm", "--", "vault", "f"), files)
    for option in complete(t, "qvm-copy", "--"):
        run = t.start(QUBE + "qvm-copy", option)
        run.wait()
        check(b"no such option" not in run.stderr, option)


if __name__ == "__main__":
    main()
