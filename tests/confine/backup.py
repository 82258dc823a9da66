# SPDX-License-Identifier: GPL-2.0-or-later
"""The two confined processes of skerry-backup, attacked from inside their own confinement.

If this fails, whoever takes over the process that parses a profile, or the one that reads the volumes of
qubes, can read other files, change one, or reach another process or the network. Each attack is run in a
test build by the process itself, after confine(); tests/confine/confine.c shows that each succeeds without it.
"""

import os
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

BUILD = os.environ["SKERRY_BUILD"]
HANG = 60  # seconds; only a fault takes so long
BOTH = """open-secret open-to-write create-file list-folder open-passwd remove-file make-folder
connect-path connect-abstract connect-tcp listen-tcp make-socket run-program attach map-executable make-executable
change-user name-host mount new-user-space load-bpf use-keyring attach-segment read-memory be-readable leave-core
gain-privileges signal-other""".split()
# The maker starts scrypt and gzip.
READER = BOTH + ["make-process"]
READ, MAKE, FILE, FAILED, NEXT = 1, 2, 3, 20, 17


def text(value):
    return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"


def make_packet(out, pool):
    return (struct.pack("<I", MAKE) + text("p") + struct.pack("<HH", 0, 0) + text("dom0") + text(out) +
            text("secret") + text("") + b"\1" + struct.pack("<H", 1) + text(pool))


class World:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="cb")
        os.makedirs(os.path.join(self.dir, "root/run/qubes"))
        os.makedirs(os.path.join(self.dir, "root/etc/qubes/backup"))
        for folder in ("pool", "out"):
            os.mkdir(os.path.join(self.dir, folder))
        for name in ("secret", "victim", "pool/image"):
            with open(os.path.join(self.dir, name), "w") as f:
                f.write("secret\n")
        self.path = socket.socket(socket.AF_UNIX)
        self.path.bind(os.path.join(self.dir, "socket"))
        self.path.listen(8)
        self.name = "skerry-backup-%d" % os.getpid()
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind("\0" + self.name)
        self.abstract.listen(8)
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.victim = subprocess.Popen(["sleep", "1000"])

    def start(self, attack):
        env = dict(os.environ, SKERRY_ROOT=os.path.join(self.dir, "root"))
        if attack:
            env["SKERRY_ATTACK"] = attack
        env["SKERRY_ATTACK_WORLD"] = "%s %s %d -1 -1 %d 0 0" % (
            self.dir, self.name, self.tcp.getsockname()[1], self.victim.pid)
        door = os.path.join(self.dir, "root/run/qubes/backup.sock")
        if os.path.exists(door):
            os.unlink(door)
        process = subprocess.Popen([os.path.join(BUILD, "services/backup/skerry-backup"), "--scrypt-cost=10"], env=env,
                                   stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        while not os.path.exists(door):
            time.sleep(0.002)
        ours = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        while ours.connect_ex(door):
            time.sleep(0.002)
        return process, ours

    def packet(self, program):
        if program == "skerry-backup-reader":
            return struct.pack("<I", READ) + text("nosuch") + text("")
        return make_packet(os.path.join(self.dir, "out"), os.path.join(self.dir, "pool"))

    def run(self, program, attack):
        """What it says to the service, and what it writes."""
        process, ours = self.start("%s:%s" % (program, attack))
        ours.send(self.packet(program))
        answers = b""
        while True:
            got = ours.recv(65536)
            answers += got
            if not got:
                break
        # How the reader ended its parent tells; of the maker's end the answer has a word.
        said = b""
        while b"signal 31" not in answers + said and b"attack %s: " % attack.encode() not in said:
            if not select.select([process.stderr], [], [], HANG)[0]:
                break
            more = os.read(process.stderr.fileno(), 65536)
            if not more:
                break
            said += more
        process.terminate()
        return answers, said + process.stderr.read()

    def close(self):
        self.victim.kill()
        self.victim.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


def outside(world):
    """A file outside of the folders that were named first is not read, whoever names it; one inside is."""
    found = []
    for source in (os.path.join(world.dir, "secret"), "/etc/passwd", os.path.join(world.dir, "pool/image")):
        process, ours = world.start(None)
        ours.send(world.packet("skerry-backup-maker"))
        answer = b""
        while not answer.startswith(struct.pack("<I", NEXT)):
            answer = ours.recv(65536)
            if not answer or answer.startswith(struct.pack("<I", FAILED)):
                return "no question: %r" % answer
        ours.send(struct.pack("<I", FILE) + text("vm1/private.img") + text(source) + struct.pack("<I", 2))
        answer = ours.recv(65536)
        found.append(answer)
        ours.close()
        process.terminate()
        process.stderr.read()
    good = all(b"Permission denied" in a for a in found[:2]) and found[2].startswith(struct.pack("<I", NEXT))
    left = os.listdir(os.path.join(world.dir, "out"))
    return None if good and not left else "%r %r" % (found, left)


def main():
    world = World()
    failed = number = 0
    print("1..%d" % (len(READER) + len(BOTH) + 1))
    for program, attacks in (("skerry-backup-reader", READER), ("skerry-backup-maker", BOTH)):
        for attack in attacks:
            number += 1
            answers, said = world.run(program, attack)
            answer = [l for l in said.splitlines() if ("attack %s: " % attack).encode() in l]
            began = ("attack %s begins" % attack).encode() in said
            # Refused with an error number, or killed by the filter's signal; any other end is no refusal.
            good = began and (not answer[0].endswith(b": 0") if answer else b"signal 31" in answers + said)
            # What was ended is no success for who asked.
            good = good and struct.pack("<I", 19) not in answers[:4]
            failed += not good
            print("%sok %d - %s: %s" % ("" if good else "not ", number, program, attack))
            if not good:
                print("# answers %r, said: %r" % (answers[:200], said[-500:]))
    number += 1
    why = outside(world)
    failed += why is not None
    print("%sok %d - skerry-backup-maker: %s" % ("not " if why else "", number, outside.__doc__.strip()))
    if why:
        print("# " + why)
    world.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
